"""Lessons after a restore: closed, until somebody has entered again what was withdrawn since the back-up was made."""
