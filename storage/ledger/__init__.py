"""Rows of the log: receipts, audit, events, violations."""
