"""The pages of the end of recordings: keeping, evidence, destroyed and due, certificates, keys.

policy: RE2, RE3, RE5
"""

import re
from datetime import UTC, date, datetime, timedelta

import httpx
import pyrage
import pytest

from recordings.ending import destruction
from recordings.tables import Recording
from service.foundation.events import system
from service.people import commands as people
from tests.proofs import confirmed_post, with_session
from tests.recordings.ends import Kept, recordings
from tests.recordings.lesson import record_lesson
from tests.school import Running

DAY = timedelta(days=1)
FORM = {"reason": "A complaint about this lesson", "reference": "C-17", "review_on": "1/1/2027"}


async def keep(school: Running, client: httpx.AsyncClient, kept: Kept, role: str = "dsl", **more: str) -> httpx.Response:
    answer = await confirmed_post(school, client, school.person(role), f"/endings/{kept.lesson_id}/keep", {**FORM, **more})
    school.clock.advance(31)  # a code works once
    return answer


async def test_two_people_keep_a_recording_on_its_page(school: Running) -> None:
    [kept] = await recordings(school, 1)
    page = f"/endings/{kept.lesson_id}"
    async with await school.signed_in("dsl") as dsl, await school.signed_in("headteacher") as head:
        assert (await keep(school, dsl, kept)).status_code == 303
        asked = (await dsl.get(page)).text
        assert "Kept for now" in asked
        assert "It will not be destroyed on Saturday 28 November." in asked
        assert "This waits for a second person" in asked
        waits = (await head.get("/endings")).text
        assert "Waiting for you" in waits
        assert "A decision is waiting for you." in waits
        shown = (await head.get(page)).text
        assert "A complaint about this lesson" in shown
        answer = await confirmed_post(school, head, school.person("headteacher"), f"{page}/answer", {"answer": "agree"})
        assert answer.status_code == 303
        assert ">Kept<" in (await dsl.get(page)).text
        assert "Agreed to keep it" in (await dsl.get(page)).text
        assert "Waiting for you" not in (await head.get("/endings")).text


@pytest.mark.parametrize(("wrong", "words"), [
    ({"reason": ""}, "Say why it has to be kept"), ({"reference": ""}, "Enter the number of the concern or case"),
    ({"review_on": "1/9/2027"}, "no later than 22 February 2027"), ({"review_on": "soon"}, "Choose a day after today"),
    ({"review_on": "24/11/2026"}, "Choose a day after today"),
])
async def test_what_is_missing_is_said_and_nothing_is_lost(school: Running, wrong: dict[str, str], words: str) -> None:
    [kept] = await recordings(school, 1)
    async with await school.signed_in("dsl") as dsl:
        answer = await dsl.post(f"/endings/{kept.lesson_id}/keep", data={**FORM, **wrong})
    assert answer.status_code == 422
    assert words in answer.text
    assert all(value in answer.text for value in {**FORM, **wrong}.values())


async def test_evidence_shows_the_steps_and_opens_for_nobody(school: Running) -> None:
    recorded = await record_lesson(school)
    kept = Kept(recorded.lesson_id, None, recorded.begun.key, None)  # type: ignore[arg-type]
    page = f"/endings/{kept.lesson_id}"
    async with await school.signed_in("dsl") as dsl, await school.signed_in("headteacher") as head:
        watched = await confirmed_post(school, dsl, school.person("dsl"), recorded.page, {"why": "flag"})
        at = watched.headers["location"]
        served = [at, f"{at}/tracks", f"{at}/pieces?of=1.1,1.2&at=0&until=1000", f"{at}/preparation"]
        assert {(await dsl.get(address)).status_code for address in served} == {200}, "negative control"
        school.clock.advance(31)
        assert (await keep(school, dsl, kept, evidence="yes")).status_code == 303
        assert {(await dsl.get(address)).status_code for address in served} == {409}, "at once, in the view that was open too"
        assert "kept apart as evidence" in (await dsl.get(recorded.page)).text
        assert (await dsl.post(recorded.page, data={"why": "police"})).status_code == 409
        shown = (await dsl.get(page)).text
        assert all(words in shown for words in ("call 999", "call 101", "Internet Watch Foundation", "Do not view it again"))
        await dsl.post(f"{page}/referral", data={"referral": "Rang 101", "reference": "CAD 1234"})
        assert "CAD 1234" in (await head.get(page)).text
        answer = await dsl.post(f"{page}/referral", data={"referral": ""})
        assert answer.status_code == 422


