"""What each person is shown of the room. Pupils see names only of who is in it; in the lobby nobody sees a pupil's."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from lessons.live.messages import Lesson, LessonLink, Participant, State, Waiting, Welcome, You
from lessons.live.plan import Person, Plan
from lessons.live.seat import UNWELL, Seat
from lessons.live.supervision import Hold

PUPILS_NEEDED = 2


@lru_cache(maxsize=256)  # a room says the same few at every event
def instant(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def welcome(plan: Plan, person: Person, now: datetime) -> Welcome:
    granted = ("microphone", "camera", "chat", "screen", "moderate", "stop")
    may = tuple(what for what in granted if getattr(person.may, what))
    links = tuple(LessonLink(link.url, link.title) for link in plan.links)
    lesson = Lesson(plan.lesson_id, plan.title, plan.class_name, instant(plan.starts_at), instant(plan.ends_at),
                    instant(plan.hard_end_at), links, one_to_one=plan.needs_approval)
    return Welcome(You(person.id, person.name, str(person.role), may), lesson, instant(now))


def participant(seat: Seat, now: float) -> Participant:
    sharing = "none" if not seat.screen else "all" if seat.is_staff or seat.shown else "staff"
    return Participant(
        person=seat.person.id, name=seat.person.name, role=str(seat.person.role), hand=seat.hand,
        microphone=seat.microphone, camera=seat.camera, screen=seat.screen, camera_stopped=seat.camera_stopped,
        may_share=seat.may_share, sharing=sharing, connected=now - seat.heard_at <= UNWELL,
        beside=seat.beside or None,
    )


def waiting(here: Iterable[Seat], *, recording: bool) -> Waiting:
    seats = list(here)
    adults = sum(s.is_staff for s in seats)
    needed = 1 if adults >= 2 else PUPILS_NEEDED
    return Waiting(adults=adults, pupils=sum(s.is_child for s in seats), needed=needed, recording=recording)


def state(
    *, room: str, hold: tuple[Hold, ...], here: list[Seat], ends_at: datetime, recording: bool, chat: bool, now: float,
    breakouts: bool = False, approved_until: datetime | None = None,
) -> State:
    """The room as staff see it."""
    shown = [s for s in here if not s.is_child] if room == "lobby" else here
    presenter = next((s.person.id for s in shown if s.screen and (s.is_staff or s.shown)), None)
    return State(
        room=room, hold=tuple(map(str, hold)), waiting=waiting(here, recording=recording), ends_at=instant(ends_at),
        recording=recording, people=tuple(participant(s, now) for s in shown), chat=chat,
        presenter=presenter, breakouts=breakouts, approved_until=instant(approved_until) if approved_until else None,
    )


def for_others(staff: State) -> State:
    """The room as everybody else sees it: who is beside a child is for staff."""
    if all(one.beside is None for one in staff.people):
        return staff
    return replace(staff, people=tuple(replace(one, beside=None) for one in staff.people))


def barred(general: State) -> State:
    """For one who may not take part: this person alone is told to stop here, and sees and is seen by nobody."""
    quiet = Waiting(0, 0, general.waiting.needed, general.waiting.recording)
    return State("held", (str(Hold.NOT_PERMITTED),), quiet, general.ends_at, False, (), False, None)
