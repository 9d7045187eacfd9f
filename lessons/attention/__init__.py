"""Lessons that need somebody outside them now: paused, without an adult, stopped, or an adult who asks not to be alone."""
