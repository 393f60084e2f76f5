"""Routes of login and sessions."""
