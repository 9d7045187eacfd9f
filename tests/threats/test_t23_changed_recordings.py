"""T23: whoever has the disk edits, drops, swaps, repeats or cuts a recording, or exchanges its seal: each is found, and a sound
one is never called changed."""

import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recordings import verify as verifying
from recordings.format import Manifest
from recordings.reader import PartFile
from tests.recordings.conftest import Recorder
from tests.recordings.media import KEY, SPEECH
from tests.recordings.test_evidence import mutate
from tests.threats.attack import Guard, guarded_by, harm

WAYS = ("flip", "drop", "swap", "repeat", "cut")
NUMBER = 10_000 if os.environ.get("CHAPERONE_PROOF") == "full" else 250


@pytest.fixture
async def sealed(tmp_path: Path) -> tuple[Path, bytes, Manifest]:
    """A sealed part, the school's public key, and the copy of the seal that the database keeps."""
    from tests.fakes import FakeClock

    recorder = Recorder(tmp_path, FakeClock())
    capture = recorder.start()
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    for second in range(6):
        for at in range(second * 1000, second * 1000 + 1000, 100):
            assert microphone.write(SPEECH + bytes((second,)), at, True)
        await recorder.second(capture)
    await capture.seal("complete")
    with PartFile(recorder.path) as part:
        manifest = part.manifest()
    assert manifest is not None
    return recorder.path, recorder.keys.public, manifest[0]


def believe_the_seal(patch: pytest.MonkeyPatch) -> None:
    """A verifier that reads the seal and follows no chain."""
    def believing(part: PartFile, key: bytes | None, public: bytes | None, kept: Manifest | None) -> verifying.Verdict:
        words = kept
        assert words is not None
        return verifying.Verdict(words.chunks, None, "", True, True, words.outcome, words.reason, words.torn)

    patch.setattr(verifying, "_verify", believing)


@pytest.mark.proof
@guarded_by(Guard("the chain is followed", believe_the_seal))
async def test_every_single_change_is_found(sealed: tuple[Path, bytes, Manifest], tmp_path: Path, attempt: Any) -> None:
    path, public, manifest = sealed
    copy, ways = tmp_path / "copy", Counter[str]()
    with attempt:
        for seed in range(NUMBER):
            shutil.copy(path, copy)
            way = mutate(copy, random.Random(seed))
            ways[way] += 1
            for key in (KEY, None):
                verdict = verifying.verify(copy, key=key, public=public, manifest=manifest)
                harm(verdict.is_sound and (seed, way, key is not None), "a change that the verifier does not see")
        assert set(ways) == set(WAYS)
        assert sum(ways.values()) == NUMBER


async def test_a_sound_recording_is_never_called_changed(sealed: tuple[Path, bytes, Manifest], tmp_path: Path) -> None:
    path, public, manifest = sealed
    for number in range(NUMBER // 10):
        copy = tmp_path / f"copy{number % 3}"
        shutil.copy(path, copy)
        key = KEY if number % 2 else None
        assert verifying.verify(copy, key=key, public=public, manifest=manifest).is_sound
