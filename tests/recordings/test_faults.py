"""Whatever happens to the disk or the recorder: it says so, takes nothing more, and what was safe stays readable."""

import asyncio
import contextlib
import errno
import os
import random
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from recordings.reader import Recording
from recordings.recover import STOPPED, seal_torn
from recordings.vault import SchoolKeys
from recordings.verify import verify
from tests.fakes import FakeClock
from tests.recordings.child import frame
from tests.recordings.media import HEADER, KEY, SPEECH

FULL = os.environ.get("CHAPERONE_PROOF") == "full"


def fail_at(monkeypatch, name: str, nth: int, error: BaseException) -> None:
    """Make the n-th os.`name` on a recorder's thread fail."""
    real, calls = getattr(os, name), [0]

    def sometimes(*args):
        if threading.current_thread().name.startswith("recorder-"):
            calls[0] += 1
            if calls[0] == nth:
                raise error
        return real(*args)

    monkeypatch.setattr(os, name, sometimes)


async def record_until_fault(recorder, capture, seconds: int = 12, size: int = 1000) -> list[int]:
    """Speak each second until the recorder refuses; which seconds became durable."""
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    durable: list[int] = []
    for second in range(seconds):
        if not microphone.write(SPEECH + os.urandom(size), second * 1000, True):
            break
        recorder.clock.advance(1.0)
        capture.flush()
        before = recorder.clock.boottime()
        async with asyncio.timeout(10):
            while not recorder.faults and (not recorder.durable or recorder.durable[-1] < before):
                recorder._news.clear()
                await recorder._news.wait()
        if recorder.durable and recorder.durable[-1] >= before:
            durable.append(second * 1000)
    assert not microphone.write(SPEECH, seconds * 1000, True)
    return durable


async def assert_what_was_durable_plays(recorder, capture, durable: list[int], reason: str) -> None:
    assert not capture.healthy
    assert recorder.faults == [reason]
    told = len(recorder.durable)
    recorder.clock.advance(1.0)
    capture.flush()
    manifest = await capture.seal("complete")
    assert len(recorder.durable) == told, "no proof after the fault"
    assert (manifest.outcome, manifest.reason) == ("incomplete", reason)
    verdict = verify(recorder.path, key=KEY, public=recorder.keys.public)
    assert verdict.is_sound
    with Recording(recorder.path, KEY) as recording:
        heard = [(each.t_first, each.t_last) for each in recording.clusters(1)]
        assert all(recording.cluster(1, n) for n in range(len(heard)))
    assert all(any(first <= at <= last for first, last in heard) for at in durable)


@pytest.mark.parametrize("nth", [1, 2, 3, 5])
@pytest.mark.parametrize("call", ["write", "fdatasync"])
async def test_a_disk_error_ends_the_proof_and_keeps_what_was_safe(recorder, monkeypatch, call, nth):
    fail_at(monkeypatch, call, nth, OSError(errno.EIO, "injected"))
    capture = recorder.start()
    durable = await record_until_fault(recorder, capture)
    if nth == 1:  # nothing was ever written: there is no file to read, only the signed manifest
        assert not durable
        manifest = await capture.seal("complete")
        assert (manifest.outcome, manifest.chunks) == ("incomplete", 0)
    else:
        await assert_what_was_durable_plays(recorder, capture, durable, "the disk gave an error")


@pytest.mark.parametrize("happens", ["moved", "removed", "replaced"])
async def test_a_recording_whose_file_is_not_where_it_belongs_is_no_recording(recorder, happens):
    """The disk would go on taking every byte, and nobody would ever find them (policy: RL4)."""
    capture = recorder.start()
    await recorder.second(capture)
    aside = recorder.path.with_suffix(".aside")
    recorder.path.rename(aside)
    if happens == "removed":
        aside.unlink()
    elif happens == "replaced":
        recorder.path.write_bytes(aside.read_bytes())
    durable = await record_until_fault(recorder, capture)
    assert (durable, recorder.faults) == ([], ["the recording's file was moved or removed"])
    assert (await capture.seal("complete")).outcome == "incomplete"


