"""Recordings for teaching practice: of their own, with their own consent, audience, time and key (policy: RE1; JS 9.2)."""
