"""T15: what a child or a colleague typed is shown to the DSL in a real Chromium, and none of it runs."""

from typing import Any

import pytest
from playwright.async_api import Page, async_playwright
from sqlmodel import select

from recordings.grants.tables import RecordingGrant
from service.foundation import web
from service.foundation.web import COOKIE
from service.people.tables import Person, TeachingGroup
from service.safeguarding.concerns.tables import Concern, ConcernEntry
from service.safeguarding.tables import Alert, AlertNote
from tests.browser.programs import chromium
from tests.proofs import confirmed_post
from tests.recordings.lesson import Recorded, begin, finish, start, until_durable
from tests.recordings.media import real_opus
from tests.school import Running
from tests.served import served
from tests.threats.attack import Guard, guarded_by, harm
from tests.threats.payloads import payloads

pytestmark = pytest.mark.browser
ALL = payloads()
WATCH = """window.__ran = 0; window.__csp = [];
for (const name of ['alert', 'prompt', 'confirm', 'open']) window[name] = () => { window.__ran = 1 };
document.addEventListener('securitypolicyviolation', event => window.__csp.push(event.violatedDirective));"""


def test_there_are_more_than_three_hundred() -> None:
    assert len(ALL) >= 300


async def written(school: Running) -> tuple[Recorded, list[str]]:
    """Every payload in what somebody typed: chat, flags, the words of alerts; and in names, titles and requests as many as fit.
    Returns the recording, and the addresses on which it is read."""
    recorded = await begin(school, [])
    now, school_id = school.clock.now(), recorded.school_id
    async with school.database.writing() as session:
        people = (await session.exec(select(Person).where(Person.school_id == school_id))).all()
        kept = {school.person("dsl")}
        for number, person in enumerate(each for each in people if each.id not in kept):
            person.given_name, person.family_name, person.preferred_name = (
                ALL[(3 * number + position) % len(ALL)][:80] for position in range(3))
            session.add(person)
        for number, group in enumerate((await session.exec(select(TeachingGroup))).all()):
            group.name = ALL[number][:60]
            session.add(group)
        pupil = recorded.pupils[0]
        alert = Alert(school_id=school_id, kind="worry", raised_by=pupil, raised_at=now, called_at=now, routed_to="dsl",
                      place=ALL[0][:200], lesson_id=recorded.lesson_id)
        concern = Concern(school_id=school_id, number="C-2026-0001", raised_by=recorded.teacher, raised_at=now,
                          happened_on=now.date(), place=ALL[1][:200], routed_to="dsl")
        asked = RecordingGrant(
            school_id=school_id, recording_id=recorded.recording_id, person_id=recorded.teacher, asked_by=recorded.teacher,
            asked_at=now, why="flag", words="".join(ALL)[:500], starts_at=now, ends_at=now.replace(minute=9))
        session.add_all((alert, asked, concern))
        await session.flush()
        session.add_all(AlertNote(school_id=school_id, alert_id=alert.id, words=text, added_by=pupil, added_at=now)
                        for text in ALL)
        session.add_all(ConcernEntry(school_id=school_id, concern_id=concern.id, seq=number, kind="note", words=text,
                                     added_by=recorded.teacher, added_at=now) for number, text in enumerate(ALL, 1))
    capture = start(school, recorded)
    track = capture.track("m", person_id=recorded.teacher, source="microphone", codec="opus")
    capture.note("presence", 0, {"person": recorded.teacher, "role": ALL[1], "event": "in"})
    capture.note("open", 0, {})
    for number, text in enumerate(ALL):
        outcome = "delivered" if number % 2 else "held"
        capture.note("chat", number, {"id": str(number), "person": pupil, "text": text, "outcome": outcome})
        capture.note("flag", number, {"flag": f"f{number}", "person": recorded.teacher, "about": text, "note": text})
    for at, frame, key in real_opus(1, 440):
        track.write(frame, at, key)
    school.clock.advance(1)
    capture.flush()
    await until_durable(capture)
    await finish(school, recorded, capture)
    return recorded, ["/safeguarding", f"/safeguarding/{alert.id}", "/people", "/classes", "/recordings", recorded.page,
                      "/grants", f"/grants/{asked.id}", f"/people/{pupil}", "/safeguarding/marks", "/attendance",
                      "/concerns", f"/concerns/{concern.number}"]


async def ran(page: Page) -> list[str]:
    stopped, has_run = await page.evaluate("[window.__csp, window.__ran]")
    return [*map(str, stopped), *(["a script"] if has_run else [])]


def do_not_escape(patch: pytest.MonkeyPatch) -> None:
    """Pages that show text as markup."""
    make = web.templates

    def careless(packages: dict[str, str]) -> Any:
        environment = make(packages)
        environment.autoescape = False
        return environment

    patch.setattr(web, "templates", careless)


def say_nothing_to_browsers(patch: pytest.MonkeyPatch) -> None:
    """Pages that show text as markup, to browsers that were told nothing of scripts."""
    do_not_escape(patch)
    patch.delitem(web.HEADERS, "Content-Security-Policy")


@guarded_by(Guard("text is text", do_not_escape), Guard("text is text and browsers are told", say_nothing_to_browsers))
async def test_what_somebody_typed_never_runs_before_the_dsl(school: Running, attempt: Any) -> None:
    recorded, addresses = await written(school)
    cookie = await school.cookie(school.person("dsl"))
    async with school.client(cookie) as client:
        opened = await confirmed_post(school, client, school.person("dsl"), recorded.page, {"why": "flag"})
    addresses.append(opened.headers["location"])
    with attempt:
        school.app.state.templates = web.templates(_packages())
        school.app.state.templates.filters["role"] = lambda role: str(role)
        school.app.state.templates.edition = "x"
        async with served(school) as base, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            try:
                context = await browser.new_context(base_url=base)
                await context.add_cookies([{"name": COOKIE, "value": cookie, "url": base}])
                await context.add_init_script(WATCH)
                page = await context.new_page()
                shown = 0
                for address in addresses:
                    answer = await page.goto(address, wait_until="load")
                    assert answer is not None
                    assert answer.status == 200, (address, answer.status)
                    shown += (await answer.text()).count("onerror")
                    harm(await ran(page), f"something ran, or was only stopped by the browser, on {address}")
                assert shown > 100, "it was shown"
            finally:
                await browser.close()


def _packages() -> dict[str, str]:
    from service.app import TEMPLATES

    return TEMPLATES