async def test_without_an_injected_error_the_same_recording_is_complete(recorder):
    """Negative control of every test here."""
    capture = recorder.start()
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    for second in range(3):
        assert microphone.write(SPEECH, second * 1000, True)
        await recorder.second(capture)
    assert not recorder.faults
    assert (await capture.seal("complete")).outcome == "complete"


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 256 KiB: a tmpfs where this user may mount one, else a limit on the size of this process's files."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
    else:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))
        try:
            yield folder
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_ends_the_proof_and_keeps_what_was_safe(recorder, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        capture = recorder.start(disk / "a1" / "1.rec")
        durable = await record_until_fault(recorder, capture, size=30_000)
        assert 3 <= len(durable) <= 8
        await assert_what_was_durable_plays(recorder, capture, durable, "the disk is full")


async def test_a_stalled_disk_is_refused_after_three_seconds_by_itself(recorder, monkeypatch):
    stalled, real = threading.Event(), os.fdatasync

    def stuck(fd):
        if threading.current_thread().name.startswith("recorder-"):
            stalled.wait(30)
        return real(fd)

    capture = recorder.start()
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    await recorder.second(capture)
    monkeypatch.setattr(os, "fdatasync", stuck)
    told = len(recorder.durable)
    assert microphone.write(SPEECH, 1000, True)
    capture.flush()
    recorder.clock.advance(2.9)
    assert microphone.write(SPEECH, 3900, True), "a slow second is no fault"
    recorder.clock.advance(0.2)
    assert not microphone.write(SPEECH, 4100, True)
    assert not capture.note("chat", 4100, {"text": "unrecorded"})
    capture.flush()
    assert recorder.faults == ["the disk stopped answering"]
    assert len(recorder.durable) == told
    stalled.set()
    manifest = await capture.seal("complete")
    assert len(recorder.durable) == told, "what comes late proves nothing"
    assert manifest.outcome == "incomplete"
    assert verify(recorder.path, key=KEY, public=recorder.keys.public, manifest=manifest).is_sound


async def test_a_service_that_stood_still_refuses_at_once_and_goes_on_without_a_fault(recorder):
    """A laptop that slept, a loop that was held up: the disk is well, so no new part is needed."""
    capture = recorder.start()
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    await recorder.second(capture)
    assert microphone.write(SPEECH, 1000, True)
    recorder.clock.advance(60)
    assert not microphone.write(SPEECH, 61_000, True), "what was accepted a minute ago is not safe yet"
    capture.flush()
    await recorder.until_durable(recorder.clock.boottime())
    assert microphone.write(SPEECH, 61_020, True)
    assert not recorder.faults
    assert (await capture.seal("complete")).outcome == "complete"


async def test_a_lesson_that_ends_on_a_stuck_disk_is_still_answered(recorder, monkeypatch):
    stalled = threading.Event()
    capture = recorder.start()
    await recorder.second(capture)
    monkeypatch.setattr(os, "fdatasync", lambda fd: stalled.wait(30))
    monkeypatch.setattr("recordings.capture.SEAL_SECONDS", 0.1)
    manifest = await capture.seal("complete")
    assert (manifest.outcome, manifest.reason) == ("incomplete", "the disk stopped answering")
    monkeypatch.undo()
    stalled.set()
    capture._writer.join(10)
    assert not capture._writer.is_alive()
    # What the disk took late was never promised; the next start puts the seal where the promise ended.
    assert not verify(recorder.path, key=KEY, public=recorder.keys.public, manifest=manifest).is_sound
    seal_torn(recorder.path, HEADER, key=KEY, signer=recorder.keys, sealed_at=recorder.clock.now(), kept=manifest)
    assert verify(recorder.path, key=KEY, public=recorder.keys.public, manifest=manifest).is_sound


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_killed_writer_is_noticed(recorder, monkeypatch):
    fail_at(monkeypatch, "write", 3, SystemExit())
    capture = recorder.start()
    durable = await record_until_fault(recorder, capture)
    await assert_what_was_durable_plays(recorder, capture, durable, "the recorder stopped")


async def test_a_writer_that_vanishes_without_a_word_is_noticed(recorder, monkeypatch):
    monkeypatch.setattr("recordings.writer.Writer.run", lambda self: None)
    capture = recorder.start()
    capture._writer.join()
    capture.flush()
    assert recorder.faults == ["the recorder stopped"]
    assert (await capture.seal("complete")).outcome == "incomplete"


async def test_a_lesson_that_the_disk_cannot_hold_to_its_end_stops_now(recorder, monkeypatch):
    room = SimpleNamespace(f_bavail=360_000, f_frsize=1000)
    monkeypatch.setattr(os, "fstatvfs", lambda fd: room)
    first = recorder.start(ends_at_ms=3_600_000)
    await recorder.second(first)
    assert not recorder.faults, "360 MB hold one lesson of an hour"

    # The other lesson of the same disk would not fit beside it; the earlier one goes on.
    other = type(recorder)(recorder.folder, recorder.clock)
    second = other.start(recorder.path.with_name("2.rec"), ends_at_ms=3_600_000)
    assert await other.until_fault() == "the disk has no room for the rest of the lesson"
    await recorder.second(first)
    assert first.healthy
    room.f_bavail = 100_000
    recorder.clock.advance(1.0)
    first.flush()
    assert await recorder.until_fault() == "the disk has no room for the rest of the lesson"
    assert (await first.seal("complete")).outcome == "incomplete"
    assert (await second.seal("complete")).outcome == "incomplete"


class Killed:
    """A recorder in its own process, and what it said until it was killed."""

    def __init__(self, path: Path):
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.recordings.child", str(path)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.said = [self.process.stdout.readline()]
        self._reader = threading.Thread(target=lambda: self.said.extend(self.process.stdout))
        self._reader.start()

    def kill(self) -> list[list[str]]:
        self.process.kill()
        self._reader.join()
        self.process.wait()
        return [line.split() for line in self.said]


def kill_at_random(folder: Path, seed: int) -> None:
    """kill -9 at a moment chosen by `seed`; at most two seconds may be missing and all before that must be whole."""
    path = folder / f"{seed}.rec"
    killed = Killed(path)
    threading.Event().wait(random.Random(seed).uniform(0.2, 3.2))
    said = killed.kill()
    instants = {int(words[1]): float(words[2]) for words in said if words[0] == "accepted" and len(words) == 3}
    accepted = list(instants)
    durable = max((float(words[1]) for words in said if words[0] == "durable"), default=0.0)
    keys = SchoolKeys.of(folder / "keys", HEADER.school_id)
    manifest = seal_torn(path, HEADER, key=KEY, signer=keys, sealed_at=FakeClock().now())
    assert (manifest.outcome, manifest.reason) == ("incomplete", STOPPED)
    assert verify(path, key=KEY, public=keys.public).is_sound
    with Recording(path, KEY) as recording:
        found = b"".join(recording.cluster(1, n) for n in range(len(recording.clusters(1))))
    whole = [at for at in accepted if frame(at // 20) in found]
    assert whole == accepted[: len(whole)], "nothing is missing in the middle"
    assert not accepted or accepted[-1] - (whole[-1] if whole else 0) <= 2000
    assert not [at for at in accepted if instants[at] < durable and at not in whole], "what was said to be safe is there"


@pytest.mark.proof
def test_kill_9_at_any_moment_loses_at_most_two_seconds(tmp_path):
    seeds = list(range(100 if FULL else 4))
    for start in range(0, len(seeds), 4):
        group = seeds[start : start + 4]
        failures: list[BaseException] = []

        def attempt(seed: int, failures: list[BaseException] = failures) -> None:
            try:
                kill_at_random(tmp_path, seed)
            except BaseException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=attempt, args=(seed,)) for seed in group]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]
