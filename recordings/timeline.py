"""What a recording says of its lesson: who was there when, when it was open or paused, what was flagged and written.

Pure. Everything comes from the recording itself, so that the review needs no other source; `docs/recording-format.md`
names the notes. Times are milliseconds on the lesson's clock.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

from recordings.webm import LONGEST_STILL_MS, Codec

HOLD_WORDS = {
    "stopped-by-school": "The school stopped the lesson",
    "approval-ended": "The approval for this one-to-one ended",
    "not-recorded": "Recording had stopped",
    "no-adult": "No adult was in the room",
    "lone-adult": "One adult would have been alone with one pupil",
    "not-permitted": "A permission was missing",
    "outside-window": "Outside the lesson's time",
    "starting": "The room was being checked",
}
FLAG_WORDS = {
    "seen": "Seen", "heard": "Heard", "chat": "Chat", "staff": "A member of staff", "other": "Other",
}


class NoteLike(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def at_ms(self) -> int: ...
    @property
    def body(self) -> Mapping[str, Any]: ...


class ClusterLike(Protocol):
    @property
    def t_first(self) -> int: ...
    @property
    def t_last(self) -> int: ...
    @property
    def fresh(self) -> bool: ...


@dataclass(frozen=True)
class Span:
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Pause(Span):
    """The room was held: nobody saw or heard anybody."""

    reasons: tuple[str, ...]

    @property
    def words(self) -> str:
        return HOLD_WORDS.get(self.reasons[0], "Paused") if self.reasons else "Paused"


@dataclass(frozen=True)
class Presence:
    """One person's time in the room, in one or more stretches."""

    person_id: str
    role: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Message:
    """A chat message; `outcome` is `delivered`, or `held` for one that only staff saw."""

    at_ms: int
    person_id: str
    text: str
    outcome: str


@dataclass(frozen=True)
class Flagged:
    at_ms: int
    person_id: str
    about: str
    note: str


@dataclass(frozen=True)
class Facts:
    end_ms: int
    opened_ms: int | None
    presence: tuple[Presence, ...]
    pauses: tuple[Pause, ...]
    chat: tuple[Message, ...]
    flags: tuple[Flagged, ...]


def facts(notes: Iterable[NoteLike], end_ms: int) -> Facts:
    """Read the notes of all parts of a recording, in order of time. `end_ms`: when it ends."""
    ordered = sorted(notes, key=lambda note: note.at_ms)
    opened = [note.at_ms for note in ordered if note.kind == "open"]
    return Facts(
        end_ms, opened[0] if opened else None, tuple(_presence(ordered, end_ms)), tuple(_pauses(ordered, end_ms)),
        tuple(
            Message(note.at_ms, _text(note, "person"), _text(note, "text"), _text(note, "outcome") or "delivered")
            for note in ordered if note.kind == "chat"
        ),
        tuple(_flags(ordered)),
    )


def _text(note: NoteLike, name: str) -> str:
    found = note.body.get(name)
    return found if isinstance(found, str) else ""


def _presence(notes: Sequence[NoteLike], end_ms: int) -> list[Presence]:
    """Joined by person; the end of the lesson, or of the service, ends everybody's stretch."""
    since: dict[str, int] = {}
    found: dict[str, Presence] = {}
    for note in notes:
        person = _text(note, "person")
        if note.kind == "end":
            for each in list(since):
                _close(found, since, each, note.at_ms)
        elif note.kind == "presence" and _text(note, "event") == "in":
            found.setdefault(person, Presence(person, _text(note, "role"), ()))
            since.setdefault(person, note.at_ms)
        elif note.kind == "presence" and person in since:
            _close(found, since, person, note.at_ms)
    for person in list(since):
        _close(found, since, person, end_ms)
    return list(found.values())


def _close(found: dict[str, Presence], since: dict[str, int], person: str, at_ms: int) -> None:
    presence = found[person]
    found[person] = replace(presence, spans=(*presence.spans, Span(since.pop(person), at_ms)))


