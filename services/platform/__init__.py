"""What any wing may use: events in the process, live streams, rate limits, idempotency."""
