"""One-to-ones for tests: asked for, decided and entered as people do, with the proof of identity that a test brings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import select

from lessons.one_to_one import commands
from lessons.one_to_one.commands import Wish
from lessons.tables import Lesson as LessonRow
from service.foundation.events import Actor, Role
from service.foundation.web import token_hash
from service.people import power
from service.people import queries as people
from service.people.actions import GRANT_LASTS, Action
from service.people.commands import change_roles
from service.people.rules import role_action
from service.people.step_up import Proof
from service.people.tables import GroupMember, Person, SignIn, StepUpGrant, TeachingGroup
from service.safeguarding.approvals import commands as approvals
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals import revocation
from service.safeguarding.approvals.commands import Verdict
from service.safeguarding.approvals.tables import Approval
from tests.room.pages import Lesson, PlayedPlane
from tests.school import Running

THURSDAY = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)  # two days after the seeded Tuesday, inside the seeded term
WHY = "Ali comes back after weeks away and reads aloud only when nobody else listens."


async def proved(school: Running, who: Actor, action: Action) -> Proof:
    """A proof of identity for exactly this, as a passkey earns it; `tests/proofs.py` earns them as people do."""
    grant = StepUpGrant(
        school_id=who.school_id, person_id=who.person_id, session_id=who.session_id, action_hash=action.hash, method="passkey",
        made_at=school.clock.now(), expires_at=school.clock.now() + GRANT_LASTS,
    )
    async with school.database.writing() as session:
        session.add(grant)
    return Proof(grant.id, "")


async def actor(school: Running, person_id: str) -> Actor:
    """A person who has just signed in."""
    cookie = await school.cookie(person_id)
    async with school.database.reading() as session:
        signed_in = (await session.exec(select(SignIn.id).where(SignIn.token_hash == token_hash(cookie)))).one()
        found = await people.actor(session, person_id, session_id=signed_in)
    assert found is not None
    return found


async def named(school: Running, name: str) -> Actor:
    """Whoever of the staff is called this: “Mr Hall”."""
    async with school.database.reading() as session:
        rows = (await session.exec(select(Person).where(Person.kind == "adult"))).all()
    return await actor(school, next(row.id for row in rows if people.name_of(row) == name))


async def pupils(school: Running, group: str = "5 Oak") -> list[str]:
    async with school.database.reading() as session:
        its = select(TeachingGroup.id).where(TeachingGroup.name == group)
        rows = await session.exec(select(GroupMember.person_id).where(
            GroupMember.group_id.in_(its), GroupMember.part == "pupil").order_by(GroupMember.person_id))  # type: ignore[attr-defined]
        return list(rows.all())


def wish(pupil_id: str, adult_id: str, **changes: Any) -> Wish:
    fields: dict[str, Any] = {
        "pupil_id": pupil_id, "adult_id": adult_id, "starts": (THURSDAY,), "minutes": 30, "why": WHY,
        "tried": ("group", "second-adult"), "safeguards": "Recorded, camera off, a parent in the next room.",
        "parent_present": "yes",
    }
    return Wish(**{**fields, **changes})


async def ask(school: Running, by: str = "Mr Hall", pupil: int = 0, adult: str = "", **changes: Any) -> str:
    who = await named(school, by)
    teacher = await named(school, adult) if adult else who
    wanted = wish((await pupils(school))[pupil], teacher.person_id, **changes)
    async with school.database.writing() as session:
        return await commands.ask(session, who, wanted, school.clock.now())


async def read(school: Running, request_id: str) -> approved.Request:
    """The request as somebody reads it who is about to decide."""
    school_id = (await named(school, "Dr Marsh")).school_id
    async with school.database.reading() as session:
        found = await approved.request(session, school_id, request_id)
        return await approved.request(session, school_id, request_id, await commands.versions_of(session, found))


async def approve(school: Running, request_id: str, by: str = "Dr Marsh", **changes: Any) -> None:
    await decide(school, request_id, by, "approve", **changes)


async def refuse(school: Running, request_id: str, by: str = "Dr Marsh", **changes: Any) -> None:
    await decide(school, request_id, by, "refuse", **changes)


async def decide(school: Running, request_id: str, by: str, what: str, **changes: Any) -> None:
    """Read it, prove who one is for exactly that, and decide."""
    found, who = await read(school, request_id), await named(school, by)
    verdict = Verdict(**{"request_id": request_id, "digest": found.asked.digest, "reason": "Agreed with the family.", **changes})
    proof = await proved(school, who, approvals.decision(found, verdict, what))
    command = {"approve": commands.approve, "refuse": commands.refuse}[what]
    async with school.database.writing() as session:
        await command(session, who, verdict, proof, school.clock.now())


async def revoke(school: Running, approval_id: str, by: str = "Dr Marsh", because: str = "The family rang.") -> None:
    who = await named(school, by)
    proof = await proved(school, who, revocation.ending(approval_id, because))
    async with school.database.writing() as session:
        await revocation.revoke(session, who, approval_id, because, proof, school.clock.now())


async def given(school: Running, request_id: str = "") -> list[Approval]:
    async with school.database.reading() as session:
        rows = (await session.exec(select(Approval).order_by(Approval.starts_at))).all()
    return [row for row in rows if request_id in ("", row.request_id) and row.confirmed_by != "demo"]


async def lessons(school: Running, request_id: str) -> list[LessonRow]:
    async with school.database.reading() as session:
        return await commands.lessons_of(session, await read(school, request_id))


class OneToOne(Lesson):
    """One lesson for one pupil, and the pages in it."""

    def __init__(self, school: Running, lesson_id: str, teacher_id: str, pupil_id: str, *, played: bool = True):
        self.school, self.id, self.teacher_id, self.pupil_ids = school, lesson_id, teacher_id, [pupil_id]
        self.plane = PlayedPlane(school.clock)
        if played:
            school.app.state.rooms.plane = self.plane
        self.pages = []


@asynccontextmanager
async def approved_lesson(school: Running, *, minutes_in: float = 1, **changes: Any) -> AsyncIterator[tuple[OneToOne, Approval]]:
    """A one-to-one that the headteacher approved, some minutes after its start (before it, when negative)."""
    request_id = await ask(school, **changes)
    await approve(school, request_id)
    [row] = await lessons(school, request_id)
    [approval] = await given(school, request_id)
    school.clock.advance((THURSDAY + timedelta(minutes=minutes_in) - school.clock.now()).total_seconds())
    lesson = OneToOne(school, row.id, approval.adult_id, approval.child_id)
    yield lesson, approval
    await lesson.end()


async def set_roles(school: Running, person_id: str, *roles: Role) -> None:
    """A second headteacher changes what somebody may do, and a third person agrees where two have to."""
    other = await named(school, "Ms Cole")
    await school.give_role(other.person_id, Role.HEADTEACHER)
    other = await actor(school, other.person_id)
    async with school.database.reading() as session:
        before = (await people.roles(session, [person_id])).get(person_id, frozenset())
    after = frozenset(roles)
    proof = await proved(school, other, role_action(person_id, "", before, after))
    async with school.database.writing() as session:
        await change_roles(session, other, person_id, after, proof, school.clock.now())
    await agree_to_roles(school, person_id)


async def agree_to_roles(school: Running, person_id: str, by: str = "") -> None:
    """Somebody else with power agrees to whatever waits for this person. `by`: who, by name."""
    async with school.database.reading() as session:
        waiting = [one for one in await power.waiting(session, (await _anybody(school)).school_id) if one.person_id == person_id]
    for one in waiting:
        seconds = [school.person(role) for role in ("dsl", "senior_leader", "headteacher")]
        second = await named(school, by) if by else await actor(
            school, next(each for each in seconds if each not in (person_id, one.asked_by_id)))
        async with school.database.reading() as session:
            action = await power.agreeing(session, second, one.id)
        proof = await proved(school, second, action)
        async with school.database.writing() as session:
            await power.agree(session, second, one.id, proof=proof, now=school.clock.now())


async def _anybody(school: Running) -> Actor:
    return await actor(school, school.person("office"))
