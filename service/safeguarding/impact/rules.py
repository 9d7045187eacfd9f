"""The impact assessment as a document, and what the Data Protection Officer's word about it opens. Pure. policy: AC5

The document is put together from the inventory of what is kept, the school's rules and the words below, so that it cannot say
something else than the service does; what is approved is exactly what was shown.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache

from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import LEADERS, Actor, Role
from service.people.actions import Action
from service.people.profile import Profile, RecordingBasis
from service.safeguarding.impact import words
from service.safeguarding.impact.inventory import Inventory, Table

READ = frozenset({Role.DPO, Role.HEADTEACHER, Role.OFFICE, Role.CHAIR, Role.GOVERNOR})
REVIEW = frozenset({Role.DPO})
ANEW = timedelta(days=365)
"""After which it is asked again, whatever has changed."""
LONGEST = 1_000


class RealPupilsBlocked(NotAllowed):
    """Real pupils stay blocked until your Data Protection Officer approves the impact assessment. Nothing has been saved."""

    code = "impact-not-approved"


@dataclass(frozen=True)
class Section:
    """A part of the document that is judged as a whole. `lines`: (what, the words about it)."""

    key: str
    title: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Document:
    """`sections` are read and answered; `tables` is the inventory behind them, on a page of its own."""

    sections: tuple[Section, ...]
    tables: tuple[Table, ...]

    @cached_property
    def text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of every word in it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@lru_cache(16)
def document(profile: Profile, inventory: Inventory) -> Document:
    """The assessment for a school with these rules. What is in no section changes without anybody being asked again."""
    return Document((
        Section("purpose", "What it is for", words.PURPOSE),
        Section("data", "What is kept, and of whom", tuple(
            (kind.name, f"{kind.whose} {_listed(inventory, key)}") for key, kind in words.KINDS.items())),
        Section("basis", "Why the school may keep it", (
            ("Recordings and taking part", words.BASIS_OF_RECORDING[RecordingBasis(profile.recording_basis)]),
            *((kind.name, kind.basis) for kind in words.KINDS.values()))),
        Section("kept", "How long", tuple((kind.name, _kept(kind.kept, profile)) for kind in words.KINDS.values())),
        Section("seen", "Who sees it", tuple(
            (one.what, ", ".join(words.role(role) for role in one.roles) + ".") for one in inventory.seen)),
        Section("risks", "What could go wrong, and what stands against it", (
            *words.RISKS, ("What this school has chosen", _chosen(profile)))),
        Section("outside", "Who else gets it", words.OUTSIDE),
        Section("rights", "What people can ask for", words.RIGHTS),
        Section("open", "What is for you to decide, and what holds until you do", words.OPEN_POINTS),
    ), inventory.tables)


def _listed(inventory: Inventory, kind: str) -> str:
    return " ".join(table.about for table in inventory.tables if table.data == kind)


def _kept(kept: str, profile: Profile) -> str:
    return kept.format(days=profile.retention_days, alone=profile.retention_one_to_one_days, agreement=profile.agreement_days)


def _chosen(profile: Profile) -> str:
    """The rules of the school that bear on a child's privacy."""
    see = "see" if profile.pupils_see_each_other else "do not see"
    blur = "may be switched off" if profile.blur_may_be_off else "stays on"
    approves = "any senior leader" if profile.one_to_one_by_any_leader else "the headteacher alone"
    return (f"Pupils {see} each other's cameras. The blur behind a pupil {blur}. Chat is on from key stage "
            f"{profile.chat_from_key_stage}. A one-to-one is approved by {approves}.")


# -- what the Data Protection Officer says ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Review:
    """What was said last: of which document, and whether it is approved."""

    document_hash: str
    approved: bool
    reviewed_at: datetime


class Due(StrEnum):
    NEVER = "never"
    NOT_APPROVED = "not_approved"
    CHANGED = "changed"
    YEAR = "year"


def due(last: Review | None, current: str, now: datetime) -> Due | None:
    """Why the Data Protection Officer is asked; None when there is nothing to ask."""
    if last is None:
        return Due.NEVER
    if not last.approved:
        return Due.NOT_APPROVED
    if last.document_hash != current:
        return Due.CHANGED
    return Due.YEAR if now - last.reviewed_at >= ANEW else None


def check_answers(shown: Document, answers: Mapping[str, str], notes: Mapping[str, str]) -> bool:
    """Whether every section is still true. Raises Invalid for one without an answer, or a No without words."""
    wrong = {}
    for section in shown.sections:
        answer = answers.get(section.key, "")
        if answer not in ("yes", "no"):
            wrong[section.key] = f"Say whether “{section.title}” is still true"
        elif answer == "no" and not notes.get(section.key, "").strip():
            wrong[f"{section.key}-note"] = f"Say what is not true in “{section.title}”"
        elif len(notes.get(section.key, "")) > LONGEST:
            wrong[f"{section.key}-note"] = f"Make it shorter: {LONGEST} characters at most"
    if wrong:
        raise Invalid(fields=wrong)
    return all(answers[section.key] == "yes" for section in shown.sections)


def check_reviewer(actor: Actor) -> None:
    """Who leads the school decides what it does with data, and cannot be the one who approves that (UK GDPR, article 38(6))."""
    if not actor.is_any(REVIEW):
        raise NotAllowed("Only the Data Protection Officer decides this.")
    if actor.is_any(LEADERS):
        raise NotAllowed("You lead the school, so you cannot approve this for it. It needs another Data Protection Officer.")


def review_action(shown: Document, answers: Mapping[str, str], notes: Mapping[str, str]) -> Action:
    """What is confirmed: exactly these answers about exactly this document."""
    said = {section.key: [answers.get(section.key, ""), notes.get(section.key, "").strip()] for section in shown.sections}
    approves = all(answer == "yes" for answer, _ in said.values())
    what = "record your approval of the impact assessment" if approves else "record that the impact assessment is not approved"
    return Action("review-impact", what, {"document": shown.hash, "answers": json.dumps(said, sort_keys=True)})
