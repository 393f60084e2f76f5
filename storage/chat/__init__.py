"""Rows of conversations and of updates that came in."""
