"""Routes of the installation: capabilities, health, usage, administration."""
