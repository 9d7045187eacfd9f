"""A recording for teaching practice is apart from the lesson’s: own consent, audience, time and key (policy: RE1, CO2)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select, update

from consent.rules import Purpose
from consent.tables import ConsentResponse
from recordings import proof
from recordings.ending import destruction
from recordings.keystore import Part
from recordings.practice import commands
from recordings.practice.rules import PAUSES
from recordings.practice.tables import PracticePlan
from recordings.reader import Recording as Opened
from recordings.tables import Recording, RecordingView
from recordings.told import queries as told
from service.foundation.audit import AuditLeaf
from service.people.tables import Guardianship
from service.safeguarding import commands as alerts
from service.safeguarding.concerns.tables import Concern
from service.safeguarding.rules import Kind
from service.safeguarding.tables import Alert
from tests.features.test_consent_answers import actor_of, answer
from tests.proofs import confirmed_post
from tests.recordings.lesson import Recorded, record_lesson
from tests.school import Running

DAY = 86_400.0


@dataclass
class Practice:
    """Mr Hall's lesson, for which he asked; `second` helps him."""

    school: Running
    hall: httpx.AsyncClient
    lesson_id: str
    pupils: list[str]
    second: str
    page: str = ""

    @property
    def id(self) -> str:
        return self.page.rpartition("/")[2]

    async def minute(self) -> int:
        """What the service does every minute."""
        state = self.school.app.state
        made = await commands.keep_up(state.database, state.vault, state.clock, state.copying)
        await destruction.reconcile(state.database, state.vault, state.clock)
        return made

    async def says(self, child: str, says_yes: bool) -> None:
        async with self.school.database.reading() as session:
            parent = (await session.exec(select(Guardianship.guardian_id).where(Guardianship.child_id == child).order_by(
                col(Guardianship.contact_order)))).first()
        await answer(self.school, str(parent), child, says_yes, Purpose.TEACHING_PRACTICE)

    async def watch(self, client: httpx.AsyncClient, person_id: str) -> httpx.Response:
        self.school.clock.advance(30)  # a code works once
        return await confirmed_post(self.school, client, person_id, f"{self.page}/watch", {})

    async def copy(self) -> Recording | None:
        async with self.school.database.reading() as session:
            return (await session.exec(select(Recording).where(Recording.kind == "teaching-practice"))).first()


async def every_family_allows_it(school: Running) -> None:
    """The families of the class that has maths now, on paper."""
    now = school.clock.now()
    async with school.database.writing() as session:
        links = (await session.exec(select(Guardianship).where(
            col(Guardianship.child_id).in_(school.lesson()["pupil_ids"]), Guardianship.contact_order == 1))).all()
        session.add_all(ConsentResponse(
            school_id=link.school_id, child_id=link.child_id, purpose=Purpose.TEACHING_PRACTICE, answer="given",
            respondent_id=link.guardian_id, route="paper", signed_on=now.date() - timedelta(2), recorded_by="system",
            recorded_at=now - timedelta(2)) for link in links)


@pytest.fixture
async def planned(school: Running) -> AsyncIterator[Practice]:
    lesson = school.lesson()
    await every_family_allows_it(school)
    async with await school.signed_in("teacher") as hall:
        found = Practice(school, hall, lesson["id"], lesson["pupil_ids"], school.person("senior_leader"))
        asked = await hall.post(f"/lessons/{lesson['id']}/practice", data={"mentor": found.second})
        assert asked.status_code == 303, asked.text
        found.page = asked.headers["location"]
        for other in lesson["adult_ids"][1:]:
            async with school.client(await school.cookie(other)) as second:
                assert (await second.post(f"{found.page}/agree")).status_code == 303
        yield found


@pytest.fixture
async def made(planned: Practice) -> tuple[Practice, Recorded]:
    recorded = await record_lesson(planned.school)
    await planned.minute()
    assert await planned.copy() is not None
    return planned, recorded


async def kinds(school: Running, about: str) -> list[str]:
    async with school.database.reading() as session:
        return list((await session.exec(select(AuditLeaf.kind).where(AuditLeaf.subject_id == about).order_by(
            col(AuditLeaf.seq)))).all())


def served(view: str) -> list[str]:
    return [view, f"{view}/tracks", f"{view}/preparation", f"{view}/pieces?of=1.1&at=0&until=12000"]


