"""Our own telephone towards the edge: whom it believes, and what it does where words cross, are lost or are none."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.calls.sip import agent as agents
from service.calls.sip.agent import Agent, Leg, read
from service.calls.sip.edge import Door
from tests.home_calls import until


@dataclass
class Heard:
    said: list[str] = field(default_factory=list)

    def ringing(self) -> None:
        self.said.append("ringing")

    def early(self) -> None:
        self.said.append("early")

    def answered(self) -> None:
        self.said.append("answered")

    def over(self, code: int) -> None:
        self.said.append(f"over {code}")


class Edge(asyncio.DatagramProtocol):
    """The edge's end of the loopback: what it was told, and what the test lets it say."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.transport: asyncio.DatagramTransport | None = None
        self.agent: tuple[str, int] = ("127.0.0.1", 0)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.agent = addr
        self.heard.append(data.decode())

    @property
    def methods(self) -> list[str]:
        return [said.split(" ", 1)[0] for said in self.heard]

    def say(self, text: str) -> None:
        assert self.transport is not None
        self.transport.sendto(text.encode(), self.agent)

    def answer(self, status: str, method: str = "INVITE", body: str = "") -> None:
        asked = next(said for said in reversed(self.heard) if said.startswith(f"{method} "))
        kept = re.findall(r"^(?:Via|From|Call-ID|CSeq): .*$", asked, re.M)
        to = re.findall(r"^To: ([^\r;]*)", asked, re.M)[0]
        self.say("\r\n".join([f"SIP/2.0 {status}", *(line.strip() for line in kept), f"To: {to};tag=them",
                              "Record-Route: <sip:one;lr>, <sip:two;lr>", "Contact: <sip:telephone@there>", "", body]))

    def ask(self, method: str, call_id: str = "call", body: str = "") -> None:
        self.say(f"{method} sip:calls@here SIP/2.0\r\nv: SIP/2.0/UDP there\r\nf: <sip:them>;tag=them\r\nt: <sip:us>;tag=us\r\n"
                 f"i: {call_id}\r\nCSeq: 7 {method}\r\n\r\n{body}")


@dataclass
class Talk:
    edge: Edge
    agent: Agent
    leg: Leg
    heard: Heard

    async def until(self, *methods: str) -> None:
        await until(lambda: self.edge.methods == list(methods))

    async def answered(self) -> None:
        await self.until("INVITE")
        self.edge.answer("200 OK", body="v=0")
        await self.until("INVITE", "ACK")


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    loop = asyncio.get_running_loop()
    transport, edge = await loop.create_datagram_endpoint(Edge, local_addr=("127.0.0.1", 0))
    agent, heard = Agent(), Heard()
    await agent.open(Door(tmp_path, int(transport.get_extra_info("sockname")[1]), 0))
    yield Talk(edge, agent, agent.invite("call", "sip:+44@trunk", "sip:+441@trunk", {"Privacy": "id"}, heard), heard)
    agent.close()
    transport.close()


async def test_a_call_is_answered_acknowledged_by_its_route_and_hung_up(talk: Talk) -> None:
    await talk.until("INVITE")
    assert "X-Chaperone: " in talk.edge.heard[0]
    for status, body in (("100 Trying", ""), ("180 Ringing", ""), ("183 Session Progress", "v=0")):
        talk.edge.answer(status, body=body)
    await talk.answered()
    assert talk.heard.said == ["ringing", "early", "answered"]
    ack = talk.edge.heard[-1]
    assert ack.startswith("ACK sip:telephone@there SIP/2.0")
    assert re.findall(r"^Route: (.*?)\r$", ack, re.M) == ["<sip:two;lr>", "<sip:one;lr>"]
    talk.edge.answer("200 OK", body="v=0")
    await talk.until("INVITE", "ACK", "ACK")
    talk.leg.hang_up()
    talk.leg.hang_up()
    await talk.until("INVITE", "ACK", "ACK", "BYE")
    talk.edge.answer("200 OK", "BYE")
    await until(lambda: talk.heard.said[-1] == "over 200")


