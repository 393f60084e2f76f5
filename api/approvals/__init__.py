"""Routes of approvals, grants, and decisions asked for from outside."""
