"""One answer to a technician who asks whether a call could be placed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    is_well: bool
    words: str
