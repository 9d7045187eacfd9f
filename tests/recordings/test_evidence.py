"""A recording that was changed says so, and says where; keys are kept apart from what they open."""

import os
import random
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from recordings import seal
from recordings.format import HEADER as CHUNK_HEADER
from recordings.format import Chain, ChunkDamaged, Kind, decrypt, leaf, preamble
from recordings.reader import PartFile, Recording
from recordings.recover import STOPPED, seal_torn
from recordings.vault import KeyMissing, SchoolKeys
from recordings.verify import verify
from service.foundation.audit import Frontier
from tests.recordings.media import HEADER, KEY, SPEECH

FULL = os.environ.get("CHAPERONE_PROOF") == "full"


@pytest.fixture
async def sealed(recorder) -> Path:
    capture = recorder.start()
    microphone = capture.track("m", person_id="p", source="microphone", codec="opus")
    for second in range(6):
        for at in range(second * 1000, second * 1000 + 1000, 100):
            assert microphone.write(SPEECH + bytes((second,)), at, True)
        await recorder.second(capture)
    await capture.seal("complete")
    return recorder.path


def records(path: Path) -> tuple[bytes, list[bytes], bytes]:
    """A file taken apart: preamble, chunks, seal."""
    with PartFile(path) as part:
        chunks = [part.record(chunk) for chunk, _ in part.walk()]
        whole = part.read(0, part.size)
    return part.preamble, chunks, whole[len(part.preamble) + sum(map(len, chunks)) :]


def mutate(path: Path, rng: random.Random) -> str:
    first, chunks, end = records(path)
    way = rng.choice(["flip", "drop", "swap", "repeat", "cut", "flip"])
    at = rng.randrange(len(chunks))
    if way == "drop":
        chunks.pop(at)
    elif way == "swap":
        other = rng.choice([n for n in range(len(chunks)) if n != at])
        chunks[at], chunks[other] = chunks[other], chunks[at]
    elif way == "repeat":
        chunks.insert(at, chunks[at])
    data = bytearray(first + b"".join(chunks) + end)
    if way == "flip":
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif way == "cut":
        start = rng.randrange(len(data) - 1)
        del data[start : start + rng.randrange(1, 200)]
    path.write_bytes(data)
    return way


@pytest.mark.proof
def test_every_change_to_a_sealed_part_is_found(sealed, recorder, tmp_path):
    public = recorder.keys.public
    kept = verify(sealed, public=public)
    assert kept.is_sound
    with PartFile(sealed) as part:
        manifest = part.manifest()
    assert manifest
    for seed in range(10_000 if FULL else 300):
        copy = tmp_path / "copy"
        shutil.copy(sealed, copy)
        way = mutate(copy, random.Random(seed))
        for key in (KEY, None):
            verdict = verify(copy, key=key, public=public, manifest=manifest[0])
            assert not verdict.is_sound, (seed, way, key)


def test_the_first_bad_chunk_is_named_and_all_others_still_play(sealed, recorder):
    first, chunks, end = records(sealed)
    bad = next(n for n, record in enumerate(chunks) if record[4] == Kind.CLUSTER) + 4
    assert chunks[bad][4] == Kind.CLUSTER or chunks[bad + 1][4] == Kind.CLUSTER
    bad = bad if chunks[bad][4] == Kind.CLUSTER else bad + 1
    changed = bytearray(chunks[bad])
    changed[-1] ^= 1
    sealed.write_bytes(first + b"".join([*chunks[:bad], bytes(changed), *chunks[bad + 1 :]]) + end)
    # Chunks are counted from the preamble, which is 0.
    assert verify(sealed, key=KEY, public=recorder.keys.public).first_bad == bad + 1
    assert verify(sealed, public=recorder.keys.public).first_bad == bad + 1
    with Recording(sealed, KEY) as recording:
        plays = 0
        for n, _ in enumerate(recording.clusters(1)):
            try:
                plays += bool(recording.cluster(1, n))
            except ChunkDamaged:
                continue
        assert plays == len(recording.clusters(1)) - 1


