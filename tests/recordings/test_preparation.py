"""After the lesson: who spoke when and small pictures, made once, encrypted, whatever is wrong with a part.

policy: CO4, RE2
"""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import pytest
from sqlmodel import select

from recordings import commands as recordings
from recordings import queries, review
from recordings.capture import Capture
from recordings.ending import destruction
from recordings.format import HEADER, Chain, ChunkDamaged, Kind
from recordings.preparation import aside, commands, decoder, rules, sandbox
from recordings.preparation.aside import Aside, NotAnAside
from recordings.preparation.rules import Progress, Scores
from recordings.preparation.tables import RecordingPreparation
from recordings.reader import Recording
from recordings.review import Review
from recordings.timeline import Span
from service.foundation import bus
from service.foundation.audit import AuditLeaf
from service.foundation.events import system
from service.wiring import SUBSCRIBERS
from tests.recordings.lesson import Recorded, begin, finish, record_lesson, start, until_durable
from tests.recordings.media import KEY, real_opus, real_speech, real_vp8
from tests.school import Running, running

SECONDS = 12
Frames = list[tuple[int, bytes, bool]]


async def write(
    school: Running, recorded: Recorded, capture: Capture, tracks: dict[str, Frames], seconds: int, *, apart: bool = False
) -> None:
    """`tracks` by name; a picture's name begins with “c”. `apart`: each is somebody else's."""
    def whose(name: str) -> str:
        return f"{name:>32}".replace(" ", "0") if apart else recorded.teacher if "teacher" in name else recorded.pupils[0]

    writing = {
        name: capture.track(name, person_id=whose(name), source="camera" if name[0] == "c" else "microphone",
                            codec="vp8" if name[0] == "c" else "opus")
        for name in tracks
    }
    capture.note("open", 0, {})
    for second in range(seconds):
        for name, frames in tracks.items():
            for at, frame, key in frames:
                if at // 1000 == second:
                    writing[name].write(frame, at, key)
        school.clock.advance(1.0)
        capture.flush()
        await until_durable(capture)


async def record(school: Running, tracks: dict[str, Frames], seconds: int = SECONDS, *, apart: bool = False) -> Recorded:
    recorded = await begin(school, [])
    capture = start(school, recorded)
    await write(school, recorded, capture, tracks, seconds, apart=apart)
    await finish(school, recorded, capture)
    return recorded


def spoken_between(start: int, end: int) -> Frames:
    """A voice from second `start` to `end`, a quiet tone in between."""
    return [voice if start <= voice[0] // 1000 < end else tone
            for voice, tone in zip(real_speech(SECONDS), real_opus(SECONDS), strict=True)]


def lesson_tracks() -> dict[str, Frames]:
    return {"m.teacher": spoken_between(3, 7), "m.ali": real_opus(SECONDS, 700), "c.teacher": real_vp8(SECONDS)}


async def prepare(school: Running) -> int:
    state = school.app.state
    return await commands.prepare_all(state.database, state.vault, state.clock, state.preparations)


async def opened(school: Running, recorded: Recorded) -> Review:
    async with school.database.reading() as session:
        details = await queries.recording(session, recorded.school_id, recorded.lesson_id)
    return await review.open_review(details, school.app.state.vault, school.app.state.shelf)


async def rows(school: Running) -> list[RecordingPreparation]:
    async with school.database.reading() as session:
        return list((await session.exec(select(RecordingPreparation))).all())


async def published(school: Running) -> int:
    async with school.database.reading() as session:
        return len((await session.exec(select(AuditLeaf.kind).where(AuditLeaf.kind == "RecordingPrepared"))).all())


async def test_who_spoke_is_known_to_the_second_and_a_tone_is_nobody(school: Running) -> None:
    recorded = await record(school, lesson_tracks())
    assert await prepare(school) == 1
    found = await opened(school, recorded)
    speech = found.speech_of(recorded.teacher)
    assert len(speech) == 1
    assert abs(speech[0].start_ms - 3000) < 300
    assert abs(speech[0].end_ms - 7000) < 700
    assert found.speech_of(recorded.pupils[0]) == []


