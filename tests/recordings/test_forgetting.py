"""What the service forgets of a recording in the turn in which it is destroyed, whatever it is just doing with it.

policy: RE2
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from recordings import review, shelf
from recordings.ending import commands as ending
from recordings.format import Chain, decrypt
from recordings.keystore import EvidenceIsolated, KeyStore, Part
from recordings.preparation import commands, sandbox
from recordings.preparation.aside import Aside, Writing, path_of
from recordings.reader import Recording
from recordings.secret import KeyForgotten, new_key, usable, wipe, wipe_copy
from recordings.shelf import Shelf
from tests.features.test_recordings import addresses, view
from tests.recordings.ends import Kept, ask
from tests.recordings.lesson import Recorded, record_lesson
from tests.recordings.test_preparation import begin_destroying, decoders_of, destroy, opened, prepare, rows
from tests.school import Running

GONE = bytes(32)


@pytest.fixture
async def recorded(school: Running) -> Recorded:
    return await record_lesson(school)


@contextmanager
def held_in_a_thread(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> Iterator[tuple[threading.Event, list[Any]]]:
    """A function that a thread runs does its work, and does not come back before the block ends. (It is there, what it made.)"""
    real, there, back, made = getattr(module, name), threading.Event(), threading.Event(), list[Any]()

    def held(*arguments: Any) -> Any:
        made.append(real(*arguments))
        there.set()
        back.wait(60)
        return made[0]

    monkeypatch.setattr(module, name, held)
    try:
        yield there, made
    finally:
        back.set()


# -- watching ----------------------------------------------------------------------------------------------------------------


async def test_who_watches_gets_nothing_more_and_the_keys_are_zeros_before_it_is_even_written_down(
    school: Running, recorded: Recorded,
) -> None:
    await prepare(school)
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        assert [(await dsl.get(address)).status_code for address in addresses(at)] == [200] * 4
        watched = await opened(school, recorded)
        keys = [watched.files[1]._key, watched.asides[1]._key]
        assert all(any(key) for key in keys), "negative control: while it is watched they are there"
        async with school.database.writing() as session:
            await begin_destroying(session, school, recorded)
            assert [bytes(key) for key in keys] == [GONE, GONE], "in this turn, not after the commit"
        assert (await dsl.get(addresses(at)[2])).status_code == 404, "its destruction has begun, though its key is still there"
        await destroy(school, recorded)
        assert (await dsl.get(addresses(at)[2])).status_code == 404
    with pytest.raises(KeyForgotten):
        watched.files[1].cluster(1, 0)
    with pytest.raises(KeyForgotten):
        watched.files[1].notes()
    camera = next(each for each in watched.tracks if each.pictures)
    with pytest.raises(KeyForgotten):
        review.picture(watched, 1, camera.track, camera.pictures[0])
    assert not school.app.state.shelf._opened


async def test_an_answer_that_was_read_before_is_not_sent_after(
    school: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = addresses(await view(school, dsl, recorded))[2]
        answer = await _while_it_is_read(dsl, at, monkeypatch, destroy, school, recorded)
        assert answer.status_code == 503
        assert b"\x1a\x45\xdf\xa3" not in answer.content


async def test_without_a_destruction_the_same_answer_is_sent(
    school: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of the test above."""
    async def nothing(*_: Any) -> None:
        pass

    async with await school.signed_in("dsl") as dsl:
        at = addresses(await view(school, dsl, recorded))[2]
        answer = await _while_it_is_read(dsl, at, monkeypatch, nothing, school, recorded)
        assert answer.status_code == 200
        assert b"\x1a\x45\xdf\xa3" in answer.content


async def _while_it_is_read(
    client: httpx.AsyncClient, at: str, monkeypatch: pytest.MonkeyPatch, act: Callable[..., Any], *given: Any,
) -> httpx.Response:
    """The answer to a request during which `act` happens, after all of it was decrypted."""
    real = review.pieces
    monkeypatch.setattr(review, "whole", lambda *arguments: list(real(*arguments)), raising=False)
    with held_in_a_thread(monkeypatch, review, "whole") as (there, _):
        monkeypatch.setattr(review, "pieces", lambda *arguments: review.whole(*arguments))  # type: ignore[attr-defined]
        asking = asyncio.create_task(client.get(at))
        assert await asyncio.to_thread(there.wait, 30)
        await act(*given)
    return await asking