async def test_a_hold_is_reviewed_and_released_by_two(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=20)
    page, heads = f"/endings/{kept.lesson_id}", school.person("headteacher")
    async with await school.signed_in("dsl") as dsl, await school.signed_in("headteacher") as head:
        await keep(school, dsl, kept)
        await confirmed_post(school, head, heads, f"{page}/answer", {"answer": "agree"})
        school.clock.advance(31)
        assert (await dsl.post(f"{page}/review", data={"reason": "Still needed", "review_on": "1/2/2027"})).status_code == 303
        assert "Review by" in (await dsl.get(page)).text
        why = {"release_reason": "The case is closed"}
        answer = await confirmed_post(school, dsl, school.person("dsl"), f"{page}/release", why)
        assert answer.status_code == 303
        own = await dsl.post(f"{page}/answer", data={"answer": "agree"})
        assert own.status_code == 422
        assert "A second person has to agree" in own.text
        school.clock.advance(31)
        await confirmed_post(school, head, heads, f"{page}/answer", {"answer": "agree"})
        assert "Released it" in (await dsl.get(page)).text
        assert "Keep this recording</h1>" in (await dsl.get(page)).text


async def test_whoever_asked_takes_it_back_and_the_second_person_says_no_with_a_reason(school: Running) -> None:
    first, second = await recordings(school, 2)
    async with await school.signed_in("dsl") as dsl, await school.signed_in("headteacher") as head:
        for kept, client in ((first, dsl), (second, head)):
            await keep(school, dsl, kept)
            empty = await client.post(f"/endings/{kept.lesson_id}/answer", data={"answer": "refuse"})
            assert client is dsl or re.search(r'value="refuse"[^>]* checked', empty.text)
            assert empty.status_code == 422
            assert "Say why" in empty.text
            await client.post(f"/endings/{kept.lesson_id}/answer", data={"answer": "refuse", "why": "It was another lesson"})
            assert "It was another lesson" in (await dsl.get(f"/endings/{kept.lesson_id}")).text


async def test_the_page_says_that_whoever_asked_has_left_and_lets_a_colleague_go_on(school: Running) -> None:
    asked, apart = await recordings(school, 2)
    deputys = school.person("deputy_dsl")
    async with await school.signed_in("dsl") as dsl, await school.signed_in("deputy_dsl") as deputy:
        await keep(school, deputy, asked, "deputy_dsl")
        await keep(school, deputy, apart, "deputy_dsl", evidence="yes")
        before = (await dsl.get(f"/endings/{asked.lesson_id}")).text
        assert 'name="answer"' not in before, "negative control: while they are here the headteacher decides"
        assert 'name="review_on"' not in before.split("<details")[0]
        leader = await with_session(school, "senior_leader")
        async with school.database.writing() as session:
            await people.leave(session, leader, deputys, school.clock.now())
        shown = (await dsl.get(f"/endings/{asked.lesson_id}")).text
        assert "so nobody can agree to it. Ask again below." in shown
        assert (await keep(school, dsl, asked)).status_code == 303
        assert "It stays kept, and somebody can ask again." in (await dsl.get(f"/endings/{apart.lesson_id}")).text
        sent = await dsl.post(f"/endings/{apart.lesson_id}/answer", data={"answer": "refuse", "why": "She has left"})
        assert sent.status_code == 303
        shown = (await dsl.get(f"/endings/{apart.lesson_id}")).text
        assert "Kept apart as evidence" in shown
        assert "Ask a second person to release it" in shown


