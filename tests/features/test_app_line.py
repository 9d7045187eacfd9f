"""The line on which a family's app is rung: who gets one, and what ends it (policy: AC2, CM1, CM4)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mobile_api.calling import way
from service.calls.progress import Stage
from service.calls.way import End, Kind
from service.people.phones.tables import Phone
from tests.features.test_agreements import renewed
from tests.features.test_calls import Page, over, placed
from tests.home_calls import Family, family, until
from tests.phones import NativePhone, signed_in
from tests.proofs import with_session
from tests.school import Running
from tests.served import served

PATH = "/api/v1/line"
OFFER = "\r\n".join((
    "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "c=IN IP4 0.0.0.0", "a=ice-ufrag:page", "a=ice-pwd:aPasswordOfTwentyTwo22", f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}",
    "a=setup:actpass", "a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2", ""))
"""What a browser with a microphone offers, as far as it matters before anybody answers."""


class Line:
    """An app's own end."""

    def __init__(self, socket: ClientConnection, nonce: str):
        self.socket, self.nonce = socket, nonce

    async def hello(self, phone: NativePhone, *, path: str = PATH, method: str = "GET", token: str = "", nonce: str = "") -> Any:
        """Prove who this is; what the service says to it: a message, or the code that it closed with."""
        token, phone.nonce = token or phone.tokens["access_token"], nonce or self.nonce
        await self.say({"type": "hello", "token": token, "proof": phone.proof(method, path, token)})
        return await self.heard()

    async def say(self, said: dict[str, str] | str) -> None:
        await self.socket.send(said if isinstance(said, str) else json.dumps(said))

    async def heard(self) -> Any:
        try:
            return json.loads(await self.socket.recv())
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 0


@asynccontextmanager
async def line(url: str) -> AsyncIterator[Line]:
    async with connect(url.replace("http", "ws") + PATH) as socket:
        told = json.loads(await socket.recv())
        assert told["type"] == "nonce"
        yield Line(socket, told["nonce"])


@pytest.fixture
async def home(school: Running) -> Family:
    return await family(school)


async def moms_phone(home: Family) -> NativePhone:
    """The phone of the parent who is called first, handed over by the office."""
    return await signed_in(home.school, home.child, in_person=True)


async def test_a_phone_with_its_token_and_a_proof_gets_a_line_and_nobody_else(home: Family) -> None:
    phone, other = await moms_phone(home), NativePhone(home.school.client())
    async with served(home.school) as url:
        async with line(url) as mine:
            assert await mine.hello(phone) == {"type": "open"}
        for how in ({"path": "/api/v1/me"}, {"method": "POST"}, {"nonce": "A" * 32}, {"token": "x.y.z"}):
            async with line(url) as mine:
                assert await mine.hello(phone, **how) == 4403, how
        other.clock = phone.clock
        async with line(url) as mine:
            assert await mine.hello(other, token=phone.tokens["access_token"]) == 4403, "another phone's key"
        for text in ("{}", "", '{"type":"hello"}', '{"type":"ringing","call":"' + "0" * 32 + '"}', "9" * 70_000):
            async with line(url) as mine:
                await mine.say(text)
                assert await mine.heard() == 4403, text[:40]


async def test_a_proof_that_opened_a_line_opens_no_second(home: Family) -> None:
    phone = await moms_phone(home)
    async with served(home.school) as url, line(url) as mine, line(url) as thiefs:
        phone.nonce, token = mine.nonce, phone.tokens["access_token"]
        hello = {"type": "hello", "token": token, "proof": phone.proof("GET", PATH, token)}
        await mine.say(hello)
        assert await mine.heard() == {"type": "open"}
        await thiefs.say(hello)
        assert await thiefs.heard() == 4403


async def test_whoever_has_not_signed_the_agreement_of_now_gets_no_line(home: Family) -> None:
    phone = await moms_phone(home)
    async with served(home.school) as url:
        await renewed(home.school, "parents")
        async with line(url) as mine:
            assert await mine.hello(phone) == 4403


