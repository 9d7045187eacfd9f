"""What belongs in an incident, who may read it, what each sanction needs, and when it may be closed. Pure. policy: IN1, IN2, RC3

An incident is its chronology (`service.safeguarding.chronology`), as a concern is. It is what happened in school life and what
the school did about it; what a child may need protecting from is a concern, and one press makes one of it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import LEADERS, SAFEGUARDING, STAFF, Role
from service.safeguarding.chronology import Entry, Kind, check_open, standing, wrong_fields
from service.safeguarding.concerns.rules import Part as PartInConcern
from service.safeguarding.rules import About, Viewer, circle

RECORDERS = STAFF | {Role.CHAIR}
OVERSEE = LEADERS | SAFEGUARDING
"""Who sees every incident that is not about an adult, gives sanctions, closes, and takes the register away as a file."""
APP = "app"
"""The reference of an entry that says that a family was told by a message of the app."""


class Part(StrEnum):
    """A pupil's part in it."""

    DID = "did"
    AFFECTED = "affected"
    SAW = "saw"
    LINKED = "linked"


PART_WORDS = {Part.DID: "Took part in it", Part.AFFECTED: "It was done to them", Part.SAW: "Saw it", Part.LINKED: "Linked"}
IN_A_CONCERN = {
    Part.DID: PartInConcern.HARMING, Part.AFFECTED: PartInConcern.HARMED, Part.SAW: PartInConcern.SAW,
    Part.LINKED: PartInConcern.LINKED,
}
INVOLVED = frozenset({Part.DID, Part.AFFECTED})
"""Whose families are told, or it is said why not, before it is closed (policy: IN2)."""
CATEGORIES = {
    "bullying": "Unkindness or online bullying", "language": "Language", "disruption": "Disrupting a lesson",
    "dress": "Clothing or place", "material": "Unsuitable pages, pictures or searches",
    "details": "Personal details or pictures shared", "capture": "Recording or photographing others",
    "account": "Another person’s account or password", "device": "Use of a device", "contact": "Contact from a stranger",
    "illegal": "May be against the law", "adult": "Conduct of an adult", "other": "Something else",
}
AT_ONCE = frozenset({"contact", "illegal"})
"""What goes to the DSL when it is recorded, whoever records it."""
CONCERN_CATEGORY = {"bullying": "peer", "adult": "adult"}
"""What an incident is about as a concern; else online safety."""


@dataclass(frozen=True)
class Sanction:
    """A sanction that the policies name. `by_leaders`: not given by whoever recorded it alone; `needs`: a field it must have."""

    words: str
    by_leaders: bool = True
    needs: str = ""


SANCTIONS = {
    "none": Sanction("No sanction", by_leaders=False), "talk": Sanction("Talk with the teacher or assistant", by_leaders=False),
    "talk-leader": Sanction("Talk with the headteacher or a leader"),
    "family": Sanction("Meeting with parents or carers"),
    "access": Sanction("No internet or computer until a day", needs="on"),
    "referral": Sanction("Referral to the local authority or the police", needs="agency"),
}
"""From the mildest to the most serious: one for each pupil who took part, with why it fits this pupil (policy: IN1)."""
NEEDS_WORDS = {"on": "Enter the day on which it ends, like 3 3 2027", "agency": "Enter who it was referred to"}
TO_WHOM = {Role.DSL: "The safeguarding team", Role.HEADTEACHER: "The headteacher"}
NEEDED = {
    Kind.NOTE: {"words": "Write something first"}, Kind.DONE: {"words": "Write something first"},
    Kind.CORRECTION: {"words": "Write the correction", "of_entry": "Choose what you correct"},
    Kind.CATEGORY: {"words": "Choose a category"},
    Kind.CHILD: {"child_id": "Choose a pupil", "part": "Choose the pupil's part"},
    Kind.ACTION: {"words": "Say what is to be done", "person_id": "Choose who does it", "on": "Enter the day, like 3 3 2027"},
    Kind.ACTION_DONE: {"of_entry": "Choose what was done"},
    Kind.SANCTION: {"child_id": "Choose a pupil", "reference": "Choose a sanction", "words": "Say why it fits this pupil"},
    Kind.REFERRAL: {"agency": NEEDS_WORDS["agency"], "on": "Enter the day, like 3 3 2027"},
    Kind.ESCALATED: {"reference": "Choose to whom", "words": "Say why"},
    Kind.PARENTS_TOLD: {"child_id": "Choose whose family", "words": "Say how they were told"},
    Kind.PARENTS_NOT_TOLD: {"child_id": "Choose whose family", "words": "Say why not"},
    Kind.CLOSED: {"words": "Say what it came to"}, Kind.REOPENED: {"words": "Say why"},
}
OF_OVERSEERS = frozenset({Kind.REFERRAL, Kind.PARENTS_NOT_TOLD, Kind.CLOSED, Kind.REOPENED})
"""What those who oversee incidents do, and not whoever recorded one."""
FAMILIES = frozenset({Kind.PARENTS_TOLD, Kind.PARENTS_NOT_TOLD})


