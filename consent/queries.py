"""Reading consents: SQL in, frozen dataclasses out, always within one school.

`permissions` is what lessons ask before a child is admitted. It answers no for whoever it does not know.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import rules
from consent.rules import Purpose, Status
from consent.tables import ConsentResponse, RecordingObjection
from service.foundation.errors import NotFound
from service.people import queries as people
from service.people.profile import RecordingBasis
from service.people.rules import sort_key
from service.people.tables import GroupMember, Guardianship, Person, TeachingGroup


@dataclass(frozen=True)
class RespondentView:
    """An adult who may be the one that signed: how they are related, and whether they may decide."""

    id: str
    name: str
    relationship: str
    responsible: str


@dataclass(frozen=True)
class ResponseView:
    """One line of a child's history. `in_error`: the words that struck it out."""

    id: str
    purpose: Purpose
    answer: rules.Answer
    respondent: str
    relationship: str
    route: rules.Route
    signed_on: date
    recorded_at: datetime
    recorded_by: str
    in_error: str = ""


@dataclass(frozen=True)
class ChildView:
    """One child in a list: what the family says about each purpose."""

    id: str
    name: str
    statuses: Mapping[Purpose, Status]

    @property
    def unanswered(self) -> list[Purpose]:
        return [purpose for purpose, status in self.statuses.items() if status is Status.NO_RESPONSE]


@dataclass(frozen=True)
class ClassView:
    id: str
    name: str
    children: list[ChildView] = field(default_factory=list)

    def count(self, purpose: Purpose, *wanted: Status) -> int:
        return sum(child.statuses[purpose] in wanted for child in self.children)


@dataclass(frozen=True)
class ObjectionView:
    id: str
    objector: str
    words: str
    received_at: datetime
    recorded_by: str
    upheld: bool | None
    reason: str
    decided_by: str
    decided_at: datetime | None


async def permissions(
    session: AsyncSession, school_id: str, child_ids: Iterable[str], rules_at: datetime | None = None
) -> dict[str, frozenset[str]]:
    """What each child may do in lessons now, as names of `rules.Purpose`. A child of another school may do nothing.

    `rules_at`: the moment whose school rules say why lessons may be recorded; the answers themselves are always today's.

    policy: CO2, RL4
    """
    wanted = list(child_ids)
    found = await statuses(session, school_id, wanted)
    basis = (await people.profile(session, school_id, rules_at)).recording_basis
    upheld = set((await session.exec(select(RecordingObjection.child_id).where(
        RecordingObjection.school_id == school_id, col(RecordingObjection.upheld).is_(True)
    ))).all())
    known = set((await session.exec(_KNOWN, params={"school": school_id, "children": wanted})).all())
    task = basis == RecordingBasis.PUBLIC_TASK
    return {
        child: rules.held(found[child], public_task=task, objection_upheld=child in upheld) if child in known else frozenset()
        for child in wanted
    }


_CHILDREN: Any = bindparam("children", expanding=True)
_RESPONSES: Any = select(  # type: ignore[call-overload]  # built once, and only what is asked of it: a class has hundreds
    ConsentResponse.id, ConsentResponse.child_id, ConsentResponse.purpose, ConsentResponse.answer,
    ConsentResponse.respondent_id, ConsentResponse.route, ConsentResponse.signed_on, ConsentResponse.recorded_at,
    ConsentResponse.corrects_id,
).where(ConsentResponse.school_id == bindparam("school"), col(ConsentResponse.child_id).in_(_CHILDREN))
_RESPONSIBLE = select(Guardianship.child_id, Guardianship.guardian_id, Guardianship.parental_responsibility).where(
    Guardianship.school_id == bindparam("school"), col(Guardianship.child_id).in_(_CHILDREN))
_BORN: Any = select(Person.id, col(Person.born_on)).where(col(Person.id).in_(_CHILDREN), col(Person.born_on).is_not(None))
_KNOWN = select(Person.id).where(
    Person.school_id == bindparam("school"), Person.kind == "child", col(Person.id).in_(_CHILDREN))


async def statuses(session: AsyncSession, school_id: str, child_ids: Iterable[str]) -> dict[str, dict[Purpose, Status]]:
    """What each child's family says about each purpose now."""
    wanted = list(child_ids)
    rows = (await session.exec(_RESPONSES, params={"school": school_id, "children": wanted})).all()
    by_child: dict[str, list[rules.Response]] = {child: [] for child in wanted}
    for row in rows:
        by_child[row.child_id].append(response_of(row))
    responsible = await responsibility(session, school_id, wanted)
    return {child: rules.statuses(by_child[child], responsible[child]) for child in wanted}


