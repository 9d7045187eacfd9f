"""Who may be let watch some minutes of a recording, by whom, and for how long. Pure. policy: RE1, IN4."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from recordings.rules import TookPart, checked_why
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import SAFEGUARDING, STAFF, Actor, Role
from service.people.actions import Action, Value

WATCHERS = STAFF - {Role.TECHNICIAN}
"""Who may ever be named: people who work here with children or for them. Governance watches nothing."""
NAMERS = frozenset({Role.HEADTEACHER, Role.CHAIR})
"""Who may name somebody else, to look into a matter that they were not in."""
ASKERS = WATCHERS | NAMERS
DECIDERS = SAFEGUARDING | {Role.HEADTEACHER, Role.CHAIR}
LONGEST = timedelta(minutes=30)
MOST_VIEWS = 5
MOST_DAYS = 14


class State(StrEnum):
    WAITING = "Waiting"
    REFUSED = "Not allowed"
    ALLOWED = "Allowed"
    USED = "All views used"
    ENDED = "Ended"
    OVER = "Over"


class ForSubject(NotAllowed):
    """A complaint about this person names this lesson. They can never watch it (policy: IN4)."""

    code = "complaint-about-them"


class OwnRequest(NotAllowed):
    """You cannot decide this. You asked for it, or it is for you."""

    code = "own-request"


class Decided(Conflict):
    """Somebody has decided this already."""

    code = "decided"


@dataclass(frozen=True)
class Wish:
    """What is asked for: one person, one recording, some minutes of it, one purpose."""

    person_id: str
    why: str
    words: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Terms:
    """What is allowed of it: how often, and until when. `subject_id`: whom a complaint is about, if there is one."""

    views: int
    expires_at: datetime
    reason: str
    subject_id: str = ""


@dataclass(frozen=True)
class Grant:
    """A request and what became of it. `used`: views that were opened."""

    id: str
    recording_id: str
    lesson_id: str
    person_id: str
    asked_by: str
    why: str
    words: str
    starts_at: datetime
    ends_at: datetime
    asked_at: datetime
    allowed: bool | None = None
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""
    views: int = 0
    used: int = 0
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str = ""

    def state(self, now: datetime) -> State:
        states = (
            (State.WAITING, self.allowed is None), (State.REFUSED, self.allowed is False),
            (State.ENDED, self.ended_at is not None),
            (State.OVER, self.expires_at is None or now >= self.expires_at), (State.USED, self.used >= self.views),
        )
        return next((state for state, is_so in states if is_so), State.ALLOWED)

    def is_served(self, now: datetime) -> bool:
        """Whether a view that was opened under it may get another byte: its last view is watched to its end."""
        return self.state(now) in (State.ALLOWED, State.USED)


def check_asks(actor: Actor, person_id: str, roles: frozenset[Role], participants: Collection[str]) -> None:
    """Somebody asks for themselves who was in the lesson, or is the headteacher; the headteacher and the chair name a colleague
    who was not in it. To everybody else the recording does not exist.

    A subject of a complaint may ask: a refusal here would tell them of it. Nobody can ever allow it.
    """
    if not roles & WATCHERS:
        raise NotFound()
    if person_id == actor.person_id:
        if actor.person_id in participants or Role.HEADTEACHER in actor.roles:
            return
        raise NotFound()
    if not actor.is_any(NAMERS) or actor.person_id in participants:
        raise NotFound()
    if person_id in participants:
        raise Invalid(fields={"person": "Name somebody who was not in this lesson"})


def may_ask(actor: Actor, participants: Collection[str]) -> bool:
    """Whether somebody may ask for themselves."""
    try:
        check_asks(actor, actor.person_id, actor.roles, participants)
    except NotFound:
        return False
    return True


def checked_wish(wish: Wish, began: datetime, ended: datetime) -> Wish:
    """What can be decided about: a purpose of `Why`, words for it, and at most half an hour within the lesson."""
    wrong: dict[str, str] = {}
    try:
        checked_why(wish.why)
    except Invalid as refusal:
        wrong |= refusal.fields
    if not wish.words.strip():
        wrong["words"] = "Say what you need to see, and what for"
    if not wish.starts_at < wish.ends_at:
        wrong["ends_at"] = "Enter a time after the first one"
    elif wish.ends_at - wish.starts_at > LONGEST:
        wrong["ends_at"] = "Ask for 30 minutes or less"
    elif wish.ends_at <= began or wish.starts_at >= ended:
        wrong["starts_at"] = "Enter a time within the lesson"
    if wrong:
        raise Invalid(fields=wrong)
    return wish


def check_may_decide(actor: Actor, grant: Grant, asker_roles: frozenset[Role], participants: Collection[str],
                     subjects: Collection[str]) -> None:
    """A second person: of the safeguarding team, or the headteacher; the chair where the headteacher asks. Nobody who was in
    the lesson, and nobody whom a complaint about it is about, decides."""
    mine = actor.is_any(SAFEGUARDING | {Role.HEADTEACHER}) or (Role.CHAIR in actor.roles and Role.HEADTEACHER in asker_roles)
    if not mine or actor.person_id in subjects:
        raise NotFound()
    if actor.person_id in (grant.person_id, grant.asked_by):
        raise OwnRequest()
    if actor.person_id in participants:
        raise TookPart()


def asked_in_turn(asker_roles: frozenset[Role]) -> tuple[frozenset[Role], ...]:
    """Of those who may decide, whom a request calls: the first circle in which there is anybody who may."""
    team_and_head = (SAFEGUARDING, frozenset({Role.HEADTEACHER}))
    return (*team_and_head, frozenset({Role.CHAIR})) if Role.HEADTEACHER in asker_roles else team_and_head


def check_open(grant: Grant) -> None:
    if grant.allowed is not None:
        raise Decided()


def checked_terms(terms: Terms, grant: Grant, subjects: Collection[str], now: datetime) -> Terms:
    """What may be allowed: a few views, for two weeks at most, never to the subject of a complaint."""
    if grant.person_id in (*subjects, terms.subject_id):
        raise ForSubject()
    wrong = {}
    if not 1 <= terms.views <= MOST_VIEWS:
        wrong["views"] = f"Choose from 1 to {MOST_VIEWS} views"
    if not now < terms.expires_at <= now + timedelta(days=MOST_DAYS + 1):
        wrong["days"] = f"Choose from 1 to {MOST_DAYS} days"
    if not terms.reason.strip():
        wrong["reason"] = "Give a reason"
    if wrong:
        raise Invalid(fields=wrong)
    return terms


def check_watches(actor: Actor, grant: Grant, subjects: Collection[str], now: datetime) -> None:
    """Only the person it names, while it stands; whoever became the subject of a complaint is not served another byte."""
    if actor.person_id != grant.person_id or actor.person_id in subjects or not actor.is_any(WATCHERS):
        raise NotFound()
    if grant.state(now) is not State.ALLOWED:
        raise Conflict(f"You cannot watch this any more: {grant.state(now).lower()}.")


def allowing(grant: Grant, terms: Terms) -> Action:
    """A yes as it is confirmed: exactly this person, these minutes and these terms."""
    return Action("allow-to-watch", "let somebody watch a part of a recording", _asked(grant) | {
        "views": terms.views, "expires_at": terms.expires_at, "reason": terms.reason, "subject_id": terms.subject_id})


def refusing(grant: Grant, reason: str, subject_id: str) -> Action:
    """A no as it is confirmed: with its reason, and with whom a complaint is about, who can never watch from then on."""
    return Action("refuse-to-watch", "refuse this request to watch", _asked(grant) | {
        "reason": reason, "subject_id": subject_id})


def _asked(grant: Grant) -> dict[str, Value]:
    return {
        "grant_id": grant.id, "person_id": grant.person_id, "recording_id": grant.recording_id, "why": grant.why,
        "starts_at": grant.starts_at, "ends_at": grant.ends_at,
    }


def watching(grant: Grant) -> Action:
    return Action("watch-by-grant", "watch a part of a recording", {"grant_id": grant.id, "used": grant.used})
