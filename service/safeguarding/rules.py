"""Who is told of what, and who must never know. Pure.

An alert reaches somebody who can act and is not part of it: never the person it is about, never an adult of the lesson it
came from (policy: RC1, RC4, IN4). For the people left out it does not exist, in counts either. Everything that somebody must
review is an alert; the quiet ones wait in the queue and call nobody.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from service.foundation.errors import Invalid
from service.foundation.events import SAFEGUARDING, STAFF, Role


class Kind(StrEnum):
    """What somebody, or the service itself, noticed."""

    WORRY = "worry"
    FLAG = "flag"
    CHAT_HELD = "chat-held"
    TEACHER_NOT_ARRIVED = "teacher-not-arrived"
    TEACHER_AWAY = "teacher-away"
    RECORDER_FAILED = "recorder-failed"
    ADDRESS_SHARED = "address-shared"
    DEVICE_SHARED = "device-shared"
    STOPPED = "stopped"
    ONE_PUPIL = "one-pupil"
    FORBIDDEN_DELIVERY = "forbidden-delivery"
    PARENT = "parent"
    CONCERN = "concern"
    NEARLY_ALONE = "nearly-alone"
    PAUSED = "paused"
    CHAT = "chat"
    ONE_TO_ONE = "one-to-one"
    RECORDING = "recording"
    WITHDRAWN = "withdrawn"


QUIET = frozenset({Kind.NEARLY_ALONE, Kind.PAUSED, Kind.CHAT, Kind.ONE_TO_ONE, Kind.RECORDING, Kind.WITHDRAWN})
"""What the service found in a lesson afterwards: it waits in the queue, and calls nobody from what they are doing."""


REACH = {"phone": "It is safe to ring them.", "app": "Answer only in the app: ringing may not be safe.",
         "do-not-contact": "Do not contact them about this."}
"""How a parent who writes can be reached, as their alert says it in its last line."""


class Answer(StrEnum):
    """What a parent who wrote is answered in their app. Whole sentences: nobody writes freely onto a phone that others hold."""

    READ = "reply-read"
    TALK = "reply-talk"
    DONE = "reply-done"


ANSWER_WORDS = {
    Answer.READ: "The school has read what you wrote, and somebody deals with it. You need not do anything.",
    Answer.TALK: "The school would like to talk about what you wrote. Ring the office, or come in, when that is safe for you.",
    Answer.DONE: "The school has looked into what you wrote. To hear more, ring or come in, when that is safe for you.",
}


class Severity(IntEnum):
    """How serious a kind is, the most serious first; the words are the page's."""

    DANGER = 1
    RULE = 2
    CHECK = 3
    ROUTINE = 4


SEVERITY_WORDS = {
    Severity.DANGER: "A child may need help", Severity.RULE: "A rule was close to broken", Severity.CHECK: "Look into it",
    Severity.ROUTINE: "Routine",
}
SEVERITY = {
    Kind.WORRY: Severity.DANGER, Kind.CONCERN: Severity.DANGER, Kind.PARENT: Severity.DANGER, Kind.CHAT_HELD: Severity.DANGER,
    Kind.FLAG: Severity.RULE, Kind.FORBIDDEN_DELIVERY: Severity.RULE, Kind.NEARLY_ALONE: Severity.RULE,
    Kind.DEVICE_SHARED: Severity.RULE, Kind.ADDRESS_SHARED: Severity.RULE, Kind.STOPPED: Severity.RULE,
    Kind.TEACHER_AWAY: Severity.CHECK, Kind.TEACHER_NOT_ARRIVED: Severity.CHECK, Kind.RECORDER_FAILED: Severity.CHECK,
    Kind.RECORDING: Severity.CHECK, Kind.WITHDRAWN: Severity.CHECK, Kind.CHAT: Severity.CHECK, Kind.PAUSED: Severity.CHECK,
    Kind.ONE_TO_ONE: Severity.ROUTINE, Kind.ONE_PUPIL: Severity.ROUTINE,
}
REVIEW_WITHIN = timedelta(days=3)
"""When a quiet item is late."""


class Outcome(StrEnum):
    """What a review came to."""

    NO_ACTION = "no-action"
    NOTED = "noted"
    CONCERN = "concern"
    PASSED_ON = "passed-on"


OUTCOME_WORDS = {
    Outcome.NO_ACTION: "No further action", Outcome.NOTED: "A note is enough", Outcome.CONCERN: "A concern was recorded",
    Outcome.PASSED_ON: "Passed on to somebody else",
}


