"""Measurements of the hot paths, beside a named peer where there is one. `make bench` runs them all."""
