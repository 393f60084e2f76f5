"""What the log holds: entries, events, violations."""
