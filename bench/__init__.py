"""Measures Pilot against bare baselines in the same run; see __main__."""