def test_a_chunk_of_another_lesson_does_not_decrypt():
    mine, other = preamble(HEADER), preamble(replace(HEADER, lesson_id="lesson-2"))
    record = Chain(KEY, other).chunk(Kind.CLUSTER, b"another lesson", track=1)
    assert record != Chain(KEY, mine).chunk(Kind.CLUSTER, b"another lesson", track=1)
    assert decrypt(KEY, other, record) == b"another lesson"
    with pytest.raises(ChunkDamaged):
        decrypt(KEY, mine, record)


def test_no_nonce_is_used_twice_in_a_part():
    chain = Chain(KEY, preamble(HEADER))
    sequences = [CHUNK_HEADER.unpack(chain.chunk(Kind.BEAT, b"")[: CHUNK_HEADER.size])[4] for _ in range(1000)]
    assert len(set(sequences)) == 1000


def test_a_seal_by_somebody_else_is_not_ours(sealed, recorder, tmp_path):
    forger = SchoolKeys.of(tmp_path / "elsewhere", "school-1")
    with PartFile(sealed) as part:
        found = part.manifest()
    assert found
    words, previous = found
    forged = replace(words, outcome="incomplete", reason="nothing happened", signed_by=seal.key_name(forger.public))
    forged = replace(forged, signature=forger.sign(forged.signed_bytes()).hex())
    seal.append(sealed, forged, previous)
    assert not verify(sealed, public=recorder.keys.public).is_sound
    assert verify(sealed, public=forger.public).is_sound, "negative control: only the key differs"


def test_a_torn_part_is_sealed_once_and_keeps_its_tail(sealed, recorder):
    first, chunks, _ = records(sealed)
    sealed.write_bytes(first + b"".join(chunks[:10]) + chunks[10][:33])
    now = recorder.clock.now()
    manifest = seal_torn(sealed, HEADER, key=KEY, signer=recorder.keys, sealed_at=now)
    assert (manifest.outcome, manifest.reason, manifest.chunks, manifest.torn) == ("incomplete", STOPPED, 11, 33)
    once = sealed.read_bytes()
    recorder.clock.advance(60)
    assert seal_torn(sealed, HEADER, key=KEY, signer=recorder.keys, sealed_at=recorder.clock.now()) == manifest
    assert sealed.read_bytes() == once
    verdict = verify(sealed, key=KEY, public=recorder.keys.public, manifest=manifest)
    assert verdict.is_sound
    assert verdict.torn == 33


def test_a_part_that_never_reached_the_disk_is_sealed_without_a_file(recorder):
    missing = recorder.folder / "never.rec"
    manifest = seal_torn(missing, HEADER, key=KEY, signer=recorder.keys, sealed_at=recorder.clock.now())
    assert (manifest.outcome, manifest.chunks, missing.exists()) == ("incomplete", 0, False)
    assert seal.is_signed(manifest, recorder.keys.public)


def test_the_root_is_that_of_rfc_6962():
    import pymerkle

    ours, theirs = Frontier(), pymerkle.InmemoryTree(algorithm="sha256")
    for n in range(70):
        entry = f"record {n}".encode()
        ours.add(leaf(entry))
        theirs.append_entry(entry)
        assert ours.root() == theirs.get_state()


def test_the_schools_keys_are_made_once_and_read_by_nobody_else(tmp_path):
    keys = SchoolKeys.of(tmp_path / "keys", "school-1")
    again = SchoolKeys.of(tmp_path / "keys", "school-1")
    assert keys.public == again.public
    files = list((tmp_path / "keys" / "school-1").iterdir())
    assert len(files) == 1
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    files[0].chmod(0o644)
    with pytest.raises(KeyMissing):
        SchoolKeys.of(tmp_path / "keys", "school-1")
