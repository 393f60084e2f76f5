"""Updates, messages and people of a chat."""
