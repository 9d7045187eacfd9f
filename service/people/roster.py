"""A roster file: what its rows say, and what is wrong with them. Pure: bytes in, a sheet of good rows and problems out.

A telephone number is sealed in the moment it is read, and in no message (policy: CM5). The columns: docs/people-csv.md.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from service.foundation.errors import Invalid
from service.foundation.events import Role
from service.people import rules, telephones
from service.people.telephones import Sealed

Seal = Callable[[str, str], Sealed | None]
"""The id of somebody in the school's own system, and what is written as their number; None where that can never be called."""
HOLDS_NO_NUMBER = "there is a telephone number in the column “{}”. Numbers belong under “guardian 1 phone”"
GUARDIAN = ("id", "title", "first name", "last name", "relationship", "email", "parental responsibility", "lives with", "phone",
            "language")
COLUMNS = (
    "type", "id", "title", "first name", "last name", "known as", "date of birth", "year", "classes", "email", "roles",
    "dbs number", "dbs date", *(f"guardian {number} {name}" for number in (1, 2) for name in GUARDIAN),
)
OTHER_NAMES = {
    "forename": "first name", "surname": "last name", "legal forename": "first name", "legal surname": "last name",
    "preferred forename": "known as", "dob": "date of birth", "year group": "year", "class": "classes", "e-mail": "email",
    "admission number": "id", "adno": "id", "role": "roles", "registration group": "classes", "reg": "classes",
}
ROLE_NAMES = {"teacher": Role.TEACHER, "teaching assistant": Role.SUPPORT, "support": Role.SUPPORT, "governor": Role.GOVERNOR}
MOST_ROWS = 5000
ANSWERS = {"yes": "yes", "y": "yes", "true": "yes", "t": "yes", "1": "yes",
           "no": "no", "n": "no", "false": "no", "f": "no", "0": "no", "": "unknown", "unknown": "unknown"}


class Unreadable(Invalid):
    """This file could not be read. Save it from your spreadsheet as “CSV UTF-8” and try again."""

    code = "unreadable-file"


@dataclass(frozen=True)
class Guardian:
    external_id: str
    title: str
    given_name: str
    family_name: str
    email: str
    relationship: str
    contact_order: int
    parental_responsibility: str
    lives_with: bool | None
    phone: Sealed | None = None
    language: str = ""


@dataclass(frozen=True)
class Record:
    """One good row: a pupil with their guardians, or a member of staff."""

    row: int
    kind: str
    external_id: str
    title: str
    given_name: str
    family_name: str
    preferred_name: str
    email: str
    born_on: date | None
    year_group: str
    classes: tuple[str, ...]
    roles: tuple[str, ...] = ()
    dbs_number: str = ""
    dbs_on: date | None = None
    guardians: tuple[Guardian, ...] = ()

    def person(self) -> rules.PersonFields:
        return rules.PersonFields(self.kind, self.given_name, self.family_name, self.title, self.preferred_name,
                                  self.email or None, self.born_on, self.year_group, self.external_id)


@dataclass(frozen=True)
class Problem:
    """What is wrong, in words; `row` as the spreadsheet counts, with the headings as row 1."""

    row: int
    words: str


@dataclass(frozen=True)
class Sheet:
    """What was read: the good rows, the problems that keep a row out, and remarks that do not."""

    records: tuple[Record, ...]
    problems: tuple[Problem, ...] = ()
    remarks: tuple[Problem, ...] = ()
    unused: tuple[str, ...] = ()


# -- reading ----------------------------------------------------------------------------------------------------------


def _refused(owner: str, text: str) -> None:
    """Without something to seal a number with none is read."""


def read(raw: bytes, today: date, seal: Seal = _refused) -> Sheet:
    """Every row of a file as spreadsheets save it: UTF-8 with or without its mark, Windows-1252; comma, semicolon or tab.

    `seal`: what becomes of a number; a sheet holds none that anybody could read.
    """
    rows = _rows(_text(raw))
    if not rows:
        raise Unreadable("This file is empty.")
    headings = [_heading(name) for name in rows[0]]
    twice = [name for name, times in Counter(name for name in headings if name in COLUMNS).items() if times > 1]
    missing = [name for name in ("id", "first name", "last name") if name not in headings]
    if twice or missing:
        raise Unreadable("; ".join([f"The column “{name}” is there twice" for name in twice]
                                   + [f"There is no column “{name}”" for name in missing]) + ". See the list of columns.")
    if len(rows) - 1 > MOST_ROWS:
        raise Unreadable(f"This file has more than {MOST_ROWS} rows. Split it.")
    return _sheet(headings, rows, today, seal)


