"""Approvals of exceptions, concerns, alerts, governance registers."""
