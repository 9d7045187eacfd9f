"""Concerns: what was seen or heard, what was done, and the file that hands it to the school's own case system."""
