"""What saving a roster file would change. Pure: a sheet and what is there in, a plan out.

The file is compared with what is there by the ids of the school's own system. Nothing here removes protection: court orders
and “do not contact” are not in the file at all, and parental responsibility is only ever lessened by it (policy: CM1).
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any

from service.foundation.events import Role
from service.people import roster, rules
from service.people.telephones import Sealed

TO_AGREE = "who has parental responsibility. Not changed: do it on the adult's page, where a second person agrees"
NOT_ONES_OWN = "has a DBS check of yours, or of somebody whom only you let in. Not recorded: another person does it"
LEAVERS_STOP = 10  # per cent: more at once is more likely a wrong file than a school that lost a tenth of its children


@dataclass(frozen=True)
class KnownLink:
    id: str
    relationship: str
    contact_order: int
    parental_responsibility: str
    lives_with: bool | None
    is_flagged: bool


@dataclass(frozen=True)
class Known:
    """Somebody who is there, as far as a file could change it."""

    id: str
    fields: rules.PersonFields
    has_left: bool
    classes: frozenset[str]
    dbs_numbers: frozenset[str]
    links: Mapping[str, KnownLink]  # by the id of the adult in the school's own system
    has_power: bool = False
    """Holds a role that the office cannot give."""
    phone: str = ""
    """The keyed hash of their number; whose it is nobody can read from it."""
    language: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The school's people by their ids in its own system, who has which address, and the names of its classes. `not_ones_own`:
    whose DBS check is for somebody else to record than who brought the file."""

    people: Mapping[str, Known]
    emails: Mapping[str, str]  # address to person id
    classes: frozenset[str]
    not_ones_own: frozenset[str] = frozenset()


@dataclass(frozen=True)
class NewPerson:
    fields: rules.PersonFields
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Changed:
    """The columns that change of one person, or of one adult's place in a child's life: (name, now, new)."""

    id: str
    name: str
    columns: tuple[tuple[str, Any, Any], ...]

    @property
    def is_careful(self) -> bool:
        """Whether it is about what protects a child."""
        return any(name in rules.CAREFUL for name, _now, _new in self.columns)


@dataclass(frozen=True)
class NewLink:
    child: str
    guardian: roster.Guardian


@dataclass(frozen=True)
class NewPhone:
    """Somebody's number, new or another one, or only the language to speak in. `phone`: still bound to the school's own id."""

    external_id: str
    phone: Sealed | None
    language: str


@dataclass
class Plan:
    """What saving would do. People are named by their ids in the school's system, so that new ones can be."""

    new: list[NewPerson] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)  # (person id, name)
    new_classes: dict[str, int] = field(default_factory=dict)  # name to key stage
    joins: list[tuple[str, str, str]] = field(default_factory=list)  # (external id, class, part)
    quits: list[tuple[str, str]] = field(default_factory=list)  # (person id, class)
    new_links: list[NewLink] = field(default_factory=list)
    changed_links: list[Changed] = field(default_factory=list)
    new_dbs: list[tuple[str, str, date]] = field(default_factory=list)
    phones: list[NewPhone] = field(default_factory=list)
    problems: list[roster.Problem] = field(default_factory=list)
    kept_flags: int = 0
    unchanged: int = 0
    rows: int = 0
    stop: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.new or self.changed or self.left or self.joins or self.quits or self.new_links or self.changed_links
                    or self.new_dbs or self.phones)

    @property
    def earlier_addresses(self) -> dict[str, str]:
        """By person id, the e-mail addresses that are replaced; one where there was none replaces nothing."""
        return {change.id: now for change in self.changed for name, now, _new in change.columns if name == "email" and now}


