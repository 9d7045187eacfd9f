"""T8: a private channel. Whatever can be said, from whatever page, reaches the whole room or nobody (policy: RL7)."""

import contextlib
import dataclasses
import re
import typing
from collections.abc import Callable
from typing import Any

import pytest

from lessons.live import messages as m
from lessons.live import requests
from lessons.live.supervision import Kind
from lessons.media import uplink
from lessons.media.gate import Gate
from lessons.media.plane import Plane
from lessons.media.sdp import BadOffer
from service.foundation.clock import SystemClock
from tests.architecture.files import texts
from tests.media.raw import offer
from tests.room.stage import EVERYONE, Stage, opened
from tests.threats.attack import Guard, guarded_by, harm

SECRET = "meet me at four"
SAYABLE = typing.get_args(m.ClientMessage)
EXAMPLES: dict[object, object] = {str: "ali", int: 5, bool: True, str | None: "ali"}


def example(kind: type) -> m.ClientMessage:
    return kind(*(EXAMPLES[field.type] for field in dataclasses.fields(kind)))  # type: ignore[no-any-return]


def words_of(told: object) -> str:
    """What a sender could have put into a message."""
    return " ".join(str(value) for value in dataclasses.asdict(told).values()) if dataclasses.is_dataclass(told) else ""  # type: ignore[arg-type]


def whisper(patch: pytest.MonkeyPatch) -> None:
    """What is said reaches whoever comes first by name, and who said it."""
    delivered = requests._delivered
    patch.setattr(requests, "_delivered", lambda room, seat, *said: [
        tell for tell in delivered(room, seat, *said) if tell.person in (seat.person.id, room.here()[0].person.id)])


@guarded_by(Guard("what is said is said to everybody here", whisper))
def test_no_message_carries_words_to_one_child_alone(attempt: Any) -> None:
    """Every message that there is, from a teacher with every power: whatever words it holds reach all pupils or none."""
    with attempt:
        arrived = {kind for kind in SAYABLE if _told_to_all_or_none(kind)}
        assert arrived == {m.Chat}, "the probe notices words that do arrive"


def _told_to_all_or_none(kind: type) -> bool:
    """Whether they reached the pupils."""
    stage = opened("teacher", "assistant", "ali", "bea", "cal")
    said = {f.name: SECRET for f in dataclasses.fields(kind) if f.type in (str, str | None) and f.name not in ("person", "flag")}
    before = len(stage.wire)
    stage.send("teacher", dataclasses.replace(example(kind), **said))
    children = {p.id for p in EVERYONE if p.kind is Kind.CHILD and p.id in stage.connections}
    reached = {child for _, child, told in stage.wire[before:] if child in children and SECRET in words_of(told)}
    harm(reached not in (set(), children) and reached, f"{m.type_of(kind)}: words for some of the pupils")
    return bool(reached)


def _lobby() -> Stage:
    return Stage().join("teacher", "ali").pass_time(2)


def _held() -> Stage:
    stage = opened()
    stage.drop("bea")
    return stage


def pass_on_at_once(patch: pytest.MonkeyPatch) -> None:
    """As a room that passes words on by itself: neither its state nor the gate is asked."""
    def chat(room: Any, seat: Any, message: m.Chat, now: Any) -> Any:
        said = m.ChatMessage("c1", seat.person.id, seat.person.name, message.text, str(now.wall))
        return requests._delivered(room, seat, message, said)

    patch.setattr(requests, "_chat", chat)


@pytest.mark.parametrize("make", [_lobby, _held], ids=["waiting room", "paused"])
@guarded_by(Guard("words go through the gate", pass_on_at_once))
def test_in_the_waiting_room_and_while_paused_nothing_said_reaches_the_other(make: Callable[[], Stage], attempt: Any) -> None:
    with attempt:
        for kind in SAYABLE:
            stage = make()
            said = {f.name: SECRET for f in dataclasses.fields(kind) if f.type in (str, str | None) and f.name != "person"}
            for sender, other in (("teacher", "ali"), ("ali", "teacher")):
                before = len(stage.wire)
                if sender in stage.connections:
                    stage.send(sender, dataclasses.replace(example(kind), **said))
                harm([told for _, who, told in stage.wire[before:] if who == other and SECRET in words_of(told)],
                     f"{m.type_of(kind)}: words in a room that is not open")


# What a modified page could offer, and what in the service sends at all


def audio_again(sdp: str) -> str:
    start = sdp.index("m=audio")
    return sdp + sdp[start:sdp.index("m=video")].replace("a=mid:0", "a=mid:9")


UNREGISTERED = {
    "a data channel": lambda sdp: sdp + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\n"
                                        "a=sctp-port:5000\r\n",
    "a data channel in the camera's place": lambda sdp: sdp.replace(
        "m=video 9 UDP/TLS/RTP/SAVPF", "m=application 9 UDP/DTLS/SCTP", 1),
    "a second microphone": audio_again,
    "a third picture": lambda sdp: sdp + sdp[sdp.rindex("m=video"):].replace("a=mid:2", "a=mid:9"),
    "text": lambda sdp: sdp.replace("m=audio", "m=text", 1),
    "another codec": lambda sdp: sdp.replace("VP8/90000", "red/90000"),
}


def take_what_is_known_of_it(patch: pytest.MonkeyPatch) -> None:
    """As a server that reads over what it does not know."""
    accept = uplink.accept

    def lenient(description: Any) -> Any:
        known = [s for s in description.sections if s.kind in ("audio", "video")][:1]
        return accept(dataclasses.replace(description, sections=known)) if known and known[0].kind == "audio" else []

    patch.setattr(uplink, "accept", lenient)


@pytest.mark.parametrize("what", UNREGISTERED)
@guarded_by(Guard("an offer is one microphone, one camera, one screen", take_what_is_known_of_it))
async def test_an_offer_of_anything_else_is_refused_whole(what: str, attempt: Any) -> None:
    clock = SystemClock()
    plane = await Plane.start(port=0, addresses=["127.0.0.1"], clock=clock)
    room = plane.room(gate=Gate(), lesson_clock_start=clock.boottime(), sink=lambda *_: None, on_offer=lambda *_: None)
    room.join("ali")
    plain = offer(plane.certificate)
    assert UNREGISTERED[what](plain) != plain
    answered = []
    try:
        with attempt:
            with contextlib.suppress(BadOffer):
                answered.append(await room.publish("ali", UNREGISTERED[what](plain)))
            harm(answered, "an answer to what nobody registered")
    finally:
        await plane.close()


SENDING = {
    "fan_out(": {"lessons/media/source.py"},
    ".send_rtp(": {"lessons/media/source.py", "lessons/media/pair.py"},
    ".send_text(": {"lessons/live/socket.py", "service/calls/line.py"},
    "line.send(": {"lessons/live/host.py", "lessons/live/socket.py", "service/calls/desk.py", "service/calls/line.py",
                   "mobile_api/calling/call.py"},
}
"""Every place that hands something to a person's socket: behind the gate and the wire monitor, or the room's own words; and how a
call stands, to whoever placed it or answers in the app, whose sound a pair carries between the two who may. The self-test is a
client: what it sends comes in."""


@pytest.mark.parametrize("call", SENDING)
def test_nothing_else_in_the_service_sends(call: str) -> None:
    ours = ("lessons", "recordings", "service", "consent", "mobile_api")
    found = {str(path) for path, text in texts().items()
             if path.suffix == ".py" and path.parts[0] in ours and "selftest" not in path.parts
             and re.search(rf"(?<!def ){re.escape(call)}", text)}
    assert found == SENDING[call]