def _sheet(headings: list[str], rows: list[list[str]], today: date, seal: Seal) -> Sheet:
    records: list[Record] = []
    problems: list[Problem] = []
    remarks: list[Problem] = []
    for number, cells in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in cells):
            given = {name: " ".join(cell.split()) for name, cell in zip(headings, cells, strict=False) if name in COLUMNS}
            strayed = [name for name, cell in given.items() if not name.endswith(" phone") and _is_number(cell)]
            record, wrong = _record(number, _Row({} if strayed else given), today, seal)
            wrong = [HOLDS_NO_NUMBER.format(name) for name in strayed] or wrong
            problems += [Problem(number, words) for words in wrong]
            if not wrong:
                records.append(record)
                remarks += [Problem(number, words) for words in _remarks(record)]
    good, clashes = _consistent(records)
    unused = tuple(dict.fromkeys(name for name in headings if name and name not in COLUMNS and not _is_number(name)))
    return Sheet(tuple(good), tuple(sorted((*problems, *clashes), key=lambda one: one.row)), tuple(remarks), unused)


def _is_number(cell: str) -> bool:
    """Whether a cell is a telephone number, wherever it strayed to: no message repeats it, and nothing keeps it (policy: CM5)."""
    found = telephones.read(cell) if cell.startswith(("0", "+", "(")) else None
    return found is not None and telephones.fit(found) is not telephones.Fit.NEVER


def _text(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            raise Unreadable()
        return text
    raise Unreadable()


def _rows(text: str) -> list[list[str]]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise Unreadable() from error


def _heading(name: str) -> str:
    plain = re.sub(r"[\s_]+", " ", name.strip().lower())
    return OTHER_NAMES.get(plain, plain)


class _Row:
    """The cells of one row by column; what is not there is empty."""

    def __init__(self, given: Mapping[str, str]):
        self.given = given

    def __getitem__(self, name: str) -> str:
        return self.given.get(name, "")


def _record(number: int, row: _Row, today: date, seal: Seal) -> tuple[Record, list[str]]:
    wrong: list[str] = []
    kind = {"pupil": "child", "": "child", "student": "child", "staff": "adult"}.get(row["type"].lower(), "")
    if not kind:
        wrong.append(f"“{row['type']}” is not Pupil or Staff")
    if not row["id"]:
        wrong.append("there is no id")
    record = Record(
        row=number, kind=kind or "child", external_id=row["id"], title=row["title"], given_name=row["first name"],
        family_name=row["last name"], preferred_name=row["known as"], email=row["email"].lower(),
        born_on=_day(row, "date of birth", wrong), year_group=_year(row["year"]), classes=_listed(row["classes"]),
        roles=_roles(kind, row, wrong), dbs_number=row["dbs number"].replace(" ", ""), dbs_on=_day(row, "dbs date", wrong),
        guardians=tuple(_guardian(row, at, wrong, seal) for at in (1, 2)
                        if any(row[f"guardian {at} {name}"] for name in GUARDIAN)),
    )
    wrong += rules.person_problems(record.person()).values()
    if record.dbs_number or record.dbs_on:
        wrong += rules.dbs_problems(record.dbs_number, record.dbs_on, today).values()
    if kind == "adult" and record.guardians:
        wrong.append("staff have no guardians")
    if record.kind == "child" and record.dbs_number:
        wrong.append("pupils have no DBS check")
    return record, wrong


def _day(row: _Row, column: str, wrong: list[str]) -> date | None:
    day = rules.read_day(row[column])
    if row[column] and day is None:
        wrong.append(f"{column} {row[column]} is not a date")
    return day


def _year(text: str) -> str:
    plain = re.sub(r"^(year|yr|y)\s*", "", text.lower()).upper()
    return {"RECEPTION": "R", "NURSERY": "N"}.get(plain, plain.lstrip("0") or plain)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip()[:60] for part in re.split(r"[;|]", text) if part.strip()))


def _roles(kind: str, row: _Row, wrong: list[str]) -> tuple[str, ...]:
    if kind != "adult":
        return (Role.PUPIL,)
    names = [name.lower() for name in _listed(row["roles"])]
    wrong += [f"the role “{name}” is given by a leader on the person's page, not by a file"
              for name in names if name not in ROLE_NAMES]
    return tuple(ROLE_NAMES[name] for name in names if name in ROLE_NAMES)


