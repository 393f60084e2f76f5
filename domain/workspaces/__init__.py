"""Workspaces, members, secrets."""
