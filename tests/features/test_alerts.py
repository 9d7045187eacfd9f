"""A worry reaches those who can act, within seconds, and nobody else ever learns that it exists (policy: RC1, RC4)."""

from typing import Any

import httpx
import pytest
from sqlmodel import select

from lessons.family import queries as families
from lessons.family.tables import FamilyMessage
from service.foundation.audit import AuditBody, AuditLeaf
from service.foundation.errors import NotFound
from service.foundation.events import Actor, Role, system
from service.foundation.mail import Mail
from service.foundation.web import COOKIE
from service.people.queries import actor as actor_of
from service.safeguarding import commands, from_families
from service.safeguarding.tables import Alert
from tests.school import Running

SECRET = "Mr Hall shouted at me"


async def who(school: Running, role: str) -> Actor:
    async with school.database.reading() as session:
        found = await actor_of(session, school.person(role))
    assert found is not None
    return found


async def worry(school: Running, *, present: tuple[str, ...] = (), about: str = "", words: str = "", about_id: str = "") -> str:
    child = await who(school, "pupil")
    async with school.database.writing() as session:
        return await commands.raise_alert(session, child, kind="worry", place="Maths, 5 Oak", present=present, about=about,
                                          about_id=about_id, words=words, now=school.clock.now())


async def told(school: Running, role: str) -> list[str]:
    async with await school.signed_in(role) as client:
        return [banner["words"] for banner in (await client.get("/banners?wait=false")).json()["banners"]]


async def rows(client: httpx.AsyncClient, tab: str = "new") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/safeguarding/rows?tab={tab}")).json()["rows"]
    return found


NOTHING: list[str] = []
ONE = ["Safeguarding alert, 10am."]


async def test_a_worry_calls_the_dsl_on_every_page_without_saying_what_it_is(school: Running) -> None:
    await worry(school, words=SECRET)
    async with await school.signed_in("dsl") as client:
        page = await client.get("/account")
    assert "Safeguarding alert, 10am." in page.text
    assert SECRET not in page.text
    assert "Worry" not in page.text


async def test_the_feed_carries_no_content(school: Running) -> None:
    await worry(school, words=SECRET)
    assert await told(school, "dsl") == ONE


@pytest.mark.parametrize("role", ["teacher", "support", "senior_leader", "office", "pupil", "parent", "governor", "technician"])
async def test_nobody_outside_the_circle_finds_an_inbox(school: Running, role: str) -> None:
    alert = await worry(school)
    async with await school.signed_in(role) as client:
        for path in ("/safeguarding", "/safeguarding/rows", f"/safeguarding/{alert}"):
            assert (await client.get(path)).status_code == 404
        assert "Safeguarding alert" not in (await client.get("/account")).text


async def test_an_adult_of_the_lesson_never_sees_it_in_counts_either_even_the_dsl(school: Running) -> None:
    dsl = school.person("dsl")
    alert = await worry(school, present=(dsl, school.person("teacher")))
    assert await told(school, "dsl") == NOTHING
    assert await told(school, "deputy_dsl") == ONE
    async with await school.signed_in("dsl") as client:
        assert await rows(client) == []
        for answer in (await client.get(f"/safeguarding/{alert}"), await client.post(f"/safeguarding/{alert}/take"),
                       await client.post(f"/safeguarding/{alert}/notes", data={"words": "x"})):
            assert answer.status_code == 404


async def test_an_adult_who_comes_into_the_lesson_later_loses_sight_of_it(school: Running) -> None:
    child = await who(school, "pupil")
    async with school.database.writing() as session:
        await commands.raise_alert(session, child, kind="worry", lesson_id="lesson", now=school.clock.now())
    assert await told(school, "dsl") == ONE
    async with school.database.writing() as session:
        await commands.bar(session, school_id=child.school_id, lesson_id="lesson", person_id=school.person("dsl"))
    assert await told(school, "dsl") == NOTHING


