"""Rows of the installation itself, and who holds its store."""
