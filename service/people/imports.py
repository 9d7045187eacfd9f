"""Saving a roster file: nothing half-imported, and no long transaction that a live lesson would wait for.

New people are written first, a few at a time, as people who are not here yet: every query takes them for leavers, so nobody
sees them. Then one short transaction lets them in, together with everything that changes about people who were there. If
anything fails before it, the rows that nobody saw are removed. docs/decisions holds the measurement.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import bindparam
from sqlmodel import SQLModel, col, delete, insert, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, NotFound
from service.foundation.events import Actor
from service.people import contacts, factors, guardianships, numbers, registers, roster, roster_plan, rules, sessions
from service.people.events import PeopleStaged, RosterChecked, RosterImported
from service.people.hashing import Pepper
from service.people.tables import (
    Badge,
    DbsCheck,
    GroupMember,
    Guardianship,
    Person,
    PersonRole,
    RosterImport,
    School,
    SignIn,
    TeachingGroup,
    Telephone,
)
from service.people.telephones import Sealed

BATCH = 150
KEPT = timedelta(days=1)
T = TypeVar("T")


class Outdated(Conflict):
    """People were changed since this file was checked. Check it again."""

    code = "outdated-import"


@dataclass(frozen=True)
class Ids:
    """The ids that the file's names stand for: which people are new, everybody by the school's own id, classes by name."""

    new: frozenset[str]
    people: dict[str, str]
    groups: dict[str, str]


async def check(state: Any, actor: Actor, raw: bytes, *, is_whole: bool) -> str:
    """Read and check a file, and keep what was read until somebody saves it. Returns the import's id."""
    now = state.clock.now()
    seal = partial(_sealed, state.pepper, actor.school_id)
    sheet = await asyncio.to_thread(roster.read, raw, now.date(), seal)
    kept = await asyncio.to_thread(lambda: json.dumps(roster.to_plain(sheet), default=str))
    async with state.database.writing() as session:
        await session.exec(delete(RosterImport).where(
            col(RosterImport.school_id) == actor.school_id, col(RosterImport.made_at) < now - KEPT))
        school = await session.get_one(School, actor.school_id)
        row = RosterImport(school_id=actor.school_id, made_by=actor.person_id, made_at=now, roster_version=school.roster_version,
                           is_whole=is_whole, rows=kept)
        session.add(row)
        await publish(session, RosterChecked(row.id, len(sheet.records), len(sheet.problems)), actor)
    return row.id


def _sealed(pepper: Pepper, school_id: str, external_id: str, text: str) -> Sealed | None:
    return numbers.sealed(pepper, school_id, _waiting(external_id), text)


def _waiting(external_id: str) -> str:
    """Whose a number is while its owner may have no id here yet."""
    return f"import {external_id}"


async def planned(state: Any, actor: Actor, import_id: str) -> tuple[RosterImport, roster.Sheet, roster_plan.Plan]:
    """A checked file, and what saving it would change of what is there now."""
    async with state.database.reading() as session:
        row = await session.get(RosterImport, import_id)
        if row is None or row.school_id != actor.school_id or not row.rows:
            raise NotFound()
        there = await snapshot(session, actor)
    sheet = await asyncio.to_thread(lambda: roster.from_plain(json.loads(row.rows)))
    return row, sheet, await asyncio.to_thread(roster_plan.plan, sheet, there, is_whole=row.is_whole)


async def save(state: Any, actor: Actor, import_id: str) -> roster_plan.Plan:
    """Make the checked file so. Raises Outdated when people changed since it was checked."""
    async with state.roster_turn:
        row, _sheet, plan = await planned(state, actor, import_id)
        if plan.stop:
            raise Conflict(plan.stop)
        people = {one.fields.external_id or "": new_id() for one in plan.new}
        async with _not_yet(state, actor.school_id):
            ids = await _stage(state, actor, row.id, plan, people)
            later = [one for one in plan.phones if one.external_id not in ids.new]
            phones = await _phones(state, actor.school_id, ids.people, later)
            async with state.database.writing() as session:
                await _let_in(session, actor, row, plan, ids)
                replaced = await _change_phones(session, actor.school_id, ids, later, phones)
                await contacts.changed(session, actor.school_id, dict.fromkeys(replaced, "") | plan.earlier_addresses,
                                       about=row.id, now=state.clock.now())
    return plan


