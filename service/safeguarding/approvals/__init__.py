"""Approvals of exceptions: requests, decisions, and what still stands (policy: RL1)."""
