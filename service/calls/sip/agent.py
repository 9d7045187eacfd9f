"""A telephone of our own on loopback, which calls through the edge and has no sound itself (RFC 3261, a user agent).

Janus is the telephone of a browser. Where the caller speaks by their own telephone there is none, and this takes its place: one
INVITE for each of the two. The edge does what is difficult (digest authentication, TLS, masking). Nobody but the edge is heard.
"""

import asyncio
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.calls.sip.edge import Door

AGAIN_SECONDS, LONGEST_SECONDS, TIMES = 0.5, 4.0, 8
"""A request is said again, ever less often, until somebody answers it (RFC 3261, 17.1); then it is given up."""
FORGET_SECONDS = 10.0
"""For which words about a call that is over are still answered."""
OFFER = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8 0 101\r\n"
         "a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n")
"""The edge writes its own in its place, with the relay's port: here is nobody who would hear."""
_SHORT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type"}
_KEPT = {"via": "Via", "from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq", "record-route": "Record-Route"}
"""What an answer repeats of what it answers (RFC 3261, 8.2.6)."""
_FURTHER = re.compile(r",(?=\s*<)")


@dataclass(frozen=True)
class Message:
    """One SIP message. `start`: its first line."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: str

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def code(self) -> int:
        """The status of a response; 0 of a request."""
        return int(self.start[8:11]) if re.match(r"SIP/2\.0 \d{3}", self.start) else 0

    @property
    def method(self) -> str:
        """Of a request, or of the request that a response answers."""
        return self.one("cseq").rpartition(" ")[2]


def read(data: bytes) -> Message | None:
    """What was received; None where it is no SIP."""
    head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
    start, *lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
    parted = [line.partition(":") for line in lines]
    if not re.fullmatch(r"SIP/2\.0 \d{3}.*|[A-Z]+ \S+ SIP/2\.0", start) or not all(colon for _, colon, _ in parted):
        return None
    names = [(name.strip().lower(), value.strip()) for name, _, value in parted]
    return Message(start, tuple((_SHORT.get(name, name), value) for name, value in names), body)


class Heard(Protocol):
    """What whoever called is told of it. After `over` there is nothing more."""

    def ringing(self) -> None: ...
    def early(self) -> None: ...
    def answered(self) -> None: ...
    def over(self, code: int) -> None:
        """`code`: of the refusal (RFC 3261, 21); below 300 where somebody hung up; 0 where nobody answers us any more."""


class Agent:
    """`open` once, `knows` at every start of the edge."""

    def __init__(self) -> None:
        self._socket: asyncio.DatagramTransport | None = None
        self._edge = ("127.0.0.1", 0)
        self._token = ""
        self._legs: dict[str, Leg] = {}

    async def open(self, door: Door) -> None:
        self._edge, self._token = ("127.0.0.1", door.inner), door.token
        if self._socket is None:
            self._socket, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Ear(self._receive), local_addr=("127.0.0.1", 0))

    def close(self) -> None:
        for leg in self._legs.values():
            leg.stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def invite(self, call_id: str, to: str, shown: str, headers: dict[str, str], heard: Heard) -> "Leg":
        """Call a telephone. `to`, `shown`: SIP addresses; `headers`: what the edge has to know."""
        leg = self._legs[call_id] = Leg(self, call_id, to, shown, headers | {"X-Chaperone": self._token}, heard)
        leg.invite()
        return leg

    @property
    def address(self) -> str:
        host, port = self._socket.get_extra_info("sockname") if self._socket is not None else self._edge
        return f"{host}:{port}"

    def send(self, text: str) -> None:
        if self._socket is not None:
            self._socket.sendto(text.encode(), self._edge)

    def forget(self, call_id: str) -> None:
        asyncio.get_running_loop().call_later(FORGET_SECONDS, self._legs.pop, call_id, None)

    def _receive(self, data: bytes, sender: tuple[str, int]) -> None:
        said = read(data) if sender == self._edge else None
        if said is None:
            return
        leg = self._legs.get(said.one("call-id"))
        if said.code:
            if leg is not None:
                leg.hear_answer(said)
        elif said.method != "ACK":
            self.send(leg.hear_request(said) if leg is not None else answer(said, "481 Call Does Not Exist"))


class Leg:
    """One call of ours to one telephone."""

    def __init__(self, agent: Agent, call_id: str, to: str, shown: str, headers: dict[str, str], heard: Heard) -> None:
        self.call_id = call_id
        self._agent, self._heard, self._headers = agent, heard, headers
        self._from, self._to = f"<{shown}>;tag={secrets.token_hex(8)}", f"<{to}>"
        self._target, self._routes = to, list[str]()
        self._branch, self._count = "z9hG4bK" + secrets.token_hex(8), 1
        self._rings = self._answered = self._ends = self._over = False
        self._timer: asyncio.TimerHandle | None = None

    def invite(self) -> None:
        self._say("INVITE", self._headers | {"Content-Type": "application/sdp"}, OFFER)

    def hang_up(self) -> None:
        """At any moment. What only rings is taken back as soon as somebody has heard of it (RFC 3261, 9.1)."""
        if self._ends or self._over:
            return
        self._ends = True
        if self._answered:
            self._count += 1
            self._branch = "z9hG4bK" + secrets.token_hex(8)
            self._say("BYE")
        elif self._rings:
            self._say("CANCEL")

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def hear_answer(self, said: Message) -> None:
        if said.method == "INVITE":
            self._hear_of_invite(said)
        elif said.code >= 200 and not (said.method == "CANCEL" and self._answered):
            self.stop()
            if said.method == "BYE":
                self._end(200)

    def _hear_of_invite(self, said: Message) -> None:
        if not self._answered and not self._ends:
            self.stop()
        if said.code < 200:
            first, self._rings = not self._rings, True
            if self._ends and first:
                self._say("CANCEL")
            elif said.code > 100 and not self._ends and not self._answered:
                if said.body:
                    self._heard.early()
                elif said.code == 180:
                    self._heard.ringing()
        elif said.code < 300:
            first, self._answered = not self._answered, True
            self._to, self._routes = said.one("to"), list(reversed(_listed(said.all("record-route"))))
            self._target = _address(said.one("contact")) or self._target
            self._send("ACK")
            if first and self._ends:  # it was answered while it was taken back
                self._ends = False
                self.hang_up()
            elif first:
                self._heard.answered()
        else:
            self._to = said.one("to")
            self._send("ACK")
            self._end(said.code)

    def hear_request(self, said: Message) -> str:
        """Our answer. Of a call the other end may change the sound, which the edge sees to, and end it."""
        if said.method == "BYE":
            self._end(200)
            return answer(said, "200 OK")
        if said.method in ("INVITE", "UPDATE") and self._answered and not self._over:
            return answer(said, "200 OK", {"Contact": self._contact} | ({"Content-Type": "application/sdp"} if said.body or
                          said.method == "INVITE" else {}), OFFER if said.body or said.method == "INVITE" else "")
        return answer(said, "200 OK" if said.method in ("OPTIONS", "PRACK") else "405 Method Not Allowed")

    @property
    def _contact(self) -> str:
        return f"<sip:calls@{self._agent.address}>"

    def _end(self, code: int) -> None:
        self.stop()
        if not self._over:
            self._over = True
            self._agent.forget(self.call_id)
            self._heard.over(code)

    def _say(self, method: str, headers: dict[str, str] | None = None, body: str = "", *, wait: float = AGAIN_SECONDS,
             times: int = TIMES) -> None:
        """Until it is answered, or nobody does."""
        self.stop()
        if not times:
            self._end(0)
            return
        self._send(method, headers, body)
        self._timer = asyncio.get_running_loop().call_later(wait, lambda: self._say(
            method, headers, body, wait=min(2 * wait, LONGEST_SECONDS), times=times - 1))

    def _send(self, method: str, headers: dict[str, str] | None = None, body: str = "") -> None:
        is_within = self._answered and method != "CANCEL"
        branch = self._branch if method != "ACK" or not self._answered else "z9hG4bK" + secrets.token_hex(8)
        count = 1 if method in ("INVITE", "ACK", "CANCEL") else self._count
        lines = [f"{method} {self._target} SIP/2.0", f"Via: SIP/2.0/UDP {self._agent.address};branch={branch}",
                 *(f"Route: {route}" for route in self._routes if is_within), "Max-Forwards: 70", f"From: {self._from}",
                 f"To: {self._to}", f"Call-ID: {self.call_id}", f"CSeq: {count} {method}",
                 *([f"Contact: {self._contact}"] if method == "INVITE" else []),
                 *(f"{name}: {value}" for name, value in (headers or {}).items())]
        self._agent.send(_text(lines, body))


def answer(said: Message, status: str, headers: dict[str, str] | None = None, body: str = "") -> str:
    kept = [f"{_KEPT[name]}: {value}" for name, value in said.headers if name in _KEPT]
    return _text([f"SIP/2.0 {status}", *kept, *(f"{name}: {value}" for name, value in (headers or {}).items())], body)


def _text(lines: list[str], body: str) -> str:
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])


def _listed(values: list[str]) -> list[str]:
    return [each.strip() for value in values for each in _FURTHER.split(value)]


def _address(contact: str) -> str:
    found = re.search(r"<([^<>\s]+)>", contact) or re.match(r"([^\s;,<>]+)", contact)
    return found[1] if found else ""


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, tuple[str, int]], None]) -> None:
        self.datagram_received = receive  # type: ignore[method-assign, assignment]
