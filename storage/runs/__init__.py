"""Rows of tasks, runs, steps, and the job engine."""
