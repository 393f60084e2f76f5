"""Rows of operators, notes and tool servers."""