async def test_a_part_that_a_thread_is_just_opening_is_not_kept(
    school: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch,
) -> None:
    with held_in_a_thread(monkeypatch, shelf, "_opened") as (there, made):
        opening = asyncio.create_task(opened(school, recorded))
        assert await asyncio.to_thread(there.wait, 30)
        assert any(made[0]._key), "negative control: the thread has it open"
        await destroy(school, recorded)
    with pytest.raises(KeyForgotten):
        await opening
    assert made[0]._key == GONE
    assert not school.app.state.shelf._opened


async def test_what_a_thread_is_just_working_out_is_not_kept(
    school: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch,
) -> None:
    await prepare(school)
    with held_in_a_thread(monkeypatch, review, "_work_out") as (there, made):
        opening = asyncio.create_task(opened(school, recorded))
        assert await asyncio.to_thread(there.wait, 30)
        assert any(made[0].asides[1]._key), "negative control: the thread has read what was prepared"
        await destroy(school, recorded)
    with pytest.raises(KeyForgotten):
        await opening
    assert made[0].asides[1]._key == GONE


async def test_a_destruction_that_was_not_written_down_takes_nothing_from_the_next_look(
    school: Running, recorded: Recorded,
) -> None:
    first = await opened(school, recorded)
    async def fails() -> None:
        async with school.database.writing() as session:
            await begin_destroying(session, school, recorded)
            raise LookupError

    with pytest.raises(LookupError):
        await fails()
    with pytest.raises(KeyForgotten):
        first.files[1].cluster(1, 0)
    assert (await opened(school, recorded)).files[1].cluster(1, 0)


async def test_when_nobody_watches_any_more_the_key_is_overwritten_too(school: Running, recorded: Recorded) -> None:
    watched, other = await opened(school, recorded), Shelf()
    place = school.app.state.vault.place(recorded.recording_id, 1)
    apart = await other.get(place, recorded.begun.key)
    other._forget(place)  # as its timer does
    assert apart._key == GONE
    assert watched.files[1].cluster(1, 0), "each has a copy of its own"


# -- preparing ---------------------------------------------------------------------------------------------------------------


