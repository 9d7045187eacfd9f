"""The review player in a real browser: everybody together, in step, with the gaps where nobody was seen or heard."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright, expect

from recordings.reader import Recording
from service.foundation.web import COOKIE
from tests.proofs import PASSWORD, code, give_codes
from tests.recordings.lesson import Recorded, record_lesson, record_two_sizes
from tests.recordings.media import real_vp8
from tests.recordings.test_preparation import prepare, record, spoken_between
from tests.school import Running
from tests.served import served

pytestmark = pytest.mark.browser


@pytest.fixture
async def recorded(school: Running) -> Recorded:
    return await record_lesson(school)


@pytest.fixture
async def dsl(school: Running) -> AsyncIterator[Page]:
    """The DSL's browser. Whatever it complains of in its console fails the test."""
    cookie = await school.cookie(school.person("dsl"))
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    complaints: list[str] = []
    async with served(school) as base, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = await browser.new_context(base_url=base, viewport={"width": 1366, "height": 900})
        await context.add_cookies([{"name": COOKIE, "value": cookie, "url": base}])
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            yield page
        finally:
            await browser.close()
    assert [each for each in complaints if "status of 4" not in each] == []


async def watch(page: Page, recorded: Recorded, school: Running) -> None:
    """Through the door: the list, the lesson, the reason, and who one is."""
    await page.goto("/recordings")
    await page.get_by_role("link", name="Maths: fractions").click()
    await page.get_by_label("Why?").select_option(label="A moment that staff flagged")
    await give_codes(school, school.person("dsl"))
    await page.get_by_role("button", name="Watch").click()
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_label("One-time code").fill(code(school))
    await page.get_by_role("button", name="Confirm").click()
    await expect(page.locator(".x-review[data-ready]")).to_be_attached()


async def at(page: Page) -> float:
    """The player's position in seconds."""
    return int(await page.locator(".x-review").get_attribute("data-at") or 0) / 1000


async def until(page: Page, seconds: float) -> None:
    await page.wait_for_function(
        "at => Number(document.querySelector('.x-review').dataset.at) >= at * 1000", arg=seconds, timeout=20_000
    )


async def brightness(page: Page) -> int:
    """How bright the teacher's picture is: it grows with the lesson."""
    found: int = await page.evaluate("""async () => {
      const video = document.querySelector('video[data-source=camera]');
      if (video.readyState < 2 || video.seeking) await new Promise(done => video.addEventListener('canplay', done, {once: true}));
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 1;
      canvas.getContext('2d').drawImage(video, 0, 0, 1, 1);
      return canvas.getContext('2d').getImageData(0, 0, 1, 1).data[0];
    }""")
    return found


