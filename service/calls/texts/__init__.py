"""A text to a family whom a call did not reach: the school's own words, from the school's number (policy: CM1, CM4)."""
