"""The ledger's catalogue: a class for each thing that can be recorded, and what is written of it.

- `work`: tasks, their runs, and the calls these make
- `approvals`: questions to people, their answers, standing permissions, decisions for agents that are not ours
- `people`: logins, workspaces and who belongs to them
- `workspace`: settings, mode, secrets, operators, knowledge, tool servers, and the log itself
"""
