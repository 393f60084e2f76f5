"""What is allowed: decisions, budgets, simulation, the external policy service."""
