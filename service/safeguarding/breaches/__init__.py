"""Breaches of personal data: what happened, who was told, and the 72 hours in which the ICO has to be (policy: AC10)."""