async def test_whoever_goes_into_the_lesson_because_of_an_alert_they_took_keeps_it(school: Running) -> None:
    child = await who(school, "pupil")
    async with school.database.writing() as session:
        alert = await commands.raise_alert(session, child, kind="worry", lesson_id="lesson", now=school.clock.now())
    async with await school.signed_in("dsl") as client:
        await client.post(f"/safeguarding/{alert}/take")
        async with school.database.writing() as session:
            await commands.bar(session, school_id=child.school_id, lesson_id="lesson", person_id=school.person("dsl"))
        assert (await client.get(f"/safeguarding/{alert}")).status_code == 200


async def test_saying_that_it_is_about_a_grown_up_moves_it_to_the_headteacher(school: Running) -> None:
    alert, child = await worry(school), await who(school, "pupil")
    assert await told(school, "headteacher") == NOTHING
    async with await school.signed_in("dsl") as client:
        await client.post(f"/safeguarding/{alert}/take")
        async with school.database.writing() as session:
            await commands.add_words(session, child, alert_id=alert, about="staff", words=SECRET, do_not_ring=True,
                                     now=school.clock.now())
        assert (await client.get(f"/safeguarding/{alert}")).status_code == 404
    assert await told(school, "headteacher") == ONE
    async with await school.signed_in("headteacher") as client:
        page = await client.get(f"/safeguarding/{alert}")
    assert SECRET in page.text
    assert "The child asks: do not ring home." in page.text


async def test_about_the_headteacher_it_reaches_the_chair_alone(school: Running) -> None:
    alert = await worry(school, about_id=school.person("headteacher"))
    assert [await told(school, role) for role in ("dsl", "deputy_dsl", "headteacher")] == [NOTHING] * 3
    async with await school.signed_in("chair") as client:
        assert (await client.get(f"/safeguarding/{alert}")).status_code == 200


async def test_only_the_one_who_raised_it_says_more(school: Running) -> None:
    alert, dsl = await worry(school), await who(school, "dsl")
    with pytest.raises(NotFound):
        async with school.database.writing() as session:
            await commands.add_words(session, dsl, alert_id=alert, words="x", now=school.clock.now())


async def test_i_have_got_this_stops_the_call_for_the_others_and_shows_the_name(school: Running) -> None:
    alert = await worry(school)
    async with await school.signed_in("dsl") as client:
        assert (await client.post(f"/safeguarding/{alert}/take")).status_code == 303
        assert (await rows(client, "mine"))[0]["mine"]
    assert await told(school, "dsl") == NOTHING
    async with await school.signed_in("deputy_dsl") as client:
        found = await rows(client, "waiting")
        assert (found[0]["owner"], found[0]["mine"]) == ("Ruth Okafor", False)
        page = await client.get("/safeguarding?tab=waiting")
        assert "Ruth Okafor" in page.text


async def test_left_alone_for_fifteen_minutes_it_reaches_the_headteacher(school: Running) -> None:
    await worry(school)
    school.clock.advance(14 * 60)
    assert await told(school, "headteacher") == NOTHING
    school.clock.advance(60)
    assert await told(school, "headteacher") == ONE


async def test_notes_are_kept_and_an_empty_one_is_given_back(school: Running) -> None:
    alert = await worry(school)
    async with await school.signed_in("dsl") as client:
        empty = await client.post(f"/safeguarding/{alert}/notes", data={"words": " "})
        assert (empty.status_code, "Write something first" in empty.text) == (422, True)
        await client.post(f"/safeguarding/{alert}/notes", data={"words": "Rang <b>Ms</b> Lin"})
        assert "Rang &lt;b&gt;Ms&lt;/b&gt; Lin" in (await client.get(f"/safeguarding/{alert}")).text


async def test_an_alert_is_closed_by_its_owner_with_words_and_more_from_the_child_opens_it_again(school: Running) -> None:
    alert, child = await worry(school), await who(school, "pupil")
    done = {"words": "Spoke to her and her form tutor", "outcome": "noted", "close": "yes"}
    async with await school.signed_in("dsl") as client:
        assert (await client.post(f"/safeguarding/{alert}/notes", data=done)).status_code == 409, "nobody has it yet"
        await client.post(f"/safeguarding/{alert}/take")
        assert (await client.post(f"/safeguarding/{alert}/notes", data={"words": "", "close": "yes"})).status_code == 422
        assert (await client.post(f"/safeguarding/{alert}/notes", data=done)).status_code == 303
        assert await rows(client) == []
        assert alert in (await client.get("/safeguarding?tab=closed")).text
        assert "Spoke to her" in (await client.get(f"/safeguarding/{alert}")).text
    async with school.database.writing() as session:
        await commands.add_words(session, child, alert_id=alert, words="It happened again", now=school.clock.now())
    assert await told(school, "dsl") == ONE


