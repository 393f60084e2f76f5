"""Runs of tasks: who plans and acts, one segment after the other."""
