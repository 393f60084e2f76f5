"""Asks the policy about one call, with the facts of the moment, inside the caller's transaction."""
