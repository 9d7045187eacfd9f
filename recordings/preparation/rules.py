"""What counts as speech, which pictures are kept, and how far the work is, in words. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from recordings.timeline import Span

WINDOW_MS = 32
"""What the model judges at once: 512 samples at 16 kHz."""
BEGINS, GOES_ON = 0.5, 0.35
"""Speech begins above the one likelihood and goes on above the other, as the model's authors advise."""
SHORTEST_MS = 200
"""Less is a click or a cough."""
BREATH_MS = 600
"""A pause no longer than this lies inside what somebody says."""
PICTURE_EVERY_MS = 10_000

NOTHING_RECORDED = "nothing was recorded in this part"
CANNOT_BE_READ = "the file of this part cannot be read"
NOTHING_MADE = (NOTHING_RECORDED, CANNOT_BE_READ)
"""Where there is no file beside the part."""
SOME_FAILED = "some of it could not be read"


class ClusterLike(Protocol):
    @property
    def t_first(self) -> int: ...
    @property
    def key(self) -> bool: ...


@dataclass(frozen=True)
class Scores:
    """How likely each window is speech, 0 to 255, from `at_ms` on."""

    at_ms: int
    values: bytes


@dataclass(frozen=True)
class Progress:
    """How much of the sound and the pictures of a part is done, in milliseconds of the lesson."""

    done_ms: int
    total_ms: int


def spoken(scores: Iterable[Scores]) -> list[Span]:
    """When somebody spoke."""
    found: list[Span] = []
    start = end = -1
    for piece in scores:
        for number, value in enumerate(piece.values):
            at_ms = piece.at_ms + number * WINDOW_MS
            if start >= 0 and at_ms - end > BREATH_MS:
                found.append(Span(start, end))
                start = -1
            if value >= (BEGINS if start < 0 else GOES_ON) * 255:
                start, end = (at_ms if start < 0 else start), at_ms + WINDOW_MS
    if start >= 0:
        found.append(Span(start, end))
    return [span for span in found if span.end_ms - span.start_ms >= SHORTEST_MS]


def pictured(clusters: Sequence[ClusterLike]) -> list[int]:
    """The numbers of the clusters whose first picture is kept small: key frames, no more than one in ten seconds."""
    found: list[int] = []
    last = -PICTURE_EVERY_MS
    for number, cluster in enumerate(clusters):
        if cluster.key and cluster.t_first - last >= PICTURE_EVERY_MS - 500:  # key frames come about every five seconds
            found.append(number)
            last = cluster.t_first
    return found


def words(progress: Progress | None) -> str:
    """“Being prepared: 40 of 120 minutes”"""
    if progress is None:
        return "Being prepared: waiting for its turn"
    total = max(1, -(-progress.total_ms // 60_000))
    return f"Being prepared: {min(total, progress.done_ms // 60_000)} of {total} {'minute' if total == 1 else 'minutes'}"
