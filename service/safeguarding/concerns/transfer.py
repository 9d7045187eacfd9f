"""The file that hands a concern to a case system: a ZIP of a chronology (CSV), a summary (HTML) and a record (JSON), with
SHA-256 sums, encrypted with age to one named receiver (policy: RC1, DE4). What is in it: `docs/concerns-export.md`. Pure but for
the cipher.
"""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from zoneinfo import ZoneInfo

import pyrage

from service.foundation.errors import Invalid
from service.safeguarding.chronology import KIND_WORDS, Entry, Kind
from service.safeguarding.concerns import rules

FORMAT = "chaperone-concern/1"
COLUMNS = (
    "concern", "happened_on", "happened_at", "entered_at", "entered_by", "number", "kind", "text", "child", "part", "person",
    "date", "agency", "reference", "corrects_or_settles",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Child:
    """What a case system needs to find the child: names, birthday, year and the id in the school's own system."""

    name: str
    born_on: date | None
    year_group: str
    school_system_id: str
    part: str


@dataclass(frozen=True)
class Seal:
    """Proof of the lesson's recording as it was sealed: whoever gets the recording can check that it is the same."""

    part: int
    outcome: str
    root: str


@dataclass(frozen=True)
class Contents:
    """Everything that leaves. `names`: of everybody whom an entry names, by id; `zone`: of its times."""

    school: str
    number: str
    zone: str
    raised_by: str
    raised_at: datetime
    happened_on: date
    happened_at: str
    place: str
    receiver: str
    organisation: str
    made_at: datetime
    made_by: str
    children: Mapping[str, Child]
    entries: Sequence[Entry]
    names: Mapping[str, str]
    seals: Sequence[Seal] = ()


def check_key(key: str) -> str:
    """The receiver's age public key, as it will be used; `Invalid` for anything else, a secret key above all."""
    if key.strip().upper().startswith("AGE-SECRET-KEY-"):
        raise Invalid(fields={"key": "This is a secret key. Ask for the public one, and tell them that they must make a new key"})
    try:
        return str(pyrage.x25519.Recipient.from_str(key.strip()))
    except pyrage.RecipientError as error:
        raise Invalid(fields={"key": "Enter the receiver's age public key. It begins with age1"}) from error


def file(contents: Contents, key: str) -> bytes:
    """The encrypted file."""
    return bytes(pyrage.encrypt(package(contents), [pyrage.x25519.Recipient.from_str(key)]))


def package(contents: Contents) -> bytes:
    """The ZIP inside. The same contents make the same bytes."""
    parts = {
        "README.txt": readme(contents), "chronology.csv": chronology(contents), "summary.html": summary(contents),
        "record.json": record(contents),
    }
    sums = "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in parts.items())
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**parts, "SHA256SUMS": sums}.items():
            info = zipfile.ZipInfo(name, contents.made_at.timetuple()[:6])
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            archive.writestr(info, text)
    return made.getvalue()


def readme(contents: Contents) -> str:
    return (
        f"{contents.number}: a concern from {contents.school}, for {contents.receiver}, {contents.organisation}.\n"
        f"Made {_moment(contents, contents.made_at)} by {contents.made_by}.\n\n"
        "chronology.csv  every entry, in the order of events; UTF-8, a comma between fields, a heading line\n"
        "summary.html    the same to read or print: attach it to the record in your case system\n"
        "record.json     the same for software\n"
        "SHA256SUMS      check with: sha256sum -c SHA256SUMS\n\n"
        "Attach these to the child's record in CPOMS, MyConcern or the system you use, and write its number back to the sender.\n"
    )


