"""Tasks, runs, steps: their states, schedules, delegation."""