def _guardian(row: _Row, at: int, wrong: list[str], seal: Seal) -> Guardian:
    def cell(name: str) -> str:
        return row[f"guardian {at} {name}"]

    if not cell("id"):
        wrong.append(f"guardian {at} has no id")
    for name in ("parental responsibility", "lives with"):
        if cell(name).lower() not in ANSWERS:
            wrong.append(f"guardian {at}: “{cell(name)}” is not yes, no or unknown")
    adult = rules.PersonFields("adult", cell("first name"), cell("last name"), cell("title"), email=cell("email").lower() or None)
    wrong += [f"guardian {at}: {words[0].lower()}{words[1:]}" for words in rules.person_problems(adult).values()]
    phone = seal(cell("id"), cell("phone")) if cell("phone") else None
    if cell("phone") and phone is None:
        wrong.append(f"guardian {at}: the phone is not a number that can be called")
    lives = ANSWERS.get(cell("lives with").lower(), "unknown")
    return Guardian(cell("id"), cell("title"), cell("first name"), cell("last name"), cell("email").lower(),
                    cell("relationship").lower()[:40], at, ANSWERS.get(cell("parental responsibility").lower(), "unknown"),
                    None if lives == "unknown" else lives == "yes", phone, cell("language")[:40])


def _remarks(record: Record) -> Iterable[str]:
    if record.kind == "child" and not record.guardians:
        yield "no adult linked; nobody can give permission"
    if record.kind == "child" and record.born_on is None:
        yield "no date of birth; the kind of PIN is chosen by the year"
    if record.kind == "adult" and not record.email:
        yield "no e-mail address; they cannot sign in"


def _consistent(records: list[Record]) -> tuple[list[Record], list[Problem]]:
    """Rows that agree with those before them: one id is one person, and one address is one person's."""
    people: dict[str, int] = {}
    adults: dict[str, tuple[tuple[str, str], int]] = {}
    phones: dict[str, tuple[str, int]] = {}
    addresses: dict[str, tuple[str, int]] = {}
    good, problems = [], []
    for record in records:
        wrong = [*_clashes(record, people, adults, addresses), *_other_phones(record, phones)]
        problems += [Problem(record.row, words) for words in wrong]
        if not wrong:
            good.append(record)
            people[record.external_id] = record.row
            for guardian in record.guardians:
                adults.setdefault(guardian.external_id, ((guardian.given_name, guardian.family_name), record.row))
                if guardian.phone:
                    phones.setdefault(guardian.external_id, (guardian.phone.hash, record.row))
            for person_id, email in _addresses(record):
                addresses.setdefault(email, (person_id, record.row))
    return good, problems


def _addresses(record: Record) -> Iterable[tuple[str, str]]:
    named = [(record.external_id, record.email), *((one.external_id, one.email) for one in record.guardians)]
    return [(person_id, email) for person_id, email in named if email]


def _clashes(record: Record, people: Mapping[str, int], adults: Mapping[str, tuple[tuple[str, str], int]],
             addresses: Mapping[str, tuple[str, int]]) -> list[str]:
    wrong = []
    if record.external_id in people:
        wrong.append(f"the id {record.external_id} is in row {people[record.external_id]} too")
    for guardian in record.guardians:
        name, row = adults.get(guardian.external_id, ((guardian.given_name, guardian.family_name), 0))
        if name != (guardian.given_name, guardian.family_name):
            wrong.append(f"guardian {guardian.contact_order} has another name in row {row}")
        if guardian.external_id == record.external_id or guardian.external_id in people:
            wrong.append(f"guardian {guardian.contact_order} has the id of somebody who is a pupil or staff in this file")
    if len({guardian.external_id for guardian in record.guardians}) < len(record.guardians):
        wrong.append("both guardians have the same id")
    wrong += [f"the e-mail address of {person_id} belongs to somebody else in row {addresses[email][1]}"
              for person_id, email in _addresses(record) if addresses.get(email, (person_id, 0))[0] != person_id]
    return wrong


def _other_phones(record: Record, phones: Mapping[str, tuple[str, int]]) -> list[str]:
    """One adult has one number: which of two is right is the office's to say."""
    found = [(one, phones[one.external_id]) for one in record.guardians if one.phone and one.external_id in phones]
    return [f"guardian {one.contact_order} has another phone in row {row}" for one, (known, row) in found
            if one.phone and one.phone.hash != known]


def to_plain(sheet: Sheet) -> dict[str, Any]:
    return asdict(sheet)


def from_plain(plain: Mapping[str, Any]) -> Sheet:
    """A sheet that was kept as JSON between checking and saving."""
    records = tuple(Record(**{
        **given, "born_on": _iso(given["born_on"]), "dbs_on": _iso(given["dbs_on"]), "classes": tuple(given["classes"]),
        "roles": tuple(given["roles"]), "guardians": tuple(_kept(one) for one in given["guardians"]),
    }) for given in plain["records"])
    return Sheet(records, tuple(Problem(**one) for one in plain["problems"]), tuple(Problem(**one) for one in plain["remarks"]),
                 tuple(plain["unused"]))


def _kept(plain: Mapping[str, Any]) -> Guardian:
    return Guardian(**{**plain, "phone": Sealed(**plain["phone"]) if plain["phone"] else None})


def _iso(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
