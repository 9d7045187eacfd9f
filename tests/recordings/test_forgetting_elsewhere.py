"""What a process forgets of a recording that another process destroys: two applications on one database.

policy: RE2
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from recordings import forgetting
from recordings.secret import KeyForgotten
from tests.features.test_recordings import addresses, view
from tests.recordings.lesson import Recorded, record_lesson
from tests.recordings.test_forgetting import GONE, _while_it_is_read
from tests.recordings.test_preparation import begin_destroying, destroy, opened, prepare
from tests.school import Running, running


@pytest.fixture
async def recorded(school: Running) -> Recorded:
    made = await record_lesson(school)
    await prepare(school)
    return made


@pytest.fixture
async def other(school: Running, recorded: Recorded, tmp_path: Path) -> AsyncIterator[Running]:
    """Another application on the same database, keys and recordings, as a second process has them."""
    here, there = school.app.state.settings, tmp_path / "other"
    there.mkdir()
    (there / "recordings").symlink_to(here.data / "recordings")
    async with running(there, clock=school.clock, database_url=here.url, keys_folder=here.keys) as started:
        yield started


async def nothing(*_: Any) -> None:
    pass


async def begin(school: Running, recorded: Recorded) -> None:
    async with school.database.writing() as session:
        await begin_destroying(session, school, recorded)


@pytest.mark.parametrize("ends", [begin, destroy])
async def test_what_another_process_destroys_is_played_to_nobody(
    school: Running, other: Running, recorded: Recorded, ends: Callable[..., Any],
) -> None:
    async with await other.signed_in("dsl") as dsl:
        at = await view(other, dsl, recorded)
        assert [(await dsl.get(address)).status_code for address in addresses(at)] == [200] * 4
        await ends(school, recorded)
        assert (await dsl.get(addresses(at)[2])).status_code == 404


@pytest.mark.parametrize("ends", [begin, destroy])
async def test_an_answer_that_was_read_before_another_process_destroys_is_not_sent_after(
    school: Running, other: Running, recorded: Recorded, ends: Callable[..., Any], monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with await other.signed_in("dsl") as dsl:
        at = addresses(await view(other, dsl, recorded))[2]
        answer = await _while_it_is_read(dsl, at, monkeypatch, ends, school, recorded)
    assert answer.status_code == 503
    assert b"\x1a\x45\xdf\xa3" not in answer.content


async def test_without_the_look_before_an_answer_it_would_be(
    school: Running, other: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(forgetting, "look", nothing)
    async with await other.signed_in("dsl") as dsl:
        at = addresses(await view(other, dsl, recorded))[2]
        answer = await _while_it_is_read(dsl, at, monkeypatch, begin, school, recorded)
    assert answer.status_code == 200
    assert b"\x1a\x45\xdf\xa3" in answer.content


async def test_the_key_is_overwritten_without_anybody_asking_for_the_recording(
    school: Running, other: Running, recorded: Recorded, monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = await opened(other, recorded)
    keys = [watched.files[1]._key, watched.asides[1]._key]
    with monkeypatch.context() as looks:
        looks.setattr(forgetting, "look", nothing)  # the one of each second
        await begin(school, recorded)
        assert all(any(key) for key in keys), "negative control: nobody has told this process"
    await forgetting.look(other.app.state)
    assert [bytes(key) for key in keys] == [GONE, GONE]
    assert not other.app.state.shelf.held
    with pytest.raises(KeyForgotten):
        await other.app.state.shelf.get(other.app.state.vault.place(recorded.recording_id, 1), recorded.begun.key)


async def test_a_look_takes_nothing_from_who_watches_what_stays(school: Running, other: Running, recorded: Recorded) -> None:
    watched = await opened(other, recorded)
    await forgetting.look(other.app.state)
    assert watched.files[1].cluster(1, 0)
