"""`chaperone selftest`: synthetic people ask the running service what a governor asks, and keep its answers as evidence."""
