"""A text after a call that nobody answered: each test is a sentence of the policy (policy: CM1, CM2, CM4, CM5)."""

import re

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlmodel import select

from service.calls.number import Number
from service.calls.texts import commands, pages
from service.calls.texts.tables import TextMessage, TextTemplate
from service.calls.way import End, Kind, NotKnown, NoWay
from service.foundation.audit import AuditLeaf
from service.people.tables import Telephone
from tests.features.test_calls import desk, over, placed
from tests.home_calls import MUM, Family, family, name_of
from tests.school import Running

WORDS = "We tried to ring you. Please ring the school office."
BENGALI = "আমরা আপনাকে ফোন করেছিলাম। অনুগ্রহ করে স্কুলে ফোন করুন।"


@pytest.fixture
async def home(school: Running) -> Family:
    return await family(school)


async def kept(home: Family, path: str = "/calls/texts", **more: str) -> str:
    """A text of the school's; its address."""
    office = await home.as_("office")
    answer = await office.post(path, data={"title": "We tried to ring", "language": "English", "words": WORDS, **more})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def missed(home: Family, end: End = End.NO_ANSWER, role: str = "teacher") -> str:
    call_id, _page = await placed(home, role)
    await home.way.say(call_id, Kind.ENDED, end=end)
    await over(home, call_id)
    home.way.orders.clear()
    return call_id


async def offered(home: Family, call_id: str, role: str = "teacher") -> list[str]:
    page = (await (await home.as_(role)).get(f"/calls/{call_id}/text")).text
    return re.findall(r'name="template" type="radio" value="([0-9a-f]{32})"', page)


async def sent(home: Family, call_id: str, template: str, role: str = "teacher") -> int:
    return (await (await home.as_(role)).post(f"/calls/{call_id}/text", data={"template": template})).status_code


async def audited(home: Family) -> list[str]:
    async with home.school.database.reading() as session:
        rows = await session.exec(select(AuditLeaf.kind).order_by(AuditLeaf.seq))
        return [kind for kind in rows.all() if kind.startswith("Text")]


async def row_of(home: Family, call_id: str) -> TextMessage:
    async with home.school.database.reading() as session:
        return (await session.exec(select(TextMessage).where(TextMessage.call_id == call_id))).one()


async def test_after_a_call_that_nobody_answered_one_of_the_schools_texts_is_sent_once(home: Family) -> None:
    await kept(home)
    call_id, teacher = await missed(home), await home.as_("teacher")
    assert f"/calls/{call_id}/text" in (await teacher.get(f"/calls/{call_id}")).text
    page = (await teacher.get(f"/calls/{call_id}/text")).text
    assert "An answer reaches the office, and not you." in page
    template, = await offered(home, call_id)
    assert await sent(home, call_id, template) == 303
    text_, = home.way.sent
    assert (text_.to, text_.words) == (Number("+447700900123"), WORDS)
    assert "We tried to ring. Sent, " in (await teacher.get(f"/calls/{call_id}")).text
    assert "Text: sent" in (await (await home.as_("dsl")).get("/calls/register")).text
    assert "We tried to ring. Sent" in (await (await home.as_("office")).get("/calls/register.csv")).text
    assert await sent(home, call_id, template) == 422
    assert len(home.way.sent) == 1
    assert await audited(home) == ["TextPublished", "TextPlaced", "TextSettled"]


