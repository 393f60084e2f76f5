"""Rows of workspaces and their secrets, and the vault that seals them."""
