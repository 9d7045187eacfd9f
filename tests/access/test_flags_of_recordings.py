"""Words flagged about an adult are read by whoever may open their alert, and by nobody else in the player (policy: IN4, RE1)."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from recordings import flags
from recordings.flags import At
from recordings.timeline import Flagged
from service.foundation.events import Actor, Role
from service.safeguarding import commands as safeguarding
from service.safeguarding.queries import FlagView
from service.safeguarding.rules import Kind
from tests.access.test_grants import ALLOW, WISH
from tests.proofs import confirmed_post
from tests.recordings.lesson import Recorded, begin, finish, start, teach
from tests.school import Running

HEARD, ABOUT_HIM = "Shouting behind Ali", "He told her to stay behind alone"
HEARD_WORDS, HIS_WORDS = f"Mr Hall flagged this moment. Heard. {HEARD}", f"A member of staff. {ABOUT_HIM}"
MOMENT = datetime(2026, 11, 24, 10, 5, tzinfo=UTC)


@pytest.fixture
async def recorded(school: Running) -> Recorded:
    """Two flags of one adult: what was heard, for the team; and eight seconds later one about an adult, for the headteacher."""
    recorded = await begin(school, [])
    began = school.clock.now()
    capture = start(school, recorded)
    await teach(school, recorded, capture)
    capture.note("flag", 25_000, {"flag": "f2", "person": recorded.teacher, "about": "staff", "note": ABOUT_HIM})
    await finish(school, recorded, capture)
    actor = Actor(recorded.teacher, recorded.school_id, frozenset())
    async with school.database.writing() as session:
        for seconds, about, words in ((17, "heard", HEARD), (25, "staff", ABOUT_HIM)):
            await safeguarding.raise_alert(
                session, actor, kind=Kind.FLAG, now=began + timedelta(seconds=seconds), lesson_id=recorded.lesson_id,
                present=[recorded.teacher], about=about, words=words)
    return recorded


async def shown(client: httpx.AsyncClient, view: str) -> tuple[str, str]:
    """(the player's page, what its script is given)."""
    page, tracks = await client.get(view), await client.get(f"{view}/tracks")
    assert (page.status_code, tracks.status_code) == (200, 200)
    assert tracks.json()["flags"] == [17_000, 25_000], "the moments are everybody's who watches"
    return page.text, tracks.text


async def watched(school: Running, client: httpx.AsyncClient, role: str, page: str, **given: str) -> tuple[str, str]:
    opened = await confirmed_post(school, client, school.person(role), page, given)
    assert opened.status_code == 303, opened.text
    return await shown(client, opened.headers["location"])


async def test_the_dsl_reads_the_flag_that_is_the_teams_and_of_the_other_only_that_it_is_one(
    school: Running, recorded: Recorded,
) -> None:
    async with await school.signed_in("dsl") as dsl:
        page, tracks = await watched(school, dsl, "dsl", recorded.page, why="flag")
    assert HEARD_WORDS in page
    assert page.count("flagged this moment") == 1
    assert page.count('govuk-tag--red">Flag<') == 2
    assert not [words for words in (ABOUT_HIM, "A member of staff") if words in page + tracks]


async def test_who_may_open_both_alerts_reads_both(school: Running, recorded: Recorded) -> None:
    """The headteacher of a small school is a deputy too."""
    await school.give_role(school.person("headteacher"), Role.DEPUTY_DSL)
    async with await school.signed_in("headteacher") as head:
        page, _ = await watched(school, head, "headteacher", recorded.page, why="flag")
    assert HEARD_WORDS in page
    assert HIS_WORDS in page


async def test_under_a_grant_nobody_reads_what_was_flagged_or_by_whom(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("headteacher") as head, await school.signed_in("dsl") as dsl:
        asked = (await head.post(f"{recorded.page}/ask", data=WISH)).headers["location"]
        assert (await confirmed_post(school, dsl, school.person("dsl"), asked, ALLOW)).status_code == 303
        school.clock.advance(30)
        page, tracks = await watched(school, head, "headteacher", f"{asked}/watch")
    assert page.count('govuk-tag--red">Flag<') == 2
    assert not [words for words in (HEARD, ABOUT_HIM, "flagged this moment", "A member of staff") if words in page + tracks]


def flag(about: str = "heard", person: str = "hall") -> Flagged:
    return Flagged(0, person, about, "words")


def is_read(one: Flagged, *alerts: tuple[str, int, bool]) -> bool:
    known = [FlagView(person, MOMENT + timedelta(seconds=after), may_open) for person, after, may_open in alerts]
    return flags.read([At(one, MOMENT)], known) == {one}


def test_a_flag_is_read_by_whoever_may_open_its_alert_and_in_doubt_by_nobody() -> None:
    assert is_read(flag(), ("hall", 0, True))
    assert not is_read(flag(), ("hall", 0, False))
    assert is_read(flag(), ("hall", 0, True), ("hall", 60, False), ("cole", 0, False)), "the others are not its alert"
    assert not is_read(flag(), ("hall", 0, True), ("hall", 2, False)), "either could be"
    assert not is_read(flag(), ("hall", 60, True), ("hall", 90, False)), "the clocks differ: any could be"
    assert not is_read(flag()), "its alert is gone, as after a restore: it may have been about an adult"
    assert not is_read(flag("staff"))
    assert is_read(flag("staff"), ("hall", 0, True))
    assert not is_read(flag("staff"), ("hall", 0, True), ("hall", 600, False)), "said later, and an alert of its own"
    assert not is_read(flag("headteacher"), ("cole", 0, True))
