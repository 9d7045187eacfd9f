"""Reads what the school decided about a lesson, as the live room wants it: one immutable plan, made fresh at each reading."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import bindparam, case
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import events as consents
from lessons import roster as rosters
from lessons import rules
from lessons.attention.events import LessonNeedsAttention
from lessons.live import words as default_words
from lessons.live.chat import address
from lessons.live.facts import DoorAnswered, RoomJournalled, RoomOpened
from lessons.live.plan import MAIN, ApprovedPair, Link, May, Person, Place, Plan, Role
from lessons.live.supervision import Kind
from lessons.roster import Adult, PairApproval, Pupil, Roster
from lessons.tables import JournalEntry
from recordings.events import RecordingEnded, RecordingSealed, RecordingStarted
from service.foundation.audit import AuditLeaf
from service.people.events import SessionsEnded, SignedIn, SignedOut, SignInRefused, StepUpConfirmed, StepUpRefused
from service.safeguarding.approvals.events import OneToOneApproved, OneToOneRevoked
from service.safeguarding.approvals.rules import ENDED
from service.safeguarding.concerns.events import ConcernOpened, ConcernsListed
from service.safeguarding.events import AlertGrew, AlertNoted, AlertRaised
from service.safeguarding.incidents.events import IncidentOpened, IncidentsListed
from service.safeguarding.reopening import queries as reopening


@dataclass(frozen=True)
class WordsAndLinks:
    """What chat is screened by: the school's list in force, and the lesson's previewed addresses in chat's form."""

    version: str
    words: tuple[str, ...]
    links: frozenset[str]


@dataclass(frozen=True)
class Read:
    """A plan with its chat lists. `seen`: where the audit stood before; while it stands there, nothing was decided since."""

    plan: Plan
    lists: WordsAndLinks
    seen: int


DECIDES_NOTHING = frozenset(kind.__name__ for kind in (
    RoomJournalled, RoomOpened, DoorAnswered, SignedIn, SignInRefused, SignedOut, SessionsEnded, StepUpConfirmed, StepUpRefused,
    RecordingStarted, RecordingSealed, RecordingEnded, AlertRaised, AlertNoted, AlertGrew, LessonNeedsAttention,
    ConcernsListed, ConcernOpened, IncidentsListed, IncidentOpened))
"""What the audit is full of while lessons are on, and what somebody only read. Any other entry may have changed a plan. Who
is still signed in is no part of a plan: hosts ask for it at every check. What somebody confirmed has an entry of its own; an
alert bars nobody from a lesson."""
ABOUT_ONE_CHILD = frozenset(kind.__name__ for kind in (
    consents.ConsentRecorded, consents.ConsentWithdrawn, consents.RefusalKept, consents.ConsentCorrected,
    consents.CourtOrderRecorded, consents.ConsentConflictClosed, consents.ObjectionReceived, consents.ObjectionDecided))
"""What may change the plans that have its subject in them, and no other. A school's families answer while its lessons are on."""
ABOUT_ONE_LESSON = frozenset(kind.__name__ for kind in (OneToOneApproved, OneToOneRevoked))
"""What may change the plan of its lesson, and no other: an approval is of one lesson."""
STANDS = timedelta(seconds=10)
"""For how long a roster is believed although nothing was decided: midnight changes things too."""


