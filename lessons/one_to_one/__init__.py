"""One-to-one lessons: asked for exactly, decided by somebody else, ended at any moment (policy: RL1, CM6)."""
