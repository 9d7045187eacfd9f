"""Keys in memory lie in bytes that can be overwritten: what Python merely lets go of stays where it lay (threat T22).

Whoever makes a key or is given one by the key store owns it, and wipes it. Whoever borrows one copies it, or is done with it when
it returns. A wiped key is all zeros, which anybody can guess: it encrypts and decrypts nothing.
"""

import ctypes

from service.foundation.errors import Unavailable

Key = bytes | bytearray
KEY_BYTES = 32


class KeyForgotten(Unavailable):
    """This recording was closed while you looked at it. Open it again."""

    code = "key-forgotten"


def new_key() -> bytearray:
    """Random bytes that were never anywhere else in this process; for the caller to wipe."""
    key = bytearray(KEY_BYTES)
    with open("/dev/urandom", "rb", buffering=0) as source:  # `os.urandom` would make bytes that nobody can wipe
        if source.readinto(key) != KEY_BYTES:
            raise OSError("the system gave no random bytes")
    return key


def usable(key: Key) -> Key:
    """The same key. Raises `KeyForgotten` for one that was wiped."""
    if not any(key):
        raise KeyForgotten()
    return key


def wipe(*keys: bytearray) -> None:
    """Overwrite these where they lie. Whoever still holds one decrypts nothing more with it."""
    for key in keys:
        key[:] = bytes(len(key))


def wipe_copy(secret: bytes) -> None:
    """Overwrite bytes that a library insisted on, and that nobody else holds or will look at again.

    CPython keeps them at the end of the object, before one zero byte.
    """
    ctypes.memset(id(secret) + bytes.__basicsize__ - 1, 0, len(secret))
