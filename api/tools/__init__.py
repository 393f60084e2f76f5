"""Routes of tools, tool servers and knowledge."""
