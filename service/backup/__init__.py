"""Back-ups of everything, and what it takes to go on from one (policy: AC6)."""
