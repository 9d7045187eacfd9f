"""Governors get a report of each term that names nobody (policy: IN3)."""

import json
import re
from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from lessons.tables import JournalEntry, Lesson
from service.foundation.errors import NotFound
from service.governance import queries, rules
from service.governance.rules import Line, Period, Table
from service.people.tables import Person
from service.safeguarding.chronology import Kind
from service.safeguarding.incidents.tables import Incident, IncidentBarred, IncidentEntry
from service.safeguarding.tables import Alert, AlertBarred
from tests.features.test_consent_answers import actor_of
from tests.school import Running


@pytest.mark.parametrize(("number", "said"), [(0, "none"), (1, "fewer than 5"), (4, "fewer than 5"), (5, "5"), (1200, "1,200")])
def test_a_small_number_about_people_is_not_said_nor_drawn(number: int, said: str) -> None:
    line = Line("Refused", number, "half within 3 min")
    table = Table("One-to-ones", (line, Line("Asked for", 40)))
    assert line.said == said
    assert bool(line.beside) == bool(table.share(line)) == (number >= 5)


def test_what_is_about_nobody_is_said_exactly() -> None:
    assert Line("Destroyed late", 1, of_people=False).said == "1"


@pytest.mark.parametrize(("some", "of", "said"), [(3, 19, ""), (0, 20, "about 0 in 100"), (199, 200, "about 100 in 100"),
                                                  (186, 200, "about 95 in 100")])
def test_a_share_of_families_is_rounded_and_never_of_a_few(some: int, of: int, said: str) -> None:
    assert rules.in_a_hundred(some, of) == said


def test_a_report_is_of_a_term_that_has_begun_or_of_the_last_weeks() -> None:
    today = date(2026, 3, 3)
    spring, summer = Period("Spring", date(2026, 1, 5), date(2026, 3, 27)), Period("Summer", date(2026, 4, 13), date(2026, 7, 17))
    autumn = Period("Autumn", date(2025, 9, 1), date(2025, 12, 19))
    assert rules.periods([autumn, summer, spring], today) == (spring, autumn)
    assert rules.chosen((spring, autumn), "2025-09-01") == autumn
    assert rules.chosen((spring, autumn), "") == spring
    with pytest.raises(NotFound):
        rules.chosen((spring, autumn), "2026-04-13")
    assert rules.periods([summer], today)[0].last == today


def test_a_term_lasts_from_midnight_to_midnight_where_the_school_is() -> None:
    first, last = Period("Summer", date(2026, 3, 27), date(2026, 3, 30)).instants("Europe/London")
    assert (first.isoformat(), last.isoformat()) == ("2026-03-27T00:00:00+00:00", "2026-03-30T23:00:00+00:00")


async def numbers(school: Running, role: str = "governor") -> dict[str, dict[str, str]]:
    async with school.database.reading() as session:
        actor = await actor_of(school, school.person(role))
        period = (await queries.known(session, actor.school_id))[0]
        report = await queries.report(session, actor, period)
    return {table.title: {line.what: line.said for line in table.lines} for table in report.tables}


async def many(school: Running, count: int, *, kept_from: str = "", routed_to: str = "dsl") -> None:
    """So many worries; so many incidents of unkindness, each with a sanction."""
    now, school_id = school.clock.now(), await own_school(school)
    said: list[tuple[Kind, dict[str, Any]]] = [
        (Kind.CATEGORY, {"words": "bullying"}),
        (Kind.SANCTION, {"child_id": school.person("pupil"), "reference": "family", "words": "why"})]
    async with school.database.writing() as session:
        for number in range(count):
            alert = Alert(school_id=school_id, kind="worry", raised_by="x", raised_at=now, called_at=now, routed_to=routed_to,
                          taken_by="y", taken_at=now + timedelta(minutes=number))
            incident = Incident(school_id=school_id, number=f"T-{routed_to}{number}", recorded_by=school.person("teacher"),
                                recorded_at=now, happened_on=now.date(), routed_to=routed_to, about_staff=routed_to != "dsl")
            session.add_all((alert, incident))
            await session.flush()
            session.add_all(
                IncidentEntry(school_id=school_id, incident_id=incident.id, seq=seq, kind=kind, added_at=now,
                              added_by=incident.recorded_by, **more)
                for seq, (kind, more) in enumerate(said))
            if kept_from:
                session.add_all((AlertBarred(school_id=school_id, alert_id=alert.id, person_id=kept_from),
                                 IncidentBarred(school_id=school_id, incident_id=incident.id, person_id=kept_from)))