@asynccontextmanager
async def _not_yet(state: Any, school_id: str) -> AsyncIterator[None]:
    """People who are not here yet are removed before and, when something fails, after."""
    await _forget_staged(state, school_id)
    try:
        yield
    except BaseException:
        await _forget_staged(state, school_id)
        raise


async def _forget_staged(state: Any, school_id: str) -> None:
    while True:
        async with state.database.writing() as session:
            staged = (await session.exec(select(Person.id).where(
                Person.school_id == school_id, Person.left_on == rules.NOT_YET).limit(BATCH))).all()
            if not staged:
                await session.exec(delete(TeachingGroup).where(
                    col(TeachingGroup.school_id) == school_id, col(TeachingGroup.archived_on) == rules.NOT_YET))
                return
            for table, column in ((Telephone, Telephone.owner_id), (Guardianship, Guardianship.child_id),
                                  (Guardianship, Guardianship.guardian_id), (GroupMember, GroupMember.person_id),
                                  (PersonRole, PersonRole.person_id), (Person, Person.id)):
                await session.exec(delete(table).where(col(column).in_(staged)))


async def _stage(state: Any, actor: Actor, import_id: str, plan: roster_plan.Plan, people: dict[str, str]) -> Ids:
    """Write the new people, with their classes and adults, where nobody sees them."""
    school_id = actor.school_id
    for batch in _batches(plan.new):
        ids = [people[one.fields.external_id or ""] for one in batch]
        async with state.database.writing() as session:
            await _insert(session, Person, [
                {"id": person_id, "school_id": school_id, "left_on": rules.NOT_YET, "version": 1, **one.fields.columns()}
                for person_id, one in zip(ids, batch, strict=True)])
            held = [{"person_id": person_id, "role": role, "school_id": school_id}
                    for person_id, one in zip(ids, batch, strict=True) for role in one.roles]
            await _insert(session, PersonRole, held)
            await publish(session, PeopleStaged(import_id, tuple(ids)), actor)
    known = await _known(state, school_id)
    groups = await _stage_classes(state, school_id, plan)
    for links in _batches([one for one in plan.new_links if one.child in people]):
        async with state.database.writing() as session:
            await _insert(session, Guardianship, [_link(school_id, known, one) for one in links])
    for joins in _batches([one for one in plan.joins if one[0] in people]):
        async with state.database.writing() as session:
            await _insert(session, GroupMember, [_member(school_id, known, groups, one) for one in joins])
    for phones in _batches(await _phones(state, school_id, known, [one for one in plan.phones if one.external_id in people])):
        async with state.database.writing() as session:
            await _insert(session, Telephone, phones)
    return Ids(frozenset(people), known, groups)


async def _phones(state: Any, school_id: str, known: dict[str, str],
                  phones: Sequence[roster_plan.NewPhone]) -> list[dict[str, Any]]:
    """Rows of the numbers that are new, each bound to whom it is of by now."""
    def row(one: roster_plan.NewPhone, phone: Sealed) -> dict[str, Any]:
        owner = known[one.external_id]
        bound = numbers.moved(state.pepper, school_id, phone, _waiting(one.external_id), owner)
        return {"id": new_id(), "school_id": school_id, "owner_id": owner, "kind": "family", "cipher": bound.cipher,
                "hash": bound.hash, "language": one.language, "noted_at": state.clock.now()}

    return await asyncio.to_thread(lambda: [row(one, one.phone) for one in phones if one.phone])


async def _known(state: Any, school_id: str) -> dict[str, str]:
    async with state.database.reading() as session:
        return dict((await session.exec(select(Person.external_id, Person.id).where(
            Person.school_id == school_id, col(Person.external_id).is_not(None)))).all())


async def _stage_classes(state: Any, school_id: str, plan: roster_plan.Plan) -> dict[str, str]:
    """Write the new classes as archived ones. Returns every class's id by its name."""
    async with state.database.writing() as session:
        session.add_all(TeachingGroup(school_id=school_id, name=name, key_stage=stage, archived_on=rules.NOT_YET)
                        for name, stage in plan.new_classes.items())
        await session.flush()
        return dict((await session.exec(
            select(TeachingGroup.name, TeachingGroup.id).where(TeachingGroup.school_id == school_id))).all())


