"""Routes of tasks and runs."""
