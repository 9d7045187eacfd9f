"""Incidents: what happened, who took part, what the school did about it, and that families know (policy: IN1, IN2)."""
