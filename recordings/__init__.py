"""Capture (un-transcoded, encrypted, durable), the vault, and review."""
