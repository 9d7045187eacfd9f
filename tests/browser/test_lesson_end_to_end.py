"""A group lesson in real browsers, from the teacher's press to playback: who is seen and heard, and what a pause lets through."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.browser import canaries
from tests.browser.lesson_day import Day, axe_finds_nothing, school_day
from tests.browser.programs import Chromium, Person
from tests.browser.replay import refuses_all, template
from tests.browser.signals import SCREEN

pytestmark = pytest.mark.browser
TEACHER, ALI, MAYA, ZOFIA = 1, 2, 3, 4
"""The code that each camera shows and each microphone's tone stands for."""
WORDS = "Open your books at page nine."
LATEST = 2.5
"""Seconds after a browser dies in which the last packet may still be on its way to anybody."""


async def test_a_lesson_is_seen_heard_paused_resumed_and_played_back(tmp_path: Path) -> None:
    async with school_day(tmp_path) as day:
        _, teacher = await day.teacher(TEACHER)
        await teacher.sees("lobby")
        _, ali = await day.pupil(0, ALI)
        await ali.sees("lobby")
        await axe_finds_nothing(ali)
        maya_browser, maya = await day.pupil(1, MAYA)
        zofia_browser, zofia = await day.pupil(2, ZOFIA)
        everybody = [teacher, ali, maya, zofia]
        for person in everybody:
            await person.sees("open")
            await person.turn_on("Camera")
            await person.turn_on("Microphone")

        await each_is_seen_and_heard_as_themselves(day, teacher, ali, maya, zofia)
        await what_is_written_and_shown_reaches_all(day, teacher, ali)
        await axe_finds_nothing(teacher)
        await axe_finds_nothing(ali)

        day.strike(maya_browser, maya)
        await day.until_sees(teacher, {(ali.id, "camera"): ALI, (zofia.id, "camera"): ZOFIA})
        await teacher.sees("open")
        await the_last_pupil_but_one_dies_and_nothing_follows(day, zofia_browser, zofia, teacher, ali)
        await axe_finds_nothing(ali)

        _, zofia_again = await day.pupil(2, ZOFIA)
        for person in (teacher, ali, zofia_again):
            await person.sees("open")
        await day.until_sees(zofia_again, {(teacher.id, "camera"): TEACHER, (teacher.id, "screen"): SCREEN})
        await day.until_hears(teacher, {ali.id: ALI})

        await teacher.press("End for everyone")
        await teacher.press("End now")
        for person in (teacher, ali, zofia_again):
            await person.sees("ended")
            assert person.troubles == []
        day.people.clear()
        lead = await the_safeguarding_lead_plays_it_back(day, teacher, [ali, maya, zofia])
        picture = await a_picture_of_it(day, lead)
        await every_address_is_refused_to_others(day)
        nothing_of_it_lies_about_in_clear(day, picture)


async def each_is_seen_and_heard_as_themselves(day: Day, teacher: Person, ali: Person, maya: Person, zofia: Person) -> None:
    """Staff see every pupil; pupils see the teacher and, by the school's profile, not each other; all hear all."""
    await day.until_sees(teacher, {(ali.id, "camera"): ALI, (maya.id, "camera"): MAYA, (zofia.id, "camera"): ZOFIA})
    await day.until_hears(teacher, {ali.id: ALI, maya.id: MAYA, zofia.id: ZOFIA})
    await day.until_sees(ali, {(teacher.id, "camera"): TEACHER})
    await day.until_hears(ali, {teacher.id: TEACHER, maya.id: MAYA, zofia.id: ZOFIA})


async def what_is_written_and_shown_reaches_all(day: Day, teacher: Person, ali: Person) -> None:
    await teacher.says(WORDS)
    await ali.page.get_by_text(WORDS).wait_for(state="attached")
    await teacher.turn_on("Share screen")
    await day.until_sees(ali, {(teacher.id, "camera"): TEACHER, (teacher.id, "screen"): SCREEN})