def _pauses(notes: Sequence[NoteLike], end_ms: int) -> list[Pause]:
    """From each hold to the next opening or the end; before the first opening is the waiting room, not a pause."""
    found: list[Pause] = []
    current: Pause | None = None
    was_open = False
    for note in notes:
        if note.kind == "hold" and was_open and current is None:
            reasons = note.body.get("reasons")
            current = Pause(note.at_ms, end_ms, tuple(str(each) for each in reasons) if isinstance(reasons, list) else ())
        elif note.kind in ("open", "end") and current is not None:
            found.append(replace(current, end_ms=note.at_ms))
            current = None
        was_open = was_open or note.kind == "open"
    return [*found, current] if current else found


def _flags(notes: Sequence[NoteLike]) -> list[Flagged]:
    """A later note of the same flag adds its words to the moment that was flagged."""
    found: dict[str, Flagged] = {}
    for note in notes:
        if note.kind != "flag":
            continue
        name = _text(note, "flag") or str(note.at_ms)
        first = found.get(name) or Flagged(note.at_ms, _text(note, "person"), "", "")
        words = [each for each in (first.note, _text(note, "note")) if each]
        found[name] = replace(first, about=_text(note, "about") or first.about, note=" ".join(words))
    return list(found.values())


def stretches(clusters: Sequence[ClusterLike], gaps: Sequence[int], codec: Codec, end_ms: int) -> list[Span]:
    """When a track was there: from each fresh cluster to its gap mark, or as long as the last picture may stand."""
    found: list[Span] = []
    since, last = 0, None
    for cluster in clusters:
        if last is None or cluster.fresh:
            if last is not None:
                found.append(Span(since, _end_of(last.t_last, gaps, codec, cluster.t_first)))
            since = cluster.t_first
        last = cluster
    if last is not None:
        found.append(Span(since, _end_of(last.t_last, gaps, codec, end_ms)))
    return found


def outside(spans: Sequence[Span], others: Sequence[Span], least_ms: int = 0) -> list[Span]:
    """The parts of `spans` that none of `others` covers, but for those shorter than `least_ms`."""
    covers = joined(others, 0)
    ends = [cover.end_ms for cover in covers]
    found: list[Span] = []
    for span in spans:
        since = span.start_ms
        for cover in islice(covers, bisect_right(ends, since), None):
            if cover.start_ms >= span.end_ms:
                break
            found.append(Span(since, cover.start_ms))
            since = cover.end_ms
        found.append(Span(since, span.end_ms))
    return [span for span in found if span.end_ms - span.start_ms >= max(1, least_ms)]


def joined(spans: Iterable[Span], within_ms: int) -> list[Span]:
    """`spans` in order, those that overlap or are at most `within_ms` apart as one."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda each: each.start_ms):
        if found and span.start_ms - found[-1].end_ms <= within_ms:
            found[-1] = Span(found[-1].start_ms, max(found[-1].end_ms, span.end_ms))
        else:
            found.append(span)
    return found


def _end_of(t_last: int, gaps: Sequence[int], codec: Codec, until: int) -> int:
    if codec == "opus":
        return min(until, t_last + 20) if until > t_last else t_last + 20
    following = bisect_left(gaps, t_last)
    marked = gaps[following] if following < len(gaps) else until
    return max(t_last + 40, min(marked, until, t_last + LONGEST_STILL_MS))


def lasts_until(clusters: Sequence[ClusterLike], number: int, gaps: Sequence[int], codec: Codec, end_ms: int) -> int:
    """Until when the last block of a cluster is seen or heard."""
    cluster = clusters[number]
    following = clusters[number + 1] if number + 1 < len(clusters) else None
    if following is not None and not following.fresh:
        return following.t_first
    return _end_of(cluster.t_last, gaps, codec, following.t_first if following else end_ms)
