"""What a chronology is: entries that are only ever added, and what stands by them. Pure. policy: RC1, IN1.

Concerns and incidents are told in one; each says in its own rules which kinds it has and what they need.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from service.foundation.errors import Conflict

LONGEST = 8000
DIGITS = 4


class Kind(StrEnum):
    """What an entry of the chronology is."""

    SAID = "said"
    DONE = "done"
    NOTE = "note"
    CORRECTION = "correction"
    CATEGORY = "category"
    CHILD = "child"
    ACTION = "action"
    ACTION_DONE = "action-done"
    REFERRAL = "referral"
    CASE_NUMBER = "case-number"
    PARENTS_TOLD = "parents-told"
    PARENTS_NOT_TOLD = "parents-not-told"
    AUTHORITY = "authority"
    WATCHER = "watcher"
    MOVED = "moved"
    CLOSED = "closed"
    REOPENED = "reopened"
    EXPORTED = "exported"
    SANCTION = "sanction"
    ESCALATED = "escalated"
    CONCERN = "concern"


KIND_WORDS = {
    Kind.SAID: "Seen or heard", Kind.DONE: "Done at the time", Kind.NOTE: "Note", Kind.CORRECTION: "Correction",
    Kind.CATEGORY: "Category", Kind.CHILD: "Pupil", Kind.ACTION: "To do", Kind.ACTION_DONE: "Done",
    Kind.REFERRAL: "Referral", Kind.CASE_NUMBER: "Case system number", Kind.PARENTS_TOLD: "Parents told",
    Kind.PARENTS_NOT_TOLD: "Parents not told", Kind.AUTHORITY: "Local authority contacted",
    Kind.WATCHER: "May watch the recording", Kind.MOVED: "Moved", Kind.CLOSED: "Closed", Kind.REOPENED: "Opened again",
    Kind.EXPORTED: "File made", Kind.SANCTION: "Sanction", Kind.ESCALATED: "Escalated", Kind.CONCERN: "Concern recorded",
}


@dataclass(frozen=True)
class Entry:
    """One entry, as it is added or as it stands. `on`: when it happened or is due; `of_entry`: what it corrects or settles."""

    kind: Kind
    words: str = ""
    child_id: str = ""
    part: str = ""
    person_id: str = ""
    on: date | None = None
    agency: str = ""
    reference: str = ""
    of_entry: str = ""
    id: str = ""
    by: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Standing:
    """What holds now, from the chronology."""

    categories: tuple[str, ...]
    children: Mapping[str, str]
    to_do: tuple[Entry, ...]
    done: Mapping[str, Entry]
    corrected: Mapping[str, tuple[Entry, ...]]
    case_number: str
    is_closed: bool
    last: Mapping[Kind, Entry]


Needs = Mapping[Kind, Mapping[str, str]]
"""What an entry of each kind cannot be without, with the words for its form."""


def wrong_fields(entry: Entry, so_far: Sequence[Entry], *, needed: Needs, categories: Collection[str], parts: Collection[str],
                 readers: Collection[str]) -> dict[str, str]:
    """Words for each field that is missing, or that names nothing that is there. `readers`: who may read it."""
    wrong = {field: words for field, words in needed.get(entry.kind, {}).items() if not _given(entry, field)}
    if entry.kind is Kind.CATEGORY and entry.words not in categories:
        wrong["words"] = needed[entry.kind]["words"]
    if entry.kind is Kind.CHILD and entry.part not in parts:
        wrong["part"] = needed[entry.kind]["part"]
    if entry.kind is Kind.ACTION and entry.person_id and entry.person_id not in readers:
        wrong["person_id"] = "Choose somebody who may read this"
    if entry.kind is Kind.CORRECTION and entry.of_entry not in {one.id for one in so_far}:
        wrong["of_entry"] = needed[entry.kind]["of_entry"]
    if entry.kind is Kind.ACTION_DONE and entry.of_entry not in {one.id for one in standing(so_far).to_do}:
        wrong["of_entry"] = "Choose what was done"
    return wrong


def check_open(entry: Entry, now: Standing) -> None:
    """What is closed takes little more before it is opened again; what is open is not opened."""
    if now.is_closed == (entry.kind is not Kind.REOPENED) and not (now.is_closed and entry.kind in AFTER_CLOSING):
        raise Conflict("This is closed. Open it again first." if now.is_closed else "This is open.")


AFTER_CLOSING = frozenset({Kind.NOTE, Kind.CORRECTION, Kind.CASE_NUMBER})


def _given(entry: Entry, field: str) -> bool:
    value = getattr(entry, field)
    return bool(value.strip()) if isinstance(value, str) else value is not None


def standing(entries: Sequence[Entry]) -> Standing:
    """Work out what holds, from all entries in the order in which they were added."""
    done = {one.of_entry: one for one in entries if one.kind is Kind.ACTION_DONE}
    corrected: dict[str, tuple[Entry, ...]] = {}
    for one in entries:
        if one.kind is Kind.CORRECTION:
            corrected[one.of_entry] = (*corrected.get(one.of_entry, ()), one)
    last = {one.kind: one for one in entries}
    state = [one.kind for one in entries if one.kind in (Kind.CLOSED, Kind.REOPENED)]
    number = last.get(Kind.CASE_NUMBER)
    return Standing(
        tuple(dict.fromkeys(one.words for one in entries if one.kind is Kind.CATEGORY)),
        {one.child_id: one.part for one in entries if one.kind is Kind.CHILD},
        tuple(one for one in entries if one.kind is Kind.ACTION and one.id not in done), done, corrected,
        number.reference if number else "", bool(state) and state[-1] is Kind.CLOSED, last,
    )


def number_of(letter: str, year: int, drawn: int) -> str:
    """“C-2026-4821”: drawn by lot and not counted, so that a number says nothing of how many there are, or of ones that the
    reader may not know of."""
    return f"{letter}-{year}-{drawn:0{DIGITS}}"
