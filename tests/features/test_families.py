"""Twelve kinds of family, cell by cell: who sees a child, who answers, who is told, and whose yes is enough (policy: CO2, CM1).

The expected answers stand in `families.txt`.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from consent import commands, queries
from consent.documents import queries as documents
from consent.rules import RESTS, MayNotAnswer, Purpose, Route
from consent.tables import ConsentResponse
from lessons import queries as lessons
from lessons import roster
from service.foundation.db import new_id
from service.foundation.errors import NotFound
from service.foundation.events import Actor, Role
from service.people import queries as people
from service.people.tables import GroupMember, Guardianship, Person, PersonRole, TeachingGroup
from tests.school import Running

TABLE = Path(__file__).with_name("families.txt")
COLUMNS = ("see", "timetable", "yes", "no", "paper yes", "paper no", "told", "enough")


@dataclass(frozen=True)
class Row:
    situation: str
    adult: str
    expected: tuple[bool, ...]


def read() -> list[Row]:
    rows = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            situation, adult, *cells = (cell.strip() for cell in line.split("|"))
            assert len(cells) == len(COLUMNS), line
            assert set(cells) <= {"x", "-"}, line
            rows.append(Row(situation, adult, tuple(cell == "x" for cell in cells)))
    return rows


ROWS = read()


@dataclass(frozen=True)
class Case:
    """One child and one person around it, both new, with what the school knows."""

    school: Running
    school_id: str
    child: str
    person: str
    group: str
    office: Actor

    @property
    def is_pupil(self) -> bool:
        return self.person == self.child

    async def client(self) -> httpx.AsyncClient:
        return self.school.client(await self.school.cookie(self.person))

    async def actor(self) -> Actor:
        async with self.school.database.reading() as session:
            found = await people.actor(session, self.person)
        assert found is not None
        return found


async def case(school: Running, row: Row) -> Case:
    relationship, *words = row.adult.split()
    age = 18 if "18" in row.situation else 16 if "16" in row.situation else 9
    if "asked too" in row.situation:
        await school.set_profile(pupils_asked_from=16)
    today = school.clock.now().date()
    async with school.database.writing() as session:
        office = await people.actor(session, school.person("office"))
        assert office is not None
        school_id = office.school_id
        group = TeachingGroup(school_id=school_id, name=f"6 Yew {new_id()}", key_stage=2)
        child = Person(school_id=school_id, kind="child", given_name="Ada", born_on=date(today.year - age, 1, 1),
                       left_on=today if "left" in words else None)
        session.add_all([group, child])
        await session.flush()
        session.add(PersonRole(person_id=child.id, role=Role.PUPIL, school_id=school_id))
        session.add(GroupMember(group_id=group.id, person_id=child.id, school_id=school_id, part="pupil"))
        adult = child if "pupil" in words else Person(school_id=school_id, kind="adult", given_name="Bo")
        if adult is not child:
            session.add(adult)
            await session.flush()
            session.add_all(PersonRole(person_id=adult.id, role=role, school_id=school_id)
                            for role in (Role.PARENT, *([Role.TEACHER] if "teacher" in words else [])))
            if "none" not in words:
                session.add(Guardianship(
                    school_id=school_id, guardian_id=adult.id, child_id=child.id, relationship=relationship,
                    parental_responsibility=words[0], court_order=words[1], lives_with="apart" not in words,
                    do_not_contact="uncontacted" in words,
                ))
    return Case(school, school_id, child.id, adult.id, group.id, office)


class Undone(Exception):
    pass


async def may(school: Running, act: Callable[[Any], Awaitable[object]]) -> bool:
    """Whether it is accepted; what it wrote is rolled back."""
    with suppress(Undone):
        async with school.database.writing() as session:
            try:
                await act(session)
                await session.flush()
            except (NotFound, MayNotAnswer):
                return False
            raise Undone
    return True


async def by_themself(case: Case, *, says_yes: bool) -> bool:
    """Through the door that this person has: a pupil's own page, a parent's API."""
    async with case.school.database.reading() as session:
        shown = (await documents.shown(session, case.school_id))[Purpose.ATTEND]
    async with await case.client() as client:
        if case.is_pupil:
            answer = await client.post("/my-permissions/attend", data={
                "said": "yes" if says_yes else "no", "document_id": shown.document_id})
        else:
            answer = await client.post(f"/api/v1/children/{case.child}/consent", headers={"idempotency-key": new_id()}, json={
                "purpose": "attend", "says_yes": says_yes, "document_id": shown.document_id, "responsibility": "yes"})
    assert answer.status_code in (200, 303, 403, 404), answer.text
    async with case.school.database.reading() as session:
        kept = (await session.exec(select(ConsentResponse).where(ConsentResponse.child_id == case.child))).all()
    assert [row.respondent_id for row in kept] == ([case.person] if answer.status_code in (200, 303) else [])
    return bool(kept)


async def on_paper(case: Case, session: Any, *, says_yes: bool) -> None:
    await commands.record_response(
        session, case.office, child_id=case.child, answers={Purpose.ATTEND: says_yes}, respondent_id=case.person,
        route=Route.PAPER, signed_on=case.school.clock.now().date(), now=case.school.clock.now())


async def sees(case: Case) -> bool:
    async with await case.client() as client:
        answer = await client.get("/my-permissions" if case.is_pupil else f"/api/v1/children/{case.child}/consent")
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 200


async def timetable(case: Case) -> bool:
    async with case.school.database.reading() as session:
        found = await lessons.family(session, await case.actor(), case.school.clock.now().date(), 7)
    return [child.child_id for child in found] == [case.child]


async def told(case: Case) -> bool:
    async with case.school.database.reading() as session:
        return case.person in await people.families_to_tell(session, case.school_id, [case.child])


async def enough(case: Case) -> bool:
    """Their yes, by whatever way takes it, and then whether the door would know the child as one who may attend."""
    if not await by_themself(case, says_yes=True):
        with suppress(NotFound, MayNotAnswer):
            async with case.school.database.writing() as session:
                await on_paper(case, session, says_yes=True)
    case.school.clock.advance(RESTS.total_seconds())  # a yes from a browser counts only then
    async with case.school.database.reading() as session:
        pupils = await roster.pupils_of(session, case.school_id, case.group, case.school.clock.now().date())
    return any(pupil.id == case.child and Purpose.ATTEND in pupil.purposes for pupil in pupils)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.situation}: {row.adult}")
async def test_each_of_a_family_may_do_what_the_table_says(school: Running, row: Row) -> None:
    here = await case(school, row)
    found = (
        await sees(here), await timetable(here),
        await by_themself(await case(school, row), says_yes=True), await by_themself(await case(school, row), says_yes=False),
        await may(school, lambda session: on_paper(here, session, says_yes=True)),
        await may(school, lambda session: on_paper(here, session, says_yes=False)),
        await told(here), await enough(here),
    )
    wrong = {name: got for name, got, wanted in zip(COLUMNS, found, row.expected, strict=True) if got != wanted}
    assert wrong == {}, row


def test_the_table_has_the_twelve_situations() -> None:
    named = {row.situation.split(",")[0] for row in ROWS}
    assert named >= {"together", "separated", "one without responsibility", "court order", "foster", "looked-after child",
                     "step-parent", "older pupil", "siblings across classes", "twins", "parent who is staff", "moved away"}


async def family(school: Running) -> tuple[str, str, str]:
    """A seeded child of two parents: (child, mother, father)."""
    async with school.database.reading() as session:
        links = (await session.exec(select(Guardianship).order_by(col(Guardianship.contact_order)))).all()
    by_child: dict[str, list[str]] = {}
    for link in links:
        by_child.setdefault(link.child_id, []).append(link.guardian_id)
    child, (mother, father) = next(pair for pair in by_child.items() if len(pair[1]) == 2)
    return child, mother, father


async def view(school: Running, person: str) -> tuple[Any, int]:
    """What they see, and how many statements it took."""
    said: list[object] = []
    school.database.memory.forget()  # so that nothing which somebody asked before is found without a look
    async with school.database.reading() as session:
        actor = await people.actor(session, person)
        assert actor is not None
        looks = session.exec

        async def counted(statement: Any, **more: Any) -> Any:
            said.append(statement)
            return await looks(statement, **more)

        session.exec = counted
        found = await queries.for_family(session, actor)
    return found, len(said)


@pytest.mark.parametrize("change", [{"do_not_contact": True}, {"court_order": "yes"}, {"court_order": "unknown"}])
async def test_a_blocked_parent_gets_what_somebody_without_a_child_gets_after_as_many_looks(
    school: Running, change: dict[str, Any],
) -> None:
    _, mother, _ = await family(school)
    childless = school.person("governor")
    assert (await view(school, mother))[0]  # control: before it they see their child
    async with school.database.writing() as session:
        for link in (await session.exec(select(Guardianship).where(Guardianship.guardian_id == mother))).all():
            for name, value in change.items():
                setattr(link, name, value)
    assert await view(school, mother) == await view(school, childless)


async def test_no_parent_can_tell_from_their_own_view_what_the_other_answered(school: Running) -> None:
    """Whatever the father says or leaves, a mother who has not answered sees the same."""
    child, mother, father = await family(school)
    async with school.database.writing() as session:
        office = await people.actor(session, school.person("office"))
        assert office is not None
    seen = []
    for says_yes in (None, True, False):
        if says_yes is not None:
            async with school.database.writing() as session:
                await commands.record_response(
                    session, office, child_id=child, answers={Purpose.PHOTOGRAPHS: says_yes}, respondent_id=father,
                    route=Route.IN_PERSON, signed_on=school.clock.now().date(), now=school.clock.now())
        found, _ = await view(school, mother)
        seen.append(next(q for q in found[0].questions if q.purpose is Purpose.PHOTOGRAPHS))
    assert seen[0] == seen[1] == seen[2]
    async with school.database.reading() as session:
        rows = (await session.exec(select(ConsentResponse).where(ConsentResponse.respondent_id == father))).all()
    shown, _ = await view(school, mother)
    assert rows
    assert not [row.id for row in rows if row.id in repr(shown)]
    assert father not in repr(shown)
