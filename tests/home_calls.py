"""Calls in tests: a family with numbers, a school with one, and a way that the test moves."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
from sqlmodel import col, select

from service.calls import numbers
from service.calls.desk import Live
from service.calls.tables import Call
from service.foundation.audit import AuditLeaf
from service.people import queries
from service.people.tables import GroupMember, Guardianship, Person
from tests.fakes import FakeWay
from tests.school import Running

MUM, DAD, SCHOOL, OWN = "07700 900123", "07700 900124", "01632 960100", "07700 900777"


@dataclass
class Family:
    """A child whom Mr Hall teaches, with two parents who may both be called."""

    school: Running
    way: FakeWay
    child: str
    mum: str
    dad: str
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    async def as_(self, role: str, position: int = 0) -> httpx.AsyncClient:
        key = f"{role} {position}"
        if key not in self.clients:
            self.clients[key] = await self.school.signed_in(role, position)
        return self.clients[key]

    async def ask(self, role: str = "teacher", **more: str) -> httpx.Response:
        """The form “Call home”, sent."""
        client = await self.as_(role)
        return await client.post("/calls/new", data={"child": self.child, "adult": self.mum, "purpose": "welfare", **more})

    async def asked(self, role: str = "teacher", **more: str) -> str:
        answer = await self.ask(role, **more)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"].rpartition("/")[2]

    async def call(self, call_id: str) -> Call:
        async with self.school.database.reading() as session:
            row: Call = await session.get_one(Call, call_id)
            return row

    def live(self, call_id: str) -> Live:
        found: Live | None = self.school.app.state.desk.live(call_id)
        assert found is not None
        return found

    async def audited(self) -> list[str]:
        async with self.school.database.reading() as session:
            wanted = ("Call%", "PersonalPhone%", "OwnPhone%", "ContactShown")
            rows = await session.exec(select(AuditLeaf.kind).order_by(AuditLeaf.seq))
            return [kind for kind in rows.all() if any(kind.startswith(each.rstrip("%")) for each in wanted)]

    async def link(self, adult: str, **changes: object) -> None:
        """Change an adult's place in the child's life, behind the service's back: no event says so."""
        async with self.school.database.writing() as session:
            row = (await session.exec(select(Guardianship).where(
                Guardianship.child_id == self.child, Guardianship.guardian_id == adult))).one()
            for name, value in changes.items():
                setattr(row, name, value)

    async def becomes_family(self, role: str, child: str = "", **link: object) -> str:
        """Staff who are also an adult of a child: barred, unless `link` says otherwise. Returns the child."""
        async with self.school.database.writing() as session:
            person = await session.get_one(Person, self.school.person(role))
            session.add(Guardianship(**{  # type: ignore[arg-type]
                "school_id": person.school_id, "guardian_id": person.id, "child_id": child or self.child,
                "relationship": "father", "contact_order": 9, "court_order": "yes", "do_not_contact": True} | link))
        return child or self.child

    async def another_child(self) -> str:
        """A child of none of this family's adults."""
        async with self.school.database.reading() as session:
            own = select(Guardianship.child_id).where(col(Guardianship.guardian_id).in_([self.mum, self.dad]))
            return (await session.exec(select(Person.id).where(
                Person.kind == "child", col(Person.id).not_in(own)).order_by(Person.id))).first() or ""


async def family(school: Running, *, number: str = MUM, shown: str = SCHOOL) -> Family:
    """The demo school with numbers, and a way where it has none."""
    way = FakeWay()
    school.app.state.way = school.app.state.way or way
    hall, pepper, now = school.person("teacher"), school.app.state.pepper, school.clock.now()
    async with school.database.writing() as session:
        actor = await queries.actor(session, hall)
        assert actor is not None
        taught = select(GroupMember.group_id).where(GroupMember.person_id == hall, GroupMember.part == "teacher")
        pupils = select(GroupMember.person_id).where(col(GroupMember.group_id).in_(taught), GroupMember.part == "pupil")
        links = (await session.exec(select(Guardianship).where(col(Guardianship.child_id).in_(pupils)).order_by(
            Guardianship.child_id, Guardianship.contact_order))).all()
        child = next(one.child_id for one in links if one.contact_order == 2)
        mum, dad = (one.guardian_id for one in links if one.child_id == child)
        for owner, kind, given in ((mum, numbers.FAMILY, number), (dad, numbers.FAMILY, DAD),
                                   (actor.school_id, numbers.SCHOOL, shown)):
            await numbers.keep(session, pepper, actor.school_id, owner, kind, given, now)
    return Family(school, way, child, mum, dad)


async def name_of(school: Running, person_id: str) -> Person:
    async with school.database.reading() as session:
        row: Person = await session.get_one(Person, person_id)
        return row


async def until(true: Callable[[], bool] | Callable[[], Awaitable[bool]], seconds: float = 6.0) -> None:
    """Wait until something is so: looked at whenever the loop has turned."""
    async with asyncio.timeout(seconds):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)
