"""What the provider says to us is believed by its signature, once, in its order, of calls that are on; nothing else is."""

import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

from service.calls.rest import signature as signing
from service.calls.rest import way as rest
from service.calls.rest.call import Leg
from service.calls.rest.way import RestWay
from service.calls.rest.words import HANG_UP
from service.calls.way import End, Kind
from tests.calls.bridged import CALLER, FAMILY, order, ours
from tests.calls.provider import ACCOUNT, TOKEN, Does, Phone, Provider, provider
from tests.calls.stage import Diary


@pytest.fixture
async def beyond() -> AsyncIterator[Provider]:
    async with provider() as made:
        yield made


async def rings(way: RestWay, beyond: Provider) -> tuple[str, Diary, Phone]:
    """The family's telephone rings, and nobody has answered."""
    placed, diary = order(), Diary()
    await way.place(placed, diary.tell)
    await diary.until(Kind.RINGING)
    return placed.call_id, diary, beyond.phone(FAMILY)


def form(phone: Phone, **more: str) -> dict[str, str]:
    return {"AccountSid": ACCOUNT, "CallSid": phone.sid, "CallStatus": "in-progress", **more}


async def send(beyond: Provider, url: str, said: dict[str, str], signature: str | None = None) -> httpx.Response:
    return await beyond.say(url, urlencode(said).encode(), beyond.sign(url, said) if signature is None else signature)


SILENT = Does(answers=False)


async def test_a_forged_answer_connects_nobody_and_changes_nothing(beyond: Provider) -> None:
    async with ours(beyond, family=SILENT) as way:
        call_id, diary, phone = await rings(way, beyond)
        said, url = form(phone), phone.url
        other = url.replace("answered", "status")
        genuine = beyond.sign(url, said)
        forged = [
            ("", said), ("AAAA", said), (genuine[:-2] + ("E=" if genuine[-2] == "A" else "A="), said), ("é" * 28, said),
            (beyond.sign(other, said), said), (beyond.sign(url + "?x=1", said), said),
            (beyond.sign(url, said), said | {"Digits": "1"}), (beyond.sign(url, said | {"CallStatus": "ringing"}), said),
        ]
        for signature, words in forged:
            answer = await send(beyond, url, words, signature)
            assert (answer.status_code, answer.text) == (403, HANG_UP)
        for words in (form(phone, AccountSid="AC" + "6" * 32), form(phone, CallSid="CA" + "1" * 32), form(phone, CallSid=""),
                      form(beyond.phone(CALLER))):
            assert (await send(beyond, url, words)).status_code == 403, "signed, and of another account or telephone"
        for unknown in (re.sub(r"[0-9a-f]{32}", "0" * 32, url), url.replace("answered", "anything")):
            assert (await send(beyond, unknown, said)).status_code == 404
        await way.connect(call_id)
        assert diary.kinds == [Kind.RINGING]
        assert beyond.heard == []
        answer = await send(beyond, url, said)
        assert answer.status_code == 200, "the same words are believed when they are signed"
        await diary.until(Kind.ANSWERED)


async def test_what_is_no_form_or_too_long_is_refused(beyond: Provider) -> None:
    async with ours(beyond, family=SILENT) as way:
        _, diary, phone = await rings(way, beyond)
        for body in (b"\xff\xfe", b"nothing", b"a=1&a=2", b"a=%ff", b"&".join(b"f%d=1" % n for n in range(200)), b""):
            fields = parse_qsl(body.decode("latin-1"))
            answer = await beyond.say(phone.url, body, beyond.sign(phone.url, dict(fields)))
            assert answer.status_code == 403, body
        long = form(phone, More="x" * 9000)
        assert (await send(beyond, phone.url, long)).status_code == 413
        assert diary.kinds == [Kind.RINGING]


