"""Masked calling: a teacher reaches a family, and neither ever sees the other's number (policy: CM1 to CM6, RC2, IN2)."""
