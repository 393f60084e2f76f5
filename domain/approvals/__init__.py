"""Approvals, grants, absence of approvers, decisions asked for from outside."""