class Rosters:
    """Rosters that were read before. At nine o'clock a class asks for the same one at each of thirty doors.

    One stands while the audit holds nothing since that could change it, as a host's plan does, and for ten seconds at most.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, datetime, Roster]] = {}
        self._turns = WeakValueDictionary[str, asyncio.Lock]()

    async def current(self, session: AsyncSession, lesson_id: str) -> Roster:
        """The lesson's roster as it stands in this session's view. Raises NotFound.

        One asks at a time, so that a class whose roster has to be read anew has it read once. Nothing may have been asked of the
        session before: its view would be older than what somebody else has read meanwhile.
        """
        turn = self._turns.setdefault(lesson_id, asyncio.Lock())
        async with turn:
            found = await self._current(session, lesson_id)
        return replace(found, removed=await rosters.removed(session, lesson_id))  # the journal, which decides nothing else

    def note(self, roster: Roster, seen: int, now: datetime) -> None:
        """A host has read it anyway. `seen`: where the audit stood in its view."""
        known = self._kept.get(roster.lesson_id)
        if known is None or known[0] <= seen:
            self._kept[roster.lesson_id] = seen, now, roster

    async def _current(self, session: AsyncSession, lesson_id: str) -> Roster:
        now: datetime = session.info["clock"].now()
        self._kept = {each: kept for each, kept in self._kept.items() if timedelta() <= now - kept[1] < STANDS}
        found = self._kept.get(lesson_id)
        since = await decided(session, found[0]) if found else Decided(await _stands(session))
        if found is None or since.concerns({lesson_id, *(pupil.id for pupil in found[2].pupils)}, found[0]):
            found = since.stands, now, await rosters.roster(session, lesson_id)
        self._kept[lesson_id] = since.stands, *found[1:]
        return found[2]


async def read(session: AsyncSession, lesson_id: str, known: Rosters | None = None) -> Read:
    """Everything a host holds of a lesson, in one consistent view; `known` is told. Raises NotFound."""
    seen = await _stands(session)
    roster = await rosters.roster(session, lesson_id)
    if known is not None:
        known.note(roster, seen, session.info["clock"].now())
    words = await rosters.word_list(session, roster.school_id)
    return Read(await _plan(session, roster, words), _lists(roster, words), seen)


@dataclass(frozen=True)
class Decided:
    """`stands`: where the audit stands. `last`: its last entry that could change any plan. `of_one`: by child, the last that
    could change the plans which that child is in; by lesson, its own. Of entries after the one that was asked about; -1 and
    nothing where none is."""

    stands: int
    last: int = -1
    of_one: Mapping[str, int] = field(default_factory=dict)

    def concerns(self, whom: Collection[str], since: int) -> bool:
        """Whether a plan could be another than it was when the audit stood at `since`. `whom`: its lesson, and who is in it."""
        return self.last > since or any(last > since and one in whom for one, last in self.of_one.items())


async def decided(session: AsyncSession, seen: int) -> Decided:
    """What was decided after `seen`. Cheap: every change of state is in the audit."""
    stands, last, of_one = (await session.exec(_DECIDED, params={"seen": seen})).one()
    ones = dict((await session.exec(_OF_ONE, params={"seen": seen})).all()) if of_one is not None else {}
    return Decided(seen if stands is None else stands, -1 if last is None else last, ones)


def _last(kinds: Any) -> Any:
    return func.max(case((kinds, col(AuditLeaf.seq))))


_DECIDED: Any = select(
    func.max(AuditLeaf.seq), _last(col(AuditLeaf.kind).not_in(DECIDES_NOTHING | ABOUT_ONE_CHILD | ABOUT_ONE_LESSON)),
    _last(col(AuditLeaf.kind).in_(ABOUT_ONE_CHILD | ABOUT_ONE_LESSON)),
).where(AuditLeaf.seq > bindparam("seen"))
_ONE = case((col(AuditLeaf.kind).in_(ABOUT_ONE_LESSON), col(AuditLeaf.lesson_id)), else_=col(AuditLeaf.subject_id)).label("one")
_OF_ONE: Any = select(_ONE, func.max(AuditLeaf.seq)).where(
    AuditLeaf.seq > bindparam("seen"), col(AuditLeaf.kind).in_(ABOUT_ONE_CHILD | ABOUT_ONE_LESSON)).group_by(_ONE)
_STANDS = select(func.max(AuditLeaf.seq))


async def _stands(session: AsyncSession) -> int:
    """Where the audit stands; -1 before its first entry."""
    last = (await session.exec(_STANDS)).one()
    return -1 if last is None else last


async def plan(session: AsyncSession, roster: Roster) -> Plan:
    """The plan of one lesson whose roster was read: clearances, consents, times, switches."""
    return await _plan(session, roster, await rosters.word_list(session, roster.school_id))


async def _plan(session: AsyncSession, roster: Roster, words: rules.WordList) -> Plan:
    found = plan_of(roster, str(words.version))
    return replace(found, stopped=found.stopped or await _was_stopped(session, {roster.lesson_id, found.family})
                   or await reopening.is_closed(session, roster.school_id))


async def _was_stopped(session: AsyncSession, lesson_ids: set[str]) -> bool:
    """A leader stopped it, or the lesson that it is a breakout room of: for good, through a restart as well."""
    return (await session.exec(_STOPPED, params={"lessons": list(lesson_ids)})).first() is not None


_STOPPED = select(JournalEntry.id).where(
    col(JournalEntry.lesson_id).in_(bindparam("lessons", expanding=True)), JournalEntry.kind == "stopped").limit(1)


def _lists(roster: Roster, words: rules.WordList) -> WordsAndLinks:
    links = frozenset(address(link.url) for link in roster.links if link.is_previewed)
    if not words.version:
        return WordsAndLinks(default_words.VERSION, default_words.PHRASES, links)
    return WordsAndLinks(str(words.version), words.words, links)


def plan_of(roster: Roster, words_version: str) -> Plan:
    """A lesson that is not planned (waiting, refused, cancelled) or over is stopped: its room opens for nobody."""
    profile, stage = roster.profile, roster.group.key_stage
    camera = not roster.is_one_to_one or (roster.standing is not None and roster.standing.given.camera_on)
    people = [_staff(adult) for adult in (*roster.adults, *roster.leaders)]
    people += [_pupil(pupil, camera) for pupil in roster.pupils]
    is_fixed = roster.is_one_to_one  # an approval names its time: there is nothing to draw out or to overrun
    return Plan(
        version=roster.version, school_id=roster.school_id, lesson_id=roster.lesson_id, title=roster.title,
        class_name=roster.group.name, starts_at=roster.starts_at, ends_at=roster.ends_at,
        hard_end_at=roster.ends_at if is_fixed else rules.hard_end(roster.ends_at, profile),
        latest_end_at=roster.ends_at if is_fixed else rules.latest_end(roster.starts_at, roster.ends_at, stage, profile),
        people={person.id: person for person in people}, approvals=tuple(_pair(one, roster) for one in roster.approvals),
        needs_approval=roster.needs_approval, ticket_approval=roster.standing.given.id if roster.standing else "",
        links=tuple(Link(link.url, rules.shown_address(link.url)) for link in roster.links if link.is_previewed),
        removed=roster.removed, stopped=roster.status != "planned", chat=stage >= profile.chat_from_key_stage,
        pupils_see_each_other=profile.pupils_see_each_other, words_version=words_version,
        late_after=60.0 * profile.teacher_late_minutes,
        **_rooms(roster),
    )


def _rooms(roster: Roster) -> dict[str, Any]:
    """The rooms beside this one, and who belongs where."""
    whole, family = roster.main or roster, roster.family
    if not family.rooms and roster.main is None:
        return {}
    return {
        "main": Place(whole.lesson_id, MAIN) if roster.main else None, "over": roster.over, "posts": family.posts,
        "rooms": tuple(Place(room.lesson_id, room.name) for room in family.rooms),
        "places": {pupil.id: family.places.get(pupil.id, whole.lesson_id) for pupil in whole.pupils},
    }


ROLES = {"teacher": Role.TEACHER, "cover": Role.TEACHER, "second": Role.STAFF, "guest": Role.GUEST, "leader": Role.LEADER}


def _staff(adult: Adult) -> Person:
    """An adult who is not cleared is on no roster: they may not even come in (policy: AC8, CO1)."""
    here, guest = adult.is_cleared, adult.is_guest
    may = May(attend=here, microphone=here, camera=here, chat=here, screen=here and not guest, moderate=here and not guest,
              stop=here and adult.part == "leader")
    kind = Kind.GUEST if guest else Kind.STAFF
    serves, until = (adult.admission.serves, adult.admission.until) if adult.admission else (frozenset[str](), None)
    return Person(adult.id, adult.name, kind, ROLES[adult.part], may, cleared=here and not guest, serves=serves, until=until,
                  let_in_by=adult.let_in_by)


def _pair(one: PairApproval, roster: Roster) -> ApprovedPair:
    """Never beyond the lesson, whatever the approval says."""
    given = one.given
    end = min(given.ends_at, roster.ends_at) if one.stands else ENDED
    return ApprovedPair(given.parties.adult, given.parties.child, max(given.starts_at, roster.starts_at), end, given.id)


def _pupil(pupil: Pupil, camera: bool) -> Person:
    """A child who may not take part may do nothing else either; each device needs its own consent (policy: CO2).

    `camera`: whether the lesson allows pupils' cameras; a one-to-one does where its approval says so.
    """
    here = pupil.may_take_part
    may = May(attend=here, microphone=here and "microphone" in pupil.purposes,
              camera=here and camera and "camera" in pupil.purposes, chat=here and "chat" in pupil.purposes, screen=here)
    return Person(pupil.id, pupil.name, Kind.CHILD, Role.PUPIL, may, let_in_by=pupil.let_in_by)
