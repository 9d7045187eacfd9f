"""Texts through the provider: what it tells of them is believed by its signature, once; answers reach the office alone."""

import re
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest
import structlog
from sqlmodel import select

from service.calls.number import Number
from service.calls.rest import signature as signing
from service.calls.texts.tables import TextMessage
from service.calls.way import NotKnown, NoWay, Text
from tests.calls.bridged import FAMILY, ours
from tests.calls.homes import Home
from tests.calls.people import SCHOOL
from tests.calls.provider import ACCOUNT, Does, Provider, provider
from tests.features.test_calls import approved, granted, over
from tests.features.test_texts import WORDS, kept, offered, sent
from tests.home_calls import MUM

REPLIES = "/calls/provider/texts/replies/new"


@pytest.fixture
async def beyond() -> AsyncIterator[Provider]:
    async with provider() as made:
        yield made


def text() -> Text:
    return Text("k" * 32, Number(FAMILY), "Please ring us.")


async def test_a_text_is_asked_for_once_whatever_becomes_of_it(beyond: Provider) -> None:
    async with ours(beyond) as way:
        await way.text(text())
        one, = beyond.texts
        assert (one["To"], one["From"], one["Body"]) == (FAMILY, SCHOOL, "Please ring us.")
        beyond.fails["text"] = [400, 503]
        with pytest.raises(NoWay):
            await way.text(text())
        with pytest.raises(NotKnown):
            await way.text(text())
        beyond.lost = {"text"}
        with pytest.raises(NotKnown):
            await way.text(text())
    assert len(beyond.texts) == 2
    assert FAMILY.removeprefix("+") not in "".join(beyond.paths)


async def texted(home: Home) -> tuple[str, str]:
    """A text was sent after a call that the family did not take. The call's id, and where the provider tells of it."""
    await approved(home.family, await granted(home.family))
    home.beyond.people[FAMILY] = Does(busy=True)
    await kept(home.family)
    call_id = await home.by_telephone()
    await over(home.family, call_id)
    assert await sent(home.family, call_id, (await offered(home.family, call_id))[0]) == 303
    return call_id, home.beyond.texts[0]["StatusCallback"]


async def status(home: Home, call_id: str) -> str:
    async with home.family.school.database.reading() as session:
        return (await session.exec(select(TextMessage.status).where(TextMessage.call_id == call_id))).one()


async def say(home: Home, url: str, said: dict[str, str], signature: str | None = None) -> httpx.Response:
    said = {"AccountSid": ACCOUNT} | said
    return await home.beyond.say(url, urlencode(said).encode(), home.beyond.sign(url, said) if signature is None else signature)


async def test_what_the_provider_tells_is_believed_once_and_only_forward(home: Home) -> None:
    call_id, url = await texted(home)
    assert home.beyond.texts[0]["Body"] == WORDS
    assert await status(home, call_id) == "sent"
    delivered = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    for signature in ("", "AAAA", home.beyond.sign(url, {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": "sent"})):
        assert (await say(home, url, delivered, signature)).status_code == 403
    assert (await say(home, url.replace(url[-39:-7], "0" * 32), delivered)).status_code == 403
    assert (await say(home, url, delivered | {"AccountSid": "AC" + "6" * 32})).status_code == 403
    assert await status(home, call_id) == "sent"
    assert (await say(home, url, {"MessageStatus": "sent"})).status_code == 403, "nothing new"
    assert (await say(home, url, delivered)).status_code == 204
    assert (await say(home, url, delivered)).status_code == 403, "a replay"
    assert (await say(home, url, {"MessageStatus": "failed"})).status_code == 403, "what was delivered was"
    assert await status(home, call_id) == "delivered"
    teacher = await home.family.as_("teacher")
    assert "Delivered" in (await teacher.get(f"/calls/{call_id}")).text


async def test_without_the_guard_a_forged_status_would_be_believed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id, url = await texted(home)
    monkeypatch.setattr(signing, "is_signed", lambda *_: True)
    assert (await say(home, url, {"MessageStatus": "delivered"}, "AAAA")).status_code == 204
    assert await status(home, call_id) == "delivered"


async def test_an_answer_reaches_the_office_and_nobody_else_and_its_numbers_nobody(home: Home) -> None:
    url = home.family.school.app.state.settings.origin + REPLIES
    words = {"MessageSid": "SM9", "From": FAMILY, "To": SCHOOL, "Body": f"Ring me on {MUM} after 4pm please"}
    assert (await say(home, url, words, "AAAA")).status_code == 403
    with structlog.testing.capture_logs() as logged:
        assert (await say(home, url, words)).status_code == 200
        assert (await say(home, url, words)).status_code == 403, "once"
        assert (await say(home, url, words | {"MessageSid": "SM10", "From": "+15005550006"})).status_code == 200
        office = await home.family.as_("office")
        listed = (await office.get("/calls/replies")).text
    assert "after 4pm" not in listed
    assert "From a number that is not one adult’s of the roster" in listed
    from tests.home_calls import name_of

    mum = await name_of(home.family.school, home.family.mum)
    assert mum.family_name in listed
    paths = re.findall(r"/calls/replies/[0-9a-f]{32}", listed)
    path, shown = paths[0], "".join([(await office.post(each)).text for each in paths])
    assert len(paths) == 2
    assert "Ring me on (a number) after 4pm please" in shown
    for role in ("teacher", "headteacher", "dsl", "technician", "parent"):
        client = await home.family.as_(role)
        assert (await client.get("/calls/replies")).status_code == 404, role
        assert (await client.post(path)).status_code == 404, role
    kept_ = (home.family.school.app.state.settings.data / "chaperone.sqlite3").read_bytes()
    assert b"after 4pm" not in kept_
    assert "900123" not in f"{logged} {listed} {shown}"