async def responsibility(session: AsyncSession, school_id: str, child_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """For each child, who has parental responsibility (`yes`, `no`, `unknown`); pupils of age answer for themselves."""
    children = list(child_ids)
    links = (await session.exec(_RESPONSIBLE, params={"school": school_id, "children": children})).all()
    found: dict[str, dict[str, str]] = {child: {} for child in children}
    for child, guardian, responsibility in links:
        found[child][guardian] = responsibility
    today = session.info["clock"].now().date()
    for child, born_on in (await session.exec(_BORN, params={"children": children})).all():
        if rules.age_on(born_on, today) >= rules.COMES_OF_AGE:
            found[child][child] = "yes"
    return found


def response_of(row: ConsentResponse | Any) -> rules.Response:
    """Of a row of the table, or of those of its columns that are asked for here."""
    return rules.Response(
        row.id, row.child_id, Purpose(row.purpose), rules.Answer(row.answer), row.respondent_id, rules.Route(row.route),
        row.signed_on, row.recorded_at, row.corrects_id,
    )


async def classes(session: AsyncSession, school_id: str, group_id: str = "") -> list[ClassView]:
    """Every class of the school (or one), with what the families of its pupils say."""
    groups = (await session.exec(select(TeachingGroup).where(
        TeachingGroup.school_id == school_id, col(TeachingGroup.archived_on).is_(None),
        *([TeachingGroup.id == group_id] if group_id else []),
    ))).all()
    today = session.info["clock"].now().date()
    rows = (await session.exec(
        select(GroupMember.group_id, Person).join(Person, col(Person.id) == GroupMember.person_id).where(
            GroupMember.school_id == school_id, GroupMember.part == "pupil", col(GroupMember.group_id).in_([g.id for g in groups])
        )
    )).all()
    here = [(group, row) for group, row in rows if people.is_here(row, today)]
    said = await statuses(session, school_id, {row.id for _, row in here})
    views = {group.id: ClassView(group.id, group.name) for group in groups}
    for group_of, row in sorted(here, key=lambda pair: sort_key(people.view_of(pair[1], frozenset()).full_name)):
        child = ChildView(row.id, people.view_of(row, frozenset()).full_name, said[row.id])
        views[group_of].children.append(child)
    return sorted(views.values(), key=lambda view: sort_key(view.name))


async def one_class(session: AsyncSession, school_id: str, group_id: str) -> ClassView:
    found = await classes(session, school_id, group_id)
    if not found or not group_id:
        raise NotFound()
    return found[0]


async def child(session: AsyncSession, school_id: str, child_id: str) -> people.PersonView:
    found = await people.person(session, school_id, child_id)
    if not found.is_child:
        raise NotFound()
    return found


async def class_of(session: AsyncSession, school_id: str, child_id: str) -> str:
    """A class the child is in, for going on to the next form; empty when in none."""
    found = (await session.exec(select(GroupMember.group_id).where(
        GroupMember.school_id == school_id, GroupMember.person_id == child_id, GroupMember.part == "pupil"
    ).order_by(col(GroupMember.group_id)))).first()
    return found or ""


async def respondents(session: AsyncSession, school_id: str, child_id: str) -> list[RespondentView]:
    """The adults of the family (and a pupil of age), first contact first: who can have signed a form."""
    links = (await session.exec(select(Guardianship).where(
        Guardianship.school_id == school_id, Guardianship.child_id == child_id
    ).order_by(col(Guardianship.contact_order)))).all()
    names = await people.people(session, school_id, [link.guardian_id for link in links] + [child_id])
    found = [RespondentView(link.guardian_id, names[link.guardian_id].name, link.relationship, link.parental_responsibility)
             for link in links if link.guardian_id in names]
    if (await responsibility(session, school_id, [child_id]))[child_id].get(child_id) == "yes":
        found.append(RespondentView(child_id, names[child_id].full_name, "the pupil", "yes"))
    return found


async def history(session: AsyncSession, school_id: str, child_id: str) -> list[ResponseView]:
    """Every answer ever written down for a child, newest first, those entered in error with the reason."""
    rows = (await session.exec(select(ConsentResponse).where(
        ConsentResponse.school_id == school_id, ConsentResponse.child_id == child_id
    ).order_by(col(ConsentResponse.recorded_at).desc()))).all()
    names = await people.people(session, school_id, {row.respondent_id for row in rows} | {row.recorded_by for row in rows})
    wrong = {row.corrects_id: row.reason for row in rows if row.corrects_id}
    return [
        ResponseView(
            row.id, Purpose(row.purpose), rules.Answer(row.answer), _name(names, row.respondent_id), row.relationship,
            rules.Route(row.route), row.signed_on, row.recorded_at, _name(names, row.recorded_by), wrong.get(row.id, ""),
        )
        for row in rows if row.answer != rules.Answer.ENTERED_IN_ERROR
    ]


def _name(names: Mapping[str, people.PersonView], person_id: str) -> str:
    return names[person_id].name if person_id in names else "Chaperone"


async def objections(session: AsyncSession, school_id: str, child_id: str) -> list[ObjectionView]:
    rows = (await session.exec(select(RecordingObjection).where(
        RecordingObjection.school_id == school_id, RecordingObjection.child_id == child_id
    ).order_by(col(RecordingObjection.received_at).desc()))).all()
    who = {person for row in rows for person in (row.objector_id, row.recorded_by, row.decided_by)}
    names = await people.people(session, school_id, who)
    return [
        ObjectionView(row.id, _name(names, row.objector_id), row.words, row.received_at, _name(names, row.recorded_by),
                      row.upheld, row.reason, _name(names, row.decided_by), row.decided_at)
        for row in rows
    ]