def plan(sheet: roster.Sheet, there: Snapshot, *, is_whole: bool) -> Plan:
    """What saving `sheet` changes. `is_whole`: people of its kinds who are not in it have left."""
    made = Plan(problems=list(sheet.problems))
    seen_guardians: set[str] = set()
    for record in sheet.records:
        wrong = _misfits(record, there)
        if wrong:
            made.problems += [roster.Problem(record.row, words) for words in wrong]
            continue
        made.rows += 1
        before = _size(made)
        _plan_person(made, record.person(), record.roles, there)
        _plan_classes(made, record, there)
        for guardian in record.guardians:
            _plan_guardian(made, record, guardian, there, seen_guardians)
        known = _known(there, record.external_id)
        if record.dbs_number and record.dbs_number not in known.dbs_numbers and record.dbs_on:
            if known.id in there.not_ones_own:
                made.problems.append(roster.Problem(record.row, NOT_ONES_OWN))
            else:
                made.new_dbs.append((record.external_id, record.dbs_number, record.dbs_on))
        made.unchanged += _size(made) == before
    if is_whole:
        _plan_leavers(made, sheet, there)
    made.problems.sort(key=lambda one: one.row)
    return made


def _size(made: Plan) -> int:
    return sum(len(getattr(made, one.name)) for one in fields(made) if isinstance(getattr(made, one.name), (list, dict)))


NOBODY = Known("", rules.PersonFields("", ""), False, frozenset(), frozenset(), {})


def _known(there: Snapshot, external_id: str) -> Known:
    return there.people.get(external_id, NOBODY)


def _misfits(record: roster.Record, there: Snapshot) -> Iterable[str]:
    """What does not fit what is there already."""
    wrong = []
    named = [(record.external_id, record.email, record.kind)]
    for external_id, email, kind in named + [(one.external_id, one.email, "adult") for one in record.guardians]:
        known = _known(there, external_id)
        if known.id and known.fields.kind != kind:
            wrong.append(f"the id {external_id} is {'a child' if known.fields.kind == 'child' else 'an adult'} here")
        if known.has_left and known.has_power:
            wrong.append(f"the id {external_id} has left. A leader brings them back on their page")
        if email and there.emails.get(email, known.id) != known.id:
            wrong.append(f"the e-mail address of {external_id} belongs to somebody else here")
    return wrong


def _plan_person(made: Plan, given: rules.PersonFields, roles: tuple[str, ...], there: Snapshot) -> None:
    known = there.people.get(given.external_id or "")
    if known is None:
        made.new.append(NewPerson(given, roles))
        return
    columns = tuple((name, getattr(known.fields, name), value) for name, value in given.columns().items()
                    if value not in (None, "") and getattr(known.fields, name) != value)
    if known.has_left:
        columns += (("left_on", "left", None),)
    if columns:
        made.changed.append(Changed(known.id, f"{given.given_name} {given.family_name}".strip(), columns))


def _plan_classes(made: Plan, record: roster.Record, there: Snapshot) -> None:
    known = _known(there, record.external_id)
    part = "pupil" if record.kind == "child" else "teacher"
    for name in record.classes:
        if name not in there.classes:
            made.new_classes.setdefault(name, key_stage(record.year_group))
        if name not in known.classes:
            made.joins.append((record.external_id, name, part))
    if record.classes and known.id:
        made.quits += [(known.id, name) for name in sorted(known.classes - set(record.classes))]


def key_stage(year_group: str) -> int:
    """The stage a new class of this year is given; the office changes it where a class is mixed."""
    year = int(year_group) if year_group.isdigit() else 0
    return next((stage for stage, last in enumerate((0, 2, 6, 9, 11)) if year <= last), 5)


