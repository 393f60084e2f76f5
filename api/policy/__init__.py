"""Routes of the policy and its simulation."""
