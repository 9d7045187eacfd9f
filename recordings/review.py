"""One view of one recording: its files opened, its facts with names, ready for the page and the player."""

import asyncio
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, ref

from recordings import timeline, webm
from recordings.format import ChunkDamaged, Header, NotARecording
from recordings.preparation import aside
from recordings.preparation.aside import Aside, NotAnAside
from recordings.queries import PartView, RecordingDetails
from recordings.reader import Chunk, Note, Recording
from recordings.recover import STOPPED
from recordings.secret import KeyForgotten, wipe
from recordings.shelf import Shelf
from recordings.timeline import Facts, Span, lasts_until, stretches
from recordings.vault import EvidenceIsolated, Vault
from service.foundation.errors import NotFound
from service.people.queries import PersonView

MOST_TRACKS = 80
LONGEST_PIECE_MS = 12_000
MOST_BYTES = 8 * 1024 * 1024
"""Of one answer; what is left over is asked for again."""
PIECE = struct.Struct("!HHIIII")
OVER = 0xFFFFFFFF
SMALL = "l"
HANDOVER_MS = 500
"""A small picture that stood alone for less, while the large one came or went, is no change for the eye."""
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
    speech: tuple[Span, ...] = ()
    pictures: tuple[int, ...] = ()

    @property
    def beside(self) -> tuple[Span, ...]:
        """When some were shown this small picture while others saw the large one."""
        return tuple(timeline.outside(self.spans, self.alone))


@dataclass(frozen=True)
class Review:
    """A recording, opened. `files` by part; a part that never reached the disk has none. `asides`: what was prepared.

    `is_whole` is False where a grant shows some minutes only (`grants.window`): what reviewers wrote is not part of those.
    """

    details: RecordingDetails
    files: Mapping[int, Recording]
    facts: Facts
    tracks: tuple[TrackView, ...]
    asides: Mapping[int, Aside]
    is_whole: bool = True

    @property
    def people(self) -> frozenset[str]:
        """Everybody whom the recording itself shows or names."""
        return frozenset(track.person_id for track in self.tracks) | frozenset(
            presence.person_id for presence in self.facts.presence
        )

    @property
    def staff(self) -> frozenset[str]:
        """Who was there as somebody other than a pupil."""
        return frozenset(presence.person_id for presence in self.facts.presence if presence.role != "pupil")

    def moment(self, at_ms: int) -> datetime:
        """The time of day of a moment on the lesson's clock."""
        return self.details.started_at + timedelta(milliseconds=at_ms)

    def speech_of(self, person_id: str) -> list[Span]:
        """When somebody spoke, whichever microphone it was."""
        return timeline.joined((span for track in self.tracks if track.person_id == person_id for span in track.speech), 0)


@dataclass(frozen=True)
class _Known:
    """A review but for its files, which it does not keep open."""

    details: RecordingDetails
    files: tuple[ref[Recording], ...]
    facts: Facts
    tracks: tuple[TrackView, ...]
    asides: Mapping[int, Aside]
    prepared: frozenset[int]

    def is_of(self, details: RecordingDetails, files: Mapping[int, Recording], prepared: frozenset[int]) -> bool:
        same = self.details == details and [each() for each in self.files] == [*files.values()]
        return same and self.prepared == prepared


_known: WeakKeyDictionary[Recording, _Known] = WeakKeyDictionary()
"""What was worked out of the files that are open, by the first of them: forgotten with the key, when nobody watches."""


def part_key(details: RecordingDetails, part: PartView, vault: Vault) -> bytearray:
    """The key of one part, for the caller to wipe; `KeyMissing` where it was destroyed or cannot be read."""
    return vault.open(details.school_id, details.id, part.part, details.kept_until)


async def open_review(details: RecordingDetails, vault: Vault, shelf: Shelf) -> Review:
    """Open every part that can be; a part whose key was destroyed is left out.

    An hour of thirty people has 200,000 pieces: what they say together is worked out once, and again when it has changed.
    """
    keys: dict[int, bytearray] = {}
    try:
        found = await _opened(details, vault, shelf, keys)
    finally:
        wipe(*keys.values())
    if vault.is_isolated(details.school_id, details.id):  # while a thread was at it
        forget(shelf, details.id, is_gone=False)
        raise EvidenceIsolated()
    return found


async def _opened(details: RecordingDetails, vault: Vault, shelf: Shelf, keys: dict[int, bytearray]) -> Review:
    files: dict[int, Recording] = {}
    for part in details.parts:
        if part.destroyed_at:
            continue
        keys[part.part] = part_key(details, part, vault)
        try:
            files[part.part] = await shelf.get(vault.place(details.id, part.part), keys[part.part])
        except (FileNotFoundError, NotARecording):
            continue
    prepared = frozenset(part for part in files if aside.path_of(vault.path(details.id, part)).exists())
    first = next(iter(files.values()), None)
    known = _known.get(first) if first else None
    if known is None or not known.is_of(details, files, prepared):
        beside = {part: (vault.path(details.id, part), keys[part]) for part in prepared}
        known = await asyncio.to_thread(_work_out, details, files, beside)
        if files and shelf.is_gone(details.id):  # while a thread was at it
            _forget(known)
            raise KeyForgotten()
        if first:
            _known[first] = known
    return Review(details, files, known.facts, known.tracks, known.asides)


