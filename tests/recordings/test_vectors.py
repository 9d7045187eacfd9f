"""The published vectors are this format's, and the document is enough to check a recording with nothing of ours (policy: RE1)."""

import ast
import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from recordings.format import ChunkDamaged
from recordings.preparation.aside import Aside, NotAnAside, path_of
from recordings.reader import Recording, read_manifest
from recordings.tables import RecordingPart
from recordings.verify import Verdict, verify
from tests.recordings import vectors, verifier
from tests.recordings.test_preparation import lesson_tracks, opened, prepare, record
from tests.school import Running

PUBLISHED: dict[str, Any] = json.loads(vectors.PLACE.read_text())
KEY, PUBLIC = bytes.fromhex(PUBLISHED["key"]), bytes.fromhex(PUBLISHED["public"])


def answer(found: Verdict) -> dict[str, Any]:
    """Ours, in the document's words."""
    if found.chunks == 0:
        return {"answer": "no recording"}
    if not found.sealed:
        return {"answer": "unsealed", "records": found.chunks}
    return {"answer": "sound", "records": found.chunks} if found.is_sound else {"answer": "damaged", "first": found.first_bad}


def test_the_published_vectors_are_what_this_code_writes() -> None:
    assert vectors.made() == PUBLISHED, "python -m tests.recordings.vectors writes them anew; a format that was published stays"


def test_the_other_verifier_imports_nothing_of_the_product() -> None:
    tree = ast.parse(Path(verifier.__file__).read_text())
    roots = {(each.module if isinstance(each, ast.ImportFrom) else name.name).partition(".")[0]  # type: ignore[union-attr]
             for each in ast.walk(tree) if isinstance(each, ast.Import | ast.ImportFrom) for name in each.names}
    assert roots <= sys.stdlib_module_names | {"cryptography"}


@pytest.mark.parametrize("case", PUBLISHED["recordings"], ids=lambda case: case["is"])
def test_both_verifiers_give_the_published_answer(case: dict[str, Any], tmp_path: Path) -> None:
    kept = PUBLISHED["manifest"] if case["with_manifest"] else None
    path = tmp_path / "1.rec"
    path.write_bytes(bytes.fromhex(case["file"]))
    words = read_manifest(json.dumps(kept).encode()) if kept else None
    for key, expected in ((KEY, case["with_key"]), (None, case["without_key"])):
        assert verifier.verify(path.read_bytes(), PUBLIC, key, kept) == expected
        assert answer(verify(path, key=key, public=PUBLIC, manifest=words)) == expected


def test_only_what_nobody_touched_is_sound() -> None:
    sound = {case["is"] for case in PUBLISHED["recordings"]
             for way in ("with_key", "without_key") if case[way]["answer"] == "sound"}
    assert sound == {"as it was sealed", "as it was sealed, compared with the copy of its manifest"}


def pictures(found: Aside) -> list[list[Any]]:
    """Ours of the track that has some, as far as they can be shown: track, time, SHA-256."""
    shown = []
    for at_ms in found.pictures(2):
        with suppress(ChunkDamaged):
            shown.append([2, at_ms, hashlib.sha256(found.picture(2, at_ms) or b"").hexdigest()])
    return shown


@pytest.mark.parametrize("case", PUBLISHED["asides"], ids=lambda case: case["is"])
def test_the_file_beside_it_is_read_or_not_used(case: dict[str, Any], tmp_path: Path) -> None:
    recording = bytes.fromhex(PUBLISHED["recordings"][0]["file"])
    assert verifier.aside(bytes.fromhex(case["file"]), recording, KEY) == case["answer"]
    path_of(tmp_path / "1.rec").write_bytes(bytes.fromhex(case["file"]))
    if case["answer"]["answer"] == "whole":
        found = Aside(tmp_path / "1.rec", KEY, vectors.HEADER)
        assert {str(track): [[span.start_ms, span.end_ms] for span in spans] for track, spans in found.speech.items()} \
            == case["answer"]["speech"]
        assert pictures(found) == case["answer"]["pictures"]
    else:
        with pytest.raises(NotAnAside):
            Aside(tmp_path / "1.rec", KEY, vectors.HEADER)


async def test_a_recording_that_was_just_made_is_checked_and_read_by_the_other_verifier(school: Running, tmp_path: Path) -> None:
    recorded = await record(school, lesson_tracks())
    await prepare(school)
    async with school.database.reading() as session:
        [row] = (await session.exec(select(RecordingPart).where(RecordingPart.recording_id == recorded.recording_id))).all()
    file, key, kept = recorded.begun.path.read_bytes(), bytes(recorded.begun.key), json.loads(row.manifest)
    public = school.app.state.vault.keys(recorded.school_id).public
    assert verifier.verify(file, public, key, kept) == {"answer": "sound", "records": kept["chunks"]}
    assert verifier.verify(file, public) == {"answer": "sound", "records": kept["chunks"]}
    assert verifier.verify(file, PUBLIC)["answer"] == "damaged", "another school's key"
    found = verifier.contents(file, key)
    with Recording(recorded.begun.path, key) as ours:
        tracks = [json.loads(bytes.fromhex(each["plain"])) for each in found if each["kind"] == 2]
        assert {each["track"]: each["person"] for each in tracks} == {n: each.person_id for n, each in ours.tracks.items()}
        for number in ours.tracks:
            clusters = [bytes.fromhex(each["plain"]) for each in found if (each["kind"], each["track"]) == (3, number)]
            assert clusters == [ours.cluster(number, n) for n in range(len(ours.clusters(number)))]
    beside = verifier.aside(path_of(recorded.begun.path).read_bytes(), file, key)
    review = await opened(school, recorded)
    assert beside["answer"] == "whole"
    assert {(track.track, at) for track in review.tracks for at in track.pictures} == {(n, at) for n, at, _ in beside["pictures"]}
    assert sorted(beside["speech"].values()) == sorted(
        [[span.start_ms, span.end_ms] for span in track.speech] for track in review.tracks if track.codec == "opus")
    copy = tmp_path / "1.rec"
    for at in range(0, len(file), len(file) // 60):
        copy.write_bytes(vectors.flipped(file, at))
        for given in (key, None):
            expected = answer(verify(copy, key=given, public=public, manifest=read_manifest(row.manifest.encode())))
            assert verifier.verify(copy.read_bytes(), public, given, kept) == expected, at
            assert expected["answer"] != "sound", at
