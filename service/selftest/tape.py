"""The recordings of the self-test's own lessons: taken away while they run, read again, compared with what was delivered.

Only files of the self-test's school are touched, by whoever holds the data folder anyway: the service has no switch for it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recordings import queries
from recordings import verify as check
from recordings.format import Header
from recordings.queries import RecordingDetails
from recordings.reader import Recording, read_manifest
from recordings.recover import seal_torn
from recordings.secret import wipe
from service.selftest.school import lesson_is_over
from service.selftest.stage import NotShown, Stage
from service.selftest.visitor import Visitor

SEALED_WITHIN = 10.0


async def find_file(stage: Stage) -> Path:
    """The file that the lesson is being recorded into."""
    details = await _details(stage)
    path = stage.vault.path(details.id, max(part.part for part in details.parts))
    if not path.exists():
        raise NotShown("The recordings are not in the data folder of this machine.")
    return path


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    """Somebody tidies up: the file gets another name, and its own again afterwards."""
    aside = path.with_suffix(".moved")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


async def delivered_and_recorded(stage: Stage, everybody: list[Visitor]) -> tuple[set[bytes], set[bytes], str]:
    """(every packet of sound that reached anybody, those of them that the recording holds, what it holds of the chat)."""
    delivered = {payload for visitor in everybody for _, payload in visitor.heard()}
    sounds, texts = await asyncio.to_thread(_read, stage, await _over(stage))
    return delivered, {payload for payload in delivered if payload in sounds}, texts


async def sealed_parts(stage: Stage) -> tuple[int, str]:
    """(how many parts verify, what is wrong with the first that does not)."""
    details = await _over(stage)
    faults = [await asyncio.to_thread(_fault, stage, details, position) for position in range(len(details.parts))]
    return len(faults), next((fault for fault in faults if fault), "")


async def _over(stage: Stage) -> RecordingDetails:
    """The recording of a lesson that ended."""
    try:
        async with asyncio.timeout(SEALED_WITHIN):
            await lesson_is_over(stage.school.database, stage.on.lesson_id)
    except TimeoutError as error:
        raise NotShown("The recording was not sealed when the lesson had ended.") from error
    return await _details(stage)


async def _details(stage: Stage) -> RecordingDetails:
    async with stage.school.database.reading() as session:
        return await queries.recording(session, stage.school.id, stage.on.lesson_id)


def _key(stage: Stage, details: RecordingDetails, position: int) -> bytearray:
    part = details.parts[position]
    return stage.vault.open(details.school_id, details.id, part.part, details.kept_until)


def _read(stage: Stage, details: RecordingDetails) -> tuple[bytes, str]:
    sounds, texts = [], []
    for position, part in enumerate(details.parts):
        key = _key(stage, details, position)
        with Recording(stage.vault.place(details.id, part.part), key) as recording:
            wipe(key)
            sounds += [recording.cluster(track, number) for track in recording.tracks
                       for number in range(len(recording.clusters(track)))]
            texts += [str(note.body) for note in recording.notes() if note.kind == "chat"]
    return b"".join(sounds), "\n".join(texts)


def _fault(stage: Stage, details: RecordingDetails, position: int) -> str:
    """What is wrong with a part. One whose file was away when it was sealed gets its seal now, as at the next start."""
    part, keys = details.parts[position], stage.vault.keys(details.school_id)
    path, kept = stage.vault.path(details.id, part.part), read_manifest(part.manifest.encode())
    key = _key(stage, details, position)
    header = Header(details.school_id, details.id, details.lesson_id, part.part, part.started_at)
    try:
        seal_torn(path, header, key=key, signer=keys, sealed_at=part.started_at, kept=kept)
        return check.verify(path, key=key, public=keys.public, manifest=kept).problem
    finally:
        wipe(key)