OUTSIDE = ("teacher", "senior_leader", "office", "governor", "technician", "pupil", "parent", "support", "dpo", "chair")


@pytest.mark.parametrize("role", OUTSIDE)
async def test_to_everybody_outside_the_circle_the_page_does_not_exist(school: Running, role: str) -> None:
    [kept] = await recordings(school, 1)
    async with await school.signed_in("dsl") as dsl, await school.signed_in(role, -1) as other:
        await keep(school, dsl, kept)
        missing = await other.get("/endings/" + "0" * 32)
        assert missing.status_code == 404
        assert (await other.get(f"/endings/{kept.lesson_id}")).text == missing.text
        for action in ("keep", "answer", "release", "review", "referral"):
            assert (await other.post(f"/endings/{kept.lesson_id}/{action}", data={**FORM, "answer": "agree"})).status_code == 404


async def test_the_dsl_and_the_data_protection_officer_read_the_certificate(school: Running) -> None:
    [kept] = await recordings(school, 1)
    page, state = f"/endings/{kept.lesson_id}/certificate", school.app.state
    async with await school.signed_in("dsl") as dsl:
        assert (await dsl.get(page)).status_code == 404, "there is none yet"
        school.clock.advance(5 * 86_400)
        await destruction.reconcile(state.database, state.vault, state.clock)
        for client in (await school.signed_in("dsl"), await school.signed_in("dpo")):
            shown = await client.get(page)
            assert "The signature is good." in shown.text
            assert "NIST SP 800-88" in shown.text
            file = await client.get(f"{page}.json")
            assert file.headers["content-disposition"] == f'attachment; filename="certificate-{kept.lesson_id}.json"'
            assert file.json()["recording"] == kept.id
        assert "Certificate" in (await (await school.signed_in("dpo")).get("/endings")).text
        assert (await (await school.signed_in("governor")).get(page)).status_code == 404


async def test_what_is_late_is_said_and_the_headteacher_sees_it(school: Running) -> None:
    await recordings(school, 3)
    school.clock.advance(5 * 86_400)
    async with await school.signed_in("dsl") as dsl, await school.signed_in("headteacher") as head:
        assert "3 recordings are late. The headteacher can see this." in re.sub(r"\s+", " ", (await dsl.get("/endings")).text)
        assert "3 recordings are late." in (await head.get("/school")).text
        state = school.app.state
        await destruction.reconcile(state.database, state.vault, state.clock)
        assert "recordings are late" not in (await dsl.get("/endings")).text, "negative control"


async def test_no_number_of_recordings_hides_what_is_held_late_or_newly_destroyed(school: Running) -> None:
    held, late, gone = await recordings(school, 3, days_left=1)
    state = school.app.state
    async with await school.signed_in("dsl") as dsl:
        await keep(school, dsl, held)
        async with school.database.writing() as session:
            school_id = (await session.get_one(Recording, gone.id)).school_id
            await destruction.begin(session, system(school_id), recording_id=gone.id, why="x", now=school.clock.now())
            session.add_all(Recording(
                school_id=school_id, lesson_id=f"{n:032x}", title="Later", class_name="5 Oak", starts_at=school.clock.now(),
                ends_at=school.clock.now(), started_at=school.clock.now(), outcome="complete",
                kept_until=date(2027, 1, 1) + n * DAY) for n in range(600))
        await destruction.finish(state.database, state.vault, state.clock, school_id)
    school.clock.advance(2.5 * 86_400)
    async with await school.signed_in("dsl") as dsl:
        first = (await dsl.get("/endings")).text
        shown = {name: part.partition("<h2")[0] for name in ("kept", "due", "destroyed")
                 for part in [first.partition(f'id="{name}">')[2]]}
        assert f"/endings/{held.lesson_id}" in shown["kept"]
        assert f"/endings/{late.lesson_id}" in shown["kept"]
        assert "Late</strong>" in shown["kept"]
        assert f"/endings/{gone.lesson_id}/certificate" in shown["destroyed"]
        pages, at = [shown["due"]], first
        while found := re.search(r'href="(/endings\?destroyed=1&amp;due=\d+#due)" rel="next"', at):
            at = (await dsl.get(found[1].replace("&amp;", "&"))).text
            assert f"/endings/{held.lesson_id}" in at, "on whichever page of the others"
            pages.append(at.partition('id="due">')[2].partition("<h2")[0])
        listed = re.findall(r'href="/endings/([0-9a-f]{32})"', "".join(pages))
        assert listed == [f"{n:032x}" for n in range(600)]
        assert "There are no more." in (await dsl.get("/endings?due=99&destroyed=99")).text