async def test_lines_of_nobody_are_few_in_all_and_of_one_network(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has shown who they are is not counted, and whoever was refused makes room."""
    phone = await moms_phone(home)
    for most in ("MOST_UNPROVEN_OF_A_NETWORK", "MOST_UNPROVEN"):
        async with served(home.school) as url:
            with monkeypatch.context() as patch:
                patch.setattr(way, most, 2)
                async with line(url) as mine, line(url) as nobodys:
                    with pytest.raises(InvalidStatus):
                        await connect(url.replace("http", "ws") + PATH)
                    await nobodys.say("{}")
                    assert await nobodys.heard() == 4403
                    assert await mine.hello(phone) == {"type": "open"}
                    async with line(url) as another, line(url):
                        with pytest.raises(InvalidStatus):
                            await connect(url.replace("http", "ws") + PATH)
                        assert await another.hello(phone) == {"type": "open"}
            async with line(url), line(url), line(url):
                pass  # negative control


async def test_signing_out_closes_the_line(home: Family) -> None:
    phone = await moms_phone(home)
    async with served(home.school) as url, line(url) as mine:
        assert await mine.hello(phone) == {"type": "open"}
        assert (await phone.ask("DELETE", "/session")).status_code == 204
        assert await mine.heard() == 4403


async def test_what_is_not_understood_closes_the_line(home: Family) -> None:
    phone = await moms_phone(home)
    async with served(home.school) as url:
        for text in ("{}", '{"type":"ringing","call":"x"}', '{"type":"no","call":"' + "0" * 32 + '","why":"later"}'):
            async with line(url) as mine:
                assert await mine.hello(phone) == {"type": "open"}
                await mine.say(text)
                assert await mine.heard() == 4400, text


@asynccontextmanager
async def rung(home: Family, phone: NativePhone) -> AsyncIterator[tuple[Line, str]]:
    """The teacher calls while the app is open: its line, and the call."""
    async with served(home.school) as url, line(url) as mine:
        assert await mine.hello(phone) == {"type": "open"}
        actor, call_id = await with_session(home.school, "teacher"), await home.asked()
        await home.school.app.state.desk.place(actor, call_id, offer=OFFER, line=Page())
        yield mine, call_id


async def test_an_open_app_rings_and_after_15_seconds_the_telephone_does(home: Family) -> None:
    async with rung(home, await moms_phone(home)) as (mine, call_id):
        assert await mine.heard() == {"type": "ring", "call": call_id}
        await mine.say({"type": "ringing", "call": call_id})
        await until(lambda: home.live(call_id).progress.stage is Stage.RINGING)
        home.school.clock.advance(14.9)
        assert home.way.orders == {}
        home.school.clock.advance(0.2)
        assert await mine.heard() == {"type": "stop", "call": call_id, "why": "telephone"}
        await until(lambda: call_id in home.way.orders)
        assert home.way.orders[call_id].offer == OFFER
        await home.way.say(call_id, Kind.ANSWERED)
        await until(lambda: call_id in home.way.heard)
    assert not (await home.call(call_id)).in_app


async def test_what_rings_in_the_app_says_nothing_of_child_caller_or_number(home: Family) -> None:
    async with rung(home, await moms_phone(home)) as (mine, call_id):
        assert await mine.heard() == {"type": "ring", "call": call_id}


async def test_whoever_declines_in_the_app_is_not_rung_by_telephone(home: Family) -> None:
    async with rung(home, await moms_phone(home)) as (mine, call_id):
        await mine.heard()
        await mine.say({"type": "no", "call": call_id, "why": "declined"})
        row = await over(home, call_id)
    assert (row.ended_why, home.way.orders) == ("refused", {})


async def test_a_phone_without_a_microphone_leaves_it_to_the_telephone(home: Family) -> None:
    async with rung(home, await moms_phone(home)) as (mine, call_id):
        await mine.heard()
        await mine.say({"type": "no", "call": call_id, "why": "cannot"})
        await until(lambda: call_id in home.way.orders)


async def test_without_an_open_app_the_telephone_is_rung_at_once(home: Family) -> None:
    await moms_phone(home)
    call_id, _ = await placed(home)
    assert call_id in home.way.orders


async def test_a_phone_that_rests_is_not_rung_because_it_may_be_a_strangers(home: Family) -> None:
    phone = await moms_phone(home)
    async with home.school.database.writing() as session:
        row = (await session.exec(select(Phone).where(Phone.person_id == home.mum))).one()
        row.rests_until = home.school.clock.now() + timedelta(hours=1)
    async with rung(home, phone) as (_, call_id):
        await until(lambda: call_id in home.way.orders)


async def test_whoever_must_not_be_called_is_not_rung_in_the_app(home: Family) -> None:
    phone = await moms_phone(home)
    await home.link(home.mum, do_not_contact=True)
    async with served(home.school) as url, line(url) as mine:
        assert await mine.hello(phone) == {"type": "open"}
        assert "Do not call. Ask the DSL." in (await home.ask()).text
        assert home.way.steps == []


async def test_a_parent_reads_the_calls_about_their_child_and_how_they_came(home: Family) -> None:
    phone = await moms_phone(home)
    for in_app in (False, True):
        call_id, _ = await placed(home, "dsl")
        await home.way.say(call_id, Kind.ANSWERED, in_app=in_app)
        await until(lambda call_id=call_id: call_id in home.way.heard)  # type: ignore[misc]
        home.school.clock.advance(61)
        await home.way.say(call_id, Kind.ENDED, end=End.HUNG_UP)
        assert (await over(home, call_id)).in_app is in_app
    path = f"/children/{home.child}/calls"
    first = (await phone.ask("GET", f"{path}?limit=1")).json()
    [newest] = first["entries"]
    assert (newest["id"], newest["by"], newest["purpose"], newest["seconds"]) == (call_id, "app", "welfare", 61)
    assert newest["caller"]
    rest = (await phone.ask("GET", f"{path}?limit=1&cursor={first['next']}")).json()
    assert [one["by"] for one in rest["entries"]] == ["telephone"]
    assert rest["next"] is None
    shown = await home.as_("office")
    assert "01:01, in the app" in (await shown.get(f"/calls/{call_id}")).text
    assert "01:01, in the app" in (await shown.get("/calls/register")).text
    assert ",App," in (await shown.get("/calls/register.csv")).text
