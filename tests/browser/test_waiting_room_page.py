"""Why a room is shut, as its page says it before and after a first opening, and the ways out that a teacher is offered (RL1)."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, Route, expect

from tests.browser.lesson_page import ORIGIN, ScriptedRoom, adult, context, lesson_page, person, state

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
PHONE = {"width": 320, "height": 640}
STOPPED = "A school leader has stopped this lesson. Talk to them."
COLLEAGUES = [{"id": "c", "name": "Ms Cole", "signed_in": True}]


def waiting(pupils: int, adults: int = 1, needed: int = 2) -> dict[str, Any]:
    return {"adults": adults, "pupils": pupils, "needed": needed, "recording": True}


@asynccontextmanager
async def page_of(browser: Browser, role: str, *, one_to_one: bool = False, **told: Any) -> AsyncIterator[ScriptedRoom]:
    """A page whose server tells this of the approval and the ways out. `asked`: of which room it was asked."""
    lesson = {**context(role)["lesson"], "is_one_to_one": one_to_one}
    offers = {"child": {"id": "p1", "name": "Bea"}, "asked": None, "approval": "", "invited": [], "colleagues": COLLEAGUES} | told
    async with lesson_page(browser, role, lesson=lesson) as room:

        async def answer(route: Route) -> None:
            await route.fulfill(json=offers if "/demo/" in route.request.url else offers | {"child": None})

        async def admit(route: Route) -> None:
            await route.fulfill(json={"ticket": "t2", "expires_in": 60})

        await room.page.route("**/lessons/*/alone", answer)
        await room.page.route("**/lessons/red/door", admit)
        yield room
        assert room.troubles == []


def lobby(room: ScriptedRoom) -> Locator:
    return room.page.locator(".x-lobby")


def ask(room: ScriptedRoom) -> Locator:
    return room.page.get_by_role("button", name="Ask a senior leader")


def invite(room: ScriptedRoom) -> Locator:
    return room.page.get_by_role("button", name="Invite a colleague")


async def look(room: ScriptedRoom, name: str) -> None:
    """Nothing is wrong with it on a laptop or a phone; pictures are kept where somebody asks for them."""
    for size, view in (("laptop", {"width": 1280, "height": 800}), ("phone", PHONE)):
        await room.page.set_viewport_size(view)  # type: ignore[arg-type]
        assert await room.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), size
        found = (await Axe().run(room.page)).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
        if folder := os.environ.get("CHAPERONE_PICTURES"):
            await room.page.screenshot(path=Path(folder) / f"{name}-{size}.png")
    await room.page.set_viewport_size({"width": 1366, "height": 768})


# The waiting room


@pytest.mark.parametrize(("role", "words"), [
    ("teacher", STOPPED), ("pupil", "This lesson has stopped. You have not done anything wrong."),
])
async def test_a_lesson_that_a_leader_stopped_before_it_opened_says_so_and_comforts_nobody(
    browser: Browser, role: str, words: str,
) -> None:
    async with page_of(browser, role) as room:
        await room.enter("lobby", [adult()], hold=["starting"], waiting=waiting(2))
        await room.say(state("lobby", [adult()], hold=["stopped-by-school"], waiting=waiting(2)))
        await expect(lobby(room)).to_contain_text(words)
        for comfort in ("The lesson opens when", "Recording: ready", "Your teacher is here.", "people are here"):
            await expect(lobby(room).get_by_text(comfort)).to_be_hidden()
        await expect(room.page.locator('[data-say="alert"]')).to_have_text(words)
        await look(room, f"lobby-stopped-{role}")


async def test_before_its_time_a_lesson_says_when_it_starts_and_the_time_is_not_ticked(browser: Browser) -> None:
    async with page_of(browser, "teacher") as room:
        await room.enter("lobby", [adult()], hold=["lone-adult", "outside-window"], waiting=waiting(1))
        await expect(lobby(room)).to_contain_text("It is not time yet. The lesson starts at 10:15am.")
        done = lobby(room).locator(".x-ticks__done")
        await expect(done.filter(has_text="Time")).to_have_count(0)
        await expect(ask(room)).to_have_count(0)
        await look(room, "lobby-early-teacher")
        await room.say(state("lobby", [adult()], hold=["starting"], waiting=waiting(2)))
        await expect(done.filter(has_text="Time")).to_have_count(1)
        await expect(lobby(room)).not_to_contain_text("It is not time yet.")
    async with page_of(browser, "pupil") as room:
        await room.enter("lobby", [adult()], hold=["outside-window"], waiting=waiting(2))
        await expect(lobby(room)).to_contain_text("It is not time yet. The lesson starts at 10:15am. Wait here.")
        await expect(lobby(room)).to_contain_text("Your teacher is here.")
        await look(room, "lobby-early-pupil")


async def test_a_one_to_one_waits_for_its_one_pupil_and_tells_that_pupil_of_nobody_else(browser: Browser) -> None:
    async with page_of(browser, "teacher", one_to_one=True) as room:
        await room.enter("lobby", [adult()], hold=["lone-adult"], waiting=waiting(0))
        await expect(lobby(room)).to_contain_text("The lesson opens when 1 pupil is here and recording is ready.")
        await expect(lobby(room)).to_contain_text("Pupils: 0 of 1 needed")
    async with page_of(browser, "pupil", one_to_one=True) as room:
        await room.enter("lobby", [adult()], hold=["starting"], waiting=waiting(1))
        await expect(lobby(room)).to_contain_text("2 people are here.")
        await expect(lobby(room)).not_to_contain_text("one more person")


async def test_beside_two_adults_one_pupil_is_enough(browser: Browser) -> None:
    async with page_of(browser, "teacher") as room:
        await room.enter("lobby", [adult()], hold=["lone-adult"], waiting=waiting(0))
        line = lobby(room).locator("[data-lobby-opens] > p")
        await expect(line).to_contain_text("2 pupils, or 1 pupil and a second member of staff, are here and recording is ready.")
        await room.say(state("lobby", [adult()], hold=["starting"], waiting=waiting(1, adults=2, needed=1)))
        await expect(lobby(room)).to_contain_text("The lesson opens when 1 pupil is here and recording is ready.")
        await expect(lobby(room)).to_contain_text("Pupils: 1 of 1 needed")


async def test_a_teacher_to_whom_one_pupil_came_is_offered_both_ways_out_before_a_first_opening(browser: Browser) -> None:
    async with page_of(browser, "teacher") as room:
        await room.enter("lobby", [adult()], hold=["lone-adult"], waiting=waiting(0))
        await expect(ask(room)).to_have_count(0)
        await room.say(state("lobby", [adult()], hold=["lone-adult"], waiting=waiting(1)))
        await expect(ask(room)).to_be_visible()
        await expect(invite(room)).to_be_visible()
        await look(room, "lobby-alone")
        await room.say(state("lobby", [adult()], hold=["starting"], waiting=waiting(2)))
        await expect(ask(room)).to_have_count(0)


# An approval that does not hold


@pytest.mark.parametrize("where", ["lobby", "held"])
@pytest.mark.parametrize(("approval", "words"), [
    ("ended", "The approval has ended. It cannot start again."),
    ("missing", "A permission or a clearance is missing. Ask the office, not the pupil."),
])
async def test_a_one_to_one_says_it_cannot_start_again_only_where_that_is_so(
    browser: Browser, where: str, approval: str, words: str,
) -> None:
    async with page_of(browser, "teacher", one_to_one=True, approval=approval) as room:
        await room.enter(where, [adult()], hold=["approval-ended", "lone-adult"], waiting=waiting(1))
        shut = room.page.locator(f".x-{where}")
        await expect(shut).to_contain_text("The approval for this one-to-one does not hold now.")
        await expect(shut.get_by_text(words)).to_be_visible()
        await expect(shut.get_by_text("It cannot start again.")).to_have_count(int(approval == "ended"))
        await expect(shut.get_by_text("The lesson opens when")).to_be_hidden()
        await expect(ask(room)).to_be_hidden()
        await expect(invite(room)).to_be_hidden()
        await look(room, f"approval-{approval}-{where}")


async def test_where_the_class_may_still_come_the_way_out_stays_and_nobody_is_told_that_it_is_over(browser: Browser) -> None:
    async with page_of(browser, "teacher", approval="ended") as room:
        await room.enter("held", [adult(), person(1)], hold=["approval-ended", "lone-adult"])
        shut = room.page.locator(".x-held")
        await expect(shut).to_contain_text("The approval to go on with one pupil does not hold now. "
                                           "It opens when another pupil or a second member of staff joins.")
        await expect(shut.get_by_text("You cannot ask for it again in this lesson.")).to_be_visible()
        await expect(invite(room)).to_be_visible()
        await expect(ask(room)).to_be_hidden()
        await look(room, "approval-of-class")
    async with page_of(browser, "pupil") as room:
        await room.enter("held", [adult(), person(0)], hold=["approval-ended", "lone-adult"])
        await expect(room.page.locator(".x-held")).to_contain_text("We are waiting for one more person.")
        await expect(room.page.locator(".x-held")).not_to_contain_text("has ended")


async def test_where_more_pupils_are_connected_than_count_the_teacher_reads_what_may_be_the_reason(browser: Browser) -> None:
    async with page_of(browser, "teacher") as room:
        await room.enter("held", [adult(), person(1), person(2)], hold=["lone-adult"], waiting=waiting(2))
        reason = room.page.locator("[data-held-reason]")
        await expect(reason).to_contain_text("Fewer than two of the pupils here count just now.")
        await expect(reason).to_contain_text("have a badge that you made")
        await look(room, "pupils-that-do-not-count")
        await room.say(state("held", [adult(), person(1)], hold=["lone-adult"], waiting=waiting(1)))
        await expect(reason).to_contain_text("You would be alone with one pupil.")


async def test_where_two_grown_ups_are_there_of_whom_one_does_not_count_the_teacher_reads_what_may_be_the_reason(
        browser: Browser) -> None:
    async with page_of(browser, "teacher") as room:
        other = adult() | {"person": "s", "name": "Ms Reed"}
        await room.enter("held", [adult(), other, person(1)], hold=["lone-adult"], waiting=waiting(1) | {"adults": 2})
        reason = room.page.locator("[data-held-reason]")
        await expect(reason).to_contain_text("Fewer than two of the grown-ups here count just now.")
        await expect(reason).to_contain_text("made in the last week")
        await look(room, "grown-ups-that-do-not-count")


# Breakout rooms


async def test_with_one_pupil_in_the_main_room_a_teacher_is_helped_and_not_told_that_everybody_is_away(browser: Browser) -> None:
    async with page_of(browser, "teacher") as room:
        await room.enter("held", [adult()], hold=["lone-adult"], breakouts=True, waiting=waiting(0))
        reason = room.page.locator("[data-held-reason]")
        await expect(reason).to_have_text("Everybody is in a breakout room.")
        await expect(invite(room)).to_have_count(0)
        await room.say(state("held", [adult(), person(1)], hold=["lone-adult"], breakouts=True, waiting=waiting(1)))
        await expect(reason).to_contain_text("You would be alone with one pupil.")
        await expect(ask(room)).to_be_visible()
        await expect(room.page.get_by_role("button", name="Bring everybody back to the main room")).to_be_hidden()


async def test_in_a_breakout_room_no_leader_is_asked_a_colleague_is_called_there_and_everybody_can_be_brought_back(
    browser: Browser,
) -> None:
    async with page_of(browser, "teacher") as room:
        closed: list[str] = []

        async def close(route: Route) -> None:
            closed.append(route.request.url.partition("/lessons/")[2])
            await route.fulfill(json={})

        await room.page.route("**/breakouts/close", close)
        await room.enter("open", [adult(), person(1), person(2)])
        asked: list[str] = []
        room.page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/alone") else None)
        await room.wait_for("hello")
        await room.say({"type": "move", "lesson": "red", "name": "Room 1", "is_main": False})
        await room.wait_for("hello")
        await room.say({**room._welcome(), "lesson": {**room._welcome()["lesson"], "id": "red", "title": "Maths, Room 1"}})
        await room.say(state("held", [adult(), person(1)], hold=["lone-adult"], waiting=waiting(1)))
        await expect(room.page.get_by_text("With a second member of staff Maths, Room 1 opens by itself.")).to_be_visible()
        await expect(invite(room)).to_be_visible()
        await expect(ask(room)).to_be_hidden()
        assert set(asked) == {f"{ORIGIN}/lessons/red/alone"}
        await look(room, "alone-breakout")
        await room.page.get_by_role("button", name="Bring everybody back to the main room").click()
        await expect(room.page.locator('[data-say="status"]')).to_have_text("Everybody is coming back")
        assert closed == ["demo/breakouts/close"]
