"""What people in the room ask for, and whether they may. One function for each message; the rule is asked afterwards."""

from collections.abc import Callable
from typing import Protocol

from lessons.live import chat
from lessons.live import messages as m
from lessons.live.chat import Screening
from lessons.live.deadlines import Moment
from lessons.live.effects import Alert, Close, Effect, Journal, Say, Tell
from lessons.live.seat import Seat
from lessons.live.view import instant

EXTENSION = 5
WORDS = {
    "not-allowed": "You may not do this.",
    "not-here": "This person is not in the room.",
    "not-permitted": "This stays off in lessons.",
    "paused": "The lesson is paused. Nobody can see or hear anybody.",
    "camera-stopped": "Your camera was stopped. It stays off until it is allowed again.",
    "no-extension": "The lesson cannot be made longer.",
    "unknown": "This is not known.",
}


class Room(Protocol):
    """What a request may read and change of the room. The gate is not among it."""

    seats: dict[str, Seat]
    chat: bool
    stopped: bool
    removed: frozenset[str]

    @property
    def is_open(self) -> bool: ...
    @property
    def screen(self) -> Callable[[str], Screening]: ...
    def here(self) -> list[Seat]: ...
    def count(self) -> int: ...
    def hang_up(self, seat: Seat, why: Close, ended: str) -> list[Effect]: ...
    def extend(self, minutes: int) -> bool: ...
    def finish(self, reason: str) -> list[Effect]: ...


_STAFF = (m.Flag, m.ShowChat)
_MODERATORS = (
    m.Mute, m.AskToUnmute, m.StopCamera, m.AllowCamera, m.AllowShare, m.StopShare, m.ShowShare, m.LowerHand, m.Remove,
    m.SetChat, m.Extend, m.End,
)
_PRIVILEGES = (m.AskToUnmute, m.AllowCamera, m.AllowShare, m.ShowShare)
"""What gives or asks something of one person: only while the room is open, as everything that reaches a child."""


def answer(room: Room, seat: Seat, message: object, now: Moment) -> list[Effect]:
    """The effects of one message from one seat; a refusal in plain words when it may not be."""
    refusal = _refusal(room, seat, message)
    if refusal:
        return refuse(seat, message, refusal)
    match message:
        case m.Microphone() | m.Camera() | m.Share():
            return _send(room, seat, message)
        case m.Hand(up):
            return _hand(room, seat, up)
        case m.Chat():
            return _chat(room, seat, message, now)
        case m.Flag():
            return _flag(room, seat, message, now)
        case m.ShowChat(chat_id):
            return [Journal("chat-seen", seat.person.id, {"message": chat_id})]
        case m.SetChat(on):
            room.chat = on
            return [Journal("chat-set", seat.person.id, {"on": on})]
        case m.Extend(minutes):
            if minutes != EXTENSION or not room.extend(minutes):
                return refuse(seat, message, "no-extension")
            return [Journal("extended", seat.person.id, {"minutes": minutes})]
        case m.End():
            return [Journal("end-asked", seat.person.id), *room.finish("ended-by-staff")]
        case m.Stop(reason):
            room.stopped, words = True, {"reason": reason}
            return [Journal("stopped", seat.person.id, words=words), Alert("stopped", seat.person.id, words)]
        case m.Mute():
            return _mute(room, seat, message)
        case _:
            return _moderate(room, seat, message)


def refuse(seat: Seat, message: object, code: str) -> list[Effect]:
    if isinstance(message, m.Chat):
        return [Tell(seat.person.id, m.ChatRefused(message.own, code))]
    return [Tell(seat.person.id, m.Refused(m.type_of(message), code, WORDS[code]))]


def _refusal(room: Room, seat: Seat, message: object) -> str:
    may = seat.person.may
    if not may.attend:
        return "not-permitted"
    if isinstance(message, _STAFF) and not seat.is_staff:
        return "not-allowed"
    if isinstance(message, _MODERATORS) and not may.moderate:
        return "not-allowed"
    if isinstance(message, m.Stop) and not may.stop:
        return "not-allowed"
    if isinstance(message, _PRIVILEGES) and not room.is_open:
        return "paused"
    return ""


# One's own microphone, camera, screen and hand


def _send(room: Room, seat: Seat, message: m.Microphone | m.Camera | m.Share) -> list[Effect]:
    if message.on:
        refusal = _sending_refusal(room, seat, message)
        if refusal:
            return refuse(seat, message, refusal)
    match message:
        case m.Microphone(on):
            seat.microphone = on
        case m.Camera(on):
            seat.camera = on
        case m.Share(False):
            seat.stop_sharing()
        case m.Share(True):
            seat.screen = True
            if seat.is_staff:
                return _present(room, seat)
    return []


def _sending_refusal(room: Room, seat: Seat, message: m.Microphone | m.Camera | m.Share) -> str:
    may = seat.person.may
    if not {m.Microphone: may.microphone, m.Camera: may.camera, m.Share: may.screen}[type(message)]:
        return "not-permitted"
    if not seat.is_staff and not room.is_open:
        return "paused"
    if isinstance(message, m.Camera) and seat.camera_stopped:
        return "camera-stopped"
    if isinstance(message, m.Share) and not (seat.is_staff or seat.may_share):
        return "not-allowed"
    return ""


def _present(room: Room, presenter: Seat) -> list[Effect]:
    """One screen for the class at a time: the latest."""
    others = [s for s in room.seats.values() if s is not presenter and s.screen and (s.is_staff or s.shown)]
    for other in others:
        other.stop_sharing()
    return [Tell(s.person.id, m.Changed("share_stopped", presenter.person.name)) for s in others if s.connection]