async def own_school(school: Running) -> str:
    return (await actor_of(school, school.person("governor"))).school_id


FLAGGED = "What was flagged to the safeguarding team"
WORRIES = "Worry from a pupil"


async def test_alerts_and_incidents_are_counted_by_kind(school: Running) -> None:
    before = await numbers(school)
    await many(school, 7)
    after = await numbers(school)
    assert before[FLAGGED].get(WORRIES) in (None, "fewer than 5")
    assert int(after[FLAGGED][WORRIES]) >= 7
    assert int(after["Incidents by kind"]["Unkindness or online bullying"]) >= 7
    assert int(after["Sanctions"]["Meeting with parents or carers"]) >= 7


@pytest.mark.parametrize("how", [{"routed_to": "headteacher"}, {"kept_from": "headteacher"}])
async def test_what_leaves_no_trace_with_somebody_is_in_no_number_that_they_read(school: Running, how: dict[str, str]) -> None:
    before = await numbers(school, "headteacher")
    await many(school, 9, **({"kept_from": school.person("headteacher")} if "kept_from" in how else how))
    assert await numbers(school, "headteacher") == before
    others = await numbers(school, "governor")
    assert (others != before) is ("kept_from" in how), "negative control: who it is not kept from reads them"


async def test_pauses_are_counted_once_each_by_their_first_reason(school: Running) -> None:
    now, lesson_id, school_id = school.clock.now(), school.lesson()["id"], await own_school(school)
    before = (await numbers(school))["Pauses by reason"]
    alone, nobody = ("lone-adult",), ("no-adult",)
    happened = [("opened", ()), ("held", alone), ("held", nobody), ("opened", ()), ("held", nobody), ("ended", ()),
                ("held", alone)]
    async with school.database.writing() as session:
        last = max([0, *(await session.exec(select(JournalEntry.seq).where(JournalEntry.lesson_id == lesson_id))).all()])
        session.add_all(JournalEntry(school_id=school_id, lesson_id=lesson_id, seq=last + 1 + at, at=now, kind=kind,
                                     body=json.dumps({"reasons": list(why)}))
                        for at, (kind, why) in enumerate(happened))
    after = (await numbers(school))["Pauses by reason"]
    grown = {what: _number(after[what]) - _number(before[what]) for what in after}
    assert {what: by for what, by in grown.items() if by} == {"An adult would have been alone with one pupil": 1, "No adult": 1}


def _number(said: str) -> int:
    return 0 if said == "none" else int(said)


async def test_minutes_are_those_between_the_opening_and_the_end(school: Running) -> None:
    before = _number((await numbers(school))["Lessons"]["Minutes of all lessons"])
    now = school.clock.now()
    async with school.database.writing() as session:
        row = await session.get_one(Lesson, school.lesson()["id"])
        row.started_at, row.ended_at = now, now + timedelta(minutes=42)
        session.add(row)
    assert _number((await numbers(school))["Lessons"]["Minutes of all lessons"]) == before + 42


async def test_the_page_names_nobody_and_governors_start_there(school: Running) -> None:
    await many(school, 6)
    async with await school.signed_in("governor") as governor:
        start = await governor.get("/")
        assert start.headers["location"] == "/governors"
        page = await governor.get("/governors")
        assert page.status_code == 200
        assert (await governor.get("/governors?of=1999-01-01")).status_code == 404
    main = re.sub(r"<[^>]+>", " ", page.text.split("<main")[1].split("</main>")[0])
    async with school.database.reading() as session:
        names = (await session.exec(select(Person.given_name, Person.family_name).where(col(Person.family_name) != ""))).all()
    said = set(re.findall(r"\w+", main))
    assert "Unkindness or online bullying" in main
    assert not [name for name in names if set(name) <= said]