async def test_a_recording_that_is_being_prepared_is_let_go_and_its_decoder_killed(
    school: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode, middle = sandbox.Decoder.decode, asyncio.Event()

    async def held(self: sandbox.Decoder, piece: bytes) -> Any:
        await decode(self, piece)
        middle.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(sandbox.Decoder, "decode", held)
    preparing = asyncio.create_task(prepare(school))
    async with asyncio.timeout(60):
        await middle.wait()
    making = school.app.state.preparations.making[recorded.recording_id]
    assert len(decoders_of(os.getpid())) == 1, "negative control: it is being decoded"
    assert any(making.key)
    assert any(making.recording._key)
    async with school.database.writing() as session:
        await begin_destroying(session, school, recorded)
        assert [bytes(making.key), bytes(making.recording._key)] == [GONE, GONE], "in this turn"
        with pytest.raises(KeyForgotten):
            making.writing.picture(1, 0, b"a child")
    async with asyncio.timeout(20):
        assert await preparing == 0
    assert decoders_of(os.getpid()) == []
    assert not path_of(recorded.begun.path).exists()
    assert [path.name for path in recorded.begun.path.parent.iterdir()] == ["1.rec"]
    assert await prepare(school) == 0, "nor is it begun again before its key is gone"


async def test_a_recording_that_is_just_opened_to_be_prepared_is_let_go(
    school: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch,
) -> None:
    with held_in_a_thread(monkeypatch, commands, "Recording") as (there, made):
        preparing = asyncio.create_task(prepare(school))
        assert await asyncio.to_thread(there.wait, 30)
        assert any(made[0]._key), "negative control: the thread has it open"
        await destroy(school, recorded)
    assert await preparing == 0
    assert made[0]._key == GONE
    assert not recorded.begun.path.parent.exists()


# -- setting apart -----------------------------------------------------------------------------------------------------------


class SettingApart:
    """Somebody sets a recording apart: `begin` returns when they proved who they are and its keys are about to be marked,
    `finish` when all of it is written down."""

    def __init__(self, school: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch):
        self._school, self._real, self._loop = school, ending._hold_keys, asyncio.get_running_loop()
        self._kept = Kept(recorded.lesson_id, Part(recorded.recording_id, 1, recorded.kept_until), b"", None)
        self._there, self._go_on = asyncio.Event(), threading.Event()
        monkeypatch.setattr(ending, "_hold_keys", self._waits)

    def _waits(self, *given: Any) -> None:
        self._loop.call_soon_threadsafe(self._there.set)
        self._go_on.wait(60)
        self._real(*given)

    async def begin(self) -> None:
        self._asking = asyncio.create_task(ask(self._school, self._kept, isolate=True))
        async with asyncio.timeout(30):
            await self._there.wait()

    async def finish(self) -> None:
        self._go_on.set()
        await self._asking


@pytest.fixture
async def setting_apart(school: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> SettingApart:
    return SettingApart(school, recorded, monkeypatch)


async def test_an_answer_that_was_read_just_before_evidence_was_set_apart_is_not_sent_after(
    school: Running, recorded: Recorded, setting_apart: SettingApart, monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = addresses(await view(school, dsl, recorded))[2]
        await setting_apart.begin()
        answer = await _while_it_is_read(dsl, at, monkeypatch, setting_apart.finish)
        assert answer.status_code == 503
        assert b"\x1a\x45\xdf\xa3" not in answer.content
        assert (await dsl.get(at)).status_code == 409, "nor anything after it"
    assert not school.app.state.shelf._opened


async def test_evidence_that_a_thread_is_just_opening_is_not_kept(
    school: Running, recorded: Recorded, setting_apart: SettingApart, monkeypatch: pytest.MonkeyPatch,
) -> None:
    await setting_apart.begin()
    with held_in_a_thread(monkeypatch, shelf, "_opened") as (there, made):
        opening = asyncio.create_task(opened(school, recorded))
        assert await asyncio.to_thread(there.wait, 30)
        assert any(made[0]._key), "negative control: the thread has it open"
        await setting_apart.finish()
    with pytest.raises(EvidenceIsolated):
        await opening
    assert made[0]._key == GONE
    assert not school.app.state.shelf._opened


async def test_evidence_whose_preparing_begins_just_before_it_is_set_apart_is_let_go(
    school: Running, recorded: Recorded, setting_apart: SettingApart, monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode, middle, go_on = sandbox.Decoder.decode, asyncio.Event(), asyncio.Event()

    async def held(self: sandbox.Decoder, piece: bytes) -> Any:
        middle.set()
        await go_on.wait()
        return await decode(self, piece)

    monkeypatch.setattr(sandbox.Decoder, "decode", held)
    await setting_apart.begin()
    preparing = asyncio.create_task(prepare(school))
    async with asyncio.timeout(60):
        await middle.wait()
    await setting_apart.finish()
    go_on.set()
    assert await preparing == 0
    assert [path.name for path in recorded.begun.path.parent.iterdir()] == ["1.rec"]
    assert await rows(school) == []
    assert await prepare(school) == 0, "nor is it begun again"
    assert not school.app.state.preparations.not_before, "and it is no failure"


async def test_what_was_made_of_evidence_before_it_was_set_apart_and_not_written_down_is_removed(
    school: Running, recorded: Recorded, setting_apart: SettingApart, monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = commands._make

    async def made(*given: Any) -> Any:
        found = await make(*given)
        assert path_of(recorded.begun.path).exists(), "negative control: all of it is there"
        await setting_apart.begin()
        await setting_apart.finish()
        return found

    monkeypatch.setattr(commands, "_make", made)
    assert await prepare(school) == 0
    assert [path.name for path in recorded.begun.path.parent.iterdir()] == ["1.rec"]
    assert await rows(school) == []


# -- a key that was wiped ----------------------------------------------------------------------------------------------------


async def test_a_wiped_key_opens_seals_and_derives_nothing(school: Running, recorded: Recorded) -> None:
    """Zeros are a key that everybody has: used by mistake it would hide nothing, so it is refused wherever keys are used."""
    vault, header, path = school.app.state.vault, recorded.begun.header, recorded.begun.path
    wiped = new_key()
    wipe(wiped)
    store: KeyStore = vault.key_store(recorded.school_id)
    await prepare(school)
    for use in (
        lambda: Recording(path, wiped), lambda: Chain(wiped, b"x"), lambda: decrypt(wiped, b"x", bytes(80)),
        lambda: Writing(path, wiped, header), lambda: Aside(path, wiped, header),
        lambda: store.put(Part("f" * 32, 1, recorded.kept_until), wiped),
    ):
        with pytest.raises(KeyForgotten):
            use()
    chain = Chain(recorded.begun.key, b"x")
    assert chain.chunk(1, b"a child")
    chain.forget()
    with pytest.raises(KeyForgotten):
        chain.chunk(1, b"a child")
    assert not store.has(Part("f" * 32, 1, recorded.kept_until))


def test_a_new_key_is_random_and_overwriting_it_leaves_zeros() -> None:
    key, other = new_key(), new_key()
    assert len(key) == 32
    assert usable(key) != other
    copy = bytes(key)
    wipe(key)
    wipe_copy(copy)
    assert key == copy == GONE
    assert other != GONE
