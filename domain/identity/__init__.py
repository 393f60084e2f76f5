"""People, what they may do, and what they prove themselves with."""
