"""Erasing a recording before its day takes two people, and never erases what is or may be needed (policy: RE2, RE3)."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, select, update

from recordings.ending import destruction
from recordings.ending.tables import Destruction
from recordings.erasure.tables import RecordingErasure
from recordings.grants.tables import RecordingGrant
from recordings.tables import Recording, RecordingParticipant
from service.foundation.audit import AuditLeaf
from service.people.tables import PersonRole
from service.safeguarding.concerns.tables import Concern, ConcernEntry
from service.safeguarding.incidents.tables import Incident
from service.safeguarding.tables import Alert
from tests.proofs import confirmed_post
from tests.recordings.ends import Kept, ask, recordings
from tests.school import Running

ERASE = {"asker": "parent", "reason": "They do not want their child's voice kept", "answer": "erase"}
AGREE = {"second": "agree"}


async def decided(school: Running, kept: Kept, role: str = "dpo") -> httpx.Response:
    """The first person writes it down and decides to erase it."""
    school.clock.advance(30)
    async with await school.signed_in(role) as client:
        return await confirmed_post(school, client, school.person(role), f"/endings/{kept.lesson_id}/erasure", ERASE)


async def answered(school: Running, kept: Kept, role: str = "dsl") -> httpx.Response:
    school.clock.advance(30)
    async with await school.signed_in(role) as client:
        return await confirmed_post(school, client, school.person(role), f"/endings/{kept.lesson_id}/erasure/answer", AGREE)


async def gone(school: Running, kept: Kept) -> bool:
    state = school.app.state
    await destruction.reconcile(state.database, state.vault, state.clock)
    return not kept.path.exists()


async def kinds(school: Running, kept: Kept) -> list[str]:
    async with school.database.reading() as session:
        return list((await session.exec(select(AuditLeaf.kind).where(AuditLeaf.subject_id == kept.id).order_by(
            col(AuditLeaf.seq)))).all())


@pytest.mark.parametrize(("first", "second"), [("dpo", "dsl"), ("dpo", "deputy_dsl"), ("dsl", "dpo")])
async def test_two_people_erase_it_at_once_with_its_certificate_and_the_audit_says_so(
    school: Running, first: str, second: str,
) -> None:
    kept, other = await recordings(school, 2, days_left=20)
    assert (await decided(school, kept, first)).status_code == 303
    assert not await gone(school, kept), "one person erases nothing"
    async with await school.signed_in(second) as client:
        assert f"/endings/{kept.lesson_id}/erasure" in (await client.get("/endings")).text.split("Waiting for you")[1]
    assert (await answered(school, kept, second)).status_code == 303
    assert await gone(school, kept)
    assert other.path.exists()
    assert await kinds(school, kept) == [
        "ErasureDecided", "ErasureAnswered", "DestructionBegun", "RecordingKeyDestroyed", "RecordingDestroyed"]
    async with await school.signed_in("dpo") as dpo:
        assert (await dpo.get(f"/endings/{kept.lesson_id}/certificate")).status_code == 200
        page = (await dpo.get(f"/endings/{kept.lesson_id}/erasure")).text
        assert "A parent asked" in page
        assert "It was destroyed on" in page


@pytest.mark.parametrize(("first", "second"), [("dsl", "deputy_dsl"), ("dpo", "dpo"), ("dsl", "dsl")])
async def test_the_two_are_different_people_of_different_duties(school: Running, first: str, second: str) -> None:
    [kept] = await recordings(school, 1, days_left=20)
    await decided(school, kept, first)
    async with await school.signed_in(second) as client:
        refused = await client.post(f"/endings/{kept.lesson_id}/erasure/answer", data=AGREE)
    assert refused.status_code == 422
    assert not await gone(school, kept)


@pytest.mark.parametrize("role", ["teacher", "senior_leader", "headteacher", "office", "governor", "chair", "parent"])
async def test_to_others_there_is_no_such_page(school: Running, role: str) -> None:
    [kept] = await recordings(school, 1, days_left=20)
    async with await school.signed_in(role) as client:
        assert (await client.get(f"/endings/{kept.lesson_id}/erasure")).status_code in (403, 404)
        assert (await client.post(f"/endings/{kept.lesson_id}/erasure", data=ERASE)).status_code in (403, 404)


async def held(school: Running, kept: Kept) -> None:
    await ask(school, kept)


async def with_a_concern(school: Running, kept: Kept) -> None:
    now = school.clock.now()
    async with school.database.writing() as session:
        row = Concern(school_id=await school._school(session), number="C-9", raised_by=school.person("dsl"), raised_at=now,
                      happened_on=now.date(), routed_to="dsl", lesson_id=kept.lesson_id)
        session.add(row)
        await session.flush()
        session.add(ConcernEntry(school_id=row.school_id, concern_id=row.id, seq=1, kind="said", words="A mark",
                                 added_by=row.raised_by, added_at=now))


async def with_an_alert(school: Running, kept: Kept) -> None:
    now = school.clock.now()
    async with school.database.writing() as session:
        session.add(Alert(school_id=await school._school(session), kind="flag", lesson_id=kept.lesson_id, raised_by="x",
                          raised_at=now, routed_to="dsl", called_at=now))


async def with_an_incident(school: Running, kept: Kept) -> None:
    now = school.clock.now()
    async with school.database.writing() as session:
        session.add(Incident(school_id=await school._school(session), number="I-9", recorded_by=school.person("dsl"),
                             recorded_at=now, happened_on=now.date(), routed_to="headteacher", lesson_id=kept.lesson_id))


async def with_a_concern_about_an_adult_in_it(school: Running, kept: Kept) -> None:
    now, teacher = school.clock.now(), school.person("teacher")
    async with school.database.writing() as session:
        school_id = await school._school(session)
        session.add(RecordingParticipant(
            recording_id=kept.id, person_id=teacher, school_id=school_id, role="teacher", admitted_at=now))
        session.add(Concern(school_id=school_id, number="C-8", raised_by=school.person("support"), raised_at=now,
                            happened_on=now.date(), routed_to="headteacher", about_staff=True, about_id=teacher))


async def asked_to_be_watched(school: Running, kept: Kept) -> None:
    now = school.clock.now()
    async with school.database.writing() as session:
        session.add(RecordingGrant(
            school_id=await school._school(session), recording_id=kept.id, person_id=school.person("headteacher"),
            asked_by=school.person("dsl"), asked_at=now, why="complaint", words="A complaint",
            starts_at=now - timedelta(minutes=9), ends_at=now))


NEEDED = [held, with_a_concern, with_an_alert, with_an_incident, with_a_concern_about_an_adult_in_it, asked_to_be_watched]


@pytest.mark.parametrize("needed", NEEDED, ids=lambda each: each.__name__)
@pytest.mark.parametrize("when", ["before", "between"])
async def test_what_is_or_may_be_needed_is_not_erased_and_the_dpo_is_not_told_what_for(
    school: Running, needed: object, when: str,
) -> None:
    [kept] = await recordings(school, 1, days_left=20)
    assert callable(needed)
    if when == "before":
        await needed(school, kept)
        async with await school.signed_in("dpo") as dpo:
            refused = await dpo.post(f"/endings/{kept.lesson_id}/erasure", data=ERASE)
            assert refused.status_code == 422
            assert "is or may be needed" in refused.text
            said = refused.text.split("<main")[1].split("There is a problem")[1].split("</ul>")[0]
            assert not {"concern", "hold", "alert"} & set(said.split())
            no = await dpo.post(f"/endings/{kept.lesson_id}/erasure", data=ERASE | {"answer": "keep"})
            assert no.status_code == 303, "a request can always be refused"
    else:
        await decided(school, kept)
        await needed(school, kept)
        assert (await answered(school, kept)).status_code == 422
    assert not await gone(school, kept)


@pytest.mark.parametrize("running", [{"outcome": ""}, {"ends_at": None}], ids=["recorded", "its time is not over"])
async def test_a_lesson_that_may_go_on_being_recorded_keeps_its_recording(school: Running, running: dict[str, object]) -> None:
    """What came after would be nobody's: it could never be watched, nor removed."""
    [kept] = await recordings(school, 1, days_left=20)
    values = {key: school.clock.now() + timedelta(minutes=20) if key == "ends_at" else value for key, value in running.items()}
    async with school.database.writing() as session:
        await session.exec(update(Recording).where(col(Recording.id) == kept.id).values(**values))
    async with await school.signed_in("dpo") as dpo:
        refused = await dpo.post(f"/endings/{kept.lesson_id}/erasure", data=ERASE)
    assert refused.status_code == 422
    assert "This lesson is still on" in refused.text
    assert not await gone(school, kept)
    async with school.database.writing() as session:
        await session.exec(update(Recording).where(col(Recording.id) == kept.id).values(
            outcome="complete", ends_at=school.clock.now()))
    school.clock.advance(1)
    assert (await decided(school, kept)).status_code == 303
    assert (await answered(school, kept)).status_code == 303
    assert await gone(school, kept), "negative control"