def forget(shelf: Shelf, recording_id: str, *, is_gone: bool) -> None:
    """Overwrite the keys of what is open of a recording. `is_gone`: its keys are destroyed, and it is never opened again."""
    for file in shelf.forget(recording_id, is_gone=is_gone):
        if known := _known.pop(file, None):
            _forget(known)


def _forget(known: _Known) -> None:
    for each in known.asides.values():
        each.forget()


def _work_out(
    details: RecordingDetails, files: Mapping[int, Recording], beside: Mapping[int, tuple[Path, bytearray]]
) -> _Known:
    end_ms = max((file.last_ms for file in files.values()), default=0)
    stopped = frozenset(part.part for part in details.parts if STOPPED in part.reason)
    facts = timeline.facts(_notes(files, stopped), end_ms)
    asides = {part: found for part, (path, key) in beside.items() if (found := _aside(path, key, files[part].header))}
    tracks = tuple(_tracks(files, facts, asides))
    return _Known(details, tuple(map(ref, files.values())), facts, tracks, asides, frozenset(beside))


def _aside(path: Path, key: bytearray, header: Header) -> Aside | None:
    try:
        return Aside(path, key, header)
    except (NotAnAside, FileNotFoundError):
        return None  # the recording can be watched without it


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


def _tracks(files: Mapping[int, Recording], facts: Facts, asides: Mapping[int, Aside]) -> list[TrackView]:
    found = [
        TrackView(
            part, number, info.person_id, info.source, info.codec,
            tuple(stretches(file.clusters(number), _gaps(file, number, facts), info.codec, file.last_ms)),
            info.layer == SMALL,
            speech=tuple(asides[part].speech.get(number, ())) if part in asides else (),
            pictures=tuple(asides[part].pictures(number)) if part in asides else (),
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


@dataclass(frozen=True)
class Wanted:
    """What a player wants of one track: from the piece `number`, or where that is None, what shows the moment asked for."""

    part: int
    track: int
    number: int | None


def wanted(words: str) -> list[Wanted]:
    """“1.3” begins afresh, “1.3.120” goes on; `NotFound` for anything else."""
    found = []
    for each in words.split(","):
        numbers = re.fullmatch(r"([0-9]{1,9})\.([0-9]{1,9})(?:\.([0-9]{1,9}))?", each)
        if not numbers:
            raise NotFound()
        part, track, number = numbers.groups()
        found.append(Wanted(int(part), int(track), int(number) if number else None))
    if len(found) > MOST_TRACKS:
        raise NotFound()
    return found


def pieces(review: Review, of: Sequence[Wanted], at_ms: int, until_ms: int) -> Iterator[bytes]:
    """What plays several tracks together up to `until_ms`, for one answer.

    For each track: part, track, number of the next piece, when that begins (all ones: never), when a piece began that is
    damaged and left out (all ones: none is), length; then WebM of that length, with its beginning where it begins afresh.
    """
    room = MOST_BYTES
    for each in of:
        file = _file(review, each.part, each.track)
        listed = file.clusters(each.track)
        first = _first(listed, at_ms) if each.number is None else each.number
        found, following, damaged = _some(review, file, each.track, first, min(until_ms, at_ms + LONGEST_PIECE_MS), room)
        if each.number is None:
            found.insert(0, file.init_segment(each.track))
        body = b"".join(found)
        room -= len(body)
        begins = listed[following].t_first if following < len(listed) else OVER
        missing = listed[following - 1].t_first if damaged else OVER
        yield PIECE.pack(each.part, each.track, following, begins, missing, len(body)) + body


def _first(listed: Sequence[Chunk], at_ms: int) -> int:
    """Where to begin so that the picture of this moment can be shown."""
    low, high = 0, len(listed)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if listed[middle].t_first <= at_ms else (low, middle)
    number = max(0, low - 1)
    while number and not listed[number].key:
        number -= 1
    return number


def _some(review: Review, file: Recording, track: int, first: int, until_ms: int, room: int) -> tuple[list[bytes], int, bool]:
    """(pieces, the number after them, whether the last of them is damaged and so left out)."""
    listed, gaps, codec = file.clusters(track), _gaps(file, track, review.facts), file.tracks[track].codec
    found: list[bytes] = []
    number = first
    while number < len(listed) and (listed[number].t_first < until_ms or number == first) and room > 0:
        try:
            piece = file.cluster(track, number)
        except ChunkDamaged:
            return found, number + 1, True
        if codec == "vp8":
            piece = webm.lasting(piece, lasts_until(listed, number, gaps, codec, file.last_ms))
        found.append(piece)
        room -= len(piece)
        number += 1
    return found, number, False


def picture(review: Review, part: int, track: int, at_ms: int) -> bytes:
    """A small picture of a moment, as WebP."""
    shown = any((each.part, each.track) == (part, track) and at_ms in each.pictures for each in review.tracks)
    found = review.asides[part].picture(track, at_ms) if shown else None
    if found is None:
        raise NotFound()
    return found


def _file(review: Review, part: int, track: int) -> Recording:
    file = review.files.get(part)
    if file is None or track not in file.tracks:
        raise NotFound()
    return file


def for_player(review: Review, people: Mapping[str, PersonView]) -> dict[str, Any]:
    """What the player needs to know before it asks for pieces."""
    staff = review.staff
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
                "speech": _pairs(track.speech), "pictures": track.pictures, "staff": track.person_id in staff,
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
