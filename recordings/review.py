"""One view of one recording: its files opened, its facts with names, ready for the page and the player."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from recordings import timeline, webm
from recordings.format import NotARecording
from recordings.queries import RecordingDetails
from recordings.reader import Note, Recording
from recordings.recover import STOPPED
from recordings.shelf import Shelf
from recordings.timeline import Facts, Span, lasts_until, stretches
from recordings.vault import Vault
from service.foundation.errors import NotFound
from service.people.queries import PersonView

MOST_CLUSTERS = 30
SMALL = "l"
HANDOVER_MS = 500
"""A small picture that stood alone for less, while the large one came or went, is no change for the eye."""
SOURCES = {"microphone": "microphone", "camera": "camera", "screen": "shared screen"}
MIME = {"opus": 'audio/webm; codecs="opus"', "vp8": 'video/webm; codecs="vp8"'}


@dataclass(frozen=True)
class TrackView:
    """One playable track of one part. `alone`: when it was the largest picture there was of its source."""

    part: int
    track: int
    person_id: str
    source: str
    codec: webm.Codec
    spans: tuple[Span, ...]
    is_small: bool = False
    alone: tuple[Span, ...] = ()

    @property
    def beside(self) -> tuple[Span, ...]:
        """When some were shown this small picture while others saw the large one."""
        return tuple(timeline.outside(self.spans, self.alone))


@dataclass(frozen=True)
class Review:
    """A whole recording, opened. `files` by part; a part that never reached the disk has none."""

    details: RecordingDetails
    files: Mapping[int, Recording]
    facts: Facts
    tracks: tuple[TrackView, ...]

    @property
    def people(self) -> frozenset[str]:
        """Everybody whom the recording itself shows or names."""
        return frozenset(track.person_id for track in self.tracks) | frozenset(
            presence.person_id for presence in self.facts.presence
        )

    def moment(self, at_ms: int) -> datetime:
        """The time of day of a moment on the lesson's clock."""
        return self.details.started_at + timedelta(milliseconds=at_ms)


async def open_review(details: RecordingDetails, vault: Vault, shelf: Shelf) -> Review:
    """Open every part that can be; a part whose key was destroyed is left out."""
    files: dict[int, Recording] = {}
    for part in details.parts:
        if part.destroyed_at:
            continue
        key = vault.open(details.school_id, details.id, part.part, details.kept_until)
        try:
            files[part.part] = await shelf.get(vault.place(details.id, part.part), key)
        except (FileNotFoundError, NotARecording):
            continue
    end_ms = max((file.last_ms for file in files.values()), default=0)
    stopped = frozenset(part.part for part in details.parts if STOPPED in part.reason)
    facts = timeline.facts(_notes(files, stopped), end_ms)
    return Review(details, files, facts, tuple(_tracks(files, facts)))


def _notes(files: Mapping[int, Recording], stopped: frozenset[int]) -> list[Note]:
    """The notes of all parts, and what a part that broke off could not say itself: nothing was let through from there.

    Where the service stopped everybody was gone; where only the recorder broke they stayed, and the room was held.
    """
    found: list[Note] = []
    for part, file in files.items():
        found += file.notes()
        if part in stopped:
            found.append(Note("end", file.last_ms, {}))
        if part != max(files):
            found.append(Note("hold", file.last_ms, {"reasons": ["not-recorded"]}))
    return found


def _gaps(file: Recording, track: int, facts: Facts) -> list[int]:
    """Where a track stopped: its own marks, and every pause of the room, in which no picture stands either."""
    return sorted([*file.gaps(track), *(pause.start_ms for pause in facts.pauses)])


def _tracks(files: Mapping[int, Recording], facts: Facts) -> list[TrackView]:
    found = [
        TrackView(
            part, number, info.person_id, info.source, info.codec,
            tuple(stretches(file.clusters(number), _gaps(file, number, facts), info.codec, file.last_ms)),
            info.layer == SMALL,
        )
        for part, file in files.items() for number, info in file.tracks.items()
    ]
    return [replace(track, alone=_alone(track, found)) for track in found]


def _alone(track: TrackView, tracks: Sequence[TrackView]) -> tuple[Span, ...]:
    if not track.is_small:
        return track.spans
    large = [span for other in tracks for span in other.spans
             if (other.person_id, other.source, other.is_small) == (track.person_id, track.source, False)]
    return tuple(timeline.outside(track.spans, large, HANDOVER_MS))


def beginning(review: Review, part: int, track: int) -> bytes:
    """The WebM beginning of a track."""
    return _file(review, part, track).init_segment(track)


def clusters(review: Review, part: int, track: int, first: int, count: int) -> bytes:
    """`count` clusters of a track from number `first`, as they can be appended to a SourceBuffer."""
    file = _file(review, part, track)
    listed, gaps, codec = file.clusters(track), _gaps(file, track, review.facts), file.tracks[track].codec
    if not 0 <= first < len(listed) or not 0 < count <= MOST_CLUSTERS:
        raise NotFound()
    pieces = []
    for number in range(first, min(first + count, len(listed))):
        piece = file.cluster(track, number)
        if codec == "vp8":
            piece = webm.lasting(piece, lasts_until(listed, number, gaps, codec, file.last_ms))
        pieces.append(piece)
    return b"".join(pieces)


def _file(review: Review, part: int, track: int) -> Recording:
    file = review.files.get(part)
    if file is None or track not in file.tracks:
        raise NotFound()
    return file


def for_player(review: Review, people: Mapping[str, PersonView]) -> dict[str, Any]:
    """What the player needs to know. Clusters as flat numbers: first time, last time, whether a seek may start there."""
    return {
        "zero": review.details.started_at.isoformat(),
        "end_ms": review.facts.end_ms,
        "pauses": [[pause.start_ms, pause.end_ms, pause.words] for pause in review.facts.pauses],
        "presence": [
            [name(people, presence.person_id), *([span.start_ms, span.end_ms] for span in presence.spans)]
            for presence in review.facts.presence
        ],
        "flags": [flag.at_ms for flag in review.facts.flags],
        "tracks": [
            {
                "part": track.part, "track": track.track, "person": track.person_id,
                "name": name(people, track.person_id), "source": track.source, "mime": MIME[track.codec],
                "spans": _pairs(track.spans), "alone": _pairs(track.alone), "beside": _pairs(track.beside),
                "clusters": [
                    each for cluster in review.files[track.part].clusters(track.track)
                    for each in (cluster.t_first, cluster.t_last, int(cluster.key))
                ],
            }
            for track in review.tracks if track.spans
        ],
    }


def _pairs(spans: Sequence[Span]) -> list[list[int]]:
    return [[span.start_ms, span.end_ms] for span in spans]


def name(people: Mapping[str, PersonView], person_id: str) -> str:
    """A name for a safeguarding page: staff see children's full names there."""
    found = people.get(person_id)
    return found.full_name if found and found.is_child else found.name if found else "Somebody"
