"""A telephone number that cannot be shown by accident (policy: CM4, CM5). Pure.

Whatever prints, formats, logs or pickles one gets a word in its place; the digits come out by one name, `Number.e164`, and the
tests count who says it.
"""

from dataclasses import dataclass

HIDDEN = "(a number)"


@dataclass(frozen=True, repr=False)
class Number:
    """A number in E.164, with its plus sign."""

    e164: str

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a number is not written anywhere")
