"""Who has answered what they were asked, as it is at this moment, and who is told again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import standing
from consent.requests import rules
from consent.requests.tables import ConsentReminder, ConsentRequest
from consent.rules import PURPOSES, Purpose, Status, are_asked
from consent.told import is_public_task, terms, told
from service.foundation.errors import NotFound
from service.people import queries as people
from service.people import rules as person_rules
from service.people.queries import flags_of
from service.people.tables import GroupMember, Guardianship, Person, TeachingGroup


@dataclass(frozen=True)
class FamilyLine:
    """One child of a request. `adults`: who could answer, by name and with no number; `tells`: those told by mail."""

    child_id: str
    name: str
    first_name: str
    class_name: str
    statuses: Mapping[Purpose, Status]
    open: tuple[Purpose, ...]
    call: rules.Call | None
    adults: tuple[str, ...]
    tells: frozenset[str]


@dataclass(frozen=True)
class RequestView:
    id: str
    group: str
    asked: rules.Asked
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    last_reminder: datetime | None
    families: tuple[FamilyLine, ...] = ()

    @property
    def answered(self) -> int:
        return sum(not family.open for family in self.families)

    @property
    def to_chase(self) -> list[FamilyLine]:
        return [family for family in self.families if family.open]

    @property
    def to_call(self) -> list[FamilyLine]:
        return [family for family in self.families if family.call]

    @property
    def tells(self) -> frozenset[str]:
        """Everybody who is told that a question waits: of the families that have not answered."""
        return frozenset[str]().union(*(family.tells for family in self.to_chase))

    @property
    def again_from(self) -> datetime | None:
        return rules.again_from(self.last_reminder)

    def counts(self, purpose: Purpose) -> list[int]:
        """Yes, said yes and it starts later, no, changed to no, needs a call, no answer: as the bars draw them."""
        shown = ((Status.GIVEN,), (Status.RESTS,), (Status.REFUSED,), (Status.WITHDRAWN,), (Status.CONFLICT,), tuple(rules.WAITS))
        return [sum(family.statuses[purpose] in wanted for family in self.families) for wanted in shown]


async def requests(session: AsyncSession, school_id: str) -> list[RequestView]:
    """Every request, the newest first, without its families."""
    rows = (await session.exec(select(ConsentRequest).where(ConsentRequest.school_id == school_id).order_by(
        col(ConsentRequest.asked_at).desc()))).all()
    groups = await _groups(session, school_id)
    names = await people.people(session, school_id, {row.asked_by for row in rows})
    reminded = await _reminded(session, [row.id for row in rows])
    return [_view(row, groups, names, reminded.get(row.id)) for row in rows]


async def request(session: AsyncSession, school_id: str, request_id: str, today: date) -> RequestView:
    """One request with every family it asks, and of what it asks what the school asks by now. Raises NotFound."""
    row = await session.get(ConsentRequest, request_id)
    if row is None or row.school_id != school_id:
        raise NotFound()
    groups = await _groups(session, school_id)
    names = await people.people(session, school_id, [row.asked_by])
    reminded = await _reminded(session, [row.id])
    lines = await families(session, school_id, row.group_id or "", _asked(row), today)
    view = _view(row, groups, names, reminded.get(row.id), lines)
    public_task = is_public_task(await people.profile(session, school_id))
    return replace(view, asked=view.asked.only(are_asked(public_task=public_task)))


async def families(session: AsyncSession, school_id: str, group_id: str, asked: rules.Asked,
                   today: date) -> tuple[FamilyLine, ...]:
    """Every child of a class (or of the school), with what their family has said to what is asked."""
    pupils = await _pupils(session, school_id, group_id, today)
    children = list(pupils)
    profile = await people.profile(session, school_id)
    said = await told(session, school_id, children, profile)
    at = terms(session, profile)
    asked = asked.only(are_asked(public_task=is_public_task(profile)))
    links = (await session.exec(select(Guardianship).where(
        Guardianship.school_id == school_id, col(Guardianship.child_id).in_(children)
    ).order_by(col(Guardianship.contact_order)))).all()
    names = await people.people(session, school_id, {link.guardian_id for link in links}, here_on=today)
    found = []
    for child, (row, class_name) in pupils.items():
        word = said[child].responsible
        statuses = standing.statuses(said[child].responses, word, at, said[child].closed)
        decide = [link for link in links if link.child_id == child and word.get(link.guardian_id) == standing.DECIDES
                  and link.guardian_id in names]
        tells = frozenset(link.guardian_id for link in decide if person_rules.may_be_told(flags_of(link)))
        found.append(FamilyLine(
            child, people.view_of(row, frozenset()).full_name, people.name_of(row), class_name, statuses, asked.open_of(statuses),
            asked.call(statuses, bool(tells), today), tuple(names[link.guardian_id].name for link in decide), tells))
    return tuple(sorted(found, key=lambda line: (person_rules.sort_key(line.class_name), person_rules.sort_key(line.name))))


async def _pupils(session: AsyncSession, school_id: str, group_id: str, today: date) -> dict[str, tuple[Person, str]]:
    rows = (await session.exec(
        select(Person, TeachingGroup.name).join(GroupMember, col(GroupMember.person_id) == Person.id)
        .join(TeachingGroup, col(TeachingGroup.id) == GroupMember.group_id).where(
            Person.school_id == school_id, Person.kind == "child", GroupMember.part == "pupil",
            col(TeachingGroup.archived_on).is_(None), *([GroupMember.group_id == group_id] if group_id else []),
        ).order_by(col(TeachingGroup.name)))).all()
    found: dict[str, tuple[Person, str]] = {}
    for person, name in rows:
        if people.is_here(person, today):
            found.setdefault(person.id, (person, name))
    return found


async def _groups(session: AsyncSession, school_id: str) -> dict[str, str]:
    rows = await session.exec(select(TeachingGroup.id, TeachingGroup.name).where(TeachingGroup.school_id == school_id))
    return dict(rows.all())


async def _reminded(session: AsyncSession, ids: list[str]) -> dict[str, datetime]:
    """When families were told last, by request."""
    rows = (await session.exec(select(ConsentReminder).where(col(ConsentReminder.request_id).in_(ids)).order_by(
        col(ConsentReminder.sent_at)))).all()
    return {row.request_id: row.sent_at for row in rows}


def _asked(row: ConsentRequest) -> rules.Asked:
    purposes = set(row.purposes.split())
    return rules.Asked(tuple(p for p in PURPOSES if p in purposes), row.asked_on, row.deadline, row.ended_at is not None)


def _view(row: ConsentRequest, groups: Mapping[str, str], names: Mapping[str, people.PersonView], reminded: datetime | None,
          lines: tuple[FamilyLine, ...] = ()) -> RequestView:
    group = groups.get(row.group_id or "", "") if row.group_id else "The whole school"
    asker = names[row.asked_by].name if row.asked_by in names else "Somebody"
    return RequestView(row.id, group, _asked(row), asker, row.asked_at, row.ended_at, reminded, lines)


@dataclass(frozen=True)
class Due:
    """People who are told that a question waits: `about` and `occasion` make it one mail for each."""

    people: frozenset[str]
    about: str
    occasion: str


async def due(session: AsyncSession, school_id: str, today: date) -> list[Due]:
    """Everybody who is told something today: families that have not answered on day 0, 3 and 7, and whoever gave a yes that
    ends in 30 or in 7 days. What is no longer so is not said again."""
    found = []
    for view in await requests(session, school_id):
        day = view.asked.told_now(today)
        if day is not None and (whole := await request(session, school_id, view.id, today)).tells:
            found.append(Due(whole.tells, view.id, f"day {day}"))
    return found + await _renewals(session, school_id, today)


async def _renewals(session: AsyncSession, school_id: str, today: date) -> list[Due]:
    """One mail for one person and day, however many children and permissions it is about."""
    children = list(await _pupils(session, school_id, "", today))
    profile = await people.profile(session, school_id)
    at = terms(session, profile)
    links = (await session.exec(select(Guardianship).where(
        Guardianship.school_id == school_id, col(Guardianship.child_id).in_(children)))).all()
    may = {(link.child_id, link.guardian_id) for link in links if person_rules.may_be_told(flags_of(link))}
    tell: set[tuple[str, str]] = set()
    for child, said in (await told(session, school_id, children, profile)).items():
        for purpose in are_asked(public_task=is_public_task(profile)):
            asked = [r for r in said.responses if r.purpose is purpose]
            renewed = standing.resting(asked, at.now)
            own = standing.latest(asked, at.now)
            for who, response in own.items():
                if who in renewed:
                    continue
                days = rules.renewal_day(at.ends_on(response), today)
                if days and (child, who) in may and at.stands(response, today):
                    tell.add((who, f"renewal {days} {at.ends_on(response)}"))
    return [Due(frozenset({who}), who, occasion) for who, occasion in sorted(tell)]
