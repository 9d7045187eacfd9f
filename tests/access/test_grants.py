"""Some minutes of a recording, for one person, for one purpose, given by a second one (policy: RE1, IN4)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select, update

from recordings.grants import commands as grants
from recordings.grants import queries as grant_queries
from recordings.grants.tables import ComplaintSubject, RecordingGrant, ViewNotice
from recordings.review import PIECE
from recordings.tables import Recording, RecordingView
from service.foundation.audit import AuditLeaf
from service.foundation.events import Role
from service.foundation.mail import Mail
from service.safeguarding import commands as safeguarding
from service.safeguarding.rules import About, Kind
from tests.proofs import PASSWORD, action_of, code, confirmed_post, give_codes
from tests.recordings.lesson import Recorded, record_lesson
from tests.school import Running

FIRST, LAST = "10:00", "10:01"
WISH = {"why": "flag", "words": "Who shouted?", "starts_at": FIRST, "ends_at": LAST}
ALLOW = {"answer": "allow", "views": "2", "days": "3", "reason": "To write down what was said"}


@pytest.fixture
async def recorded(school: Running) -> Recorded:
    return await record_lesson(school)


@dataclass
class Asked:
    """A request, the client of whom it is for, and the DSL's."""

    school: Running
    recorded: Recorded
    page: str
    watcher: httpx.AsyncClient
    dsl: httpx.AsyncClient

    @property
    def id(self) -> str:
        return self.page.rpartition("/")[2]

    async def decide(self, **given: str) -> httpx.Response:
        self.school.clock.advance(30)  # a code works once
        return await confirmed_post(self.school, self.dsl, self.school.person("dsl"), self.page, ALLOW | given)

    async def watch(self, role: str = "teacher") -> httpx.Response:
        self.school.clock.advance(30)
        return await confirmed_post(self.school, self.watcher, self.school.person(role), f"{self.page}/watch", {})


@pytest.fixture
async def asked(school: Running, recorded: Recorded) -> AsyncIterator[Asked]:
    """Mr Hall asks for the first minute of his own lesson."""
    async with await school.signed_in("teacher") as hall, await school.signed_in("dsl") as dsl:
        answer = await hall.post(f"{recorded.page}/ask", data=WISH)
        assert answer.status_code == 303, answer.text
        yield Asked(school, recorded, answer.headers["location"], hall, dsl)


async def kinds(school: Running) -> list[str]:
    async with school.database.reading() as session:
        return list((await session.exec(select(AuditLeaf.kind).order_by(col(AuditLeaf.seq)))).all())


def served(view: str) -> list[str]:
    return [view, f"{view}/tracks", f"{view}/preparation", f"{view}/pieces?of=1.1&at=0&until=12000"]


def begins(tracks: dict[str, Any]) -> int:
    return min(start for track in tracks["tracks"] for start, _ in track["spans"])


async def test_a_teacher_watches_the_minutes_that_were_allowed_and_not_one_more(asked: Asked) -> None:
    async with asked.school.database.writing() as session:  # the lesson began a little before ten
        await session.exec(update(Recording).where(col(Recording.id) == asked.recorded.recording_id).values(
            started_at=asked.school.clock.now().replace(hour=9, minute=59, second=50)))
    assert (await asked.decide()).status_code == 303
    opened = await asked.watch()
    assert opened.status_code == 303, opened.text
    view = opened.headers["location"]
    tracks = (await asked.watcher.get(f"{view}/tracks")).json()
    assert begins(tracks) >= 10_000, "what was before ten is not there"
    for address in served(view):
        assert (await asked.watcher.get(address)).status_code == 200, address
    whole = await confirmed_post(asked.school, asked.dsl, asked.school.person("dsl"), asked.recorded.page, {"why": "flag"})
    all_of_it = whole.headers["location"]
    everything = (await asked.dsl.get(f"{all_of_it}/tracks")).json()
    assert begins(everything) < 10_000, "negative control: it is in the file"
    first = (await asked.dsl.get(f"{all_of_it}/pieces?of=1.1.0&at=0&until=1")).content[PIECE.size:]
    assert first
    for of in ("1.1", "1.1.0", "1.1.1", "1.1.999"):
        assert first not in (await asked.watcher.get(f"{view}/pieces?of={of}&at=0&until=12000")).content
    for mark in ({"at": "10:00:01", "text": "A door"}, {"from": "10:00:01", "to": "10:00:02", "reason": "A door"}):
        kind = "notes" if "text" in mark else "clips"
        assert (await asked.watcher.post(f"{view}/{kind}", data=mark)).status_code == 404, "reviewers' words are not part of it"


