"""Asking that a planned lesson is also kept for teaching practice (policy: RE1, CO2)."""
