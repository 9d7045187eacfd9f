"""One call as it stands: what Janus says of it, turned into news, and the gate moved before anybody is told."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from service.calls.sip.relay import Gate, Relay
from service.calls.way import End, Kind, News, Order, Tell

BUSY, REFUSED = {486, 600}, {403, 404, 410, 433, 484, 485, 488, 603, 604, 606, 607, 608}
NO_ANSWER = {408, 480, 487}


@dataclass
class Call:
    order: Order
    tell: Tell
    relay: Relay
    handle: int = 0
    placed: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    dialled: bool = False
    answered: bool = False
    answer: str = ""
    """The browser's SDP answer, once it was told."""
    ending: End | None = None
    """How we are ending it."""
    limit: asyncio.TimerHandle | None = None
    """Until when somebody may answer; once it is ending, until when Janus may say that it has."""
    news: asyncio.Queue[News] = field(default_factory=asyncio.Queue)
    over: bool = False

    def heard(self, said: dict[str, Any]) -> None:
        """Janus says something of this call."""
        if self.over:
            return
        data = said.get("plugindata", {}).get("data", {})
        result = data.get("result", {})
        event = result.get("event", "")
        if not self.placed.done():
            if "error" in data or event == "registration_failed":
                self.placed.set_exception(RuntimeError("refused"))
            elif event in ("registered", "calling"):
                self.placed.set_result(None)
            if event in ("registered", "calling") or "error" in data:
                return
        answer = str(said.get("jsep", {}).get("sdp", ""))
        if event == "ringing":
            self._say(Kind.RINGING)
        elif event == "progress" and not self.answered:
            if self.relay.gate is Gate.SHUT and self.ending is None:
                self.relay.gate = Gate.EARLY
            self._say(Kind.EARLY, answer)
        elif event == "accepted" and not self.answered:
            self.answered = True
            if self.relay.gate is Gate.EARLY:
                self.relay.gate = Gate.SHUT
            self._stop_limit()
            self._say(Kind.ANSWERED, answer)
        elif event == "hangup":
            code = int(result.get("code", 0))
            self.end(self.ending or (end_of(code) if not self.answered else End.HUNG_UP if code < 300 else End.FAULT))
        elif said["janus"] == "detached":
            self.end(self.ending or End.FAULT)

    def end(self, how: End) -> None:
        """It has ended: nobody hears anybody, and the last news says so, once."""
        if not self.over:
            self.over = True
            self._stop_limit()
            self.relay.close()
            if not self.placed.done():
                self.placed.set_exception(RuntimeError("ended"))
                self.placed.exception()
            self.news.put_nowait(News(self.order.call_id, Kind.ENDED, end=how))

    def set_limit(self, limit: asyncio.TimerHandle) -> None:
        self._stop_limit()
        self.limit = limit

    def _stop_limit(self) -> None:
        if self.limit is not None:
            self.limit.cancel()
            self.limit = None

    def _say(self, kind: Kind, answer: str = "") -> None:
        if self.ending is None:
            once = answer if not self.answer else ""
            self.answer = self.answer or answer
            self.news.put_nowait(News(self.order.call_id, kind, once))


def end_of(code: int) -> End:
    """What the other end's refusal means (RFC 3261, 21), where nobody answered."""
    if code in BUSY:
        return End.BUSY
    if code in REFUSED:
        return End.REFUSED
    return End.NO_ANSWER if code in NO_ANSWER else End.FAULT