class NotYet(Conflict):
    """Something is still to be done before this is closed."""

    code = "incident-not-settled"


class TheTeamsToTell(NotAllowed):
    """The safeguarding team decides when this family is told. Talk to them."""

    code = "team-tells"


class ForOverseers(NotAllowed):
    """A leader or the safeguarding team decides this. Add a note for them, or escalate it."""

    code = "for-overseers"


@dataclass(frozen=True)
class New:
    """What whoever records an incident says. `about_id`: the adult who works here that it is about, if that is known; `children`:
    pupils with their parts; `by_name`: pupils whom the recorder cannot choose."""

    said: str
    done: str
    on: date | None
    at: str = ""
    category: str = ""
    children: tuple[tuple[str, str], ...] = ()
    by_name: str = ""
    about_adult: str = ""
    about_id: str = ""
    lesson_id: str = ""
    place: str = ""

    @property
    def about(self) -> str:
        return About.STAFF if self.about_adult == "yes" else ""


@dataclass(frozen=True)
class Incident:
    """What reading it depends on. `barred`: the people for whom it does not exist."""

    routed_to: Role
    recorded_by: str
    about_staff: bool = False
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Standing:
    """What holds now. `sanctions`, `families`: by pupil; `escalated_to`: who was asked to take it on; `left`: what is still to be
    done before it is closed, in words without names."""

    categories: tuple[str, ...]
    children: Mapping[str, str]
    to_do: tuple[Entry, ...]
    corrected: Mapping[str, tuple[Entry, ...]]
    is_closed: bool
    sanctions: Mapping[str, tuple[Entry, ...]]
    families: Mapping[str, Entry]
    escalated_to: frozenset[Role]
    concern_id: str
    left: tuple[str, ...]

    @property
    def state(self) -> str:
        return "closed" if self.is_closed else "escalated" if self.escalated_to else "open"


STATE_WORDS = {"open": "Open", "escalated": "Escalated", "closed": "Closed"}


def readers_of(routed_to: Role) -> frozenset[Role]:
    """The roles for which it exists: those who oversee; about an adult, the headteacher or the chair alone (policy: IN4)."""
    return OVERSEE if routed_to is Role.DSL else circle(routed_to)


def may_open(incident: Incident, viewer: Viewer) -> bool:
    """Whether it exists for this viewer. Whoever recorded one follows it, unless it is about an adult who works here."""
    if viewer.person_id in incident.barred:
        return False
    is_own = viewer.person_id == incident.recorded_by and not incident.about_staff
    return is_own or bool(viewer.roles & readers_of(incident.routed_to))


def check_new(new: New, today: date, *, adults: Collection[str]) -> None:
    """Raise `Invalid` with words for every field that cannot be used. `adults`: who it can be about."""
    problems = (
        ("category", "Choose what it is about", new.category not in CATEGORIES),
        ("on", "Enter the day it happened, like 3 3 2027", new.on is None),
        ("on", "Enter a day that is not in the future", new.on is not None and new.on > today),
        ("children", "Choose each pupil's part", any(part not in set(Part) for _, part in new.children)),
        ("children", "Choose a pupil, or write a name", not new.children and not new.by_name.strip() and not new.about),
        ("said", "Write what happened", not new.said.strip()),
        ("about_adult", "Say whether it is about an adult who works here", new.about_adult not in ("yes", "no")),
        ("about_id", "Choose who it is about", new.about_adult == "yes" and bool(new.about_id) and new.about_id not in adults),
    )
    wrong = {field: words for field, words, is_wrong in problems if is_wrong}
    if wrong:
        raise Invalid(fields=wrong)


def first_entries(new: New) -> list[Entry]:
    """What an incident begins with. What is serious goes to the DSL from its first moment."""
    said = new.said.strip() + (f"\n\nPupils named: {new.by_name.strip()}" if new.by_name.strip() else "")
    return [
        Entry(Kind.SAID, said, on=new.on), *([Entry(Kind.DONE, new.done)] if new.done.strip() else []),
        Entry(Kind.CATEGORY, new.category), *(Entry(Kind.CHILD, child_id=child, part=part) for child, part in new.children),
        *([Entry(Kind.ESCALATED, CATEGORIES[new.category], reference=Role.DSL)]
          if new.category in AT_ONCE and not new.about else []),
    ]