async def test_small_pictures_are_of_their_moment(school: Running) -> None:
    recorded = await record(school, {"c.teacher": real_vp8(24)}, 24)
    await prepare(school)
    found = await opened(school, recorded)
    track = found.tracks[0]
    assert track.pictures == (0, 10_000, 20_000)
    shades = []
    for at_ms in track.pictures:
        image = review.picture(found, 1, track.track, at_ms)
        assert image[:4] == b"RIFF"
        assert image[8:12] == b"WEBP"
        decoded: Any = av.CodecContext.create("webp", "r").decode(av.Packet(image))[0]
        assert (decoded.width, decoded.height) == (192, 108)
        shades.append(bytes(decoded.reformat(format="gray").planes[0])[50 * 192 + 96])
    assert shades[0] + 60 < shades[1] < shades[2] - 60


async def test_a_part_is_prepared_once_and_told_once(school: Running) -> None:
    await record(school, lesson_tracks())
    assert [await prepare(school), await prepare(school)] == [1, 0]
    assert [row.problem for row in await rows(school)] == [""]
    assert await published(school) == 1


async def test_the_page_says_how_far_it_is() -> None:
    assert rules.words(None) == "Being prepared: waiting for its turn"
    assert rules.words(Progress(40 * 60_000 + 59_000, 119 * 60_000 + 1)) == "Being prepared: 40 of 120 minutes"
    assert rules.words(Progress(0, 10)) == "Being prepared: 0 of 1 minute"