def _hand(room: Room, seat: Seat, up: bool) -> list[Effect]:
    if up and not room.is_open:
        return refuse(seat, m.Hand(up), "paused")
    seat.hand = (seat.hand or room.count()) if up else None
    return []


# Chat and flags


def _chat(room: Room, seat: Seat, message: m.Chat, now: Moment) -> list[Effect]:
    """Checked before delivery; the sender is always told what became of it (policy: RL6, RL7)."""
    refusal = _chat_refusal(room, seat, now)
    if refusal:  # before the screening: a storm of messages must not cost every lesson its time
        return refuse(seat, message, refusal)
    screening = room.screen(message.text)
    if screening.outcome is chat.Outcome.REFUSED:
        return refuse(seat, message, str(screening.why))
    seat.said_at.append(now.boot)
    held = screening.outcome is chat.Outcome.HELD
    said = m.ChatMessage(f"c{room.count()}", seat.person.id, seat.person.name, message.text, instant(now.wall))
    outcome, why = str(screening.outcome), str(screening.why)
    record = {"id": said.id, "person": said.person, "text": said.text, "outcome": outcome, "reason": why}
    tells = _held(room, seat, message, said, why) if held else _delivered(room, seat, message, said)
    told: list[Effect] = []
    if screening.is_urgent:
        told = [Alert("chat-held", seat.person.id, {"text": message.text})]
    elif held:
        told = [Journal("chat-held", seat.person.id, {"message": said.id, "why": why})]
    return [Say(record, tuple(tells), Tell(seat.person.id, m.ChatRefused(message.own, "paused"))), *told]


def _chat_refusal(room: Room, seat: Seat, now: Moment) -> str:
    while seat.said_at and now.boot - seat.said_at[0] > chat.BURST_SECONDS:
        seat.said_at.popleft()
    if not room.is_open:
        return "paused"
    if not room.chat and not seat.is_staff:
        return "off"
    if not seat.person.may.chat:
        return "not-permitted"
    return "too-fast" if len(seat.said_at) >= chat.BURST else ""


def _delivered(room: Room, seat: Seat, message: m.Chat, said: m.ChatMessage) -> list[Tell]:
    own = m.ChatMessage(said.id, said.person, said.name, said.text, said.at, own=message.own)
    return [Tell(s.person.id, own if s is seat else said) for s in room.here()]


def _held(room: Room, seat: Seat, message: m.Chat, said: m.ChatMessage, reason: str) -> list[Tell]:
    to_staff = m.ChatHeld(reason, id=said.id, person=said.person, name=said.name, text=said.text)
    others = [Tell(s.person.id, to_staff) for s in room.here() if s.is_staff and s is not seat]
    return [Tell(seat.person.id, m.ChatHeld(reason, own=message.own)), *others]


def _flag(room: Room, seat: Seat, message: m.Flag, now: Moment) -> list[Effect]:
    """Saves the moment and tells those who look after children; nobody in the room sees it (policy: RC1)."""
    flag = message.flag or f"f{room.count()}"
    facts = {"flag": flag, "about": message.about or "", "at": instant(now.wall), "more": message.flag is not None}
    words = {"note": message.note} if message.note else {}
    saved = Tell(seat.person.id, m.Flagged(flag))
    return [Journal("flag", seat.person.id, facts, words), Alert("flag", seat.person.id, {**facts, **words}, saved)]


# Moderating


def _mute(room: Room, by: Seat, message: m.Mute) -> list[Effect]:
    if message.person is None:
        targets = [s for s in room.here() if not s.is_staff]
    else:
        found = room.seats.get(message.person)
        if found is None or not found.is_here or found.is_staff:
            return refuse(by, message, "not-here")
        targets = [found]
    heard = [s for s in targets if s.microphone]
    for seat in heard:
        seat.microphone = False
    tells: list[Effect] = [Tell(s.person.id, m.Changed("microphone_muted", by.person.name)) for s in heard]
    return [*tells, Journal("muted", by.person.id, {"people": [s.person.id for s in heard]})]


def _moderate(room: Room, by: Seat, message: object) -> list[Effect]:
    """Something about one pupil or guest who is here. Nobody's microphone or camera can be switched on by another."""
    target = room.seats.get(getattr(message, "person", ""))
    if target is None or target.is_staff or not target.is_here:
        return refuse(by, message, "not-here")
    name, who = by.person.name, target.person.id
    match message:
        case m.AskToUnmute():
            tells: list[Effect] = [Tell(who, m.Asked("microphone", name))]
        case m.StopCamera():
            target.camera_stopped, target.camera = True, False
            target.stop_sharing()
            tells = [Tell(who, m.Changed("camera_stopped", name, "camera"))]
        case m.AllowCamera():
            target.camera_stopped = False
            tells = [Tell(who, m.Changed("camera_allowed", name, "camera"))]
        case m.AllowShare():
            if not target.person.may.screen:
                return refuse(by, message, "not-permitted")
            target.may_share = True
            tells = [Tell(who, m.Changed("share_allowed", name, "screen"))]
        case m.StopShare():
            target.may_share = False
            target.stop_sharing()
            tells = [Tell(who, m.Changed("share_stopped", name, "screen"))]
        case m.ShowShare():
            if not target.screen:
                return refuse(by, message, "not-here")
            tells = _present(room, target)
            target.shown = True
        case m.LowerHand():
            target.hand, tells = None, []
        case m.Remove(reason=reason):
            room.removed |= {who}
            tells = room.hang_up(target, Close.REMOVED, "removed")
            tells.append(Journal("removed", who, {"by": by.person.id}, {"reason": reason}))
            return tells
        case _:
            return refuse(by, message, "unknown")
    return [*tells, Journal(m.type_of(message), who, {"by": by.person.id})]
