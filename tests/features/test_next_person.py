"""An alert that nobody takes goes on to the next person, also one about an adult, and never to whom it may be about
(policy: RC1, IN4)."""

import json

import httpx
from sqlalchemy import text
from sqlmodel import select

from service.foundation.audit import AuditBody, AuditLeaf
from service.foundation.events import Actor, Role
from service.foundation.mail import Mail
from service.people.events import PersonLeft
from service.safeguarding import commands, escalation, queries
from service.safeguarding.tables import Alert
from tests.features.test_alerts import told, who, worry
from tests.school import Running

NOTHING: list[str] = []
ONE = ["Safeguarding alert, 10am."]
SEEN_BY = ("dsl", "deputy_dsl", "headteacher", "chair")


async def mailed(school: Running, alert: str) -> set[str]:
    """The roles whose mail about it is due by now."""
    async with school.database.reading() as session:
        rows = (await session.exec(select(Mail).where(Mail.about == alert))).all()
    due = {row.person_id for row in rows if row.called_off_at is None and row.due_at <= school.clock.now()}
    return {role for role in SEEN_BY if school.person(role) in due}


async def recorded(school: Running, alert: str, kind: str) -> list[dict[str, object]]:
    async with school.database.reading() as session:
        said = (await session.exec(select(AuditBody.body).join(AuditLeaf, AuditLeaf.seq == AuditBody.seq).where(  # type: ignore[arg-type]
            AuditLeaf.kind == kind, AuditLeaf.subject_id == alert))).all()
    return [json.loads(body) for body in said]


async def leaves(school: Running, role: str) -> None:
    gone = await who(school, role)
    async with school.database.writing() as session:
        await (await session.connection()).execute(
            text("DELETE FROM person_role WHERE person_id = :who"), {"who": gone.person_id})
        await commands.release_what_nobody_has(session, PersonLeft(gone.person_id), gone)


async def opened(client: httpx.AsyncClient, alert: str) -> int:
    return (await client.get(f"/safeguarding/{alert}")).status_code


async def test_a_worry_about_a_grown_up_that_the_headteacher_leaves_reaches_the_chair(school: Running) -> None:
    alert = await worry(school, about="staff")
    school.clock.advance(14 * 60)
    await escalation.pass_on(school.database, school.clock)
    assert [await told(school, role) for role in SEEN_BY] == [NOTHING, NOTHING, ONE, NOTHING]
    async with await school.signed_in("chair") as chair:
        assert await opened(chair, alert) == 404
        school.clock.advance(60)
        assert await opened(chair, alert) == 200
    await escalation.pass_on(school.database, school.clock)
    assert [await told(school, role) for role in SEEN_BY] == [NOTHING, NOTHING, ONE, ONE]
    assert await mailed(school, alert) == {"headteacher", "chair"}
    assert [(step["step"], step["people"]) for step in await recorded(school, alert, "AlertPassedOn")] == [
        (2, school.person("chair"))]
    async with await school.signed_in("chair") as chair:
        assert (await chair.post(f"/safeguarding/{alert}/take")).status_code == 303
    assert await told(school, "headteacher") == NOTHING


async def test_never_a_barred_chair_and_the_record_says_that_nobody_is_left(school: Running) -> None:
    alert = await worry(school, about="staff", present=(school.person("chair"),))
    school.clock.advance(60 * 60)
    for _ in range(2):
        await escalation.pass_on(school.database, school.clock)
    assert [await told(school, role) for role in SEEN_BY] == [NOTHING, NOTHING, ONE, NOTHING]
    assert await mailed(school, alert) == {"headteacher"}
    assert await recorded(school, alert, "AlertPassedOn") == []
    assert [said["called"] for said in await recorded(school, alert, "AlertHasNobodyElse")] == [1]


async def test_whoever_remains_reads_that_nobody_else_is_called_and_the_local_authority_officers_number(school: Running) -> None:
    async with await school.signed_in("headteacher") as head:
        await head.post("/concerns/officer", data={"name": "LADO team", "telephone": "01632 960999"})
        page = await head.get(f"/safeguarding/{await worry(school, about='staff')}")
        assert "If nobody takes it in time, the chair of governors is called too." in page.text
        page = await head.get(f"/safeguarding/{await worry(school, about='staff', present=(school.person('chair'),))}")
    assert "Nobody else at this school is called." in page.text
    assert "LADO team, <strong>01632 960999</strong>" in page.text
    async with await school.signed_in("dsl") as dsl:
        assert "01632 960999" not in (await dsl.get(f"/safeguarding/{await worry(school)}")).text


async def test_where_the_headteacher_was_in_the_lesson_the_teams_alert_goes_on_to_the_chair(school: Running) -> None:
    alert = await worry(school, present=(school.person("headteacher"),))
    school.clock.advance(15 * 60)
    await escalation.pass_on(school.database, school.clock)
    assert [await told(school, role) for role in SEEN_BY] == [ONE, ONE, NOTHING, ONE]
    assert "chair" in await mailed(school, alert)


async def test_when_the_last_of_a_queue_leaves_what_nobody_took_goes_on_at_once(school: Running) -> None:
    alert, about_the_head = await worry(school, about="staff"), await worry(school, about="headteacher")
    await leaves(school, "headteacher")
    assert await told(school, "chair") == ONE
    assert await mailed(school, alert) == {"chair"}
    await leaves(school, "chair")
    async with school.database.reading() as session:
        for one in (alert, about_the_head):
            assert (await session.get_one(Alert, one)).routed_to == Role.CHAIR, "it stays for the next chair"


async def test_without_a_chair_it_stays_for_the_next_headteacher_and_the_record_says_that_nobody_may_open_it(
    school: Running,
) -> None:
    alert = await worry(school, about="staff")
    await leaves(school, "chair")
    await leaves(school, "headteacher")
    school.clock.advance(15 * 60)
    await escalation.pass_on(school.database, school.clock)
    assert [said["called"] for said in await recorded(school, alert, "AlertHasNobodyElse")] == [0]
    async with school.database.reading() as session:
        row = await session.get_one(Alert, alert)
        next_head = Actor("new", row.school_id, frozenset({Role.HEADTEACHER}))
        assert (await queries.alert(session, next_head, alert, school.clock.now())).calls


async def test_staff_who_raise_what_nobody_here_can_open_are_told_whom_to_ring(school: Running) -> None:
    await leaves(school, "chair")
    async with await school.signed_in("headteacher") as head:
        await head.post("/concerns/officer", data={"name": "LADO team", "telephone": "01632 960999"})
    form = {"day": "24", "month": "11", "year": "2026", "said": "He locked the door", "done": "Nothing", "about_adult": "yes",
            "about_id": school.person("headteacher")}
    async with await school.signed_in("teacher") as teacher:
        page = await teacher.post("/concerns/new", data=form)
    assert page.status_code == 200, page.text
    assert "nobody here can open it" in page.text
    assert "01632 960999" in page.text
