"""Keys in memory lie in bytes that can be overwritten: what Python merely lets go of stays where it lay (threat T22)."""


def wipe(*keys: bytearray) -> None:
    """Overwrite these where they lie. Whoever still holds one decrypts nothing more with it."""
    for key in keys:
        key[:] = bytes(len(key))
