"""Reading consents: SQL in, frozen dataclasses out, always within one school.

`permissions` is what lessons ask before a child is admitted. It answers no for whoever it does not know.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import rules, standing
from consent.family import declared as declared
from consent.family import for_family as for_family
from consent.rules import Purpose, Status
from consent.tables import ConsentResponse, RecordingObjection
from consent.told import is_public_task as is_public_task
from consent.told import response_of as response_of
from consent.told import responsibility as responsibility
from consent.told import terms, told
from service.foundation.errors import NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.people.profile import Profile
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
    version: int = 1
    language: str = "en"
    listener: str = ""
    reason: str = ""
    counts_from: datetime | None = None


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


@dataclass(frozen=True)
class Objecting:
    """A child about whose recording somebody has to decide; `adults`: its family, which does not."""

    child_id: str
    child: str
    received_at: datetime
    adults: frozenset[str]


async def permissions(
    session: AsyncSession, school_id: str, child_ids: Iterable[str], rules_at: datetime | None = None,
    purposes: Collection[Purpose] = rules.IN_LESSONS,
) -> dict[str, frozenset[str]]:
    """What each child may do in lessons now, as names of `rules.Purpose`. A child of another school may do nothing.

    `rules_at`: the moment whose school rules say why lessons may be recorded; the answers themselves are always today's.
    `purposes`: which are looked at; the room asks for those of lessons.

    policy: CO2, RL4
    """
    wanted = list(child_ids)
    profile = await people.profile(session, school_id, rules_at)
    family = await _families(session, school_id, wanted, profile, purposes)
    upheld: frozenset[str] = frozenset()
    if task := is_public_task(profile):
        upheld = frozenset((await session.exec(_UPHELD, params={"school": school_id})).all())
    return {
        child: rules.held(said, public_task=task, objection_upheld=child in upheld) if said else frozenset()
        for child, said in family.items()
    }


_UPHELD = select(RecordingObjection.child_id).where(
    RecordingObjection.school_id == bindparam("school"), col(RecordingObjection.upheld).is_(True))


async def is_asked(session: AsyncSession, pupil: Actor) -> bool:
    """Whether a pupil is asked themself: from the age that the school chose, and alone from 18."""
    return pupil.person_id in (await responsibility(session, pupil.school_id, [pupil.person_id]))[pupil.person_id]


async def statuses(session: AsyncSession, school_id: str, child_ids: Iterable[str]) -> dict[str, dict[Purpose, Status]]:
    """What each child's family says about each purpose now."""
    wanted = list(child_ids)
    found = await _families(session, school_id, wanted, await people.profile(session, school_id), rules.PURPOSES)
    return {child: said or dict.fromkeys(rules.PURPOSES, Status.NO_RESPONSE) for child, said in found.items()}


async def asked(session: AsyncSession, school_id: str) -> tuple[Purpose, ...]:
    """What this school asks families at all (`rules.are_asked`)."""
    return rules.are_asked(public_task=is_public_task(await people.profile(session, school_id)))


async def _families(session: AsyncSession, school_id: str, children: list[str], profile: Profile,
                    purposes: Collection[Purpose]) -> dict[str, dict[Purpose, Status]]:
    """The statuses of each of these; nothing at all for who is no child of this school."""
    found = await told(session, school_id, children, profile, purposes)
    at = terms(session, profile)
    return {
        child: standing.statuses(found[child].responses, found[child].responsible, at, found[child].closed, purposes)
        if child in found else {}
        for child in children
    }


async def classes(session: AsyncSession, school_id: str, group_id: str = "") -> list[ClassView]:
    """Every class of the school (or one), with what the families of its pupils say to what they are asked."""
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
    said, purposes = await statuses(session, school_id, {row.id for _, row in here}), await asked(session, school_id)
    views = {group.id: ClassView(group.id, group.name) for group in groups}
    for group_of, row in sorted(here, key=lambda pair: sort_key(people.view_of(pair[1], frozenset()).full_name)):
        child = ChildView(row.id, people.view_of(row, frozenset()).full_name,
                          {purpose: said[row.id][purpose] for purpose in purposes})
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
    words = (await responsibility(session, school_id, [child_id]))[child_id]
    found = [replace(one, responsible=words.get(one.id, standing.NONE)) for one in found]
    if child_id in words:
        found.append(RespondentView(child_id, names[child_id].full_name, "the pupil", words[child_id]))
    return found


async def history(session: AsyncSession, school_id: str, child_id: str) -> list[ResponseView]:
    """Every answer ever written down for a child, newest first, those entered in error with the reason."""
    rows = (await session.exec(select(ConsentResponse).where(
        ConsentResponse.school_id == school_id, ConsentResponse.child_id == child_id
    ).order_by(col(ConsentResponse.recorded_at).desc()))).all()
    names = await people.people(session, school_id, {
        who for row in rows for who in (row.respondent_id, row.recorded_by, row.second_listener)})
    wrong = {row.corrects_id: row.reason for row in rows if row.corrects_id}
    return [
        ResponseView(
            row.id, Purpose(row.purpose), rules.Answer(row.answer), _name(names, row.respondent_id), row.relationship,
            rules.Route(row.route), row.signed_on, row.recorded_at, _name(names, row.recorded_by), wrong.get(row.id, ""),
            row.document_version, row.language, _name(names, row.second_listener) if row.second_listener else "", row.reason,
            row.counts_from,
        )
        for row in rows if row.answer != rules.Answer.ENTERED_IN_ERROR
    ]


def _name(names: Mapping[str, people.PersonView], person_id: str) -> str:
    return names[person_id].name if person_id in names else "Chaperone"


async def adults(session: AsyncSession, child_id: str) -> frozenset[str]:
    """Every adult of a child, however they stand to it."""
    return frozenset((await session.exec(select(Guardianship.guardian_id).where(Guardianship.child_id == child_id))).all())


async def objections_waiting(session: AsyncSession, school_id: str) -> list[Objecting]:
    """The objections that nobody has decided, the oldest first: until then these children are recorded."""
    rows = (await session.exec(select(RecordingObjection).where(
        RecordingObjection.school_id == school_id, col(RecordingObjection.decided_at).is_(None),
    ).order_by(col(RecordingObjection.received_at)))).all()
    named = await people.people(session, school_id, {row.child_id for row in rows})
    return [Objecting(row.child_id, named[row.child_id].full_name, row.received_at, await adults(session, row.child_id))
            for row in rows if row.child_id in named]


async def child_of_objection(session: AsyncSession, school_id: str, objection_id: str) -> str:
    """Whose recording it is about. Raises NotFound."""
    row = await session.get(RecordingObjection, objection_id)
    if row is None or row.school_id != school_id:
        raise NotFound()
    return row.child_id


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