def _plan_guardian(made: Plan, record: roster.Record, guardian: roster.Guardian, there: Snapshot, seen: set[str]) -> None:
    if guardian.external_id not in seen:
        seen.add(guardian.external_id)
        _plan_person(made, rules.PersonFields(
            "adult", guardian.given_name, guardian.family_name, guardian.title, email=guardian.email or None,
            external_id=guardian.external_id), (Role.PARENT,), there)
    _plan_phone(made, guardian, _known(there, guardian.external_id))
    link = _known(there, record.external_id).links.get(guardian.external_id)
    if link is None:
        if record.external_id in there.people and guardian.parental_responsibility == "yes":
            made.problems.append(roster.Problem(record.row, f"adds an adult to a pupil who is here already, and {TO_AGREE}"))
            guardian = replace(guardian, parental_responsibility="unknown")
        made.new_links.append(NewLink(record.external_id, guardian))
        return
    made.kept_flags += link.is_flagged
    columns = [(name, getattr(link, name), getattr(guardian, name)) for name in ("relationship", "contact_order", "lives_with")
               if getattr(guardian, name) not in (None, "") and getattr(link, name) != getattr(guardian, name)]
    now, new = link.parental_responsibility, guardian.parental_responsibility
    if rules.lessens(rules.Flags(now), rules.Flags(new)):
        made.problems.append(roster.Problem(record.row, f"changes {TO_AGREE}"))
    elif now != new and new != "unknown":
        columns.append(("parental_responsibility", now, new))
    if columns:
        made.changed_links.append(Changed(link.id, f"{guardian.given_name} {guardian.family_name}", tuple(columns)))


def _plan_phone(made: Plan, guardian: roster.Guardian, known: Known) -> None:
    """An empty cell changes nothing, and a number that is there already is not written again."""
    if guardian.external_id in {one.external_id for one in made.phones}:
        return
    phone = guardian.phone if guardian.phone and guardian.phone.hash != known.phone else None
    has_number = bool(guardian.phone or known.phone)
    language = guardian.language if guardian.language != known.language and has_number else ""
    if phone or language:
        made.phones.append(NewPhone(guardian.external_id, phone, language or known.language))


def _plan_leavers(made: Plan, sheet: roster.Sheet, there: Snapshot) -> None:
    """Who is not in the file has left; a row with an error keeps its person. Too many at once stop the whole file."""
    kinds = {record.kind for record in sheet.records}
    named = {record.external_id for record in sheet.records}
    named |= {one.external_id for record in sheet.records for one in record.guardians}
    here = {external_id: known for external_id, known in there.people.items()
            if known.fields.kind in kinds and not known.has_left and not _only_guardian(external_id, there)}
    wrong_rows = len({one.row for one in made.problems})
    left = [known for external_id, known in here.items() if external_id not in named]
    made.left = [(known.id, f"{known.fields.given_name} {known.fields.family_name}".strip()) for known in left]
    if left and len(left) * 100 > LEAVERS_STOP * len(here):
        made.stop = (f"{len(left)} of {len(here)} people are not in this file. That is more than {LEAVERS_STOP} in a hundred, so "
                     "nothing can be saved. Check that it is the right file, or say that it does not hold everybody.")
    elif left and wrong_rows:
        made.left = []
        made.stop = ""
        made.problems.append(roster.Problem(0, f"{len(left)} people are not in this file. They stay until every row can be read"))


def _only_guardian(external_id: str, there: Snapshot) -> bool:
    return any(external_id in known.links for known in there.people.values())


# -- telling ----------------------------------------------------------------------------------------------------------

COLUMN_WORDS = {
    "given_name": "First name", "family_name": "Last name", "preferred_name": "Known as", "title": "Title",
    "email": "E-mail address", "born_on": "Date of birth", "year_group": "Year", "external_id": "Id", "kind": "Kind",
    "left_on": "Here", "relationship": "Relationship", "contact_order": "Order", "lives_with": "Lives with",
    "parental_responsibility": "Parental responsibility",
}


def in_words(column: str, value: Any) -> str:
    """A value as the preview shows it. Addresses are never shown."""
    if column == "email":
        return "(not shown)" if value else "–"
    if column == "left_on":
        return "Has left" if value else "Is here"
    if isinstance(value, date):
        return f"{value:%d/%m/%Y}"
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return "–" if value in (None, "") else str(value)


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def problems_csv(problems: Iterable[roster.Problem]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("Row", "What is wrong"))
    writer.writerows((one.row or "", safe_cell(one.words)) for one in problems)
    return "﻿" + out.getvalue()