async def test_nothing_is_served_before_somebody_else_has_allowed_it(asked: Asked) -> None:
    refused = await asked.watcher.post(f"{asked.page}/watch", data={})
    assert refused.status_code == 422
    assert "waiting" in refused.text
    for own in (asked.page, f"{asked.page}/end"):
        assert (await asked.watcher.post(own, data=ALLOW)).status_code == 404, "a teacher decides nothing"
    assert "RecordingViewed" not in await kinds(asked.school)


async def test_who_decides_proves_who_they_are_for_exactly_these_terms(asked: Asked) -> None:
    page = await asked.dsl.post(asked.page, data=ALLOW)
    assert "You are about to let somebody watch a part of a recording." in page.text
    await give_codes(asked.school, asked.school.person("dsl"))
    proof = {"step_up_action": action_of(page), "step_up_password": PASSWORD, "step_up_code": code(asked.school)}
    more = await asked.dsl.post(asked.page, data={**ALLOW, "views": "5", **proof})
    assert "This has changed since you opened it" in more.text
    assert "WatchAllowed" not in await kinds(asked.school)


async def test_who_refuses_confirms_the_person_that_a_complaint_is_about_and_nobody_else(asked: Asked) -> None:
    """Whoever is named can never watch: a proof for one name is none for another."""
    no = {"answer": "refuse", "reason": "It is about them", "subject": asked.recorded.teacher}
    page = await asked.dsl.post(asked.page, data=no)
    await give_codes(asked.school, asked.school.person("dsl"))
    proof = {"step_up_action": action_of(page), "step_up_password": PASSWORD, "step_up_code": code(asked.school)}
    for changed in ({"subject": ""}, {"reason": "Another reason"}):
        other = await asked.dsl.post(asked.page, data={**no, **proof, **changed})
        assert "Check it is you" in other.text, "another decision is confirmed anew"
    async with asked.school.database.reading() as session:
        assert (await session.exec(select(ComplaintSubject))).all() == []
        assert (await session.exec(select(RecordingGrant.allowed))).one() is None
    asked.school.clock.advance(30)  # a code works once
    assert (await asked.dsl.post(asked.page, data={**no, **proof, "step_up_code": code(asked.school)})).status_code == 303


async def called(school: Running, role: str, participants: list[str]) -> set[str]:
    """Who is called by a request to watch from somebody of this role, where these were in the lesson."""
    recorded = await record_lesson(school, participants)
    async with await school.signed_in(role) as client:
        page = (await client.post(f"{recorded.page}/ask", data=WISH)).headers["location"]
    async with school.database.reading() as session:
        school_id, grant_id = recorded.school_id, page.rpartition("/")[2]
        found = await grant_queries.deciders(session, school_id, grant_id)
        assert found <= await grant_queries.reminded(session, school_id)
        assert set((await session.exec(select(Mail.person_id).where(Mail.about == grant_id, Mail.text == "S2"))).all()) == found
    return set(found)


@pytest.mark.parametrize(("asker", "away", "expected"), [
    ("teacher", (), ("dsl", "deputy_dsl")), ("teacher", ("dsl",), ("deputy_dsl",)),
    ("teacher", ("dsl", "deputy_dsl"), ("headteacher",)), ("headteacher", ("dsl", "deputy_dsl"), ("chair",)),
    ("teacher", ("dsl", "deputy_dsl", "headteacher"), ()),
])
async def test_a_request_calls_somebody_who_may_decide_it(
    school: Running, asker: str, away: tuple[str, ...], expected: tuple[str, ...],
) -> None:
    """The chair decides what the headteacher asks, and nothing else."""
    assert await called(school, asker, [school.person(role) for role in away]) == {school.person(role) for role in expected}


