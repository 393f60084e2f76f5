"""Rows of people, sessions, keys, invitations, rate limits."""
