"""The lesson's page alone, in Chromium, against a scripted room: what each person sees, says and never sends."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from tests.browser.lesson_page import COLOURS, NAMES, ORIGIN, ScriptedRoom, adult, context, lesson_page, person, state

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
STATIC = Path(__file__).parents[2] / "lessons/static"
CLASS = [adult(), person(0, camera=False), *(person(number) for number in range(1, 4))]


@pytest_asyncio.fixture(loop_scope="module")
async def pupil(browser: Browser) -> AsyncIterator[ScriptedRoom]:
    async with lesson_page(browser, "pupil") as room:
        yield room
        assert room.troubles == []


@pytest_asyncio.fixture(loop_scope="module")
async def teacher(browser: Browser) -> AsyncIterator[ScriptedRoom]:
    async with lesson_page(browser, "teacher") as room:
        yield room
        assert room.troubles == []


def camera(number: int) -> dict[str, Any]:
    return {"person": f"p{number}", "source": "camera", "colour": COLOURS[number], "words": NAMES[number]}


async def sent(room: ScriptedRoom) -> dict[str, int]:
    """Packets that have reached the server so far, by m-line: 0 microphone, 1 camera, 2 screen."""
    return await room.page.evaluate("fakeSfu.uplink()")


async def until(room: ScriptedRoom, line: str) -> None:
    async with asyncio.timeout(15):
        while not (await sent(room)).get(line):
            await room.page.wait_for_timeout(50)


async def press(room: ScriptedRoom, name: str) -> None:
    await room.page.get_by_role("button", name=name, exact=True).first.click()


# -- door and waiting room ------------------------------------------------------------------------------------------------


async def test_an_empty_box_at_the_door_is_kept_as_not_answered(pupil: ScriptedRoom) -> None:
    await pupil.page.get_by_label("I am dressed for school").first.check()
    await pupil.page.get_by_label("A grown-up").check()
    await pupil.enter()
    answers = pupil.doors[0]
    assert re.fullmatch(r"[0-9a-f-]{36}", answers.pop("device"))
    assert answers == {
        "clothing": "yes",
        "place": "not answered",
        "people_near": "not answered",
        "beside": "grown-up",
        "media": "all",
    }


async def test_the_door_says_who_will_be_there_and_that_it_is_recorded(pupil: ScriptedRoom) -> None:
    await expect(
        pupil.page.get_by_text("This lesson is recorded. School staff can check what is said, shown and typed.").first
    ).to_be_visible()
    await expect(pupil.page.locator(".x-door")).to_contain_text("Mr Hall")
    assert NAMES[1] not in await pupil.page.locator(".x-door").inner_text()


async def test_a_refusal_at_the_door_is_said_in_the_servers_words(pupil: ScriptedRoom) -> None:
    pupil.door_answer = (
        403,
        {"title": "You cannot do this", "detail": "This lesson is not on your list.", "code": "not-on-roster"},
    )
    await press(pupil, "Join the lesson")
    await expect(pupil.page.get_by_text("This lesson is not on your list.")).to_be_visible()
    assert await pupil.page.locator("main").get_attribute("data-room") == "door"
    assert pupil.troubles.pop().startswith("Failed to load resource")


CROWDED = "Many people are coming in at once. Wait here: we keep trying, and you do not need to press again."


async def test_a_crowded_door_is_asked_again_by_the_page_and_pressing_on_changes_nothing(pupil: ScriptedRoom) -> None:
    pupil.crowded = 2
    await press(pupil, "Join the lesson")
    await expect(pupil.page.get_by_role("status").filter(has_text=CROWDED)).to_be_visible()
    assert await pupil.page.evaluate("document.activeElement.innerText") == "Join the lesson"
    for _ in range(5):
        await pupil.page.keyboard.press("Enter")
    await pupil.wait_for("publish")
    assert len(pupil.doors) == 3, "the first, and one for each time that the door said so"
    assert pupil.doors[0] == pupil.doors[2], "with what was answered, and nothing is asked again"
    first, second, third = pupil.asked_at
    assert min(second - first, third - second) >= 1, "not before it said"
    assert len(pupil.sockets) == 1
    assert [one for one in pupil.troubles if "503" not in one] == []
    pupil.troubles.clear()


async def test_a_door_that_stays_crowded_is_left_alone_and_can_be_tried_again(pupil: ScriptedRoom) -> None:
    pupil.crowded = 5
    await press(pupil, "Join the lesson")
    await expect(pupil.page.get_by_text("Try again in a moment.")).to_be_visible(timeout=15_000)
    assert len(pupil.doors) == 5
    await pupil.enter()
    assert len(pupil.doors) == 6
    pupil.troubles.clear()


async def test_presence_is_proved_from_the_waiting_room_on_and_no_camera_is_sent(pupil: ScriptedRoom) -> None:
    await pupil.enter()
    await until(pupil, "0")
    assert not (await sent(pupil)).get("1")
    assert (await pupil.wait_for("heartbeat"))["visible"] is True


async def test_the_waiting_room_has_no_channel_and_no_names(pupil: ScriptedRoom) -> None:
    await pupil.enter("lobby", [adult()])
    lobby = pupil.page.locator(".x-lobby")
    await expect(lobby).to_contain_text("You are in the waiting room")
    await expect(lobby).to_contain_text("Your teacher is here.")
    await expect(lobby).to_contain_text("We are waiting for one more person. 2 people are here.")
    shown = await pupil.page.get_by_role("button").all_inner_texts()
    assert shown == ["I'm worried", "Leave"]


async def test_a_pupil_without_devices_still_joins_and_proves_presence(browser: Browser) -> None:
    async with lesson_page(browser, "pupil", devices=False) as room:
        await room.page.evaluate(
            "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')); }"
        )
        await room.enter("open", CLASS)
        await until(room, "0")
        await press(room, "Microphone")
        await expect(room.page.get_by_text("Your microphone is blocked. You can join without it.")).to_be_visible()
        assert room.troubles == []


async def test_nobody_is_kept_out_by_a_device_without_sound(pupil: ScriptedRoom) -> None:
    await pupil.page.evaluate("() => { AudioContext.prototype.resume = () => new Promise(() => {}); }")
    await pupil.enter("lobby", [adult()])


# -- open ---------------------------------------------------------------------------------------------------------------


async def test_a_pupils_camera_and_microphone_are_off_until_they_press(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    for name in ("Camera", "Microphone"):
        await expect(pupil.page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "false")
    await until(pupil, "0")
    assert not (await sent(pupil)).get("1")
    await press(pupil, "Camera")
    await expect(pupil.page.get_by_text("Before your camera goes on")).to_be_visible()
    await pupil.page.get_by_label("I am dressed for school").last.check()
    await press(pupil, "Turn on my camera")
    assert (await pupil.wait_for("camera"))["on"] is True
    await until(pupil, "1")
    assert pupil.doors[1]["clothing"] == "yes"


async def test_staff_come_with_camera_and_microphone_once_it_is_open_and_not_before(teacher: ScriptedRoom) -> None:
    await teacher.enter("lobby", [adult()])
    await until(teacher, "0")
    assert not (await sent(teacher)).get("1")
    await teacher.say(state("open", CLASS))
    assert (await teacher.wait_for("microphone"))["on"] is True
    assert (await teacher.wait_for("camera"))["on"] is True
    await until(teacher, "1")


async def test_every_remote_picture_and_sound_says_whose_it_is(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", [adult(), person(0), person(1)])
    await teacher.show_streams([camera(0), camera(1), {"person": "p1", "source": "microphone"}])
    await expect(teacher.page.locator("video[data-person=p0][data-source=camera]")).to_have_count(1)
    await expect(teacher.page.locator("audio[data-person=p1][data-source=microphone]")).to_have_count(1)
    await expect(teacher.page.locator("video[data-person=p1]")).to_have_js_property("videoWidth", 640, timeout=10_000)
    await expect(teacher.page.get_by_role("group", name="Ali, camera on, microphone off")).to_be_visible()


async def test_tiles_keep_their_order_and_their_elements_when_the_state_changes(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", [adult(), *(person(number) for number in range(4))])
    await teacher.show_streams([camera(number) for number in range(4)])
    await teacher.page.evaluate(
        "document.querySelectorAll('video[data-person]').forEach((video, i) => video.dataset.seen = i)"
    )
    await teacher.say(state("open", [adult(), person(3, hand=1), person(2), person(1), person(0, microphone=True)]))
    await expect(teacher.page.locator("[data-stage] [data-mark=hand]:visible")).to_have_text("1")
    assert await teacher.page.locator("[data-stage] video").evaluate_all(
        "all => all.map(video => video.dataset.person + video.dataset.seen)"
    ) == ["p00", "p11", "p22", "p33"]


@pytest.mark.parametrize(
    ("pupils", "open_panel", "columns"), [(2, False, 2), (8, False, 4), (8, True, 3), (30, False, 6), (30, True, 5)]
)
async def test_the_grid_fits_the_class(browser: Browser, pupils: int, open_panel: bool, columns: int) -> None:
    async with lesson_page(browser, "teacher") as room:
        await room.enter("open", [adult(), *(person(number) for number in range(pupils))])
        if open_panel:
            await press(room, "People")
        await expect(room.page.locator("[data-stage]")).to_have_attribute("data-columns", str(columns))
        paged = room.page.get_by_text("Page 1 of 2")
        await (expect(paged).to_be_visible() if pupils == 30 and open_panel else expect(paged).to_be_hidden())
        await expect(room.page.locator("[data-stage] > *")).to_have_count(20 if open_panel and pupils == 30 else pupils)


async def test_an_approved_one_to_one_asks_for_the_grown_up_and_says_until_when_it_is_approved(browser: Browser) -> None:
    lesson = {**context("pupil")["lesson"], "is_one_to_one": True}
    async with lesson_page(browser, "pupil", width=320, height=640, lesson=lesson) as room:
        await expect(room.page.get_by_role("group", name="Is your grown-up with you?")).to_be_visible()
        await room.enter("open", [adult(), person(0)], approved_until="2026-03-03T10:50:00Z")
        await expect(room.page.get_by_text("Approved one-to-one until 10:50am")).to_be_visible()
        assert await room.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await room.say(state("held", [adult(), person(0)], hold=["approval-ended"], approved_until=None))
        await expect(room.page.get_by_text("Approved one-to-one until")).to_be_hidden()
        assert room.troubles == []


async def test_a_shared_screen_takes_the_stage_and_the_teacher_stays_beside_it(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await pupil.say(state("open", [adult(screen=True, sharing="all"), *CLASS[1:]]))
    screen = {"person": "t", "source": "screen", "colour": "#335", "words": "screen"}
    await pupil.show_streams([screen, {"person": "t", "source": "camera", "colour": "#533", "words": "Mr Hall"}])
    await expect(pupil.page.locator("[data-stage] video[data-source=screen]")).to_have_count(1)
    await expect(pupil.page.locator("[data-strip] video[data-person=t][data-source=camera]")).to_have_count(1)


async def test_a_pupil_never_gets_a_tile_of_another_pupil(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await pupil.show_streams([camera(1), {"person": "t", "source": "camera", "colour": "#533", "words": "Mr Hall"}])
    await expect(pupil.page.locator("video[data-person=t]")).to_have_count(1)
    await expect(pupil.page.locator("video[data-person=p1]")).to_have_count(0)


async def test_staff_see_a_pupils_screen_first_and_then_show_it(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await teacher.say(state("open", [adult(), person(0, screen=True, sharing="staff", may_share=True), *CLASS[2:]]))
    await expect(teacher.page.get_by_text("Only staff can see Ali's screen.")).to_be_visible()
    await press(teacher, "Show to class")
    assert await teacher.wait_for("show_share") == {"type": "show_share", "person": "p0"}


async def test_what_staff_may_do_with_one_pupil(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", [adult(), person(0, microphone=True, hand=1), person(1)])
    for words, message in (
        ("Stop this camera", "stop_camera"),
        ("Mute", "mute"),
        ("Lower hand", "lower_hand"),
        ("Allow share", "allow_share"),
    ):
        await press(teacher, "Menu for Ali")
        await press(teacher, words)
        assert await teacher.wait_for(message) == {"type": message, "person": "p0"}
    await press(teacher, "Menu for Ali")
    await press(teacher, "Remove")
    await expect(teacher.page.get_by_text("Only 1 pupil will be left, so the lesson will pause.")).to_be_visible()
    await teacher.page.locator("[data-dialog=remove]").get_by_role("button", name="Remove").click()
    assert await teacher.wait_for("remove") == {"type": "remove", "person": "p0", "reason": "behaviour"}


async def test_nobody_elses_microphone_can_be_switched_on_only_asked_for(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await press(teacher, "Menu for Bea")
    items = await teacher.page.locator("[data-person-menu] button").all_inner_texts()
    assert items == ["Stop this camera", "Ask Bea to unmute", "Allow share", "Remove"]


async def test_being_muted_is_not_undone_by_the_page(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await press(pupil, "Microphone")
    assert (await pupil.wait_for("microphone"))["on"] is True
    await pupil.say(state("open", [adult(), person(0, microphone=False), *CLASS[2:]]))
    await pupil.say({"type": "changed", "what": "microphone_muted", "by": "Mr Hall"})
    await expect(pupil.page.get_by_text("Mr Hall muted you.")).to_be_visible()
    await expect(pupil.page.get_by_role("button", name="Microphone", exact=True)).to_have_attribute("aria-pressed", "false")
    assert not [message for message in pupil.heard if message["type"] == "microphone" and message["on"]]


async def test_a_stopped_camera_goes_off_at_once_and_stays_off(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await press(pupil, "Camera")
    await press(pupil, "Turn on my camera")
    await until(pupil, "1")
    await pupil.say({"type": "changed", "what": "camera_stopped", "by": "Mr Hall", "source": "camera"})
    await pupil.say(state("open", [adult(), person(0, camera=False, camera_stopped=True), *CLASS[2:]]))
    await expect(pupil.page.get_by_text("Your camera is off. Mr Hall stopped it.")).to_be_visible()
    await expect(pupil.page.get_by_role("button", name="Camera", exact=True)).to_have_attribute("aria-disabled", "true")
    assert await pupil.page.evaluate("[...document.querySelectorAll('video')].every(video => !video.srcObject)")


async def test_hands_go_up_and_staff_see_their_order(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", [adult(), person(0, hand=2), person(1, hand=1)])
    await press(teacher, "People")
    await expect(teacher.page.get_by_text("Hands up (2)")).to_be_visible()
    assert await teacher.page.locator("[data-hands-list] [data-name]").all_inner_texts() == ["Bea", "Ali"]


async def test_the_microphone_can_be_asked_for_and_refused(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await pupil.say({"type": "asked", "what": "microphone", "by": "Mr Hall"})
    await expect(pupil.page.get_by_text("Mr Hall asks you to speak.")).to_be_visible()
    await press(pupil, "Not now")
    await expect(pupil.page.get_by_text("Mr Hall asks you to speak.")).to_be_hidden()
    assert not [message for message in pupil.heard if message["type"] == "microphone"]


async def test_sound_only_is_asked_of_the_server(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await press(pupil, "More")
    await press(pupil, "Sound only")
    assert (await pupil.wait_for("sound_only"))["on"] is True
    await expect(pupil.page.locator("[data-fact=sound-only]")).to_be_visible()


async def test_at_the_end_of_the_months_data_there_is_sound_alone(browser: Browser) -> None:
    usage = {"all_mb": 150, "sound_mb": 20, "left_mb": 0.001}
    async with lesson_page(browser, "pupil", usage=usage) as pupil:
        await pupil.enter("open", CLASS)
        await pupil.show_streams([camera(1), {"person": "t", "source": "camera", "colour": "#533", "words": "Mr Hall"}])
        assert (await pupil.wait_for("sound_only"))["on"] is True
        await expect(pupil.page.get_by_text("Your month's data is used. Sound only from here.")).to_be_visible()
        await press(pupil, "Camera")
        own = "[...document.querySelectorAll('.x-tile--own video')].some(video => video.srcObject)"
        assert not await pupil.page.evaluate(own)


async def test_who_has_no_data_left_comes_in_with_sound_alone(browser: Browser) -> None:
    async with lesson_page(browser, "pupil", usage={"all_mb": 150, "sound_mb": 20, "left_mb": 0}) as pupil:
        await expect(pupil.page.get_by_text("Your month's data is used. Sound only from here.")).to_be_visible()
        await expect(pupil.page.get_by_label("Pictures and sound")).to_have_count(0)
        await pupil.enter("open", CLASS)
        assert (await pupil.wait_for("sound_only"))["on"] is True
        await press(pupil, "More")
        await press(pupil, "Sound only")
        assert (await pupil.wait_for("sound_only"))["on"] is True


# -- chat ---------------------------------------------------------------------------------------------------------------


async def test_a_message_leaves_the_box_only_when_it_is_delivered(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await press(pupil, "Chat")
    box = pupil.page.get_by_label("Your message")
    await box.fill("Is it <b>page</b> 12?")
    await press(pupil, "Send")
    message = await pupil.wait_for("chat")
    assert await box.input_value() == message["text"] == "Is it <b>page</b> 12?"
    await pupil.say(
        {
            "type": "chat",
            "id": "c1",
            "person": "p0",
            "name": "Ali",
            "text": message["text"],
            "at": "2026-03-03T10:16:00Z",
            "own": message["own"],
        }
    )
    await expect(box).to_have_value("")
    await expect(pupil.page.get_by_role("log")).to_contain_text("Is it <b>page</b> 12?")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"type": "chat_held", "reason": "word"}, "Not sent. It has a word we do not use here. Change it and try again."),
        ({"type": "chat_held", "reason": "link"}, "Not sent. Only links from the lesson plan work."),
        ({"type": "chat_refused", "reason": "too-fast"}, "Not sent. Wait a moment, then try again."),
    ],
)
async def test_a_message_that_is_not_delivered_stays_with_the_reason(
    pupil: ScriptedRoom, answer: dict[str, Any], words: str
) -> None:
    await pupil.enter("open", CLASS)
    await press(pupil, "Chat")
    await pupil.page.get_by_label("Your message").fill("words")
    await press(pupil, "Send")
    await pupil.say({**answer, "own": (await pupil.wait_for("chat"))["own"]})
    await expect(pupil.page.get_by_text(words)).to_be_visible()
    await expect(pupil.page.get_by_label("Your message")).to_have_value("words")


async def test_words_typed_are_kept_while_the_lesson_is_paused(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await press(pupil, "Chat")
    await pupil.page.get_by_label("Your message").fill("half a thought")
    await pupil.say(state("held", CLASS, hold=["not-recorded"]))
    await expect(
        pupil.page.get_by_text("Chat is off while the lesson is paused. Your words are still here, not sent.")
    ).to_be_visible()
    await press(pupil, "Send")
    assert not [message for message in pupil.heard if message["type"] == "chat"]
    await pupil.say(state("open", CLASS))
    await expect(pupil.page.get_by_label("Your message")).to_have_value("half a thought")


async def test_staff_see_what_was_held_only_when_they_ask(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await press(teacher, "Chat")
    await teacher.say(
        {"type": "chat_held", "id": "c9", "person": "p0", "name": "Ali", "text": "the words", "reason": "word", "own": None}
    )
    await expect(teacher.page.get_by_text("Message from Ali not sent.")).to_be_visible()
    await expect(teacher.page.get_by_text("the words", exact=True)).to_be_hidden()
    await press(teacher, "Show")
    await expect(teacher.page.get_by_text("the words", exact=True)).to_be_visible()
    assert (await teacher.wait_for("show_chat"))["id"] == "c9"


# -- paused, lost, ended --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("pupil", "We are waiting for one more person. You have not done anything wrong. You can wait or leave."),
        ("teacher", "You would be alone with one pupil. It opens when another pupil or a second member of staff joins."),
    ],
)
async def test_a_paused_room_has_no_picture_or_sound_and_says_why(browser: Browser, role: str, words: str) -> None:
    async with lesson_page(browser, role) as room:
        await room.enter("open", CLASS)
        await room.show_streams(
            [
                camera(1),
                {"person": "p1", "source": "microphone"},
                {"person": "t", "source": "camera", "colour": "#533", "words": ""},
            ]
        )
        await room.page.wait_for_selector("video")
        await room.say(state("held", CLASS, hold=["lone-adult", "starting"]))
        await expect(room.page.locator(".x-held")).to_contain_text(words)
        await expect(room.page.locator("video, audio")).to_have_count(0)
        await expect(room.page.locator("main")).to_have_attribute("data-hold", "lone-adult starting")
        assert await room.page.title() == "Paused: Maths"
        await expect(room.page.get_by_role("button", name="Leave", exact=True)).to_be_visible()


async def test_while_paused_only_the_empty_sound_that_proves_presence_goes_on(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await until(teacher, "1")
    await teacher.say(state("held", CLASS, hold=["lone-adult"]))
    await expect(teacher.page.locator("main")).to_have_attribute("data-room", "held")
    await teacher.page.wait_for_timeout(300)
    before = await sent(teacher)
    async with asyncio.timeout(10):
        while (await sent(teacher))["0"] <= before["0"]:
            await teacher.page.wait_for_timeout(100)
    assert (await sent(teacher))["1"] - before["1"] <= 2


async def test_after_a_pause_a_pupil_comes_back_with_camera_and_microphone_off(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await press(pupil, "Microphone")
    await pupil.wait_for("microphone")
    await pupil.say(state("held", CLASS, hold=["no-adult"]))
    await expect(pupil.page.get_by_text("Children are never together online without a teacher.")).to_be_visible()
    await pupil.say(state("open", CLASS))
    await expect(pupil.page.get_by_role("button", name="Microphone", exact=True)).to_have_attribute("aria-pressed", "false")


async def test_an_unknown_reason_is_said_as_getting_ready(pupil: ScriptedRoom) -> None:
    await pupil.enter("held", [], hold=["something-new"])
    await expect(pupil.page.get_by_text("Getting ready. Wait here.", exact=True)).to_be_visible()


async def test_a_lost_connection_comes_back_as_a_full_admission_without_the_door(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await pupil.show_streams([{"person": "t", "source": "camera", "colour": "#533", "words": "Mr Hall"}])
    await pupil.sockets[0].close(code=1012)
    await expect(pupil.page.get_by_text("You lost the connection. Trying again.")).to_be_visible()
    await expect(pupil.page.locator("video[data-person]")).to_have_count(0)
    await pupil.wait_for("hello", lambda message: len(pupil.sockets) > 1)
    await pupil.wait_for("publish")
    assert pupil.doors[1] == {}
    await pupil.say(state("open", CLASS))
    await expect(pupil.page.get_by_text("You lost the connection.")).to_be_hidden()


@pytest.mark.parametrize(("code", "heading"), [(4409, "You joined on another device"), (4410, "The lesson has ended")])
async def test_some_closes_are_for_good(pupil: ScriptedRoom, code: int, heading: str) -> None:
    await pupil.enter("open", CLASS)
    await pupil.sockets[0].close(code=code)
    await expect(pupil.page.get_by_role("heading", name=heading)).to_be_focused()
    await pupil.page.wait_for_timeout(600)
    assert len(pupil.sockets) == 1


@pytest.mark.parametrize(
    ("reason", "heading"),
    [
        ("removed", "You are out of this lesson"),
        ("time", "The lesson has ended"),
        ("stopped-by-school", "The lesson has stopped"),
    ],
)
async def test_the_end_says_what_happened_with_the_heading_focused_and_the_camera_given_back(
    pupil: ScriptedRoom, reason: str, heading: str
) -> None:
    await pupil.enter("open", CLASS)
    await pupil.say({"type": "ended", "reason": reason})
    await expect(pupil.page.get_by_role("heading", name=heading)).to_be_focused()
    await expect(pupil.page.locator("main")).to_have_attribute("data-room", "ended")
    await expect(pupil.page.locator("video, audio")).to_have_count(0)


async def test_a_pupil_leaves_with_one_press(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await press(pupil, "Leave")
    await pupil.wait_for("leave")
    await expect(pupil.page.get_by_role("heading", name="You have left the lesson")).to_be_visible()


async def test_the_last_adult_is_asked_before_leaving(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await press(teacher, "Leave")
    await expect(teacher.page.get_by_text("If you leave, the lesson pauses for everyone.")).to_be_visible()
    await press(teacher, "Stay")
    assert not [message for message in teacher.heard if message["type"] == "leave"]
    await press(teacher, "Leave")
    await press(teacher, "Pause and go")
    await teacher.wait_for("leave")


async def test_ending_for_everyone_is_asked_first(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await press(teacher, "End for everyone")
    await expect(teacher.page.get_by_role("heading", name="End Maths for 4 pupils?")).to_be_visible()
    await press(teacher, "End now")
    await teacher.wait_for("end")


# -- help and flags ---------------------------------------------------------------------------------------------------------


async def test_one_press_tells_school_nothing_in_the_room_hears_of_it_and_closing_wipes_it(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    before = [message["type"] for message in pupil.heard if message["type"] != "heartbeat"]
    await press(pupil, "I'm worried")
    await press(pupil, "Tell school now")
    await expect(pupil.page.get_by_text("Sent. A grown-up who keeps children safe will look at it today.")).to_be_visible()
    assert pupil.worries == [{"lesson_id": "demo"}]
    await press(pupil, "Say more")
    await pupil.page.get_by_label("Please do not ring my home about this").check()
    await pupil.page.get_by_label("Tell us, if you want to").fill("something")
    await press(pupil, "Tell school")
    async with asyncio.timeout(5):
        while len(pupil.worries) < 2:
            await pupil.page.wait_for_timeout(20)
    assert pupil.worries[1] == {
        "lesson_id": "demo",
        "worry_id": "w1",
        "do_not_ring_home": True,
        "about": None,
        "text": "something",
    }
    await pupil.page.get_by_role("button", name="Back to my lesson").locator("visible=true").click()
    assert await pupil.page.locator("[data-worried]").inner_html() == ""
    assert [message["type"] for message in pupil.heard if message["type"] != "heartbeat"] == before


async def test_help_without_network_keeps_trying_and_says_so(pupil: ScriptedRoom) -> None:
    pupil.worried_online = False
    await press(pupil, "I'm worried")
    await press(pupil, "Tell school now")
    await expect(
        pupil.page.get_by_text("Not sent. We will keep trying while this page is open. Danger now? Call 999.")
    ).to_be_visible()
    pupil.worried_online = True
    await expect(pupil.page.get_by_text("Sent. A grown-up")).to_be_visible(timeout=8000)
    pupil.troubles.clear()


async def test_a_flag_is_one_press_and_its_note_joins_it(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await press(teacher, "Flag this moment")
    assert await teacher.wait_for("flag") == {"type": "flag"}
    await teacher.say({"type": "flagged", "flag": "f7"})
    await teacher.page.get_by_label("Heard", exact=True).check()
    await press(teacher, "Save note")
    assert await teacher.wait_for("flag") == {"type": "flag", "flag": "f7", "about": "heard"}
    await expect(teacher.page.get_by_text("Note saved.")).to_have_count(0)  # it is saved when the room says so
    await teacher.say({"type": "flagged", "flag": "f7"})
    await expect(teacher.page.get_by_text("Note saved.")).to_be_visible()
    await expect(teacher.page.locator("[data-flag-panel]")).to_be_hidden()


async def test_a_note_that_was_not_saved_is_still_there_and_is_said_again(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await press(teacher, "Flag this moment")
    await teacher.wait_for("flag")
    await teacher.say({"type": "flagged", "flag": "f7"})
    note = teacher.page.get_by_label("Note (optional)")
    await note.fill("He said that he is afraid to go home")
    await press(teacher, "Save note")
    said = await teacher.wait_for("flag")
    await expect(teacher.page.get_by_text("Your flag is not saved yet.")).to_be_visible(timeout=8000)
    await expect(note).to_have_value("He said that he is afraid to go home")
    await press(teacher, "Flag this moment")
    await teacher.wait_for("flag")
    await expect(note).to_have_value("He said that he is afraid to go home")
    await teacher.sockets[-1].close(code=1012)
    assert await teacher.wait_for("flag") == said
    await teacher.wait_for("flag")
    await teacher.say({"type": "flagged", "flag": "f7"})
    await expect(teacher.page.get_by_text("Note saved.")).to_be_visible()
    await expect(note).to_be_hidden()
    await teacher.say({"type": "flagged", "flag": "f8"})
    await expect(note).to_have_value("")


async def test_a_flag_that_the_room_does_not_say_is_saved_is_sent_again_when_the_line_is_back(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await press(teacher, "Flag this moment")
    await teacher.wait_for("flag")
    await expect(teacher.page.get_by_role("heading", name="Flagged")).to_be_hidden()
    await expect(teacher.page.get_by_text("Your flag is not saved yet.")).to_be_visible(timeout=8000)
    await teacher.sockets[-1].close(code=1012)
    assert await teacher.wait_for("flag") == {"type": "flag"}
    assert len(teacher.sockets) == 2
    await teacher.say({"type": "flagged", "flag": "f1"})
    await expect(teacher.page.get_by_role("heading", name="Flagged")).to_be_visible()


async def test_no_flag_panel_opens_while_a_screen_is_shared(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await teacher.page.evaluate("""() => {
        navigator.mediaDevices.getDisplayMedia = async () => document.createElement('canvas').captureStream(1);
    }""")
    await press(teacher, "Share screen")
    assert (await teacher.wait_for("share"))["on"] is True
    await press(teacher, "Flag this moment")
    await teacher.wait_for("flag")
    await teacher.say({"type": "flagged", "flag": "f7"})
    await expect(teacher.page.get_by_text("Flagged. When you stop sharing you can add a note.")).to_be_visible()
    await expect(teacher.page.locator("[data-flag-panel]")).to_be_hidden()
    await teacher.page.get_by_role("button", name="Stop sharing").first.click()
    await expect(teacher.page.get_by_label("Note (optional)")).to_be_visible()


# -- for everybody ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1366, 768), (320, 640)])
@pytest.mark.parametrize("role", ["teacher", "pupil"])
async def test_axe_finds_nothing_in_any_state_and_nothing_scrolls_sideways(
    browser: Browser, role: str, size: tuple[int, int]
) -> None:
    wrong: list[str] = []
    async with lesson_page(browser, role, width=size[0], height=size[1]) as room:
        await look(room, "door", wrong)
        await room.enter("lobby", [adult()])
        await look(room, "lobby", wrong)
        await room.say(state("open", [adult(), person(0, camera=False, hand=1), *CLASS[2:]]))
        await room.show_streams([camera(1), {"person": "t", "source": "camera", "colour": "#533", "words": "Mr Hall"}])
        await room.page.wait_for_selector("video[data-person]")
        await look(room, "open", wrong)
        await press(room, "More")
        await look(room, "menu", wrong)
        await room.page.keyboard.press("Escape")
        await open_chat(room)
        await room.say(
            {
                "type": "chat",
                "id": "c1",
                "person": "t",
                "name": "Mr Hall",
                "text": "Good morning",
                "at": "2026-03-03T10:16:00Z",
            }
        )
        await look(room, "chat", wrong)
        await room.page.keyboard.press("Escape")
        if role == "pupil":
            await press(room, "I'm worried")
            await look(room, "help", wrong)
            await room.page.keyboard.press("Escape")
        await room.say(state("held", CLASS, hold=["lone-adult"]))
        await room.page.wait_for_selector("main[data-room=held]")
        await look(room, "held", wrong)
        await room.say({"type": "ended", "reason": "time"})
        await room.page.wait_for_selector("main[data-room=ended]")
        await look(room, "ended", wrong)
        assert wrong == []
        assert room.troubles == []


async def open_chat(room: ScriptedRoom) -> None:
    if not await room.page.locator(".x-control--chat").is_visible():
        await press(room, "More")
    await press(room, "Chat")


async def look(room: ScriptedRoom, where: str, wrong: list[str]) -> None:
    found = await Axe().run(room.page)
    for violation in found.response["violations"]:
        wrong.extend(f"{where}: {violation['id']} {node['html'][:160]}" for node in violation["nodes"])
    wide = await room.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        wrong.append(f"{where}: {wide}px too wide")


async def test_controls_are_big_enough_for_a_finger_on_the_smallest_phone(browser: Browser) -> None:
    async with lesson_page(browser, "pupil", width=320, height=640) as room:
        await room.enter("open", CLASS)
        boxes = await room.page.locator(".x-control:visible").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().toJSON())"
        )
        assert len(boxes) == 6
        assert all(box["width"] >= 48 and box["height"] >= 48 for box in boxes)


async def test_the_room_works_by_keyboard(pupil: ScriptedRoom) -> None:
    await pupil.enter("open", CLASS)
    await pupil.page.keyboard.press("Alt+Shift+KeyH")
    assert (await pupil.wait_for("hand"))["up"] is True
    await pupil.page.keyboard.press("Alt+Shift+KeyC")
    await expect(pupil.page.get_by_role("tab", name="Chat")).to_be_focused()
    regions = []
    for _ in range(4):
        await pupil.page.keyboard.press("F6")
        regions.append(await pupil.page.evaluate("document.activeElement.dataset.region"))
    assert regions == ["controls", "bar", "stage", "panel"]
    await press(pupil, "More")
    await press(pupil, "Keyboard shortcuts")
    await pupil.page.keyboard.press("Escape")
    await pupil.page.keyboard.press("Alt+Shift+KeyH")
    assert not [message for message in pupil.heard if message["type"] == "hand"]


async def test_time_left_is_in_the_bar_and_spoken_once(teacher: ScriptedRoom) -> None:
    await teacher.enter("open", CLASS)
    await expect(teacher.page.locator("[data-fact=time]")).to_have_text("24 minutes left")
    await teacher.say({"type": "time_left", "minutes": 5})
    await press(teacher, "Add 5 minutes")
    assert (await teacher.wait_for("extend"))["minutes"] == 5


# -- background blur ----------------------------------------------------------------------------------------------------


async def test_what_is_behind_a_person_is_made_coarse_on_this_device_alone(pupil: ScriptedRoom) -> None:
    asked: list[str] = []
    pupil.page.on("request", lambda request: asked.append(request.url))
    await pupil.page.wait_for_selector("[data-preview] video")
    sharp, coarse = await pupil.page.evaluate(
        """async () => {
        const { blurred } = await import("/static/lessons/blur.js");
        const behind = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
        const pen = behind.getContext("2d");
        const stripe = (x) => { pen.fillStyle = x % 8 ? "#fff" : "#000"; pen.fillRect(x, 0, 4, 360); };
        const stripes = () => { for (let x = 0; x < 640; x += 4) stripe(x); };
        stripes();
        setInterval(stripes, 50);
        const contrast = async (track) => {
          const video = Object.assign(document.createElement("video"), { muted: true, srcObject: new MediaStream([track]) });
          await video.play();
          const seen = new OffscreenCanvas(640, 360).getContext("2d");
          seen.drawImage(video, 0, 0, 640, 360);
          const line = seen.getImageData(0, 20, 64, 1).data;
          let change = 0;
          for (let x = 4; x < 64 * 4; x += 4) change += Math.abs(line[x] - line[x - 4]);
          return change;
        };
        const [raw] = behind.captureStream(15).getVideoTracks();
        const picture = await blurred(raw, Infinity);
        await new Promise((resolve) => setTimeout(resolve, 1500));
        return [await contrast(raw), await contrast(picture.track)];
    }"""
    )
    assert sharp > 1000
    assert coarse < sharp / 10
    assert asked
    assert all(url.startswith(ORIGIN) for url in asked)


async def test_a_device_that_cannot_blur_says_so_and_the_pupil_decides(browser: Browser) -> None:
    me = {"name": "Ali", "role": "pupil", "may": ["microphone", "camera", "chat"], "young": False, "blur": "always"}
    async with lesson_page(browser, "pupil", me=me) as room:
        await expect(
            room.page.get_by_text("This device cannot blur. Sit by a plain wall, or keep your camera off.")
        ).to_be_visible()
        await room.enter("open", CLASS)
        await press(room, "More")
        await expect(room.page.get_by_text("Blur my background")).to_have_count(0)


# -- how it is built ------------------------------------------------------------------------------------------------------------


async def test_the_wire_has_no_document_and_the_page_has_no_wire() -> None:
    wire = {"protocol.js", "peers.js"}
    for script in STATIC.glob("*.js"):
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", script.read_text(), flags=re.S)
        banned = r"\bdocument\b|\bquerySelector" if script.name in wire else r"RTCPeerConnection\(|new WebSocket"
        assert not re.search(banned, code), script.name
        assert "innerHTML" not in code, script.name


async def test_no_address_of_this_device_leaves_in_a_message(pupil: ScriptedRoom) -> None:
    await pupil.page.get_by_role("button", name="Join the lesson").click()
    offer = await pupil.wait_for("publish")
    assert "a=candidate" not in offer["sdp"]
    assert [line.split()[0] for line in offer["sdp"].splitlines() if line.startswith("m=")] == [
        "m=audio",
        "m=video",
        "m=video",
    ]
    assert "a=simulcast:send l;h" in offer["sdp"]
    assert re.search(r"a=rtcp-fb:\d+ nack\r\n", offer["sdp"].split("m=video")[0])
