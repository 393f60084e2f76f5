"""The installation as a whole: what it can do, what it uses, how it is."""