def chronology(contents: Contents) -> str:
    """Every entry as a line. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows(contents):
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return out.getvalue()


def rows(contents: Contents) -> list[dict[str, str]]:
    """Every entry with names for ids, in the order of events."""
    found = []
    numbers = {one.id: str(number) for number, one in enumerate(contents.entries, start=1)}
    for one in rules.in_order_of_events(contents.entries, contents.happened_on):
        assert one.at is not None
        child = contents.children.get(one.child_id)
        found.append({
            "concern": contents.number, "happened_on": contents.happened_on.isoformat(), "happened_at": contents.happened_at,
            "entered_at": one.at.astimezone(ZoneInfo(contents.zone)).isoformat(timespec="seconds"),
            "entered_by": contents.names.get(one.by, ""), "number": numbers[one.id], "kind": KIND_WORDS[one.kind],
            "text": rules.CATEGORIES.get(one.words, one.words) if one.kind is Kind.CATEGORY else one.words,
            "child": child.name if child else "", "part": rules.PART_WORDS[rules.Part(one.part)] if one.part else "",
            "person": contents.names.get(one.person_id, ""), "date": one.on.isoformat() if one.on else "",
            "agency": one.agency, "reference": one.reference, "corrects_or_settles": numbers.get(one.of_entry, ""),
        })
    return found


def record(contents: Contents) -> str:
    """The same for software."""
    return json.dumps({
        "format": FORMAT, "school": contents.school, "number": contents.number, "raised_by": contents.raised_by,
        "raised_at": contents.raised_at.isoformat(), "happened_on": contents.happened_on.isoformat(),
        "happened_at": contents.happened_at, "place": contents.place,
        "receiver": {"name": contents.receiver, "organisation": contents.organisation},
        "children": [
            {"name": one.name, "born_on": one.born_on.isoformat() if one.born_on else None, "year_group": one.year_group,
             "school_system_id": one.school_system_id, "part": one.part} for one in contents.children.values()
        ],
        "chronology": rows(contents),
        "recording_seals": [{"part": one.part, "outcome": one.outcome, "root": one.root} for one in contents.seals],
    }, ensure_ascii=False, indent=2) + "\n"


def summary(contents: Contents) -> str:
    """One page to read or print, without scripts or anything from elsewhere."""
    def lines(pairs: Sequence[tuple[str, str]]) -> str:
        return "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in pairs if value)

    facts = lines((
        ("School", contents.school), ("Concern", contents.number), ("Happened", f"{contents.happened_on} {contents.happened_at}"),
        ("Where", contents.place), ("Raised", f"{_moment(contents, contents.raised_at)} by {contents.raised_by}"),
        ("For", f"{contents.receiver}, {contents.organisation}"),
    ))
    children = lines([
        (one.name, ", ".join(part for part in (
            rules.PART_WORDS[rules.Part(one.part)], f"born {one.born_on}" if one.born_on else "",
            f"year {one.year_group}" if one.year_group else "", one.school_system_id) if part))
        for one in contents.children.values()
    ])
    told = "".join(
        "<tr>" + "".join(f"<td>{escape(value)}</td>" for value in (
            row["entered_at"], row["entered_by"], row["kind"],
            " · ".join(filter(None, (row[name] for name in ("child", "part", "text", "agency", "reference", "person", "date")))),
        )) + "</tr>"
        for row in rows(contents)
    )
    seals = lines([(f"Recording, part {one.part}", f"{one.outcome}, {one.root}") for one in contents.seals])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(contents.number)}</title><style>'
        "body{font:16px/1.5 Arial,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
        "table{border-collapse:collapse;width:100%}"
        "th,td{border:1px solid #b1b4b6;padding:.4em;text-align:left;vertical-align:top;white-space:pre-wrap}"
        f"</style></head><body><h1>{escape(contents.number)}</h1><table>{facts}</table><h2>Pupils</h2><table>{children}</table>"
        "<h2>Chronology</h2><table><tr><th>Written</th><th>By</th><th>What</th><th>Words</th></tr>"
        f"{told}</table>{f'<h2>Recording</h2><table>{seals}</table>' if seals else ''}</body></html>\n"
    )


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _moment(contents: Contents, at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(contents.zone)):%d %B %Y, %H:%M}"
