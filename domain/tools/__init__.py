"""Tools, their effects and arguments, operators and what they know."""
