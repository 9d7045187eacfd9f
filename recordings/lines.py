"""The review page's table and drawing, from the facts: the same moments twice, once to read and once to see."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from recordings.review import Review, name
from recordings.timeline import FLAG_WORDS, Flagged, Span, joined
from service.foundation.web import say_count
from service.people.queries import PersonView

WIDTH = 1000
ROW = 24
ONE_STRETCH_MS = 60_000
"""Small pictures that come and go with a viewer's network are one line of the table."""


@dataclass(frozen=True)
class Moment:
    """A line of the table. `kind` is its drawing's and tag's class."""

    at_ms: int
    clock: str
    kind: str
    tag: str
    words: str


@dataclass(frozen=True)
class Voice:
    """Who spoke, first when, and for how long in words."""

    at_ms: int
    clock: str
    who: str
    words: str


@dataclass(frozen=True)
class Bar:
    x: float
    width: float
    kind: str


@dataclass(frozen=True)
class Row:
    """One row of the drawing: whose (the room's is nobody's), and its bars."""

    person_id: str
    label: str
    y: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Drawing:
    height: int
    rows: tuple[Row, ...]


def seconds(moment: datetime, zone: str) -> str:
    """“10:22:14”"""
    return f"{moment.astimezone(ZoneInfo(zone)):%H:%M:%S}"


def moments(review: Review, people: Mapping[str, PersonView], zone: str) -> list[Moment]:
    """Everything that happened, in order."""
    found = [(flag.at_ms, "flag", "Flag", _flag_words(flag, people)) for flag in review.facts.flags]
    found += [(message.at_ms, "held", "Not sent", f"{name(people, message.person_id)}: {message.text}")
              for message in review.facts.chat if message.outcome != "delivered"]
    if review.facts.opened_ms is not None:
        found.append((review.facts.opened_ms, "open", "Open", "The lesson opened"))
    for pause in review.facts.pauses:
        found.append((pause.start_ms, "paused", "Paused", pause.words))
        if pause.end_ms < review.facts.end_ms:
            found.append((pause.end_ms, "open", "Open", "Open again"))
    for presence in review.facts.presence:
        who = name(people, presence.person_id)
        for span in presence.spans:
            found.append((span.start_ms, "in", "Came in", who))
            if span.end_ms < review.facts.end_ms:
                found.append((span.end_ms, "out", "Left", who))
    found += [(span.start_ms, "small", "Small picture", f"Some people were shown a smaller picture of {name(people, person)}")
              for person in sorted(review.people) for span in _small(review, person)]
    for part in review.details.parts[1:]:
        at_ms = int((part.started_at - review.details.started_at).total_seconds() * 1000)
        found.append((at_ms, "gap", "Gap", "Recording started again. Nothing was let through in between."))
    return [Moment(at, seconds(review.moment(at), zone), kind, tag, words) for at, kind, tag, words in sorted(found)]


def voices(review: Review, people: Mapping[str, PersonView], zone: str) -> list[Voice]:
    """Everybody who spoke, whoever spoke longest first."""
    found = []
    for person in review.people:
        spans = review.speech_of(person)
        if spans:
            whole = sum(span.end_ms - span.start_ms for span in spans)
            first = spans[0].start_ms
            found.append((-whole, Voice(first, seconds(review.moment(first), zone), name(people, person), _long(whole))))
    return [voice for _, voice in sorted(found, key=lambda each: (each[0], each[1].who))]


def _long(milliseconds: int) -> str:
    whole = max(1, round(milliseconds / 1000))
    return say_count(whole, "second") if whole < 100 else say_count(round(whole / 60), "minute")


def _small(review: Review, person_id: str) -> list[Span]:
    return joined((span for track in review.tracks if track.person_id == person_id for span in track.beside), ONE_STRETCH_MS)


def _flag_words(flag: Flagged, people: Mapping[str, PersonView]) -> str:
    """Nothing of one whose words are not for this reader (`flags`)."""
    if not flag.person_id:
        return ""
    what = FLAG_WORDS.get(flag.about, flag.about)
    return ". ".join(each for each in (f"{name(people, flag.person_id)} flagged this moment", what, flag.note) if each)


def drawing(review: Review, people: Mapping[str, PersonView]) -> Drawing:
    """Bars from 0 to 1000 across, one row for the room and one for each person."""
    end = max(1, review.facts.end_ms)

    def bar(span: Span, kind: str) -> Bar:
        x = round(span.start_ms * WIDTH / end, 2)
        return Bar(x, max(1.5, round((span.end_ms - span.start_ms) * WIDTH / end, 2)), kind)

    opened = review.facts.opened_ms
    room = [bar(Span(opened, review.facts.end_ms), "open")] if opened is not None else []
    room += [bar(pause, "paused") for pause in review.facts.pauses]
    room += [bar(Span(flag.at_ms, flag.at_ms), "flag") for flag in review.facts.flags]
    rows = [("", "Room", room)]
    for presence in review.facts.presence:
        bars = [bar(span, "present") for span in presence.spans]
        for track in review.tracks:
            if track.person_id == presence.person_id:
                bars += [bar(span, track.source) for span in track.spans]
                bars += [bar(span, "small") for span in track.beside]
        bars += [bar(span, "speech") for span in review.speech_of(presence.person_id)]
        bars += [bar(Span(message.at_ms, message.at_ms), "chat") for message in review.facts.chat
                 if message.person_id == presence.person_id]
        rows.append((presence.person_id, name(people, presence.person_id), bars))
    return Drawing(len(rows) * ROW, tuple(
        Row(whose, label, position * ROW, tuple(bars)) for position, (whose, label, bars) in enumerate(rows)
    ))
