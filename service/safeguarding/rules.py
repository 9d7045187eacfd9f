"""Who is told of what, and who must never know. Pure.

An alert reaches somebody who can act and is not part of it: never the person it is about, never an adult of the lesson it
came from (policy: RC1, RC4, IN4). For the people left out it does not exist, in counts either.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

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
HEADTEACHER_AFTER = 3  # times the profile's `alert_minutes`, untaken: 15 minutes by default


@dataclass(frozen=True)
class Alert:
    """What routing needs to know of an alert. `barred`: the people for whom it does not exist."""

    routed_to: Role
    raised_at: datetime
    taken_by: str = ""
    barred: frozenset[str] = frozenset()


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
    for role in (Role.DSL, Role.HEADTEACHER)[start:]:
        if any(roles & circle(role) and person not in barred for person, roles in holders.items()):
            return role
    return Role.CHAIR


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
    if viewer.roles & circle(alert.routed_to) or alert.taken_by == viewer.person_id:
        return True
    late = not alert.taken_by and waited(alert, now) >= timedelta(minutes=HEADTEACHER_AFTER * alert_minutes)
    return alert.routed_to is Role.DSL and Role.HEADTEACHER in viewer.roles and late


def calls(alert: Alert, viewer: Viewer, on_duty: Collection[str], now: datetime, alert_minutes: int) -> bool:
    """Whether the alert asks for this viewer's attention on every page now.

    The DSL and whoever of the queue is on duty are called at once; a deputy off duty after `alert_minutes`; everybody of
    the queue at once when the rota names nobody who may open it.
    """
    if alert.taken_by or not may_open(alert, viewer, now, alert_minutes):
        return False
    if alert.routed_to is not Role.DSL or Role.DSL in viewer.roles or viewer.person_id in on_duty:
        return True
    if Role.HEADTEACHER in viewer.roles:
        return True  # `may_open` let the time pass already
    return not on_duty or waited(alert, now) >= timedelta(minutes=alert_minutes)


def call_times(alert: Alert, holders: Mapping[str, frozenset[Role]], on_duty: Collection[str],
               alert_minutes: int) -> dict[str, timedelta]:
    """How long after it was raised an alert that nobody takes first calls each person; who is never called is not in it."""
    steps = [timedelta(minutes=times * alert_minutes) for times in (0, 1, HEADTEACHER_AFTER)]
    return {
        person: first for person, roles in holders.items()
        if (first := next((step for step in steps if calls(
            alert, Viewer(person, roles), on_duty, alert.raised_at + step, alert_minutes)), None)) is not None
    }


def waited(alert: Alert, now: datetime) -> timedelta:
    return now - alert.raised_at


def late_by(alert: Alert, now: datetime, alert_minutes: int) -> timedelta | None:
    """How long an alert has waited for somebody beyond what the profile allows."""
    late = waited(alert, now) - timedelta(minutes=alert_minutes)
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