async def media(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = await page.evaluate("""() => Object.fromEntries(
      [...document.querySelectorAll('video, audio')].map(each => [each.dataset.source + ' ' + each.dataset.person,
        {time: each.currentTime, paused: each.paused, hidden: each.hidden, muted: each.muted}]))""")
    return found


async def test_everybody_plays_together_and_in_step(dsl: Page, recorded: Recorded, school: Running) -> None:
    await watch(dsl, recorded, school)
    await dsl.get_by_role("button", name="Play", exact=True).click()
    await until(dsl, 6)
    playing = await media(dsl)
    assert len(playing) == 3
    assert not any(each["paused"] for each in playing.values())
    times = [each["time"] for each in playing.values()]
    assert max(times) - min(times) < 0.25
    sound = [each for source, each in playing.items() if source.startswith("microphone")]
    assert len(sound) == 2
    assert not any(each["muted"] for each in sound)
    await expect(dsl.get_by_text("Here now: Mr Hall, Ali Rahman")).to_be_visible()
    await expect(dsl.locator(".x-review__watermark span").first).to_contain_text("Miss Okafor, DSL, ")


async def test_a_seek_shows_the_picture_of_that_moment(dsl: Page, recorded: Recorded, school: Running) -> None:
    await watch(dsl, recorded, school)
    shown = []
    for clock in ("10:00:17", "10:00:05"):
        await dsl.get_by_role("button", name=f"Go to {clock}").first.click()
        await expect(dsl.locator(".x-review__clock")).to_have_text(clock)
        await dsl.wait_for_function("() => document.querySelector('video')?.readyState >= 2")
        shown.append(await brightness(dsl))
    assert shown[0] > shown[1] + 50


async def test_where_the_room_was_paused_nobody_is_seen_or_heard(dsl: Page, recorded: Recorded, school: Running) -> None:
    await watch(dsl, recorded, school)
    words = dsl.get_by_text("No recording here. The room was paused, so nobody was seen or heard.")
    await expect(words).to_be_hidden()
    await dsl.get_by_role("button", name="Play", exact=True).click()
    await dsl.get_by_label("Position in the lesson").fill("9000")
    await expect(words).to_be_visible(timeout=10_000)
    assert all(each["paused"] for each in (await media(dsl)).values())
    await expect(dsl.locator("video")).to_be_hidden()
    await until(dsl, 15)
    await expect(words).to_be_hidden()
    assert not any(each["paused"] for each in (await media(dsl)).values()), "after the pause everybody goes on"


async def test_the_keys_of_the_player(dsl: Page, recorded: Recorded, school: Running) -> None:
    await watch(dsl, recorded, school)
    await dsl.locator(".x-review__player").focus()
    await dsl.keyboard.press("ArrowRight")
    assert await at(dsl) == 5.0
    await dsl.keyboard.press("ArrowLeft")
    assert await at(dsl) == 0.0
    await dsl.keyboard.press("n")
    assert await at(dsl) == 17.0
    await dsl.keyboard.press("Space")
    await until(dsl, 18)
    await dsl.keyboard.press("Space")
    await expect(dsl.get_by_role("button", name="Play", exact=True)).to_be_visible()


async def test_a_piece_that_was_changed_is_left_out_and_said(dsl: Page, recorded: Recorded, school: Running) -> None:
    with Recording(recorded.begun.path, recorded.begun.key) as file:
        chunk = file.clusters(2)[3]
    data = bytearray(recorded.begun.path.read_bytes())
    data[chunk.offset + 80] ^= 1
    recorded.begun.path.write_bytes(data)
    await watch(dsl, recorded, school)
    await dsl.get_by_role("button", name="Play", exact=True).click()
    said = dsl.get_by_text("This part does not match its seal. Do not rely on it. Tell the technician.")
    await expect(said).to_be_visible(timeout=15_000)
    await expect(dsl.locator(".x-timeline__damaged")).to_have_count(1)
    await until(dsl, chunk.t_last / 1000 + 5)
    await expect(said).to_be_hidden()


async def test_by_keyboard_alone_a_reviewer_plays_seeks_notes_and_clips(dsl: Page, recorded: Recorded, school: Running) -> None:
    await watch(dsl, recorded, school)
    keys = dsl.keyboard
    await dsl.locator(".x-review__player").focus()
    await keys.press("n")
    await keys.press("a")
    await expect(dsl.get_by_label("What you saw or heard")).to_be_focused()
    await expect(dsl.get_by_label("Time", exact=True)).to_have_value("10:00:17")
    await keys.press("Tab")
    await keys.press("Tab")
    await keys.press("Enter")  # an empty note is refused, and says why
    await expect(dsl.get_by_text("Write what you saw or heard")).to_be_visible()
    await keys.type("Shouting behind Ali")
    await keys.press("Tab")
    await keys.type("C-17")
    await keys.press("Enter")
    await expect(dsl.locator("#notes li")).to_have_text("Go to 10:00:17 Miss Okafor: Shouting behind Ali (concern C-17)")
    await expect(dsl.locator(".x-review__player")).to_be_focused()
    await keys.press("s")
    await keys.press("ArrowRight")
    await keys.press("e")
    await expect(dsl.get_by_label("Why this part matters")).to_be_focused()
    await keys.type("The shouting")
    await keys.press("Enter")
    await expect(dsl.locator("#clips li")).to_have_text("Clip 1: Play 10:00:17 to 10:00:22 Miss Okafor: The shouting")
    await keys.press("Shift+ArrowLeft")
    assert await at(dsl) == 0
    await keys.press("Space")
    await until(dsl, 1)
    await keys.press("Space")
    await expect(dsl.get_by_role("button", name="Play", exact=True)).to_be_visible()
    report = await Axe().run(dsl)
    assert report.violations_count == 0, report.generate_report()


async def test_a_clip_opens_at_its_start_and_stops_at_its_end(dsl: Page, recorded: Recorded, school: Running) -> None:
    await watch(dsl, recorded, school)
    await dsl.get_by_text("Mark a clip").click()
    await dsl.get_by_label("From", exact=True).fill("10:00:16")
    await dsl.get_by_label("To", exact=True).fill("10:00:18")
    await dsl.get_by_label("Why this part matters").fill("The shouting")
    await dsl.get_by_role("button", name="Save the clip").click()
    await expect(dsl.locator("#clips li")).to_have_count(1)
    await dsl.goto(f"{dsl.url.partition('?')[0]}?clip=1")
    await expect(dsl.locator(".x-review[data-ready]")).to_be_attached()
    assert await at(dsl) == 16
    await dsl.get_by_role("button", name="Play", exact=True).click()
    await expect(dsl.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    await expect(dsl.get_by_role("button", name="Play", exact=True)).to_be_visible(timeout=15_000)
    assert 18 <= await at(dsl) < 19


async def test_who_speaks_is_shown_and_pictures_lead_to_their_moments(dsl: Page, school: Running) -> None:
    tracks = {"m.teacher": spoken_between(3, 7), "c.teacher": real_vp8(12), "c.ali": real_vp8(12)}
    recorded = await record(school, tracks)
    assert await prepare(school) == 1
    await watch(dsl, recorded, school)
    slider, speaking = dsl.get_by_label("Position in the lesson"), dsl.locator("figure.is-speaking figcaption")
    await slider.fill("1000")
    await expect(speaking).to_have_count(0)
    await slider.fill("5000")
    await expect(speaking).to_have_text("Mr Hall")
    await expect(dsl.get_by_text("Speaking: Mr Hall")).to_be_visible()
    await expect(dsl.locator(".x-timeline__peek canvas")).to_be_visible()  # the slider has the focus
    strip = dsl.get_by_role("list", name="Pictures of the lesson").get_by_role("button")
    await strip.first.focus()
    await dsl.keyboard.press("Enter")
    assert await at(dsl) == 0
    assert await dsl.evaluate("""() => {
      const canvas = document.querySelector('.x-review__strip canvas');
      const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      return canvas.width === 192 && new Set(pixels).size > 8;
    }"""), "one shade, and the reviewer's name in it"
    await expect(dsl.get_by_role("row").filter(has_text="Mr Hall").filter(has_text="4 seconds")).to_have_count(1)
    for width in (1366, 1280):
        await dsl.set_viewport_size({"width": width, "height": 768})
        report = await Axe().run(dsl)
        assert report.violations_count == 0, report.generate_report()


async def test_more_people_than_can_play_stand_still_and_whoever_is_chosen_plays(dsl: Page, school: Running) -> None:
    tracks = {f"c.{number}": real_vp8(12) for number in range(14)}
    recorded = await record(school, tracks, apart=True)
    await prepare(school)
    await watch(dsl, recorded, school)
    shown = dsl.locator("figure:not([hidden])")
    await expect(shown).to_have_count(14)
    still = dsl.locator("figure.is-still:not([hidden])")
    await expect(still).to_have_count(2)
    await expect(dsl.locator("video")).to_have_count(12)
    chosen = await still.last.locator("button").get_attribute("data-watch")
    await still.last.locator("button").click()
    await expect(dsl.locator(f"figure:has(video[data-person='{chosen}'])")).to_have_class(re.compile("is-large"))
    await expect(dsl.locator("video")).to_have_count(12)


async def test_the_watermark_moves_while_nothing_plays_and_covers_full_screen(
    dsl: Page, recorded: Recorded, school: Running
) -> None:
    await watch(dsl, recorded, school)
    places = """() => document.querySelector('.x-review__watermark').style.translate"""
    first = await dsl.evaluate(places)
    await dsl.wait_for_function(f"before => ({places})() !== before", arg=first, timeout=15_000)
    await expect(dsl.get_by_role("button", name="Play", exact=True)).to_be_visible()
    await dsl.locator(".x-review__player").focus()
    await dsl.keyboard.press("f")
    await dsl.wait_for_function("() => document.fullscreenElement?.contains(document.querySelector('.x-review__watermark'))")
    await expect(dsl.locator(".x-review__watermark span").first).to_contain_text("Miss Okafor, DSL, ")
    await dsl.keyboard.press("f")
    await dsl.wait_for_function("() => !document.fullscreenElement")


async def test_nothing_of_it_stays_in_the_browser(dsl: Page, recorded: Recorded, school: Running) -> None:
    made: list[str] = []
    await dsl.expose_function("noting", lambda what: made.append(what))
    await dsl.add_init_script("""{
      const create = URL.createObjectURL, revoke = URL.revokeObjectURL;
      URL.createObjectURL = what => { noting(what.constructor.name); return create.call(URL, what); };
      URL.revokeObjectURL = address => { noting('gone'); return revoke.call(URL, address); };
    }""")
    await watch(dsl, recorded, school)
    await dsl.get_by_label("Position in the lesson").fill("3000")
    await dsl.wait_for_function("() => [...document.querySelectorAll('video')].some(video => video.readyState >= 2)")
    assert set(made) == {"MediaSource", "gone"}, "no address of a file, and none is left"
    assert made.count("gone") == made.count("MediaSource")
    assert await dsl.evaluate("async () => (await caches.keys()).length + localStorage.length + sessionStorage.length") == 0
    assert await dsl.locator("a[download], video[controls], [href^='blob:']").count() == 0


async def test_when_a_view_is_over_the_player_stops_and_says_so(dsl: Page, recorded: Recorded, school: Running) -> None:
    await watch(dsl, recorded, school)
    school.clock.advance(3 * 3600)
    await dsl.get_by_role("button", name="Play", exact=True).click()
    await dsl.get_by_label("Position in the lesson").fill("20000")
    await expect(dsl.get_by_text("This view is over. Go back and give a reason again.")).to_be_visible(timeout=15_000)


async def test_axe_finds_nothing_on_any_page_of_it(dsl: Page, recorded: Recorded, school: Running) -> None:
    await dsl.goto("/recordings")
    pages = [await Axe().run(dsl)]
    await dsl.goto(recorded.page)
    pages.append(await Axe().run(dsl))
    await dsl.get_by_role("button", name="Watch").click()
    await expect(dsl.get_by_text("There is a problem")).to_be_visible()
    pages.append(await Axe().run(dsl))
    await watch(dsl, recorded, school)
    pages.append(await Axe().run(dsl))
    await dsl.get_by_label("Position in the lesson").fill("11000")
    await expect(dsl.get_by_text("No recording here.")).to_be_visible()
    pages.append(await Axe().run(dsl))
    for found in pages:
        assert found.violations_count == 0, found.generate_report()


async def tiles(page: Page) -> dict[str, int]:
    """The pictures that are shown, by their words, and how bright each is."""
    await page.wait_for_function("""() => [...document.querySelectorAll('.x-review__tile:not([hidden]) video')]
      .every(video => video.readyState >= 2 && !video.seeking)""")
    found: dict[str, int] = await page.evaluate("""() => Object.fromEntries(
      [...document.querySelectorAll('.x-review__tile:not([hidden])')].map(tile => {
        const canvas = document.createElement('canvas');
        canvas.width = canvas.height = 1;
        canvas.getContext('2d').drawImage(tile.querySelector('video'), 0, 0, 1, 1);
        return [tile.querySelector('figcaption').textContent, canvas.getContext('2d').getImageData(0, 0, 1, 1).data[0]];
      }))""")
    return found


async def test_a_reviewer_sees_what_the_small_picture_showed(dsl: Page, school: Running) -> None:
    await watch(dsl, await record_two_sizes(school), school)
    show = dsl.get_by_role("button", name="Show small pictures")
    said = dsl.get_by_text("Some people were shown a smaller picture here: Mr Hall.")
    slider, whose = dsl.get_by_label("Position in the lesson"), "Mr Hall: small picture, as some saw it"
    await slider.fill("1000")
    await expect(said).to_be_hidden()
    await expect(dsl.locator("figure:not([hidden])")).to_have_count(1)
    row = dsl.get_by_role("row").filter(has_text="Some people were shown a smaller picture of Mr Hall")
    await expect(row).to_have_count(1)
    await row.get_by_role("button").click()
    await expect(dsl.locator(".x-review__clock")).to_have_text("10:00:03")
    await expect(said).to_be_visible()
    await slider.fill("4000")
    assert (await tiles(dsl)).keys() == {"Mr Hall"}, "the large picture, until somebody asks for the small one"
    await show.click()
    await expect(dsl.locator("figure:not([hidden])")).to_have_count(2)
    shown = await tiles(dsl)
    assert shown.keys() == {"Mr Hall", whose}
    assert shown[whose] > shown["Mr Hall"] + 30, "another picture, and it can be seen to be another"
    await dsl.get_by_role("button", name="Play", exact=True).click()
    await until(dsl, 6)
    assert not any([await video.evaluate("each => each.paused") for video in await dsl.locator("video").all()])
    await dsl.get_by_role("button", name="Pause", exact=True).click()
    report = await Axe().run(dsl)
    assert report.violations_count == 0, report.generate_report()
    await dsl.get_by_role("button", name="Hide small pictures").click()
    await expect(dsl.locator("figure:not([hidden])")).to_have_count(1)


async def test_where_only_the_small_picture_was_sent_it_is_the_picture(dsl: Page, school: Running) -> None:
    await watch(dsl, await record_two_sizes(school), school)
    await dsl.get_by_role("button", name="Play", exact=True).click()
    await dsl.get_by_label("Position in the lesson").fill("7000")
    await until(dsl, 10)
    await dsl.get_by_role("button", name="Pause", exact=True).click()
    shown = await tiles(dsl)
    assert shown.keys() == {"Mr Hall"}
    assert shown["Mr Hall"] < 90, "the small one's, which is dark by now"
    await expect(dsl.get_by_text("Some people were shown a smaller picture here")).to_be_hidden()


async def test_it_is_not_offered_on_a_phone(dsl: Page, recorded: Recorded, school: Running) -> None:
    await dsl.set_viewport_size({"width": 320, "height": 640})
    await watch(dsl, recorded, school)
    await expect(dsl.get_by_text("Use a computer in a private place.")).to_be_visible()
    await expect(dsl.locator(".x-review__player")).to_be_hidden()
    assert await dsl.evaluate("document.documentElement.scrollWidth") <= 320
