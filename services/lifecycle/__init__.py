"""The one room where a state is written."""
