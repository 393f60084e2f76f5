"""The signed log: writing, reading, checking it."""