async def test_the_teacher_and_the_colleague_they_agreed_to_watch_it_and_nobody_else_may(made: tuple[Practice, Recorded]) -> None:
    practice, _ = made
    school = practice.school
    opened = await practice.watch(practice.hall, school.person("teacher"))
    assert opened.status_code == 303, opened.text
    view = opened.headers["location"]
    for address in served(view):
        assert (await practice.hall.get(address)).status_code == 200, address
    page = (await practice.hall.get(view)).text
    assert "teaching practice" in page
    assert "Shouting behind" not in page, "no flag is part of it"
    assert "Is it" not in page, "no chat is part of it"
    tracks = (await practice.hall.get(f"{view}/tracks")).json()
    assert len(tracks["tracks"]) == 3
    assert tracks["pauses"], "what was paused is shown as a pause"
    async with school.client(await school.cookie(practice.second)) as second:
        assert (await second.get(view)).status_code == 404, "a view is one sign-in's"
        mine = await practice.watch(second, practice.second)
        assert (await second.get(served(mine.headers["location"])[3])).status_code == 200
    for role in ("dsl", "deputy_dsl", "headteacher", "dpo", "chair", "office", "support", "technician", "governor", "parent"):
        async with await school.signed_in(role) as other:
            assert (await other.post(f"{practice.page}/watch", data={})).status_code == 404, role
            assert (await other.get(view)).status_code == 404, role
    assert (await kinds(school, practice.id))[-2:] == ["PracticeViewed", "PracticeViewed"]


async def test_it_is_used_for_nothing_else_not_by_the_safeguarding_team_either(made: tuple[Practice, Recorded]) -> None:
    practice, recorded = made
    async with await practice.school.signed_in("dsl") as dsl:
        for page in (f"/recordings/{practice.id}", f"/endings/{practice.id}", f"/recordings/{practice.id}/ask"):
            assert (await dsl.get(page)).status_code == 404, page
        for form in (f"/recordings/{practice.id}", f"/endings/{practice.id}/keep", f"/recordings/{practice.id}/ask"):
            assert (await dsl.post(form, data={"why": "concern"})).status_code == 404, form
        assert practice.id not in (await dsl.get("/recordings")).text
        assert (await dsl.get(recorded.page)).status_code == 200, "negative control: the lesson's own is theirs"
    with pytest.raises(IntegrityError, match="teaching practice only"):
        async with practice.school.database.writing() as session:
            session.add(RecordingView(
                school_id=recorded.school_id, recording_id=practice.id, person_id=practice.school.person("dsl"), why="concern",
                session_id="x", granted_at=practice.school.clock.now(), expires_at=practice.school.clock.now()))


@pytest.mark.parametrize("why", ["teaching practice", "performance management"])
async def test_the_lessons_own_recording_stays_refused_for_it_with_the_policy(made: tuple[Practice, Recorded], why: str) -> None:
    practice, recorded = made
    async with await practice.school.signed_in("dsl") as dsl:
        refused = await dsl.post(recorded.page, data={"why": why})
    assert refused.status_code == 422
    assert "policy RE1" in refused.text
    assert (await practice.hall.get(recorded.page)).status_code == 404, "nor is it the teacher's"
    with pytest.raises(IntegrityError, match="a recording is of one kind"):
        async with practice.school.database.writing() as session:
            await session.exec(update(Recording).where(col(Recording.id) == recorded.recording_id).values(
                kind="teaching-practice"))


async def test_one_familys_no_ends_it_for_ever_and_it_is_destroyed_with_its_certificate(made: tuple[Practice, Recorded]) -> None:
    practice, recorded = made
    school, store = practice.school, practice.school.app.state.vault.key_store(recorded.school_id)
    view = (await practice.watch(practice.hall, school.person("teacher"))).headers["location"]
    copy = await practice.copy()
    assert copy is not None
    assert store.has(Part(copy.id, 1, copy.kept_until))
    await practice.says(recorded.pupils[0], False)
    for address in served(view):
        assert (await practice.hall.get(address)).status_code == 404, "not a byte more"
    await practice.says(recorded.pupils[0], True)
    for address in served(view):
        assert (await practice.hall.get(address)).status_code == 404, "a later yes brings nothing back"
    await practice.minute()
    assert not store.has(Part(copy.id, 1, copy.kept_until))
    assert not school.app.state.vault.path(copy.id, 1).parent.exists()
    assert store.open(Part(recorded.recording_id, 1, recorded.kept_until)), "the lesson's own is safeguarding's until its day"
    page = await practice.hall.get(practice.page)
    assert "nobody has to say so" in page.text
    async with await school.signed_in("dpo") as dpo:
        assert (await dpo.get(f"/endings/{copy.id}/certificate")).status_code == 200
    async with school.database.reading() as session:
        assert await proof.verify(session, school.app.state.vault) == []


async def test_a_no_between_the_lesson_and_the_making_keeps_it_from_being_made(planned: Practice) -> None:
    recorded = await record_lesson(planned.school)
    await planned.says(recorded.pupils[1], False)
    await planned.says(recorded.pupils[1], True)
    assert await planned.minute() == 0
    assert await planned.copy() is None


