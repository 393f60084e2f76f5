"""Workspaces: settings, members, secrets, their end."""