async def test_how_far_it_is_grows_to_all_of_it(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await record(school, lesson_tracks())
    seen: list[Progress] = []
    did = commands._Work.did

    def noting(work: commands._Work, milliseconds: int) -> None:
        did(work, milliseconds)
        seen.append(work.preparations.progress[work.part_id])

    monkeypatch.setattr(commands._Work, "did", noting)
    await prepare(school)
    assert [each.done_ms for each in seen] == sorted({each.done_ms for each in seen})
    assert seen[-1].done_ms == seen[-1].total_ms


@pytest.mark.parametrize(("tracks", "pictures"), [
    pytest.param({"c.teacher": 1}, 2, id="nobody spoke"), pytest.param({"m.teacher": 1}, 0, id="no picture"),
    pytest.param({}, 0, id="nothing but beats"),
])
async def test_what_is_not_there_is_no_fault(school: Running, tracks: dict[str, int], pictures: int) -> None:
    await record(school, {name: lesson_tracks()[name] for name in tracks})
    assert await prepare(school) == 1
    assert [(row.pictures, row.problem) for row in await rows(school)] == [(pictures, "")]


async def test_a_part_that_the_service_did_not_end_is_prepared_as_far_as_it_goes(school: Running) -> None:
    recorded = await begin(school, [])
    capture = start(school, recorded)
    await write(school, recorded, capture, lesson_tracks(), SECONDS)
    capture._writer.abandon()
    capture._writer.join()
    with recorded.begun.path.open("ab") as file:
        file.write(b"torn off" * 20)
    state = school.app.state
    assert await prepare(school) == 0, "it has not ended"
    await recordings.recover(state.database, state.vault, state.clock)
    assert await prepare(school) == 1
    found = await opened(school, recorded)
    assert found.details.outcome == "incomplete"
    assert len(found.speech_of(recorded.teacher)) == 1


async def test_a_damaged_piece_is_left_out_alone_and_said(school: Running) -> None:
    recorded = await record(school, lesson_tracks())
    with Recording(recorded.begun.path, recorded.begun.key) as file:
        number = next(each.number for each in file.tracks.values() if each.codec == "vp8")
        chunk = file.clusters(number)[0]
    damage(recorded.begun.path, chunk.offset + HEADER.size + 5)
    assert await prepare(school) == 1
    assert [(row.pictures, row.problem) for row in await rows(school)] == [(1, rules.SOME_FAILED)]
    assert len((await opened(school, recorded)).speech_of(recorded.teacher)) == 1


def damage(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


async def test_a_file_that_cannot_be_read_is_marked_and_blocks_nobody(school: Running) -> None:
    broken = await record(school, lesson_tracks())
    broken.begun.path.write_bytes(b"no recording at all")
    other = next(each for each in school.made["lessons"] if each["id"] != broken.lesson_id)
    sound = await begin(school, [], other)
    capture = start(school, sound)
    await write(school, sound, capture, lesson_tracks(), SECONDS)
    await finish(school, sound, capture)
    assert await prepare(school) == 2
    assert sorted(row.problem for row in await rows(school)) == ["", rules.CANNOT_BE_READ]


async def test_a_file_that_is_away_is_tried_again_later_and_blocks_nobody(school: Running) -> None:
    recorded = await record(school, lesson_tracks())
    away = recorded.begun.path.with_suffix(".elsewhere")
    recorded.begun.path.rename(away)
    assert [await prepare(school), await rows(school)] == [0, []]
    away.rename(recorded.begun.path)
    assert await prepare(school) == 0, "not at once"
    school.clock.advance(commands.RETRY_SECONDS + 1)
    assert await prepare(school) == 1


async def test_a_part_without_a_byte_is_marked(school: Running) -> None:
    recorded = await begin(school, [])
    state = school.app.state
    await recordings.recover(state.database, state.vault, state.clock)
    assert await prepare(school) == 1
    assert [row.problem for row in await rows(school)] == [rules.NOTHING_RECORDED]
    assert not aside.path_of(recorded.begun.path).exists()


async def test_what_breaks_the_decoder_breaks_one_track(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = await record(school, lesson_tracks())
    real, calls = commands.decoding, []

    def broken(what: sandbox.What, seconds: int) -> Any:
        calls.append(what)
        # No processor time at all: the kernel kills it at its first piece, as a codec that goes wild would be.
        return real(what, 0 if len(calls) == 2 else seconds)

    monkeypatch.setattr(commands, "decoding", broken)
    assert await prepare(school) == 1
    assert calls == ["speech", "speech", "pictures"]
    assert [(row.pictures, row.problem) for row in await rows(school)] == [(2, rules.SOME_FAILED)]
    assert len((await opened(school, recorded)).speech_of(recorded.teacher)) == 1


async def test_destroyed_in_the_middle_it_leaves_nothing(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = await record(school, lesson_tracks())
    look, destroyed = commands._look, list[asyncio.Task[None]]()

    async def destroying(*arguments: Any) -> None:
        await look(*arguments)
        destroyed.append(asyncio.create_task(destroy(school, recorded)))
        await asyncio.wait(destroyed)

    monkeypatch.setattr(commands, "_look", destroying)
    assert await prepare(school) == 0
    await destroyed[0]
    assert [await rows(school), await published(school)] == [[], 0]
    assert not recorded.begun.path.parent.exists()


async def test_a_service_killed_in_the_middle_finishes_it_once_at_its_next_start(tmp_path: Path, template: Path) -> None:
    data = tmp_path / "data"
    async with running(data, template=template) as school:
        recorded = await record(school, lesson_tracks())
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.recordings.preparing_child", str(data), stdout=asyncio.subprocess.PIPE, cwd=sandbox.ROOT,
    )
    assert child.stdout
    async with asyncio.timeout(120):
        assert b"in the middle" in await child.stdout.readline()
    decoders = decoders_of(child.pid)
    assert len(decoders) == 1
    child.kill()
    await child.wait()
    folder = recorded.begun.path.parent
    assert sorted(path.name for path in folder.iterdir()) == ["1.aside.new", "1.rec"]
    async with running(data) as school:
        assert [await prepare(school), await prepare(school)] in ([1, 0], [0, 0]), "or the service's own job was first"
        assert [len(await rows(school)), await published(school)] == [1, 1]
        assert len((await opened(school, recorded)).speech_of(recorded.teacher)) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["1.aside", "1.rec"]
    assert not decoders_of(child.pid), "a decoder ends with its service"


def decoders_of(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            arguments = path.read_bytes().split(b"\0")
            if b"recordings.preparation.decoder" in arguments and str(parent).encode() in arguments:
                found.append(int(path.parent.name))
    return found


async def begin_destroying(session: Any, school: Running, recorded: Recorded) -> None:
    await destruction.begin(session, system(recorded.school_id), recording_id=recorded.recording_id, why="its day came",
                            now=school.clock.now())


async def destroy(school: Running, recorded: Recorded) -> None:
    state = school.app.state
    async with school.database.writing() as session:
        await begin_destroying(session, school, recorded)
    await destruction.finish(state.database, state.vault, state.clock, recorded.school_id)


async def test_what_lies_beside_a_part_is_destroyed_with_it(school: Running) -> None:
    recorded = await record(school, lesson_tracks())
    await prepare(school)
    beside = aside.path_of(recorded.begun.path)
    assert beside.exists()
    await destroy(school, recorded)
    await bus.deliver(school.database, school.app.state, SUBSCRIBERS)
    assert not beside.exists()


async def test_nothing_that_was_made_lies_anywhere_in_clear(school: Running, tmp_path: Path) -> None:
    """Canaries: a small picture, its pixels, the times of speech, the opaque names of who spoke."""
    recorded = await record(school, lesson_tracks())
    await prepare(school)
    found = await opened(school, recorded)
    camera = next(track for track in found.tracks if track.codec == "vp8")
    image = review.picture(found, 1, camera.track, 0)
    canaries = {b"RIFF", b"WEBP", image[12:40], b'"spans"', b"VP8 "}
    planted = school.app.state.settings.data / "recordings" / "planted"
    assert list(in_clear(school.app.state.settings.data, canaries)) == []
    planted.write_bytes(b"before" + image)
    assert list(in_clear(school.app.state.settings.data, canaries)) == [planted], "what is in clear is found"


def in_clear(folder: Path, canaries: set[bytes]) -> list[Path]:
    """The files below `folder` that hold one of `canaries`; a match of four bytes by chance is rarer than one in a million."""
    return [path for path in folder.rglob("*") if path.is_file() and any(each in path.read_bytes() for each in canaries)]


# -- the process that decodes ------------------------------------------------------------------------------------------


def test_decoding_waits_for_an_idle_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert sandbox.WHEN == "idle"


async def confined(code: str) -> str:
    """What a child says that confined itself as the decoder does, and then ran `code`."""
    program = f"from recordings.preparation import decoder\ndecoder.step_back(); decoder.confine(5)\nimport os, resource\n{code}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=sandbox.ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode()


async def test_the_decoder_can_write_no_file_leave_no_core_and_waits_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    said = await confined(
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"file = open({str(path)!r}, 'wb', buffering=0)\ntry: file.write(b'x')\nexcept OSError as error: print(error.errno)"
    )
    assert said.strip() == "27", "EFBIG"
    assert path.read_bytes() == b""
    assert (await confined("print(resource.getrlimit(resource.RLIMIT_CORE))")).strip() == "(0, 0)"
    assert (await confined("print(os.sched_getscheduler(0) == os.SCHED_IDLE, os.nice(0))")).strip() == "True 19"


async def test_the_decoder_is_given_no_key_and_no_path() -> None:
    async with sandbox.decoding("pictures", 60) as found:
        process = Path(f"/proc/{found.pid}")
        assert said_by(process / "cmdline")[-5:-1] == [b"pictures", b"60", str(os.getpid()).encode(), b"now"]
        assert set(said_by(process / "environ")) <= {b"LANG=C.UTF-8", b""}


def said_by(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\0")


@pytest.mark.parametrize("piece", [b"", b"\x1f\x43\xb6\x75\x80", os.urandom(400)], ids=["empty", "no blocks", "noise"])
async def test_nonsense_ends_the_decoder_and_is_told(piece: bytes) -> None:
    async with sandbox.decoding("pictures", 60) as found:
        with pytest.raises(sandbox.DecoderDied):
            await found.decode(piece)


def test_a_broken_key_frame_gives_no_picture() -> None:
    from recordings.webm import Block, cluster

    broken = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" + b"\xff" * 60
    at_ms, image = decoder.picture(cluster([Block(7000, broken, True)]))
    assert at_ms == 7000
    assert isinstance(image, bytes)
    assert decoder.picture(cluster([Block(0, b"\x10\x02\x00\x9d\x01\x2a\xff\x3f\xff\x3f" + b"x" * 20, True)]))[1] == b""


# -- what counts as speech -----------------------------------------------------------------------------------------------


def scores(text: str, at_ms: int = 0) -> Scores:
    """A digit a window: 9 is likely, 4 may go on, 0 is silence."""
    return Scores(at_ms, bytes(int(each) * 28 for each in text))


@pytest.mark.parametrize(("text", "spans"), [
    ("0" * 40, []), ("9" * 40, [(0, 1280)]), ("00" + "9" * 20 + "0" * 30, [(64, 704)]),
    ("9" * 10 + "0" * 15 + "9" * 10, [(0, 1120)]), ("9" * 10 + "0" * 25 + "9" * 10, [(0, 320), (1120, 1440)]),
    ("9" * 3 + "0" * 40, []), ("4" * 40, []), ("9" * 10 + "4" * 30, [(0, 1280)]),
])
def test_speech_begins_surely_goes_on_easily_and_breathes(text: str, spans: list[tuple[int, int]]) -> None:
    assert [(span.start_ms, span.end_ms) for span in rules.spoken([scores(text)])] == spans


def test_what_was_not_recorded_is_not_speech() -> None:
    found = rules.spoken([scores("9" * 20), scores("9" * 20, 5000)])
    assert found == [Span(0, 640), Span(5000, 5640)]


# -- the file beside ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def prepared(school: Running) -> Recorded:
    recorded = await record_lesson(school)
    await prepare(school)
    return recorded


def read(recorded: Recorded, key: bytes | None = None) -> Aside:
    return Aside(recorded.begun.path, key or recorded.begun.key, recorded.begun.header)


async def test_only_the_parts_own_key_opens_it(prepared: Recorded) -> None:
    assert read(prepared).pictures(1)
    with pytest.raises(NotAnAside):
        read(prepared, os.urandom(32))


Change = Callable[[bytes], bytes]


@pytest.mark.parametrize("change", [
    pytest.param(lambda data: data[:-1], id="cut by a byte"), pytest.param(lambda data: data[:400], id="cut short"),
    pytest.param(lambda data: data.replace(b'"part":1', b'"part":2'), id="of another part"),
    pytest.param(lambda data: b"", id="empty"),
    pytest.param(lambda data: data[:-1] + bytes((data[-1] ^ 1,)), id="its end changed"),
])
async def test_a_file_that_was_changed_is_not_used_and_the_recording_still_opens(
    school: Running, prepared: Recorded, change: Change
) -> None:
    path = aside.path_of(prepared.begun.path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(NotAnAside):
        read(prepared)
    found = await opened(school, prepared)
    assert len(found.tracks) == 3
    assert not found.asides


async def test_every_attempt_has_a_key_of_its_own(prepared: Recorded, school: Running) -> None:
    """Sequence numbers are nonces, and begin again with every attempt."""
    path = aside.path_of(prepared.begun.path)
    first = path.read_bytes()
    with aside.Writing(prepared.begun.path, prepared.begun.key, prepared.begun.header) as writing:
        writing.speech(2, [])
        writing.finish()
    second = path.read_bytes()
    salt = slice(first.index(b'"salt":"') + 8, first.index(b'"salt":"') + 40)
    assert first[salt] != second[salt]


async def test_a_picture_that_was_changed_is_refused(prepared: Recorded) -> None:
    found = read(prepared)
    offset = found._pictures[1][min(found._pictures[1])]
    damage(aside.path_of(prepared.begun.path), offset + HEADER.size + 3)
    with pytest.raises(ChunkDamaged):
        read(prepared).picture(1, min(found._pictures[1]))


def test_its_chunks_are_those_of_a_recording() -> None:
    assert not set(aside.AsideKind) & set(Kind)
    assert Chain(KEY, b"x").chunk(aside.AsideKind.END, b"{}")