def _member(school_id: str, known: dict[str, str], groups: dict[str, str], join: tuple[str, str, str]) -> dict[str, Any]:
    external_id, name, part = join
    return {"group_id": groups[name], "person_id": known[external_id], "school_id": school_id, "part": part}


def _link(school_id: str, known: dict[str, str], one: roster_plan.NewLink) -> dict[str, Any]:
    """A new place in a child's life. What the file does not say (a court order) is unknown, and unknown is not safe."""
    adult = one.guardian
    return {"id": new_id(), "school_id": school_id, "guardian_id": known[adult.external_id], "child_id": known[one.child],
            "relationship": adult.relationship, "contact_order": adult.contact_order,
            "parental_responsibility": adult.parental_responsibility, "court_order": "unknown", "lives_with": adult.lives_with,
            "do_not_contact": False}


async def _let_in(session: AsyncSession, actor: Actor, row: RosterImport, plan: roster_plan.Plan, ids: Ids) -> None:
    """The one moment at which the file becomes so."""
    now: datetime = session.info["clock"].now()
    school_id = actor.school_id
    turned = await session.exec(update(School).where(
        col(School.id) == school_id, col(School.roster_version) == row.roster_version
    ).values(roster_version=School.roster_version + 1))
    if turned.rowcount != 1:
        raise Outdated()
    await session.exec(update(Person).where(
        col(Person.school_id) == school_id, col(Person.left_on) == rules.NOT_YET).values(left_on=None))
    await session.exec(update(TeachingGroup).where(
        col(TeachingGroup.school_id) == school_id, col(TeachingGroup.archived_on) == rules.NOT_YET).values(archived_on=None))
    await _change(session, Person, plan.changed)
    await factors.came_back(session, actor, [one.id for one in plan.changed if "left_on" in {name for name, *_ in one.columns}])
    await _change(session, Guardianship, plan.changed_links)
    await guardianships.say_no_more(session, [change.id for change in plan.changed_links if change.is_careful], now)
    for person_id, name in plan.quits:
        await session.exec(delete(GroupMember).where(
            col(GroupMember.person_id) == person_id, col(GroupMember.group_id) == ids.groups[name]))
    await _insert(session, GroupMember, [
        _member(school_id, ids.people, ids.groups, one) for one in plan.joins if one[0] not in ids.new])
    await _insert(session, Guardianship, [
        _link(school_id, ids.people, one) for one in plan.new_links if one.child not in ids.new])
    session.add_all(DbsCheck(school_id=school_id, person_id=ids.people[external_id], certificate_number=number, checked_on=on,
                             recheck_on=rules.years_on(on, rules.RECHECK_YEARS), recorded_by=actor.person_id)
                    for external_id, number, on in plan.new_dbs)
    await _leavers(session, actor, [person_id for person_id, _ in plan.left], now)
    await session.exec(update(RosterImport).where(col(RosterImport.id) == row.id).values(saved_at=now, rows=""))
    changed = tuple(dict.fromkeys([*(change.id for change in plan.changed), *(
        ids.people[one.external_id] for one in plan.phones if one.external_id not in ids.new)]))
    await publish(session, RosterImported(row.id, len(plan.new), changed, tuple(one for one, _ in plan.left)), actor)


async def _change_phones(session: AsyncSession, school_id: str, ids: Ids, changes: Sequence[roster_plan.NewPhone],
                         rows: Sequence[dict[str, Any]]) -> list[str]:
    """A number takes the place of the one before; where only the language is another, the number stays. Returns who had one."""
    theirs = (col(Telephone.school_id) == school_id, col(Telephone.kind) == "family")
    replaced: list[str] = []
    for batch in _batches(rows):
        of_them = (*theirs, col(Telephone.owner_id).in_([row["owner_id"] for row in batch]))
        replaced += (await session.exec(select(Telephone.owner_id).where(*of_them))).all()
        await session.exec(delete(Telephone).where(*of_them))
    await _insert(session, Telephone, rows)
    for one in changes:
        if one.phone is None:
            await session.exec(update(Telephone).where(
                *theirs, col(Telephone.owner_id) == ids.people[one.external_id]).values(language=one.language))
    return replaced


