"""Evaluations: checks that run Pilot itself, on a store and a data folder that are thrown away afterwards."""