async def test_a_hold_whose_day_of_review_has_come_waits_for_whoever_may_review_it(school: Running) -> None:
    [kept] = await recordings(school, 1, participant=school.person("deputy_dsl"))
    words = f'href="/endings/{kept.lesson_id}">Review whether to keep the recording of Maths'
    async with await school.signed_in("dsl") as dsl, await school.signed_in("headteacher") as head:
        await keep(school, dsl, kept, review_on="1/12/2026")
        answer = {"answer": "agree"}
        await confirmed_post(school, head, school.person("headteacher"), f"/endings/{kept.lesson_id}/answer", answer)
        assert words not in (await head.get("/endings")).text, "negative control: its day has not come"
        school.clock.set(datetime(2026, 12, 1, 9, tzinfo=UTC))
        async with await school.signed_in("dsl") as later, await school.signed_in("deputy_dsl") as inside:
            shown = (await later.get("/endings")).text
            assert words in shown
            assert "Review now" in shown
            assert "A decision is waiting for you." in shown
            assert "A decision is waiting for you." not in (await inside.get("/endings")).text, "who was in it learns nothing"
            more = {"reason": "Still needed", "review_on": "1/2/2027"}
            assert (await later.post(f"/endings/{kept.lesson_id}/review", data=more)).status_code == 303
            assert words not in (await later.get("/endings")).text


async def test_the_yearly_list_says_how_many_were_destroyed_of_each_kind_since_the_last_years_look(school: Running) -> None:
    state = school.app.state

    async def said() -> str:
        async with await school.signed_in("dsl") as dsl:
            shown = (await dsl.get("/endings")).text
            assert (await dsl.post("/endings/tasks/destroyed")).status_code == 303
        return re.sub(r"\s+", " ", shown.partition("Since the last year’s look: ")[2].partition("<")[0])

    await recordings(school, 2), await recordings(school, 1, kind="one-to-one")
    school.clock.advance(5 * 86_400)
    await destruction.reconcile(state.database, state.vault, state.clock)
    assert await said() == "lesson 2, one-to-one lesson 1, teaching practice 0"
    assert await said() == "lesson 2, one-to-one lesson 1, teaching practice 0", "looking again in the same year asks the same"
    school.clock.set(datetime(2027, 9, 14, 10, tzinfo=UTC))
    await recordings(school, 1)
    school.clock.advance(5 * 86_400)
    await destruction.reconcile(state.database, state.vault, state.clock)
    assert await said() == "lesson 1, one-to-one lesson 0, teaching practice 0"


async def test_somebody_with_a_name_looks_through_the_yearly_list(school: Running) -> None:
    async with await school.signed_in("dsl") as dsl:
        shown = (await dsl.get("/endings")).text
        assert "Once a year: 2026 to 2027" in shown
        assert (await dsl.post("/endings/tasks/holds")).status_code == 303
        assert (await dsl.post("/endings/tasks/holds")).status_code == 303
        assert (await dsl.post("/endings/tasks/everything")).status_code == 422
        assert "Done by Miss Okafor, Tuesday 24 November" in (await dsl.get("/endings")).text
    async with await school.signed_in("chair") as chair:
        assert (await chair.post("/endings/tasks/roles")).status_code == 404


