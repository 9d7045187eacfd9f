"""What a reviewer writes down while watching: notes with a time and clips, kept with their author, never changed.

policy: RE1, RE4, RC3, AC10
"""

from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select, text

from recordings.marks import rules
from recordings.marks.commands import fingerprint
from recordings.marks.tables import RecordingClip, RecordingNote
from recordings.preparation.commands import prepare_all
from service.foundation.audit import AuditBody, AuditLeaf
from service.foundation.errors import Invalid
from tests.features.test_recordings import view
from tests.proofs import confirmed_post
from tests.recordings.lesson import Recorded, record_lesson
from tests.school import Running

JSON = {"accept": "application/json"}
NOTE = {"at": "10:00:17", "text": "Shouting behind Ali", "concern": "C-17"}
CLIP = {"from": "10:00:15", "to": "10:00:20", "reason": "The shouting", "concern": "C-17"}


@pytest.fixture
async def recorded(school: Running) -> Recorded:
    return await record_lesson(school)


async def audited(school: Running, kind: str) -> list[tuple[str, str]]:
    """Who, and what the entry says."""
    async with school.database.reading() as session:
        found = await session.exec(
            select(AuditLeaf.actor_id, AuditBody.body).join(AuditBody, col(AuditBody.seq) == AuditLeaf.seq)
            .where(AuditLeaf.kind == kind))
        return [(actor_id, body) for actor_id, body in found.all()]


async def notes(school: Running) -> list[RecordingNote]:
    async with school.database.reading() as session:
        return list((await session.exec(select(RecordingNote))).all())


async def clips(school: Running) -> list[RecordingClip]:
    async with school.database.reading() as session:
        return list((await session.exec(select(RecordingClip))).all())