class Tab(StrEnum):
    """Where an item stands for one reader: nobody has it; they do; it waits for somebody else; it is closed."""

    NEW = "new"
    MINE = "mine"
    WAITING = "waiting"
    CLOSED = "closed"


class About(StrEnum):
    """What the one who raises it may say it is about."""

    UNSAFE = "unsafe"
    UNKIND = "unkind"
    SAW = "saw"
    HEARD = "heard"
    CHAT = "chat"
    TALK = "talk"
    OTHER = "other"
    STAFF = "staff"
    HEADTEACHER = "headteacher"


OF_A_WORRY = (About.UNSAFE, About.UNKIND, About.SAW, About.STAFF, About.TALK)
OF_A_FLAG = (About.SAW, About.HEARD, About.CHAT, About.STAFF, About.OTHER)
INBOX = SAFEGUARDING | {Role.HEADTEACHER, Role.CHAIR}
ORDER = (Role.DSL, Role.HEADTEACHER, Role.CHAIR)
"""The queues. An alert goes on from one to a later one, and never back."""
NEXT_QUEUE_AFTER = 3  # times the profile's `alert_minutes`, untaken: 15 minutes by default
LAST_STEP = 2


@dataclass(frozen=True)
class Alert:
    """What routing needs to know of an alert. `called_at`: when it last began to call, raised, moved or opened again.
    `barred`: the people for whom it does not exist. `handed_to`: who is asked to take it over, and has not yet.
    `goes_on_to`: whose it is as well once nobody took it for long (`next_after`); None when nobody is left."""

    routed_to: Role
    called_at: datetime
    taken_by: str = ""
    barred: frozenset[str] = frozenset()
    handed_to: str = ""
    is_quiet: bool = False
    goes_on_to: Role | None = None


@dataclass(frozen=True)
class Viewer:
    person_id: str
    roles: frozenset[Role]


def circle(role: Role) -> frozenset[Role]:
    """The roles that share one queue: the DSL's is the deputies' too."""
    return SAFEGUARDING if role is Role.DSL else frozenset({role})


def route(about: str, holders: Mapping[str, frozenset[Role]], barred: Collection[str]) -> Role:
    """Whose queue an alert belongs in: the safeguarding team, else the headteacher, else the chair.

    About somebody who works at the school it starts with the headteacher, about the headteacher with the chair. A queue
    of which everybody is barred is passed over; the chair's is the last, whoever holds it.
    """
    start = {About.STAFF: 1, About.HEADTEACHER: 2}.get(About(about), 0) if about in set(About) else 0
    return next((role for role in ORDER[start:] if is_read(role, holders, barred)), Role.CHAIR)


def is_read(queue: Role, holders: Mapping[str, frozenset[Role]], barred: Collection[str]) -> bool:
    """Whether a queue has anybody who may open what is kept from `barred`."""
    return any(roles & circle(queue) and person not in barred for person, roles in holders.items())


def next_after(queue: Role, holders: Mapping[str, frozenset[Role]], barred: Collection[str]) -> Role | None:
    """The next queue that anybody reads; None after the last. Never an earlier one: whom a pupil means by “a grown-up at
    school” is not known, and it may be one of the team (docs/decisions/0228)."""
    return next((role for role in ORDER[ORDER.index(queue) + 1:] if is_read(role, holders, barred)), None)


def further(was: Role, to: Role) -> Role:
    """What left a circle's sight does not come back into it."""
    return max(was, to, key=ORDER.index)


def about_person(about: str, roles: frozenset[Role]) -> str:
    """What an alert is about once it is known whom: a member of staff or the headteacher outrank what was said (policy: IN4)."""
    if Role.HEADTEACHER in roles:
        return About.HEADTEACHER
    return About.STAFF if roles & STAFF and about != About.HEADTEACHER else about


def barred_by(about: str, holders: Mapping[str, frozenset[Role]]) -> frozenset[str]:
    """Who is left out because it is about them: the headteacher, when it is about the headteacher."""
    if about != About.HEADTEACHER:
        return frozenset()
    return frozenset(person for person, roles in holders.items() if Role.HEADTEACHER in roles)


def may_open(alert: Alert, viewer: Viewer, now: datetime, alert_minutes: int) -> bool:
    """Whether the alert exists for this viewer: in their queue, or untaken for so long that it became theirs too."""
    if viewer.person_id in alert.barred:
        return False
    if viewer.roles & circle(alert.routed_to) or viewer.person_id in (alert.taken_by, alert.handed_to):
        return True
    late = not alert.taken_by and not alert.is_quiet and waited(alert, now) >= step_after(LAST_STEP, alert_minutes)
    return late and alert.goes_on_to in viewer.roles