@pytest.mark.parametrize(("role", "links"), [
    ("dsl", {"/people", "/safeguarding/one-to-ones", "/school/words"}), ("headteacher", {"/people"}), ("dpo", set())])
async def test_the_yearly_list_leads_nobody_to_a_page_that_is_not_theirs(school: Running, role: str, links: set[str]) -> None:
    async with await school.signed_in(role) as client:
        yearly = (await client.get("/endings")).text.partition('id="yearly"')[2].partition("</ul>")[0]
        found = set(re.findall(r'href="(/[^"]+)"', yearly))
        assert found == links
        assert {(await client.get(path)).status_code for path in found} <= {200}
    assert yearly.count("I looked through it") == len(links) + 2, "what is kept and what was destroyed is on the page itself"


async def test_recovery_keys_take_two_people_and_only_public_halves(school: Running) -> None:
    [kept] = await recordings(school, 1)
    identity, vault = pyrage.x25519.Identity.generate(), school.app.state.vault
    public = str(identity.to_public())
    store = vault.key_store(next(school.app.state.keys.glob("*/days")).parent.name)
    async with await school.signed_in("technician") as technician, await school.signed_in("dsl") as dsl:
        private = await technician.post("/keys/recovery", data={"name": "The safe", "public_key": str(identity)})
        assert private.status_code == 422
        assert "This is the private half." in private.text
        assert str(identity) not in private.text
        form = {"name": "The safe", "public_key": public}
        await confirmed_post(school, technician, school.person("technician"), "/keys/recovery", form)
        recipient = re.search(r'action="/keys/recovery/([0-9a-f]{32})"', (await dsl.get("/keys")).text)
        assert recipient
        assert (await technician.post(f"/keys/recovery/{recipient[1]}")).status_code == 404, "the second is the DSL or the head"
        assert store._read(kept.part).recovery == ""
        agreed = await confirmed_post(school, dsl, school.person("dsl"), f"/keys/recovery/{recipient[1]}", {})
        assert agreed.status_code == 303
        assert store.recover(kept.part, str(identity)) == kept.key, "what was there already, too"
        await dsl.post(f"/keys/recovery/{recipient[1]}/end")
        assert "The safe" not in (await dsl.get("/keys")).text


async def test_the_technician_makes_a_new_wrapping_key(school: Running) -> None:
    [kept] = await recordings(school, 1)
    store = school.app.state.vault.key_store(next(school.app.state.keys.glob("*/days")).parent.name)
    async with await school.signed_in("technician") as technician, await school.signed_in("dsl") as dsl:
        assert (await dsl.post("/keys/rotate")).status_code == 404
        answer = await confirmed_post(school, technician, school.person("technician"), "/keys/rotate", {})
        assert answer.status_code == 303
        assert "Number 2" in (await technician.get("/keys")).text
    assert store.open(kept.part) == kept.key


async def test_the_old_wrapping_key_stays_while_a_recording_cannot_be_read_and_the_page_says_so(school: Running) -> None:
    [kept] = await recordings(school, 1)
    store = school.app.state.vault.key_store(next(school.app.state.keys.glob("*/days")).parent.name)
    [bundle] = store.folder.rglob("bundle.key")
    bundle.chmod(0o640)
    async with await school.signed_in("technician") as technician:
        answer = await confirmed_post(school, technician, school.person("technician"), "/keys/rotate", {})
        assert answer.status_code == 422
        assert "1 record in the key store cannot be read now, so the old wrapping key was kept." in answer.text
    bundle.chmod(0o600)
    assert store.open(kept.part) == kept.key