async def test_a_telephone_says_only_so_much(beyond: Provider) -> None:
    async with ours(beyond, family=SILENT) as way:
        _, _, phone = await rings(way, beyond)
        said = [await send(beyond, phone.callback, form(phone, CallStatus="ringing", N=str(n))) for n in range(60)]
        assert {answer.status_code for answer in said[:30]} == {204}
        assert {answer.status_code for answer in said[45:]} == {403}


async def replayed(beyond: Provider) -> list[int]:
    """Everything that was said in a whole call, said again while it is on, and after it."""
    async with ours(beyond) as way:
        placed, diary = order(), Diary()
        await way.place(placed, diary.tell)
        await diary.until(Kind.ANSWERED)
        found = [(await beyond.say(url, body, signature)).status_code for url, body, signature, _ in list(beyond.said)]
        await way.hang_up(placed.call_id)
        await diary.until(Kind.ENDED)
        found += [(await beyond.say(url, body, signature)).status_code for url, body, signature, _ in list(beyond.said)]
        assert diary.kinds == [Kind.RINGING, Kind.ANSWERED, Kind.ENDED]
        return found


async def test_nothing_is_believed_twice(beyond: Provider) -> None:
    found = await replayed(beyond)
    assert len(found) > 15
    assert set(found) == {403}


async def test_without_the_guard_a_replay_would_be_noticed(beyond: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Leg, "is_new", lambda leg, signature: True)
    assert {200, 204} & set(await replayed(beyond))


async def test_without_the_guard_a_forged_answer_would_be_believed(beyond: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "is_signed", lambda *_: True)
    async with ours(beyond, family=SILENT) as way:
        _, diary, phone = await rings(way, beyond)
        assert (await send(beyond, phone.url, form(phone), "AAAA")).status_code == 200
        await diary.until(Kind.ANSWERED)


async def test_said_twice_and_out_of_order_a_call_is_still_one_call(beyond: Provider) -> None:
    beyond.twice = beyond.disorder = True
    async with ours(beyond) as way:
        placed, diary = order(), Diary()
        await way.place(placed, diary.tell)
        await diary.until(Kind.ANSWERED)
        await way.connect(placed.call_id)
        await beyond.until(beyond.together)
        await beyond.hangs_up(beyond.phone(FAMILY))
        assert (await diary.until(Kind.ENDED)).end is End.HUNG_UP
        await beyond.until(lambda: not beyond.on)
    assert diary.kinds == [Kind.RINGING, Kind.ANSWERED, Kind.ENDED]
    assert len(beyond.phones) == 2


async def test_words_that_come_late_hang_up(beyond: Provider) -> None:
    async with ours(beyond, family=SILENT) as way:
        call_id, diary, phone = await rings(way, beyond)
        await way.hang_up(call_id)
        await diary.until(Kind.ENDED)
        late = await send(beyond, phone.url, form(phone))
        assert (late.status_code, late.text) == (200, HANG_UP)
        way._legs.clear()  # a minute later
        assert (await send(beyond, phone.url, form(phone, Later="yes"))).status_code == 404
        assert diary.kinds[-1] is Kind.ENDED


def test_the_signature_is_the_one_that_the_provider_documents() -> None:
    """HMAC-SHA1 over the address and the fields in the order of their names, of fields with signs, spaces and letters."""
    fields = [("To", "+18005551212"), ("Digits", "1234"), ("Caller", ""), ("Name", "Zoë & co"), ("CallSid", "CA1")]
    body = urlencode(fields).encode()
    url = "https://lessons.school.example/calls/provider/0/status"
    mine = Provider.sign(Provider.__new__(Provider), url, dict(fields))
    assert signing.fields_of(body) == fields
    assert signing.signed(TOKEN, url, fields) == mine
    assert signing.is_signed(TOKEN, url, fields, mine)
    assert not signing.is_signed("another", url, fields, mine)


def test_how_long_words_about_a_call_are_known_is_longer_than_it_rings() -> None:
    assert rest.KEEP_SECONDS > rest.FAMILY_SECONDS
