"""Who is called is told on the page they have open, as soon as it happens, and nobody is told who should not be (RC1)."""

import asyncio
from typing import Any

import httpx
import pytest

from service.foundation import banners
from service.people.queries import actor as actor_of
from service.safeguarding import commands
from tests.school import Running


async def worry(school: Running, **more: Any) -> str:
    async with school.database.writing() as session:
        child = await actor_of(session, school.person("pupil"))
        assert child is not None
        return await commands.raise_alert(session, child, kind="worry", now=school.clock.now(), words="He shouts", **more)


async def waits(school: Running, client: httpx.AsyncClient, shown: str = "") -> "asyncio.Task[httpx.Response]":
    """A page of this client that waits for news, once it really waits."""
    before = sum(school.app.state.bell.waiting.values())
    asked = asyncio.create_task(client.get(f"/banners?shown={shown}"))
    while sum(school.app.state.bell.waiting.values()) == before:  # noqa: ASYNC110
        await asyncio.sleep(0)
    return asked


async def test_a_page_that_waits_is_told_the_moment_an_alert_is_raised_without_what_it_is(school: Running) -> None:
    async with asyncio.timeout(10), await school.signed_in("dsl") as client:
        asked = await waits(school, client)
        await worry(school)
        told = await asked
    assert [banner["words"] for banner in told.json()["banners"]] == ["Safeguarding alert, 10am."]
    assert not any(word in told.text for word in ("shouts", "Worry", "worry"))


async def test_it_is_told_again_when_somebody_else_has_taken_it(school: Running) -> None:
    alert = await worry(school)
    async with asyncio.timeout(10), await school.signed_in("dsl") as client, await school.signed_in("deputy_dsl") as other:
        shown = (await client.get("/banners")).json()["shown"]
        asked = await waits(school, client, shown)
        await other.post(f"/safeguarding/{alert}/take")
        assert (await asked).json() == {"banners": [], "shown": "", "again": 0}


async def test_who_may_not_know_goes_on_waiting(school: Running) -> None:
    async with asyncio.timeout(10), await school.signed_in("dsl") as dsl, await school.signed_in("teacher") as teacher:
        theirs, own = await waits(school, teacher), await waits(school, dsl)
        await worry(school, present=(school.person("dsl"),))
        await asyncio.wait((theirs, own), timeout=0.3)
        assert not theirs.done()
        assert not own.done(), "the DSL is an adult of that lesson"
        for each in (theirs, own):
            each.cancel()
        await asyncio.gather(theirs, own, return_exceptions=True)
    assert school.app.state.bell.waiting == {}


async def test_signing_out_ends_the_wait_and_tells_nothing_more(school: Running) -> None:
    cookie = await school.cookie(school.person("dsl"))
    async with asyncio.timeout(10), school.client(cookie) as client, school.client(cookie) as other_tab:
        client.headers["accept"] = "application/json"
        asked = await waits(school, client)
        await other_tab.post("/sign-out")
        assert (await asked).status_code == 401


async def test_a_tab_of_the_person_before_learns_nothing_of_the_next_on_the_same_browser(school: Running) -> None:
    await worry(school)
    async with await school.signed_in("dsl") as client:
        client.headers["accept"] = "application/json"
        assert (await client.get("/banners?wait=false&of=another")).status_code == 409


async def test_waiting_is_bounded_for_each_sign_in(school: Running) -> None:
    async with asyncio.timeout(10), await school.signed_in("dsl") as client:
        asked = [await waits(school, client) for _ in range(banners.PER_SIGN_IN)]
        one_more = await client.get("/banners")
        assert one_more.json() == {"banners": [], "shown": "", "again": banners.LATER}
        school.app.state.bell.close()  # as when the service stops
        assert [(await each).status_code for each in asked] == [200] * banners.PER_SIGN_IN


@pytest.mark.parametrize("role", ["pupil", "parent", "governor"])
async def test_pupils_and_families_wait_for_nothing(school: Running, role: str) -> None:
    async with await school.signed_in(role) as client:
        assert (await client.get("/banners?wait=false")).status_code == 404
        assert 'id="banners"' not in (await client.get("/account")).text