async def test_a_text_is_written_down_before_it_is_sent(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    await kept(home)
    call_id = await missed(home)
    template, = await offered(home, call_id)
    seen: list[str] = []

    async def look(_: object) -> None:
        seen.append((await row_of(home, call_id)).status)
        raise NotKnown

    monkeypatch.setattr(home.way, "text", look)
    assert await sent(home, call_id, template) == 303
    assert seen == ["asked"]
    assert (await row_of(home, call_id)).status == "not-known"


@pytest.mark.parametrize(("fails", "status"), [(NoWay(), "failed"), (NotKnown(), "not-known")])
async def test_what_was_not_sent_and_what_nobody_knows_is_said(home: Family, fails: Exception, status: str) -> None:
    await kept(home)
    call_id = await missed(home)
    home.way.text_fails = fails
    assert await sent(home, call_id, (await offered(home, call_id))[0]) == 303
    assert (await row_of(home, call_id)).status == status
    assert len(home.way.sent) == 1


async def test_a_crash_between_writing_and_sending_is_said_too(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    await kept(home)
    call_id = await missed(home)

    async def dies(_: object) -> None:
        raise OSError("the process is gone")

    monkeypatch.setattr(home.way, "text", dies)
    assert await sent(home, call_id, (await offered(home, call_id))[0]) == 500
    async with home.school.database.writing() as session:
        await commands.close_what_a_crash_left(session, home.school.clock.now())
    assert (await row_of(home, call_id)).status == "not-known"


async def test_whoever_must_not_be_called_is_sent_nothing(home: Family) -> None:
    await kept(home)
    call_id = await missed(home)
    template, = await offered(home, call_id)
    await home.link(home.mum, do_not_contact=True)
    for role in ("teacher",):
        assert await sent(home, call_id, template, role) == 422
    assert "Do not call. Ask the DSL." in (await (await home.as_("teacher")).get(f"/calls/{call_id}/text")).text
    assert home.way.sent == []
    assert "CallRefused" in await home.audited()


async def test_after_the_hours_of_calls_and_long_after_the_call_nothing_is_sent(home: Family) -> None:
    await kept(home)
    call_id = await missed(home)
    template, = await offered(home, call_id)
    home.school.clock.advance(2 * 3600 + 1)
    home.clients.clear()
    assert await sent(home, call_id, template) == 422
    assert home.way.sent == []


async def test_who_was_spoken_to_or_is_called_by_somebody_else_gets_no_text(home: Family) -> None:
    await kept(home)
    call_id, _page = await placed(home)
    await home.way.say(call_id, Kind.ANSWERED)
    from tests.home_calls import until

    await until(lambda: call_id in home.way.heard)
    desk(home).hang_up(home.live(call_id))
    await over(home, call_id)
    assert f"/calls/{call_id}/text" not in (await (await home.as_("teacher")).get(f"/calls/{call_id}")).text
    home.way.orders.clear()
    other = await missed(home)
    for role in ("headteacher", "office", "dsl"):
        assert (await (await home.as_(role)).get(f"/calls/{other}/text")).status_code == 404, role
        assert await sent(home, other, "0" * 32, role) == 404, role
    assert await sent(home, call_id, (await offered(home, other))[0]) == 422
    assert home.way.sent == []


async def test_only_the_schools_own_words_are_sent_and_only_while_they_stand(home: Family) -> None:
    page = await kept(home)
    call_id = await missed(home)
    first, = await offered(home, call_id)
    await kept(home, page, words="Please ring the school office when you can.")
    second, = await offered(home, call_id)
    assert first != second
    for template in (first, "0" * 32, "We are outside your house"):
        assert await sent(home, call_id, template) == 422
    assert (await (await home.as_("office")).post(page, data={"withdraw": "yes"})).status_code == 303
    assert await offered(home, call_id) == []
    assert await sent(home, call_id, second) == 422
    assert home.way.sent == []


async def test_a_family_reads_it_in_its_language_where_the_school_has_it(home: Family) -> None:
    page = await kept(home)
    await kept(home, page, language="bengali", words=BENGALI)
    call_id = await missed(home)
    english, = await offered(home, call_id)
    async with home.school.database.writing() as session:
        row = (await session.exec(select(Telephone).where(Telephone.owner_id == home.mum))).one()
        row.language = "Bengali"
    theirs, = await offered(home, call_id)
    assert theirs != english
    assert await sent(home, call_id, theirs) == 303
    assert home.way.sent[0].words == BENGALI


async def test_a_trunk_carries_no_texts_and_the_page_says_so(home: Family) -> None:
    await kept(home)
    call_id = await missed(home)
    template, = await offered(home, call_id)
    home.way.texts = False
    assert "a trunk, which carries no texts" in (await (await home.as_("teacher")).get(f"/calls/{call_id}")).text
    assert await sent(home, call_id, template) == 422
    assert "Texts cannot be sent yet" in (await (await home.as_("office")).get("/calls/texts")).text
    assert home.way.sent == []


async def test_the_office_keeps_the_texts_and_names_no_child_in_them(home: Family) -> None:
    from tests.home_calls import name_of

    child, office = await name_of(home.school, home.child), await home.as_("office")
    name = f"{child.preferred_name or child.given_name} {child.family_name}"
    for words in (f"Please ring us about {name}.", "Ring 01632-960-123 when you can", "Look at www.school.example"):
        answer = await office.post("/calls/texts", data={"title": "We rang", "language": "English", "words": words})
        assert answer.status_code == 422, words
    for role in ("teacher", "headteacher", "dsl", "technician", "parent"):
        assert (await (await home.as_(role)).get("/calls/texts")).status_code == 404, role


async def test_what_was_written_and_sent_is_never_another(home: Family) -> None:
    await kept(home)
    call_id = await missed(home)
    await sent(home, call_id, (await offered(home, call_id))[0])
    for statement, words in (("UPDATE text_template SET words = 'x'", "append-only"), ("DELETE FROM text_message", "append-only"),
                             ("UPDATE text_message SET adult_id = sender_id", "a text is what it was")):
        with pytest.raises(DatabaseError, match=words):
            async with home.school.database.writing() as session:
                await session.exec(text(statement))
    async with home.school.database.reading() as session:
        assert len((await session.exec(select(TextTemplate))).all()) == 1


# -- what families answer ----------------------------------------------------------------------------------------------


async def answered(home: Family, number: int, sender: str = "+447700900999") -> None:
    state = home.school.app.state
    async with home.school.database.writing() as session:
        assert await commands.take_reply(session, state.pepper, f"SM{number}", sender, f"Words {number}", home.school.clock.now())


async def test_nobody_puts_an_answer_out_of_reach_by_sending_many(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred texts from one telephone, and a mother's “he is at the door” is on a page all the same (policy: CM5)."""
    monkeypatch.setattr(pages, "A_PAGE", 3)
    await answered(home, 0, MUM)
    for number in range(1, 8):
        home.school.clock.advance(1)
        await answered(home, number)
    office, mum = await home.as_("office"), (await name_of(home.school, home.mum)).family_name
    seen: list[str] = []
    for page in (1, 2, 3):
        shown = (await office.get(f"/calls/replies?page={page}")).text
        seen += re.findall(r"/calls/replies/[0-9a-f]{32}", shown)
        assert (f"page={page + 1}" in shown, f"page={page - 1}" in shown) == (page < 3, page > 1)
    assert len(seen) == len(set(seen)) == 8
    assert mum in shown, "the oldest stands last"
    for path in seen[:7]:
        assert (await office.post(path)).status_code == 200
    first = (await office.get("/calls/replies")).text
    assert mum in first, "of those that nobody has read it is the first"
    assert first.count("Not read") == 1
    assert (await office.get("/calls/replies?page=0")).status_code == 422


async def test_an_answer_stays_what_it_was_and_when_it_was_first_read(home: Family) -> None:
    await answered(home, 0, MUM)
    office = await home.as_("office")
    path = re.findall(r"/calls/replies/[0-9a-f]{32}", (await office.get("/calls/replies")).text)[0]
    assert (await office.post(path)).status_code == 200
    home.school.clock.advance(60)
    assert (await office.post(path)).status_code == 200, "read again"
    for change in ("cipher = 'x'", "adult_id = ''", "read_at = NULL", "read_at = '2030-01-01'"):
        with pytest.raises(DatabaseError, match="append-only"):
            async with home.school.database.writing() as session:
                await session.exec(text(f"UPDATE text_reply SET {change}"))


async def test_answers_of_ones_own_family_take_no_place_on_the_page(home: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "A_PAGE", 1)
    await answered(home, 0)
    home.school.clock.advance(1)
    await answered(home, 1, MUM)
    await home.becomes_family("office")
    shown = (await (await home.as_("office")).get("/calls/replies")).text
    assert "From a number that is not one adult’s" in shown
    assert (await name_of(home.school, home.mum)).family_name not in shown
    assert "page=2" not in shown
