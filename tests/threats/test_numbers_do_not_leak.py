"""CM5: no number of a family leaves the service, but on the office's contact page (`make prove`: 2,000 of them).

Numbers come in by the roster, in every way people write them. Then everybody looks at everything they can reach; a call is made,
refused and fails; what was answered, logged, kept and measured is searched. A search that finds nothing is shown to find.
"""

import asyncio
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from html import unescape
from typing import Any

import httpx
import pytest
import structlog
from sqlmodel import select

from service.calls.rules import Refused
from service.calls.way import End, Kind
from service.foundation.events import Role
from service.people.tables import Guardianship, Person
from tests.features.test_calls import OFFER, Page, desk
from tests.features.test_import import imported, upload
from tests.home_calls import Family, family, until
from tests.proofs import confirmed_post, with_session
from tests.school import Running

pytestmark = pytest.mark.proof
FULL = os.environ.get("CHAPERONE_PROOF") == "full"
FAMILIES = 2000 if FULL else 60
PAGES = 250 if FULL else 30
"""Of each role, the nearest to their start page first."""
LIKE_A_NUMBER = re.compile(r"\+?\d(?:[\s().\-/ \u2011]{0,3}\d){8,14}")
HEAD = ("Type,ID,First name,Last name,Classes,Guardian 1 ID,Guardian 1 first name,Guardian 1 last name,"
        "Guardian 1 parental responsibility,Guardian 1 phone")


def national(number: int) -> str:
    """Nobody's number (Ofcom's for dramas): 07700 900000 and on, then 020 7946 0000 and on."""
    return f"7700900{number:03}" if number < 1000 else f"2079460{number - 1000:03}"


def written(number: int) -> str:
    """As people write it, each a little differently."""
    digits = national(number)
    ways = (f"0{digits}", f"0{digits[:4]} {digits[4:]}", f"+44{digits}", f"+44 (0){digits[:4]} {digits[4:]}", f"0044 {digits}",
            f"0{digits[:2]}-{digits[2:6]}-{digits[6:]}", f"(0{digits[:4]}) {digits[4:7]} {digits[7:]}")
    return ways[number % len(ways)]


class Search:
    """Looks for the numbers of these families, however they are written."""

    def __init__(self, numbers: Iterable[int]):
        self.known = frozenset(national(number) for number in numbers)

    def found(self, text: str) -> set[str]:
        ends = {re.sub(r"\D", "", one)[-10:] for one in LIKE_A_NUMBER.findall(unescape(text))}
        return ends & self.known


def sheet(numbers: range) -> bytes:
    rows = (f"Pupil,P{n},Kim,Family{n},5 Oak,G{n},Ann,Family{n},yes,{written(n)}" for n in numbers)
    return "\r\n".join((HEAD, *rows)).encode()


async def crawled(client: httpx.AsyncClient, most: int) -> list[tuple[str, str]]:
    """What somebody can reach by following links: (address, everything that was answered)."""
    waiting, seen, answers = deque(["/", "/calls", "/people", "/engagement", "/metrics", "/attendance"]), set[str](), []
    while waiting and len(answers) < most:
        path = waiting.popleft()
        if path in seen or path.startswith(("/static", "/sign-out", "/step-up")):
            continue
        seen.add(path)
        answer = await client.get(path)
        answers.append((path, f"{answer.headers} {answer.text}"))
        if answer.is_redirect:
            waiting.append(answer.headers["location"])
        waiting.extend(unescape(link) for link in re.findall(r'href="(/[^"#]*)"', answer.text))
    return answers


@pytest.fixture
async def school_with_numbers(school: Running) -> Running:
    office = await school.signed_in("office")
    saved = await imported(office, sheet(range(FAMILIES)))
    assert saved.status_code in (200, 303), saved.text
    return school


def logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    out = capsys.readouterr()
    yield from (out.out, out.err, caplog.text, *(str(record.__dict__) for record in caplog.records))


async def test_no_number_of_a_family_leaves_the_service(
    school_with_numbers: Running, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
) -> None:
    school, search, leaks = school_with_numbers, Search(range(FAMILIES)), list[tuple[str, str]]()
    home = await family_of(school)
    for role in Role:
        async with await signed_in(school, role) as client:
            for path, text in await crawled(client, PAGES):
                leaks += [(f"{role} {path}", one) for one in search.found(text)]
    for path, text in [await a_call(home), await a_refusal(home), *await errors(school)]:
        leaks += [(path, one) for one in search.found(text)]
    for number, text in enumerate((*school.rows(), *logged(capsys, caplog))):
        leaks += [(f"row or line {number}: {text[:60]}", one) for one in search.found(text)]
    assert leaks == []
    page = await confirmed_post(school, await school.signed_in("office"), school.person("office"), f"/people/{home.mum}/contact",
                                {"reason": "The family asked us"})
    assert search.found(page.text) == {national(0)}, "the office's page, and by it: the search finds"
    assert search.found("".join(school.rows())) == set(), "also after it was read"