async def test_what_waits_too_long_says_by_how_much(school: Running) -> None:
    await worry(school)
    async with await school.signed_in("dsl") as client:
        said = []
        for seconds in (0, 5 * 60, 12 * 60, 2 * 3600):
            school.clock.advance(seconds)
            client.cookies.set(COOKIE, await school.cookie(school.person("dsl")))
            said.append((await rows(client))[0]["late"])
    assert said == ["New", "Late", "12 minutes late", "2 hours late"]


async def test_reading_an_alert_is_in_the_audit_and_its_words_are_not(school: Running) -> None:
    alert = await worry(school, words=SECRET)
    async with await school.signed_in("dsl") as client:
        await client.get(f"/safeguarding/{alert}")
    async with school.database.reading() as session:
        kinds = [leaf.kind for leaf in (await session.exec(select(AuditLeaf).where(AuditLeaf.subject_id == alert))).all()]
        bodies = [row.body for row in (await session.exec(select(AuditBody))).all()]
    assert kinds == ["AlertRaised", "AlertOpened"]
    assert not [body for body in bodies if SECRET in body]


async def test_the_service_itself_can_raise_an_alert(school: Running) -> None:
    actor = system((await who(school, "dsl")).school_id)
    async with school.database.writing() as session:
        alert = await commands.raise_alert(session, actor, kind="recorder-failed", lesson_id="lesson", now=school.clock.now())
        assert (await session.get_one(Alert, alert)).routed_to == Role.DSL
    async with await school.signed_in("dsl") as client:
        page = await client.get(f"/safeguarding/{alert}")
    assert "Recording stopped" in page.text


async def test_a_page_that_asks_by_itself_keeps_nobody_signed_in(school: Running) -> None:
    async with await school.signed_in("dsl") as client:
        for _ in range(16):
            school.clock.advance(60)
            last = await client.get("/banners?wait=false", headers={"chaperone-background": "yes", "accept": "application/json"})
        assert last.status_code == 401
    async with await school.signed_in("dsl") as client:
        for _ in range(16):
            school.clock.advance(60)
            last = await client.get("/banners?wait=false")
        assert last.status_code == 200, "somebody who does something stays signed in"


# -- what parents send -------------------------------------------------------------------------------------------------


async def sent(school: Running, words: str, position: int = 0, **more: str) -> str:
    given = {"about": "this-app", "child_id": "", "adult": "", "who": "", "reach": "phone"} | more
    async with school.database.reading() as session:
        parent = await actor_of(session, school.person("parent", position))
    assert parent is not None
    async with school.database.writing() as session:
        return await from_families.raise_worry(session, parent, words=words, now=school.clock.now(), **given)


async def alerts(school: Running) -> list[Alert]:
    async with school.database.reading() as session:
        return list((await session.exec(select(Alert).where(Alert.kind == "parent").order_by(Alert.raised_at))).all())


async def test_what_one_parent_sends_again_and_again_is_one_alert_with_every_word(school: Running) -> None:
    """A child's worry is not looked for among the hundreds of one account; nothing is refused and nothing lost (policy: IN4)."""
    for number in range(5):
        await sent(school, f"Word {number}")
    (row,) = await alerts(school)
    assert row.times == 5
    async with await school.signed_in("dsl") as client:
        page = (await client.get(f"/safeguarding/{row.id}")).text
    assert all(f"Word {number}" in page for number in range(5))
    await sent(school, "Mine", position=1)
    assert len(await alerts(school)) == 2, "negative control: another parent's is another"