async def _change(session: AsyncSession, table: type[SQLModel], changes: Sequence[roster_plan.Changed]) -> None:
    """Each row's new values: one statement for all rows in which the same columns change."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for change in changes:
        names = tuple(name for name, _now, _new in change.columns)
        alike.setdefault(names, []).append({"row_id": change.id, **{name: new for name, _now, new in change.columns}})
    rows = table.__table__  # type: ignore[attr-defined]
    for names, values in alike.items():
        statement = update(rows).where(rows.c.id == bindparam("row_id")).values({name: bindparam(name) for name in names})
        await (await session.connection()).execute(statement, values)


async def _leavers(session: AsyncSession, actor: Actor, left: Sequence[str], now: datetime) -> None:
    """Access ends at once: badges stop, and who is signed in is cut off."""
    for batch in _batches(left):
        await session.exec(update(Person).where(col(Person.id).in_(batch)).values(left_on=now.date()))
        await session.exec(update(Badge).where(
            col(Badge.person_id).in_(batch), col(Badge.revoked_at).is_(None)).values(revoked_at=now))
        here = (await session.exec(select(SignIn.person_id).where(
            col(SignIn.person_id).in_(batch), col(SignIn.ended_at).is_(None), SignIn.ends_at > now).distinct())).all()
        for person_id in here:
            await sessions.end_all(session, actor, person_id=person_id, why="left", now=now)


async def _insert(session: AsyncSession, table: type[SQLModel], rows: Sequence[dict[str, Any]]) -> None:
    """Many rows in one go, without an object for each."""
    if rows:
        await (await session.connection()).execute(insert(table), rows)


def _batches(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[at:at + BATCH] for at in range(0, len(rows), BATCH))


async def snapshot(session: AsyncSession, actor: Actor) -> roster_plan.Snapshot:
    """The school as a file that `actor` brings is compared with it."""
    school_id, today = actor.school_id, session.info["clock"].now().date()
    rows = (await session.exec(select(Person).where(Person.school_id == school_id))).all()
    external = {row.id: row.external_id for row in rows if row.external_id}
    classes = await registers.class_names(session, school_id)
    links: dict[str, dict[str, roster_plan.KnownLink]] = {}
    for link in (await session.exec(select(Guardianship).where(Guardianship.school_id == school_id))).all():
        if link.guardian_id in external:
            links.setdefault(link.child_id, {})[external[link.guardian_id]] = roster_plan.KnownLink(
                link.id, link.relationship, link.contact_order, link.parental_responsibility, link.lives_with,
                link.do_not_contact or link.court_order == "yes")
    numbers: dict[str, set[str]] = {}
    for person_id, number in (await session.exec(select(DbsCheck.person_id, DbsCheck.certificate_number).where(
            DbsCheck.school_id == school_id))).all():
        numbers.setdefault(person_id, set()).add(number)
    phones = {owner: (known, language) for owner, known, language in (await session.exec(
        select(Telephone.owner_id, Telephone.hash, Telephone.language).where(
            Telephone.school_id == school_id, Telephone.kind == "family"))).all()}
    powerful = set((await session.exec(select(PersonRole.person_id).where(
        PersonRole.school_id == school_id, col(PersonRole.role).not_in(rules.OFFICE_GIVES)))).all())
    people = {external[row.id]: roster_plan.Known(
        row.id, registers.fields_of(row), row.left_on is not None and row.left_on <= today, frozenset(classes.get(row.id, ())),
        frozenset(numbers.get(row.id, ())), links.get(row.id, {}), row.id in powerful,
        *phones.get(row.id, ("", "")),
    ) for row in rows if row.id in external and row.left_on != rules.NOT_YET}
    emails = {row.email: row.id for row in rows if row.email}
    groups = (await session.exec(select(TeachingGroup.name).where(TeachingGroup.school_id == school_id))).all()
    mine = await factors.let_in_alone(session, actor) | {actor.person_id}
    return roster_plan.Snapshot(people, emails, frozenset(groups), mine)