async def test_refusing_takes_one_person_and_taking_back_the_one_who_decided(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=20)
    await decided(school, kept)
    async with await school.signed_in("dpo") as dpo:
        page = f"/endings/{kept.lesson_id}/erasure"
        assert (await dpo.post(f"{page}/answer", data={"second": "refuse", "why": ""})).status_code == 422
        assert (await dpo.post(f"{page}/answer", data={"second": "refuse", "why": "They changed their mind"})).status_code == 303
        assert "Taken back" in (await dpo.get(page)).text
        assert (await dpo.post(page, data={"asker": "", "reason": "", "answer": ""})).status_code == 422
    async with await school.signed_in("dsl") as dsl:
        assert (await dsl.post(f"{page}/answer", data=AGREE)).status_code == 422, "nothing waits"
    assert not await gone(school, kept)


async def test_a_request_whose_first_person_has_left_can_still_be_refused(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=20)
    await decided(school, kept)
    async with school.database.writing() as session:
        await session.exec(delete(PersonRole).where(col(PersonRole.person_id) == school.person("dpo")))
    async with await school.signed_in("dsl") as dsl:
        assert (await dsl.post(f"/endings/{kept.lesson_id}/erasure/answer", data=AGREE)).status_code == 422
        refused = await dsl.post(f"/endings/{kept.lesson_id}/erasure/answer", data={"second": "refuse", "why": "Start anew"})
        assert refused.status_code == 303
    assert not await gone(school, kept)


async def test_who_was_in_the_lesson_decides_nothing_about_its_end(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=20, participant=school.person("dsl"))
    async with await school.signed_in("dsl") as dsl:
        assert (await dsl.get(f"/endings/{kept.lesson_id}/erasure")).status_code == 403
    await decided(school, kept)
    async with await school.signed_in("dsl") as dsl:
        assert (await dsl.post(f"/endings/{kept.lesson_id}/erasure/answer", data=AGREE)).status_code == 403
    assert (await answered(school, kept, "deputy_dsl")).status_code == 303, "negative control"
    assert await gone(school, kept)


async def test_the_database_takes_no_decision_back_and_no_person_twice(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=20)
    await decided(school, kept)
    for change in ({"second_by": school.person("dpo"), "agreed": True, "second_at": school.clock.now()}, {"words": "Other"},
                   {"second_by": "", "agreed": True, "second_at": school.clock.now()}):
        with pytest.raises(IntegrityError):
            async with school.database.writing() as session:
                await session.exec(update(RecordingErasure).values(**change))
    async with school.database.reading() as session:
        assert (await session.exec(select(Destruction))).all() == []