async def test_what_was_closed_or_taken_a_while_ago_is_not_added_to_but_calls_anew(school: Running) -> None:
    await sent(school, "First")
    (row,) = await alerts(school)
    async with await school.signed_in("dsl") as client:
        await client.post(f"/safeguarding/{row.id}/take")
    school.clock.advance(60)
    await sent(school, "A minute later")
    assert len(await alerts(school)) == 1
    school.clock.advance(600)
    await sent(school, "Ten minutes later")
    assert len(await alerts(school)) == 2
    await sent(school, "And again")
    assert len(await alerts(school)) == 2


async def test_what_is_about_somebody_who_reads_the_first_is_another_alert(school: Running) -> None:
    """Words about the headteacher are not put where the headteacher reads (policy: IN4)."""
    assert await sent(school, "The bell") == "safeguarding team"
    assert await sent(school, "Him", about="an-adult", adult="staff") == "headteacher"
    assert await sent(school, "The head", about="an-adult", adult="headteacher") == "chair of governors"
    found = await alerts(school)
    assert [row.routed_to for row in found] == ["dsl", "headteacher", "chair"]
    async with await school.signed_in("headteacher") as client:
        assert (await client.get(f"/safeguarding/{found[1].id}")).status_code == 200
        assert (await client.get(f"/safeguarding/{found[2].id}")).status_code == 404
    assert await sent(school, "Ms Okafor said it") == "safeguarding team"
    async with await school.signed_in("dsl") as client:
        page = (await client.get(f"/safeguarding/{found[0].id}")).text
    assert "Okafor said it" not in page, "named, she does not get it, and the deputy does"


async def test_a_parent_who_wrote_is_answered_in_the_app_and_nowhere_else(school: Running) -> None:
    """Whoever may not be rung is not left without a word, and nothing outside the app says what it is (policy: IN4)."""
    await sent(school, "He reads my post", reach="app")
    (row,) = await alerts(school)
    path, parent = f"/safeguarding/{row.id}", school.person("parent")
    async with await school.signed_in("dsl") as client:
        assert "Send the answer" not in (await client.get(path)).text, "it is nobody's yet"
        await client.post(f"{path}/take")
        assert "They ask: do not ring." in (await client.get(path)).text
        empty = await client.post(f"{path}/answer")
        assert (empty.status_code, "Choose what they read" in empty.text) == (422, True)
        for _ in range(2):
            assert (await client.post(f"{path}/answer", data={"answer": "reply-talk"})).status_code == 303
            school.clock.advance(60)
        assert "Answered in the app: The school would like to talk" in (await client.get(path)).text
    async with school.database.reading() as session:
        kept = (await session.exec(select(FamilyMessage).where(FamilyMessage.person_id == parent))).all()
        others = (await session.exec(select(FamilyMessage).where(FamilyMessage.person_id != parent))).all()
        mails = (await session.exec(select(Mail).where(Mail.person_id == parent))).all()
        actor = await actor_of(session, parent)
        assert actor is not None
        shown = await families.messages(session, actor, None, 20)
    assert [(one.kind, one.child_id, one.lesson_id) for one in kept] == [("reply-talk", "", "")] * 2
    assert [one for one in others if one.kind.startswith("reply")] == []
    assert {one.text for one in mails} == {"N5"}
    assert shown[0].words.startswith("The school would like to talk about what you wrote. Ring the office, or come in, when that")


async def test_who_asked_not_to_be_contacted_is_not_nor_is_anybody_by_who_does_not_have_it(school: Running) -> None:
    await sent(school, "Leave me out of it", reach="do-not-contact")
    (row,) = await alerts(school)
    path = f"/safeguarding/{row.id}"
    async with await school.signed_in("dsl") as client:
        await client.post(f"{path}/take")
        assert "Send the answer" not in (await client.get(path)).text
        assert (await client.post(f"{path}/answer", data={"answer": "reply-read"})).status_code == 409
        school.clock.advance(60)
        await sent(school, "Now you can", reach="phone")
        assert "Send the answer" in (await client.get(path)).text
    async with await school.signed_in("deputy_dsl") as client:
        assert (await client.post(f"{path}/answer", data={"answer": "reply-read"})).status_code == 409
    async with school.database.reading() as session:
        assert (await session.exec(select(FamilyMessage).where(FamilyMessage.person_id == school.person("parent")))).all() == []
