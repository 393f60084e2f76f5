"""Rows of what waits to be delivered, and to whom."""