async def test_a_grant_has_so_many_views_and_ends_with_its_time(asked: Asked) -> None:
    assert (await asked.decide(views="1")).status_code == 303
    view = (await asked.watch()).headers["location"]
    again = await asked.watcher.post(f"{asked.page}/watch", data={})
    assert again.status_code == 422
    assert "all views used" in again.text
    assert (await asked.watcher.get(served(view)[3])).status_code == 200, "the last view is watched to its end"
    async with asked.school.database.reading() as session:
        grant = await session.get_one(RecordingGrant, asked.id)
    assert grant.expires_at is not None
    asked.school.clock.set(grant.expires_at)
    assert (await asked.watcher.get(served(view)[3])).status_code != 200


async def test_a_grant_that_is_taken_back_stops_what_is_being_watched(asked: Asked) -> None:
    await asked.decide()
    view = (await asked.watch()).headers["location"]
    assert (await asked.watcher.get(served(view)[3])).status_code == 200
    assert (await asked.dsl.post(f"{asked.page}/end")).status_code == 303
    for address in served(view):
        assert (await asked.watcher.get(address)).status_code == 404, address
    assert (await kinds(asked.school))[-1] == "WatchEnded"


async def test_the_subject_of_a_complaint_is_never_allowed(asked: Asked) -> None:
    refused = await asked.dsl.post(asked.page, data=ALLOW | {"subject": asked.recorded.teacher})
    assert refused.status_code == 422
    assert "They can never watch it" in refused.text
    async with asked.school.database.writing() as session:  # around every rule of the program
        session.add(ComplaintSubject(recording_id=asked.recorded.recording_id, person_id=asked.recorded.teacher,
                                     school_id=asked.recorded.school_id, named_by="system", named_at=asked.school.clock.now()))
    page = await asked.dsl.get(asked.page)
    assert "This person cannot be allowed." in page.text
    assert "Allow exactly these minutes" not in page.text
    assert (await asked.dsl.post(asked.page, data=ALLOW)).status_code == 422
    with pytest.raises(IntegrityError, match="a complaint is about them"):
        async with asked.school.database.writing() as session:
            await session.exec(update(RecordingGrant).where(col(RecordingGrant.id) == asked.id).values(
                allowed=True, decided_by=asked.school.person("dsl"), decided_at=asked.school.clock.now(), views=1,
                expires_at=asked.school.clock.now()))
    mine = await asked.watcher.get(asked.page)
    assert "complaint" not in mine.text.lower(), "and they find no trace of why"


async def test_whom_a_complaint_is_about_loses_what_was_allowed_before(asked: Asked) -> None:
    await asked.decide()
    view = (await asked.watch()).headers["location"]
    assert (await asked.watcher.get(served(view)[3])).status_code == 200
    pupil = await _actor(asked.school, asked.recorded.pupils[0])
    async with asked.school.database.writing() as session:
        await safeguarding.raise_alert(session, pupil, kind=Kind.WORRY, now=asked.school.clock.now(), about=About.STAFF,
                                       lesson_id=asked.recorded.lesson_id, present=[asked.recorded.teacher])
    for address in served(view):
        assert (await asked.watcher.get(address)).status_code == 404, address
    assert (await asked.watcher.post(f"{asked.page}/watch", data={})).status_code == 404