def calls(alert: Alert, viewer: Viewer, on_duty: Collection[str], now: datetime, alert_minutes: int) -> bool:
    """Whether the alert asks for this viewer's attention on every page now.

    The DSL and whoever of the queue is on duty are called at once; a deputy off duty after `alert_minutes`; everybody of
    the queue at once when the rota names nobody who may open it. Whoever is handed one is called until they take it.
    """
    if viewer.person_id and alert.handed_to == viewer.person_id:
        return viewer.person_id not in alert.barred
    if alert.taken_by or alert.is_quiet or not may_open(alert, viewer, now, alert_minutes):
        return False
    if alert.routed_to is not Role.DSL or Role.DSL in viewer.roles or viewer.person_id in on_duty:
        return True
    if alert.goes_on_to in viewer.roles:
        return True  # `may_open` let the time pass already
    return not on_duty or waited(alert, now) >= timedelta(minutes=alert_minutes)


def call_times(alert: Alert, holders: Mapping[str, frozenset[Role]], on_duty: Collection[str],
               alert_minutes: int) -> dict[str, timedelta]:
    """How long after it was raised an alert that nobody takes first calls each person; who is never called is not in it."""
    steps = [step_after(step, alert_minutes) for step in (0, 1, 2)]
    return {
        person: first for person, roles in holders.items()
        if (first := next((step for step in steps if calls(
            alert, Viewer(person, roles), on_duty, alert.called_at + step, alert_minutes)), None)) is not None
    }


def step_after(step: int, alert_minutes: int) -> timedelta:
    """How long after it was raised the n-th step of an alert that nobody takes is: 0 at once, 1 deputies, 2 the next queue."""
    return timedelta(minutes=(0, 1, NEXT_QUEUE_AFTER)[step] * alert_minutes)


def steps_of(queue: Role) -> tuple[int, ...]:
    """The steps there are: everybody of the headteacher's and the chair's queues is called at once."""
    return (1, LAST_STEP) if queue is Role.DSL else (LAST_STEP,)


def steps_passed(alert: Alert, now: datetime, alert_minutes: int) -> int:
    """The last step that is due: 1 once the deputies are called, 2 once the next queue is; 0 before."""
    if alert.taken_by or alert.is_quiet:
        return 0
    due = (step for step in steps_of(alert.routed_to) if waited(alert, now) >= step_after(step, alert_minutes))
    return max(due, default=0)


def tab(*, owner: str, viewer: str, is_closed: bool, waits_for: str = "", handed_to: str = "") -> Tab:
    """Where an item stands for this viewer. What somebody else has, or is asked to take, is one that waits."""
    if is_closed:
        return Tab.CLOSED
    if not owner:
        return Tab.NEW
    if handed_to == viewer:
        return Tab.MINE
    return Tab.MINE if owner == viewer and not waits_for and not handed_to else Tab.WAITING


def rank(kind: Kind, raised_at: datetime) -> tuple[int, float]:
    """The order of the queue: the most serious first, of equally serious ones the newest."""
    return SEVERITY[kind], -raised_at.timestamp()


def outcome_of(given: str, *, has_concern: bool) -> Outcome:
    """What a review came to, or `Invalid` with words for the form."""
    if given not in set(Outcome):
        raise Invalid(fields={"outcome": "Choose what this came to"})
    if given == Outcome.CONCERN and not has_concern:
        raise Invalid(fields={"outcome": "Record the concern first, or choose something else"})
    return Outcome(given)


def waited(alert: Alert, now: datetime) -> timedelta:
    return now - alert.called_at


def late_by(alert: Alert, now: datetime, alert_minutes: int) -> timedelta | None:
    """How long an alert has waited for somebody beyond what the profile allows."""
    late = waited(alert, now) - (REVIEW_WITHIN if alert.is_quiet else timedelta(minutes=alert_minutes))
    return late if not alert.taken_by and late >= timedelta(0) else None


def say_late(late: timedelta | None) -> str:
    """“New”, “12 minutes late”, “2 hours late”."""
    if late is None:
        return "New"
    for seconds, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if number := int(late.total_seconds() // seconds):
            return f"{number} {word}{'s' if number > 1 else ''} late"
    return "Late"


def on_duty(slots: Iterable[tuple[str, int, str, str]], local: datetime) -> frozenset[str]:
    """Who is on duty at a local time, of (person, weekday with Monday 0, from "08:00", to "17:00")."""
    clock = f"{local:%H:%M}"
    return frozenset(person for person, weekday, start, end in slots if weekday == local.weekday() and start <= clock < end)