async def test_what_a_dying_process_had_made_of_it_is_erased_though_a_family_says_no_before_the_next_one_begins(
    planned: Practice, monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded, vault = await record_lesson(planned.school), planned.school.app.state.vault

    def left() -> list[Path]:
        keys = vault.key_store(recorded.school_id).folder.glob(f"days/*/{planned.id}.*")
        return [*keys, *vault.storage.folder.glob(planned.id)]

    def die(*_: Any, **__: Any) -> None:
        raise SystemError

    with monkeypatch.context() as death:
        death.setattr(commands, "seal_part", die)
        death.setattr(vault, "abandon", lambda *_: None)
        assert await planned.minute() == 0
    assert len(left()) == 2, "negative control: the keys and the files are there"
    await planned.says(recorded.pupils[1], False)
    await planned.minute()
    assert left() == []
    assert await planned.copy() is None


async def test_it_is_not_made_before_every_adult_in_it_has_agreed(planned: Practice) -> None:
    dropped_in = planned.school.person("headteacher")
    await record_lesson(planned.school, [dropped_in])
    assert await planned.minute() == 0
    async with await planned.school.signed_in("headteacher") as head:
        assert (await head.post(f"{planned.page}/agree")).status_code == 303
    await planned.minute()
    assert await planned.copy() is not None


async def test_who_did_not_agree_in_a_week_is_not_asked_for_ever(planned: Practice) -> None:
    await record_lesson(planned.school, [planned.school.person("headteacher")])
    planned.school.clock.advance(7 * DAY)
    assert await planned.minute() == 0
    async with await planned.school.signed_in("teacher") as hall:
        assert "Gone" in (await hall.get(planned.page)).text


@pytest.mark.parametrize("role", ["teacher", "headteacher", "dpo", "dsl"])
async def test_whoever_is_in_it_or_answers_for_it_ends_it_at_any_time(made: tuple[Practice, Recorded], role: str) -> None:
    practice, _ = made
    async with await practice.school.signed_in(role) as client:
        assert (await client.post(f"{practice.page}/end")).status_code == 303
        assert (await client.post(f"{practice.page}/end")).status_code == 422, "once"
    await practice.minute()
    copy = await practice.copy()
    assert copy is not None
    assert not practice.school.app.state.vault.path(copy.id, 1).exists()


async def test_nobody_asks_for_a_lesson_whose_families_do_not_all_allow_it(school: Running) -> None:
    lesson = school.lesson()
    await every_family_allows_it(school)
    async with await school.signed_in("teacher") as hall:
        practice = Practice(school, hall, lesson["id"], lesson["pupil_ids"], "")
        await practice.says(lesson["pupil_ids"][0], False)
        page = await hall.get(f"/lessons/{lesson['id']}/practice")
        assert "1 family has not said yes" in page.text
        assert "Ask for it" not in page.text
        refused = await hall.post(f"/lessons/{lesson['id']}/practice", data={"mentor": ""})
        assert refused.status_code == 422
    async with school.database.reading() as session:
        assert (await session.exec(select(PracticePlan))).all() == []


async def test_only_who_teaches_it_or_leads_asks_and_the_teacher_agrees_to_what_a_leader_asked(school: Running) -> None:
    lesson = school.lesson()
    await every_family_allows_it(school)
    address = f"/lessons/{lesson['id']}/practice"
    for role, expected in (("support", 403), ("dsl", 403), ("parent", 403), ("office", 403)):
        async with await school.signed_in(role) as other:
            assert (await other.get(address)).status_code in (expected, 404), role
    async with await school.signed_in("senior_leader") as leader:
        asked = await leader.post(address, data={"mentor": school.person("senior_leader")})
        assert asked.status_code == 303, asked.text
    await record_lesson(school)
    async with await school.signed_in("teacher") as hall:
        practice = Practice(school, hall, lesson["id"], [], "", asked.headers["location"])
        assert await practice.minute() == 0, "the teacher has not agreed"
        assert (await hall.post(f"{practice.page}/agree")).status_code == 303


async def test_what_a_concern_is_about_is_nobodys_practice_and_nobody_learns_it(made: tuple[Practice, Recorded]) -> None:
    practice, recorded = made
    school = practice.school
    view = (await practice.watch(practice.hall, school.person("teacher"))).headers["location"]
    assert (await practice.hall.get(served(view)[1])).status_code == 200, "negative control"
    async with school.database.writing() as session:
        session.add(Concern(
            school_id=recorded.school_id, number="C-1", raised_by=school.person("dsl"), raised_at=school.clock.now(),
            happened_on=school.clock.now().date(), routed_to="dsl", lesson_id=recorded.lesson_id))
    assert (await practice.hall.get(served(view)[1])).status_code == 404
    await practice.minute()
    page = (await practice.hall.get(practice.page)).text
    assert "concern" not in page.split("<main")[1].split("</main>")[0]


async def test_a_pause_is_said_beforehand_and_says_nothing_of_what_is_open(made: tuple[Practice, Recorded]) -> None:
    practice, recorded = made
    school = practice.school
    before = (await practice.hall.get(practice.page)).text
    assert PAUSES in before
    assert PAUSES in (await practice.hall.get("/practice")).text
    async with school.database.writing() as session:
        dsl = await actor_of(school, school.person("dsl"))
        await alerts.raise_alert(session, dsl, kind=Kind.FLAG, now=school.clock.now(), lesson_id=recorded.lesson_id)
    assert (await practice.hall.get(practice.page)).text == before, "the page is the same while it pauses"
    paused = await practice.hall.post(f"{practice.page}/watch", data={})
    assert paused.status_code == 422
    assert PAUSES in paused.text.split("error-summary__list")[1].split("</ul>")[0]
    async with school.database.writing() as session:
        await session.exec(update(Alert).values(closed_at=school.clock.now(), outcome="no-action"))
    assert (await practice.watch(practice.hall, school.person("teacher"))).status_code == 303, "negative control: it goes on"


async def test_the_copy_has_its_own_key_and_the_sealed_words_of_the_school(made: tuple[Practice, Recorded]) -> None:
    practice, recorded = made
    vault, copy = practice.school.app.state.vault, await practice.copy()
    assert copy is not None
    own = vault.open(recorded.school_id, copy.id, 1, copy.kept_until)
    theirs = vault.open(recorded.school_id, recorded.recording_id, 1, recorded.kept_until)
    assert own != theirs
    with Opened(vault.path(copy.id, 1), own) as mine, Opened(vault.path(recorded.recording_id, 1), theirs) as whole:
        assert {note.kind for note in mine.notes()} == {"start", "presence", "open", "hold"}
        assert {"chat", "flag"} < {note.kind for note in whole.notes()}, "negative control"
        for track in whole.tracks:
            pieces = range(len(whole.clusters(track)))
            assert [mine.cluster(track, n) for n in pieces] == [whole.cluster(track, n) for n in pieces]
    async with practice.school.database.reading() as session:
        assert await proof.verify(session, vault) == []


@pytest.mark.parametrize(("lesson", "practice"), [(7, 30), (30, 7)])
async def test_it_is_kept_no_longer_than_the_lessons_own_recording(planned: Practice, lesson: int, practice: int) -> None:
    """A concern would end the copy, and there would be none for the safeguarding team."""
    school = planned.school
    await school.set_profile(retention_days=lesson, retention_practice_days=practice)
    await record_lesson(school)
    await planned.minute()
    copy = await planned.copy()
    assert copy is not None
    assert (copy.kept_until - copy.ends_at.date()).days == 7


async def test_of_evidence_that_is_set_apart_while_it_is_copied_no_copy_is_kept(
    planned: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, copy_all = await record_lesson(planned.school), commands._copy_all
    store = planned.school.app.state.vault.key_store(recorded.school_id)

    def set_apart(*given: Any) -> Any:
        made = copy_all(*given)
        store.hold(recorded.recording_id, recorded.kept_until, isolate=True)
        return made

    monkeypatch.setattr(commands, "_copy_all", set_apart)
    assert await planned.minute() == 0
    assert await planned.copy() is None


async def test_it_is_destroyed_on_its_own_day(made: tuple[Practice, Recorded]) -> None:
    practice, _ = made
    copy = await practice.copy()
    assert copy is not None
    practice.school.clock.advance(31 * DAY)
    await practice.minute()
    assert not practice.school.app.state.vault.path(copy.id, 1).exists()
    async with await practice.school.signed_in("teacher") as hall:
        assert "Gone" in (await hall.get(practice.page)).text


async def test_parents_are_told_that_it_was_watched_and_for_what(made: tuple[Practice, Recorded]) -> None:
    practice, recorded = made
    await practice.watch(practice.hall, practice.school.person("teacher"))
    async with practice.school.database.reading() as session:
        parent = (await session.exec(select(Guardianship.guardian_id).where(
            Guardianship.child_id == recorded.pupils[0]))).first()
    actor = await actor_of(practice.school, str(parent))
    async with practice.school.database.reading() as session:
        [view] = await told.of_child(session, actor, recorded.pupils[0], None, 20)
        assert (view.why, view.by_lead, view.minutes) == ("practice", False, None)
        assert await told.of_child(session, actor, recorded.pupils[0], (view.at, view.id), 20) == []