async def test_the_headteacher_asks_and_the_dsl_decides_and_never_the_same_person(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("headteacher") as head, await school.signed_in("dsl") as dsl:
        page = (await head.post(f"{recorded.page}/ask", data=WISH | {"why": "complaint"})).headers["location"]
        assert (await head.post(page, data=ALLOW)).status_code == 403
        school.clock.advance(30)
        assert (await confirmed_post(school, dsl, school.person("dsl"), page, ALLOW)).status_code == 303
        opened = await confirmed_post(school, head, school.person("headteacher"), f"{page}/watch", {})
        assert opened.status_code == 303
        assert (await head.get(served(opened.headers["location"])[3])).status_code == 200
        assert (await head.get(recorded.page)).status_code == 404, "and nothing else of it"


async def test_the_chair_names_somebody_who_was_not_in_it_and_never_watches(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("chair") as chair:
        assert (await chair.post(f"{recorded.page}/ask", data=WISH | {"person": school.person("chair")})).status_code == 404
        inside = await chair.post(f"{recorded.page}/ask", data=WISH | {"person": recorded.teacher})
        assert inside.status_code == 422
        assert "Name somebody who was not in this lesson" in inside.text
        named = await chair.post(f"{recorded.page}/ask", data=WISH | {"person": school.person("senior_leader")})
        assert named.status_code == 303
        assert (await chair.post(f"{named.headers['location']}/watch")).status_code == 404


@pytest.mark.parametrize(("wrong", "words"), [
    ({"why": ""}, "Choose why"), ({"words": " "}, "Say what you need to see"), ({"ends_at": "09:00"}, "Enter a time after"),
    ({"ends_at": "10:31"}, "30 minutes or less"), ({"starts_at": "ten"}, "Enter a time of the lesson"),
    ({"starts_at": "07:00", "ends_at": "07:10"}, "Enter a time within the lesson"),
    ({"why": "performance management"}, "policy RE1"), ({"why": "teaching-practice"}, "policy RE1"),
])
async def test_a_request_with_a_gap_comes_back_with_words(
    school: Running, recorded: Recorded, wrong: dict[str, str], words: str
) -> None:
    async with await school.signed_in("teacher") as hall:
        answer = await hall.post(f"{recorded.page}/ask", data=WISH | wrong)
    assert answer.status_code == 422
    assert words in answer.text
    assert "WatchAsked" not in await kinds(school)


@pytest.mark.parametrize("why", ["performance management", "Teaching  Practice", "teaching-practice"])
async def test_how_somebody_teaches_is_refused_to_the_dsl_too_and_kept(school: Running, recorded: Recorded, why: str) -> None:
    async with await school.signed_in("dsl") as dsl:
        offered = (await dsl.get(recorded.page)).text.partition("<main")[2]  # the menu names a page of other recordings
        assert not re.search(r"teaching practice|performance", offered, re.IGNORECASE), "it is offered nowhere"
        answer = await dsl.post(recorded.page, data={"why": why})
    assert answer.status_code == 422
    assert "used for nothing else (policy RE1)" in answer.text
    assert (await kinds(school))[-1] == "PurposeRefused"


async def test_without_its_audit_entry_a_view_by_grant_gets_no_byte(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    from recordings import commands

    await asked.decide()

    async def failing(*_: object) -> None:
        raise RuntimeError("the audit cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr(commands, "publish", failing)
        assert (await asked.watch()).status_code == 500
    async with asked.school.database.reading() as session:
        assert (await session.exec(select(RecordingView))).all() == []
    assert (await asked.watch()).status_code == 303, "negative control: with the audit it opens, and no view was used up"


async def test_the_headteacher_is_told_of_each_view_unless_it_is_about_them(school: Running, recorded: Recorded) -> None:
    async with await school.signed_in("dsl") as dsl, await school.signed_in("headteacher") as head:
        await confirmed_post(school, dsl, school.person("dsl"), recorded.page, {"why": "flag"})
        assert "A recording was watched" in (await head.get("/account")).text
        page = (await head.get("/views")).text
        assert "A recording was watched" not in page, "this page is where it is read"
        assert "Miss Okafor" in page
        assert "A moment that staff flagged" in page
        assert "A recording was watched" not in (await head.get("/account")).text, "it was read"
        pupil = await _actor(school, recorded.pupils[0])
        async with school.database.writing() as session:
            await safeguarding.raise_alert(session, pupil, kind=Kind.WORRY, now=school.clock.now(), about=About.HEADTEACHER,
                                           lesson_id=recorded.lesson_id, present=[recorded.teacher])
        school.clock.advance(30)
        await confirmed_post(school, dsl, school.person("dsl"), recorded.page, {"why": "complaint"})
        assert "A complaint" not in (await head.get("/views")).text
    async with school.database.reading() as session:
        told = list((await session.exec(select(ViewNotice.person_id).order_by(col(ViewNotice.told_at)))).all())
    assert told == [school.person("headteacher"), school.person("chair")]


async def test_a_view_that_becomes_about_the_headteacher_who_was_told_is_the_chairs_as_well(
    school: Running, recorded: Recorded,
) -> None:
    """The other order: watched first because of a concern, and an hour later the concern names the headteacher, who has not read
    it: nothing that they were shown goes away, which would tell them."""
    banner, pupil = "A recording was watched", await _actor(school, recorded.pupils[0])
    async with await school.signed_in("dsl") as dsl, await school.signed_in("chair") as chair:
        await confirmed_post(school, dsl, school.person("dsl"), recorded.page, {"why": "flag"})
        async with await school.signed_in("headteacher") as head:
            assert banner in (await head.get("/account")).text, "negative control: it waits for them, before"
        assert banner not in (await chair.get("/account")).text
        async with school.database.writing() as session:
            await safeguarding.raise_alert(session, pupil, kind=Kind.WORRY, now=school.clock.now(), about=About.HEADTEACHER,
                                           lesson_id=recorded.lesson_id, present=[recorded.teacher])
        async with await school.signed_in("headteacher") as head:
            assert banner in (await head.get("/account")).text
        assert banner in (await chair.get("/account")).text
        page = (await chair.get("/views")).text
        assert ("Miss Okafor" in page, "New" in page) == (True, True)
        assert banner not in (await chair.get("/account")).text, "it was read"
        assert "Miss Okafor" in (await chair.get("/views")).text, "and stays to be read"
    async with school.database.reading() as session:
        notices = {row.person_id: row.seen_at for row in (await session.exec(select(ViewNotice))).all()}
    assert notices.keys() == {school.person("headteacher"), school.person("chair")}
    assert notices[school.person("headteacher")] is None, "not yet read"


async def test_what_the_headteacher_had_read_before_it_was_about_them_stays(school: Running, recorded: Recorded) -> None:
    """That it went from their list would tell them that somebody speaks of them."""
    pupil = await _actor(school, recorded.pupils[0])
    async with await school.signed_in("dsl") as dsl, await school.signed_in("headteacher") as head:
        await confirmed_post(school, dsl, school.person("dsl"), recorded.page, {"why": "flag"})
        before = (await head.get("/views")).text
        async with school.database.writing() as session:
            await safeguarding.raise_alert(session, pupil, kind=Kind.WORRY, now=school.clock.now(), about=About.HEADTEACHER,
                                           lesson_id=recorded.lesson_id, present=[recorded.teacher])
        after = (await head.get("/views")).text
    assert before.count("Miss Okafor") == after.count("Miss Okafor") == 1
    async with await school.signed_in("chair") as chair:
        page = (await chair.get("/views")).text
        assert ("Miss Okafor" in page, ">New<" in page) == (True, True), "who is told as well"


async def test_two_sign_ins_of_one_grant_share_its_views(asked: Asked) -> None:
    await asked.decide(views="1")
    view = (await asked.watch()).headers["location"]
    async with await asked.school.signed_in("teacher") as elsewhere:
        assert (await elsewhere.get(view)).status_code == 404, "another sign-in"
        assert (await elsewhere.post(f"{asked.page}/watch", data={})).status_code == 422, "and no second view"


async def test_a_teacher_who_became_somebody_else_s_deputy_still_does_not_review_their_own_lesson(asked: Asked) -> None:
    await asked.school.give_role(asked.recorded.teacher, Role.DEPUTY_DSL)
    assert (await asked.watcher.get(asked.recorded.page)).status_code == 403
    assert (await asked.watcher.post(asked.page, data=ALLOW)).status_code == 403, "nor decides about their own request"


async def _actor(school: Running, person_id: str):  # type: ignore[no-untyped-def]
    async with school.database.reading() as session:
        found = await grants.people.actor(session, person_id)
    assert found is not None
    return found
