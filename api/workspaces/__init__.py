"""Routes of workspaces and their secrets."""
