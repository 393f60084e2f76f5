"""The policy: one typed, total function from facts to a decision, and everything that feeds it."""