async def family_of(school: Running) -> Family:
    """The first of the imported families, with a way to call them."""
    home = await family(school)
    async with school.database.reading() as session:
        link = (await session.exec(select(Guardianship).join(Person, Person.id == Guardianship.guardian_id).where(
            Person.external_id == "G0"))).one()
    home.child, home.mum = link.child_id, link.guardian_id
    await home.link(home.mum, court_order="no")
    return home


async def signed_in(school: Running, role: Role) -> httpx.AsyncClient:
    held = {person["role"] for person in school.made["people"]}
    return await school.signed_in(str(role)) if str(role) in held else school.client()


async def a_call(home: Family) -> tuple[str, str]:
    """Everything that its page, its record and the audit say of a call from beginning to end."""
    call_id, page, actor = await home.asked("office"), Page(), await with_session(home.school, "office")
    await desk(home).place(actor, call_id, offer=OFFER, line=page)
    await until(lambda: call_id in home.way.orders)
    order = home.way.orders[call_id]
    said = [repr(order), str(home.live(call_id)), repr(home.live(call_id).mailbox)]
    await home.way.say(call_id, Kind.ANSWERED, answer="v=0")
    await until(lambda: page.state == "connected")
    client = await home.as_("office")
    said += [(await client.get(f"/calls/{call_id}")).text, (await client.get("/calls")).text]
    await home.way.say(call_id, Kind.ENDED, end=End.HUNG_UP)
    await until(lambda: desk(home).live(call_id) is None)
    said += [(await client.get(f"/calls/{call_id}")).text, (await client.get("/calls/register.csv")).text, str(page.got)]
    assert order.callee.e164.endswith(national(0)), "and it was this family that was called"
    return "a call", " ".join(said)


async def a_refusal(home: Family) -> tuple[str, str]:
    """What is said and logged when the way breaks with the number in its hands."""
    async def breaks(order: Any, _tell: Any) -> None:
        raise RuntimeError(f"trunk said no to {order.callee} ({order!r})")

    home.way.place = breaks  # type: ignore[method-assign]
    call_id, page, actor = await home.asked("dsl"), Page(), await with_session(home.school, "dsl")
    with structlog.testing.capture_logs() as lines:
        try:
            await desk(home).place(actor, call_id, offer=OFFER, line=page)
        except Refused as refusal:
            return "refused", str(refusal)
        await until(lambda: desk(home).live(call_id) is None)
        await asyncio.sleep(0)
    assert "call.failed" in str(lines)
    return "a broken way", f"{lines} {page.got}"


async def errors(school: Running) -> list[tuple[str, str]]:
    """Answers to files and forms in which numbers stand where they should not."""
    office, teacher = await school.signed_in("office"), await school.signed_in("teacher")
    shifted = sheet(range(3)).replace(b",5 Oak,", b",")
    answers = [await upload(office, shifted), await upload(office, sheet(range(3)).replace(b"yes,", b"perhaps,")),
               await office.post("/calls/settings", data={"number": "0909 8790000", "shows": "shown"}),
               await teacher.post("/calls/phone", data={"number": f"{written(1)} ext 3"}),
               await teacher.post("/calls/phone/ask", data={"why": f"Ring me on {written(1)}", "until": "1/12/2026"})]
    # What the person who typed it sees again is theirs: only what they typed into a box of words comes back to them.
    return [(f"error {number}", re.sub(r"<textarea.*?</textarea>", "", answer.text, flags=re.S))
            for number, answer in enumerate(answers)]


def test_the_search_finds_a_number_in_every_way_it_is_written() -> None:
    """Negative control."""
    search = Search(range(2000))
    for number in range(0, 2000, 37):
        for text in (written(number), f"<td>{written(number)}</td>", f'{{"phone": "+44{national(number)}"}}',
                     f"tel:+44{national(number)}", f"RuntimeError: 0{national(number)} is busy"):
            assert search.found(text) == {national(number)}, text
    assert search.found("5f2a7700a900 00 1a 2026-11-24T10:00:00") == set()
    assert search.found("the office on 01632 960123") == set(), "the school's own is for everybody"


async def test_a_number_that_did_leak_is_found(school_with_numbers: Running) -> None:
    """Negative control: were it in a name, every page with the name would show it."""
    school = school_with_numbers
    async with school.database.writing() as session:
        (await session.exec(select(Person).where(Person.external_id == "P0"))).one().preferred_name = written(5)
    async with await school.signed_in("office") as client:
        answers = await crawled(client, 12)
        answers.append(("/people?q=Family0", (await client.get("/people?q=Family0")).text))
    search = Search(range(FAMILIES))
    assert {one for _, text in answers for one in search.found(text)} == {national(5)}
    assert search.found("".join(school.rows())) == {national(5)}