def stands(entries: Sequence[Entry]) -> Standing:
    """Work out what holds, from all entries in the order in which they were added."""
    now = standing(entries)
    sanctions: dict[str, tuple[Entry, ...]] = {}
    for one in entries:
        if one.kind is Kind.SANCTION:
            sanctions[one.child_id] = (*sanctions.get(one.child_id, ()), one)
    families = {one.child_id: one for one in entries if one.kind in FAMILIES}
    concern = now.last.get(Kind.CONCERN)
    return Standing(
        now.categories, now.children, now.to_do, now.corrected, now.is_closed, sanctions, families,
        frozenset(Role(one.reference) for one in entries if one.kind is Kind.ESCALATED), concern.reference if concern else "",
        _left(now.children, sanctions, families, now.to_do),
    )


def _left(children: Mapping[str, str], sanctions: Collection[str], families: Collection[str], to_do: Collection[Entry],
          ) -> tuple[str, ...]:
    problems = (
        ("Something is still to do.", bool(to_do)),
        ("For each pupil who took part, choose a sanction, or say why there is none.",
         any(part == Part.DID and child not in sanctions for child, part in children.items())),
        ("For each pupil involved, say that the family was told, or why not.",
         any(part in INVOLVED and child not in families for child, part in children.items())),
    )
    return tuple(words for words, is_left in problems if is_left)


def check_entry(entry: Entry, so_far: Sequence[Entry], roles: frozenset[Role], *, routed_to: Role, readers: Collection[str],
                today: date) -> None:
    """Raise unless somebody with these roles may add `entry`. `readers`: who may read the incident."""
    now = stands(so_far)
    wrong = wrong_fields(entry, so_far, needed=NEEDED, categories=CATEGORIES, parts=frozenset(Part), readers=readers)
    if entry.kind is Kind.SANCTION:
        wrong |= _wrong_sanction(entry, now, today)
    if entry.kind in FAMILIES and entry.child_id and entry.child_id not in now.children:
        wrong["child_id"] = "Choose a pupil who is named here"
    if entry.kind is Kind.ESCALATED and entry.reference and entry.reference not in TO_WHOM:
        wrong["reference"] = NEEDED[Kind.ESCALATED]["reference"]
    if wrong:
        raise Invalid(fields=wrong)
    if entry.kind not in NEEDED:
        raise Conflict()
    _check_role(entry, now, roles, routed_to)
    check_open(entry, standing(so_far))
    if entry.kind is Kind.CLOSED and now.left:
        raise NotYet(" ".join(now.left))


def _wrong_sanction(entry: Entry, now: Standing, today: date) -> dict[str, str]:
    """A sanction is for one pupil who took part in it; nobody whom it was done to, or who saw it, is given one."""
    chosen = SANCTIONS.get(entry.reference)
    problems = (
        ("child_id", "Choose a pupil who took part in it", bool(entry.child_id) and now.children.get(entry.child_id) != Part.DID),
        ("reference", "Choose a sanction", chosen is None),
        ("on", NEEDS_WORDS["on"], chosen is not None and chosen.needs == "on" and (entry.on is None or entry.on < today)),
        ("agency", NEEDS_WORDS["agency"], chosen is not None and chosen.needs == "agency" and not entry.agency.strip()),
    )
    return {field: words for field, words, is_wrong in problems if is_wrong}


def _check_role(entry: Entry, now: Standing, roles: frozenset[Role], routed_to: Role) -> None:
    is_sanction_of_leaders = entry.kind is Kind.SANCTION and SANCTIONS[entry.reference].by_leaders
    if (entry.kind in OF_OVERSEERS or is_sanction_of_leaders) and not roles & readers_of(routed_to):
        raise ForOverseers()
    if entry.kind in FAMILIES and not may_tell(now, roles, routed_to):
        raise TheTeamsToTell()


def may_tell(now: Standing, roles: frozenset[Role], routed_to: Role) -> bool:
    """Whoever may open it tells the family, until it is with the safeguarding team: to tell a family may add risk then."""
    return routed_to is not Role.DSL or Role.DSL not in now.escalated_to or bool(roles & SAFEGUARDING)


def is_late(opened_on: date, today: date, days: int, *, is_closed: bool) -> bool:
    """Whether an open incident is older than the school allows (`incident_days` of its rules; policy: IN1)."""
    return not is_closed and today > opened_on + timedelta(days=days)


def opened_on(recorded_on: date, entries: Sequence[Entry]) -> date:
    """From when an incident is counted: its record, or when it was last opened again."""
    again = [one.at.date() for one in entries if one.kind is Kind.REOPENED and one.at is not None]
    return again[-1] if again else recorded_on


def for_concern(number: str, entries: Sequence[Entry]) -> tuple[str, str]:
    """What was said and what was done, as a concern begins with them."""
    said = [one.words for one in entries if one.kind in (Kind.SAID, Kind.NOTE, Kind.CORRECTION)]
    done = [one.words for one in entries if one.kind in (Kind.DONE, Kind.ACTION_DONE) and one.words]
    return "\n\n".join((f"From incident {number}.", *said)), "\n\n".join(done)