async def test_a_note_is_kept_with_its_moment_author_and_concern_and_is_in_the_audit(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        answer = await dsl.post(f"{at}/notes", data=NOTE, headers=JSON)
        page = (await dsl.get(at)).text
    assert answer.status_code == 201
    assert answer.json()["at_ms"] == 17_000
    [kept] = await notes(school)
    assert (kept.at_ms, kept.person_id, kept.text, kept.concern) == (17_000, school.person("dsl"), NOTE["text"], "C-17")
    [(who, body)] = await audited(school, "RecordingNoted")
    assert who == school.person("dsl")
    assert fingerprint(kept.id, kept.text) in body
    assert NOTE["text"] not in body, "the words are for reviewers alone"
    assert "Go to 10:00:17</button> Miss Okafor: Shouting behind Ali (concern C-17)" in page


async def test_without_a_script_the_form_comes_back_to_the_page(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        saved = await dsl.post(f"{at}/notes", data=NOTE)
        wrong = await dsl.post(f"{at}/clips", data={**CLIP, "to": "10:00:10"})
    assert (saved.status_code, saved.headers["location"]) == (303, f"{at}#notes")
    assert wrong.status_code == 422
    assert "Enter an end that is after the start" in wrong.text
    assert 'value="10:00:15"' in wrong.text, "what was entered is not lost"
    assert await clips(school) == []


async def test_a_clip_is_a_range_with_a_number_and_never_a_file(school: Running, recorded: Recorded) -> None:
    files = sorted(path.name for path in recorded.begun.path.parent.iterdir())
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        made = [(await dsl.post(f"{at}/clips", data=CLIP, headers=JSON)).json() for _ in range(2)]
        page = (await dsl.get(f"{at}?clip=2")).text
    assert [(each["number"], each["from_ms"], each["to_ms"]) for each in made] == [(1, 15_000, 20_000), (2, 15_000, 20_000)]
    assert 'data-clip="15000 20000"' in page
    assert "Clip 2: 10:00:15 to 10:00:20. Miss Okafor: The shouting" in page
    assert sorted(path.name for path in recorded.begun.path.parent.iterdir()) == files
    assert len(await audited(school, "RecordingClipped")) == 2


async def test_who_is_sent_to_a_clip_gives_a_reason_first(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        await dsl.post(f"{await view(school, dsl, recorded)}/clips", data=CLIP)
    async with await school.signed_in("dsl") as dsl:
        asked = await dsl.get(f"{recorded.page}?clip=1")
        assert 'name="clip" value="1"' in asked.text
        assert "The shouting" not in asked.text
        answer = await confirmed_post(school, dsl, school.person("dsl"), recorded.page, {"why": "flag", "clip": "1"})
        assert answer.headers["location"].endswith("?clip=1")


@pytest.mark.parametrize("role", ["headteacher", "teacher", "pupil", "office", "governor"])
async def test_nobody_else_can_write_or_read_them(school: Running, recorded: Recorded, role: str) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        await dsl.post(f"{at}/notes", data=NOTE)
    async with await school.signed_in(role) as other:
        answers = [await other.post(f"{at}/notes", data=NOTE), await other.post(f"{at}/clips", data=CLIP), await other.get(at)]
    assert {answer.status_code for answer in answers} == {404}
    assert len(await notes(school)) == 1


async def test_a_view_that_is_over_takes_no_notes(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        school.clock.advance(2 * 3600 + 1)
        assert (await dsl.post(f"{at}/notes", data=NOTE)).status_code in (303, 401, 404)
    assert await notes(school) == []


@pytest.mark.parametrize("sql", [
    "UPDATE recording_note SET text = 'nothing happened'", "DELETE FROM recording_note",
    "UPDATE recording_clip SET to_ms = 99999", "DELETE FROM recording_clip",
])
async def test_what_was_written_is_never_changed(school: Running, recorded: Recorded, sql: str) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        await dsl.post(f"{at}/notes", data=NOTE)
        await dsl.post(f"{at}/clips", data=CLIP)
    with pytest.raises(DBAPIError, match="append-only"):
        async with school.database.writing() as session:
            await session.exec(text(sql))  # type: ignore[call-overload]


async def test_what_a_reviewer_wrote_is_never_markup(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        await dsl.post(f"{at}/notes", data={**NOTE, "text": "<script>alert(1)</script>"})
        page = (await dsl.get(at)).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


async def test_small_pictures_are_served_as_media_is(school: Running, recorded: Recorded) -> None:
    state = school.app.state
    assert await prepare_all(state.database, state.vault, state.clock, state.preparations) == 1
    async with await school.signed_in("dsl") as dsl:
        at = await view(school, dsl, recorded)
        found = next(each for each in (await dsl.get(f"{at}/tracks")).json()["tracks"] if each["pictures"])
        address = f"{at}/parts/{found['part']}/tracks/{found['track']}/pictures/{found['pictures'][0]}"
        image = await dsl.get(address)
        assert (await dsl.get(f"{at}/preparation")).json() == {"words": ""}
        assert (await dsl.get(address + "1")).status_code == 404
    assert image.content[8:12] == b"WEBP"
    assert image.headers["cache-control"] == "no-store"
    assert await refused(school, address) == {404, 303}


async def refused(school: Running, address: str) -> set[int]:
    """What others get, and another sign-in of the same person, and nobody."""
    found = set()
    for role in ("headteacher", "teacher", "pupil", "dsl"):
        async with await school.signed_in(role) as other:
            found.add((await other.get(address)).status_code)
    async with school.client() as nobody:
        found.add((await nobody.get(address)).status_code)
    return found


# -- the rules ---------------------------------------------------------------------------------------------------------

ZERO = datetime(2026, 11, 24, 10, 0, 0, 400_000, UTC)


@pytest.mark.parametrize(("clock", "at_ms"), [
    ("10:00:01", 600), ("10:00:00", 0), (" 10:10:00 ", 599_600), ("10:10:00.9", 599_600), ("09:59:58", None), ("10:11:30", None),
    ("tomorrow", None), ("", None), ("25:00:00", None),
])
def test_a_time_of_day_is_a_moment_of_this_recording_or_none(clock: str, at_ms: int | None) -> None:
    assert rules.moment(clock, ZERO, 600_000, "Europe/London") == at_ms


def test_a_lesson_over_midnight_has_its_moments_too() -> None:
    late = datetime(2026, 11, 24, 23, 59, 0, tzinfo=UTC)
    assert rules.moment("00:01:00", late, 600_000, "Europe/London") == 120_000


@pytest.mark.parametrize(("given", "field"), [
    ((None, "seen", ""), "at"), ((0, "  ", ""), "text"), ((0, "x" * 2001, ""), "text"), ((0, "seen", "x" * 41), "concern"),
])
def test_a_note_without_its_moment_or_words_is_refused(given: tuple[int | None, str, str], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        rules.check_note(*given)
    assert list(refusal.value.fields) == [field]


@pytest.mark.parametrize(("given", "field"), [
    ((None, 5000, "why", ""), "from"), ((0, None, "why", ""), "to"), ((5000, 5000, "why", ""), "to"),
    ((0, 5000, "", ""), "reason"), ((0, 5000, "x" * 201, ""), "reason"), ((0, 5000, "why", "x" * 41), "concern"),
])
def test_a_clip_without_its_range_or_reason_is_refused(given: tuple[int | None, int | None, str, str], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        rules.check_clip(*given)
    assert list(refusal.value.fields) == [field]
