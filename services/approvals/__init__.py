"""Approvals: who may decide, deciding, and questions of agents that are not ours."""