async def the_last_pupil_but_one_dies_and_nothing_follows(
    day: Day, browser: Chromium, dying: Person, teacher: Person, ali: Person
) -> None:
    """An adult would be alone with one child: on the wire itself nothing follows later, not even a retransmission."""
    before = time.time()
    await asyncio.sleep(1)
    assert day.wire is None or len(day.wire.after(before)) > 50, "the wire is seen"
    died = day.strike(browser, dying)
    await ali.sees("held", "lone-adult", seconds=LATEST + 2)
    await teacher.sees("held", "lone-adult", seconds=2)
    await teacher.write("Are you still there?")
    await asyncio.sleep(max(0.0, died + LATEST + 3 - time.time()))
    if day.wire is not None:
        late = day.wire.after(died + LATEST)
        assert late == [], f"{len(late)} packets, the last {max(p.at for p in late) - died:.2f} s after"
    assert [message for at, message in ali.messages("chat") if at > died] == []
    assert "paused" in await teacher.page.locator("[data-chat-words]").inner_text()
    assert await ali.pictures() == await teacher.pictures() == {}


async def the_safeguarding_lead_plays_it_back(day: Day, teacher: Person, pupils: list[Person]) -> Person:
    """With a reason; everybody decodes as themselves. Who taught cannot watch, nor can an address be passed on."""
    lead = await day.signed_in(await day.browser(5), day.service.first("dsl")["id"])
    address = f"{day.service.url}/recordings/{day.lesson['id']}"
    await lead.page.goto(address)
    await axe_finds_nothing(lead)
    await lead.page.get_by_label("Why?").select_option("flag")
    await lead.press("Watch")
    await lead.confirm()
    await lead.page.locator("[data-review][data-ready=true]").wait_for()
    await axe_finds_nothing(lead)
    await lead.press("Play")
    cameras = {(person.id, "camera"): code for person, code in zip([teacher, *pupils], (TEACHER, ALI, MAYA, ZOFIA), strict=True)}
    await seek_until_sees(lead, cameras)
    await day.until_hears(lead, {who: code for (who, _), code in cameras.items()})
    for asked in (address, lead.page.url):
        answer = await teacher.page.goto(asked)
        assert answer is not None
        assert answer.status == 404
    return lead


async def a_picture_of_it(day: Day, lead: Person) -> bytes:
    """Some bytes of the middle of the largest piece that was played: a picture, as the recording would have it in clear."""
    media = [address for _, address in day.asked.requests if "/pieces" in address]
    pieces = [await (await lead.page.request.get(day.service.url + address)).body() for address in media[:40]]
    largest = max(pieces, key=len)
    return largest[len(largest) // 2 :][:48]


async def every_address_is_refused_to_others(day: Day) -> None:
    """Without a cookie, in a wrong role, from another school: alike, and like what does not exist (policy: AC3)."""
    view = "/recordings/{lesson_id}/views/{view_id}"
    asked = {template(method, address.partition("?")[0]) for method, address in day.asked.requests}
    assert asked >= {"/lessons/{lesson_id}", "/lessons/{lesson_id}/door", "/recordings/{lesson_id}", view, f"{view}/tracks",
                     f"{view}/pieces"}, "the run was a whole one, with its media"
    assert await refuses_all(day.service, day.asked) > 100


def nothing_of_it_lies_about_in_clear(day: Day, picture: bytes) -> None:
    """Neither what was written, nor a picture, nor what the school's database alone may hold: a child's name and address."""
    service, data = day.service, day.service.folder / "data"
    secret = {"chat": WORDS.encode(), "picture": picture}
    pupil = service.person(day.lesson["pupil_ids"][0])["name"].split()[-1].encode()
    database = [data / f"chaperone.sqlite3{part}" for part in ("", "-wal", "-shm")]
    assert canaries.found(secret, data, service.log.parent / "tmp") == []
    assert canaries.found(secret | {"name": pupil}, data / "recordings", data / "keys") == []
    log = {name: canary for name, canary in (secret | {"name": pupil}).items() if canary in service.log.read_bytes()}
    assert log == {}
    # Negative controls: the name is where it belongs, and a canary that lies about is found.
    assert any(pupil in path.read_bytes() for path in database if path.exists())
    (data / "recordings" / "left.tmp").write_bytes(b"..." + WORDS.encode())
    assert canaries.found(secret, data) == [("chat", str(data / "recordings" / "left.tmp"))]


async def seek_until_sees(lead: Person, expected: dict[tuple[str, str], int]) -> None:
    """Go to moments all over the lesson until everybody is in the picture at once."""
    slider = lead.page.get_by_label("Position in the lesson")
    length = int(await slider.get_attribute("max") or 0)
    seen = {}
    for position in range(0, length, 2000):
        await slider.fill(str(position))
        await asyncio.sleep(0.8)
        seen = await lead.pictures()
        if {key: seen.get(key) for key in expected} == expected:
            return
    raise AssertionError(f"never saw {expected} at once; last {seen}")
