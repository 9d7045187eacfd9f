"""Some minutes of a recording, as if there were no others: what a grant lets somebody see, and not a picture more."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from recordings.flags import without_words
from recordings.reader import Note, Pieces, Recording
from recordings.review import Review, TrackView
from recordings.secret import usable
from recordings.timeline import Facts, Span


class Window(Recording):
    """A part of which only the clusters and notes from `start_ms` to `end_ms` exist. Numbers of clusters count from its own
    first one, so that no address reaches another."""

    def __init__(self, whole: Recording, start_ms: int, end_ms: int):
        self.__dict__.update(whole.__dict__)
        self._whole = whole  # keeps its file open
        self.last_ms = min(whole.last_ms, end_ms)
        self._minutes = start_ms, end_ms
        self._shown = [note for note in whole.notes() if start_ms <= note.at_ms < end_ms]

    def __del__(self) -> None:
        """The key is the whole's, which wipes it."""

    def clusters(self, track: int) -> Pieces:
        return super().clusters(track).within(*self._minutes)

    def notes(self) -> list[Note]:
        usable(self._key)
        return self._shown


def limited(review: Review, starts_at: datetime, ends_at: datetime) -> Review:
    """The review with everything outside these times taken out, and who flagged what: that is for the safeguarding team."""
    zero, second = review.details.started_at, timedelta(milliseconds=1)
    shown = Span(max(0, (starts_at - zero) // second), max(0, (ends_at - zero) // second))
    files = {part: Window(file, shown.start_ms, shown.end_ms) for part, file in review.files.items()}
    tracks = tuple(cut for track in review.tracks if (cut := _cut(track, shown)).spans)
    return replace(review, files=files, facts=_facts(review.facts, shown), tracks=tracks, is_whole=False)


def _cut(track: TrackView, shown: Span) -> TrackView:
    spans, alone, speech = (tuple(_within(each, shown)) for each in (track.spans, track.alone, track.speech))
    pictures = tuple(at_ms for at_ms in track.pictures if shown.start_ms <= at_ms < shown.end_ms)
    return replace(track, spans=spans, alone=alone, speech=speech, pictures=pictures)


def _within(spans: Iterable[Span], shown: Span) -> list[Span]:
    found = [replace(span, start_ms=max(span.start_ms, shown.start_ms), end_ms=min(span.end_ms, shown.end_ms)) for span in spans]
    return [span for span in found if span.start_ms < span.end_ms]


def _facts(facts: Facts, shown: Span) -> Facts:
    facts = without_words(facts)
    here = [replace(each, spans=tuple(_within(each.spans, shown))) for each in facts.presence]
    return replace(
        facts, end_ms=min(facts.end_ms, shown.end_ms), presence=tuple(each for each in here if each.spans),
        pauses=tuple(_within(facts.pauses, shown)),  # type: ignore[arg-type]
        chat=tuple(each for each in facts.chat if shown.start_ms <= each.at_ms < shown.end_ms),
        flags=tuple(each for each in facts.flags if shown.start_ms <= each.at_ms < shown.end_ms),
    )