async def test_what_is_taken_back_before_anybody_heard_of_it_is_cancelled_as_soon_as_somebody_has(talk: Talk) -> None:
    await talk.until("INVITE")
    talk.leg.hang_up()
    talk.edge.answer("100 Trying")
    await talk.until("INVITE", "CANCEL")
    talk.edge.answer("200 OK", "CANCEL")
    talk.edge.answer("487 Request Terminated")
    await talk.until("INVITE", "CANCEL", "ACK")
    assert talk.heard.said == ["over 487"]


async def test_who_answers_while_it_is_taken_back_is_hung_up_on_and_nobody_is_told_of_an_answer(talk: Talk) -> None:
    await talk.until("INVITE")
    talk.edge.answer("180 Ringing")
    await until(lambda: talk.heard.said == ["ringing"])
    talk.leg.hang_up()
    await talk.until("INVITE", "CANCEL")
    talk.edge.answer("200 OK", body="v=0")
    talk.edge.answer("200 OK", "CANCEL")
    await talk.until("INVITE", "CANCEL", "ACK", "BYE")
    talk.edge.answer("200 OK", "BYE")
    await until(lambda: talk.heard.said == ["ringing", "over 200"])


@pytest.mark.parametrize("when", ["ringing", "talking"])
async def test_where_nobody_answers_us_the_call_is_over(talk: Talk, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    monkeypatch.setattr(agents, "LONGEST_SECONDS", 0.05)
    if when == "talking":
        await talk.answered()
        talk.leg.hang_up()
    await until(lambda: talk.heard.said[-1:] == ["over 0"])
    assert talk.edge.methods.count("BYE" if when == "talking" else "INVITE") == agents.TIMES


async def test_within_a_call_its_sound_may_change_and_it_may_end_and_nothing_else(talk: Talk) -> None:
    await talk.answered()
    for method, status in (("OPTIONS", "200"), ("REFER", "405"), ("INFO", "405"), ("MESSAGE", "405"), ("INVITE", "200"),
                           ("UPDATE", "200"), ("BYE", "200")):
        before = len(talk.edge.heard)
        talk.edge.ask(method)
        await until(lambda before=before: len(talk.edge.heard) == before + 1)
        assert talk.edge.heard[-1].startswith(f"SIP/2.0 {status}"), method
        assert ("v=0" in talk.edge.heard[-1]) is (method == "INVITE"), method
    assert talk.heard.said == ["answered", "over 200"]
    talk.edge.ask("BYE", "another")
    await until(lambda: talk.edge.heard[-1].startswith("SIP/2.0 481"))


async def test_whoever_is_not_the_edge_is_not_heard(talk: Talk) -> None:
    await talk.answered()
    stranger, other = await asyncio.get_running_loop().create_datagram_endpoint(Edge, local_addr=("127.0.0.1", 0))
    other.agent = talk.edge.agent
    other.ask("BYE")
    other.ask("OPTIONS", "another")
    talk.edge.ask("OPTIONS")
    await until(lambda: talk.edge.heard[-1].startswith("SIP/2.0 200"))
    stranger.close()
    assert other.heard == []
    assert talk.heard.said == ["answered"]
    talk.edge.ask("BYE")  # the same words, from the edge
    await until(lambda: talk.heard.said == ["answered", "over 200"])


@given(st.binary(max_size=300))
def test_whatever_is_received_is_a_message_or_nothing(data: bytes) -> None:
    read(data)
    read(b"SIP/2.0 200 OK\r\n" + data)
    said = read(b"BYE sip:a SIP/2.0\r\nCall-ID: x\r\nv: a\r\n\r\n" + data)
    assert said is not None
    assert (said.one("call-id"), said.one("via"), said.code) == ("x", "a", 0)
