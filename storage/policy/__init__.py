"""Rows of settings and of the external policy's snapshots."""
