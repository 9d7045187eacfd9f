"""T25: the DSL, or a leader, abuses recordings: without a reason, for another purpose, many at once, alone, or unseen."""

from typing import Any

import pytest
from sqlmodel import col, select

from recordings import commands, rules
from recordings.grants import notices
from recordings.grants import rules as grants
from recordings.grants.tables import RecordingGrant, ViewNotice
from recordings.tables import RecordingView
from service.app import addresses
from service.foundation.audit import AuditLeaf
from service.foundation.events import Role
from tests.one_to_one import actor, proved
from tests.proofs import confirmed_post
from tests.recordings.lesson import Recorded, record_lesson
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm


@pytest.fixture
async def recorded(school: Running) -> Recorded:
    return await record_lesson(school)


async def views(school: Running) -> list[RecordingView]:
    async with school.database.reading() as session:
        return list((await session.exec(select(RecordingView))).all())


def any_reason(patch: pytest.MonkeyPatch) -> None:
    """A purpose is whatever somebody says."""
    patch.setattr(rules, "check_reason", lambda why, concern: rules.Why.FLAG)
    patch.setattr(rules, "is_refused", lambda why: False)


@guarded_by(Guard("there are four purposes and no others", any_reason))
async def test_no_view_without_a_purpose_that_recordings_are_for(school: Running, recorded: Recorded, attempt: Any) -> None:
    async with await school.signed_in("dsl") as dsl:
        with attempt:
            for why in ("", "curiosity", "performance management", "teaching practice", "CONCERN"):
                answer = await dsl.post(recorded.page, data={"why": why})
                if "Check it is you" in answer.text:
                    school.clock.advance(30)
                    answer = await confirmed_post(school, dsl, school.person("dsl"), recorded.page, {"why": why})
                harm(answer.status_code == 303, f"a view for “{why}”")
            assert await views(school) == []


async def test_no_address_opens_more_than_one_recording(school: Running) -> None:
    """There is no way to ask for many: a view, a clip or a file always names one lesson and one view."""
    media = [path for _, path, _ in addresses() if path.startswith("/recordings") and path.count("{")]
    assert all(path.startswith("/recordings/{lesson_id}") for path in media)
    assert all("{view_id}" in path for path in media if "/tracks" in path or "/parts" in path)
    taken = {path for _, path, _ in addresses() if "download" in path or "export" in path}
    assert {path.split("/export")[0] for path in taken} == {"/concerns/{number}"}, "words about one concern, and no recording"


def tell_nobody(patch: pytest.MonkeyPatch) -> None:
    """Nobody is told of a view."""
    async def silent(*_: object) -> None: ...

    patch.setattr(notices, "tell", silent)


@guarded_by(Guard("the headteacher is told", tell_nobody))
async def test_nobody_watches_unseen(school: Running, recorded: Recorded, attempt: Any) -> None:
    """Each view has its entry in the audit and somebody who is told of it, who is not the one who watched."""
    with attempt:
        async with await school.signed_in("dsl") as dsl:
            await confirmed_post(school, dsl, school.person("dsl"), recorded.page, {"why": "flag"})
        [view] = await views(school)
        async with school.database.reading() as session:
            told = (await session.exec(select(ViewNotice.person_id).where(ViewNotice.view_id == view.id))).all()
            kept = (await session.exec(select(AuditLeaf).where(AuditLeaf.kind == "RecordingViewed"))).all()
        assert len(kept) == 1
        harm(not set(told) - {view.person_id}, "a view of which nobody is told")


def decide_for_oneself(patch: pytest.MonkeyPatch) -> None:
    """Whoever holds the role decides, whoever asked."""
    patch.setattr(grants, "check_may_decide", lambda *_: None)


@guarded_by(Guard("a second person decides", decide_for_oneself))
async def test_nobody_lets_themselves_watch(school: Running, recorded: Recorded, attempt: Any) -> None:
    """The headteacher asks, and decides; holding the DSL's role as well helps as little."""
    wish = {"why": "complaint", "words": "I need to see it", "starts_at": "10:00", "ends_at": "10:01"}
    allow = {"answer": "allow", "views": "1", "days": "1", "reason": "Mine"}
    async with await school.signed_in("headteacher") as head:
        page = (await head.post(f"{recorded.page}/ask", data=wish)).headers["location"]
        with attempt:
            answer = await head.post(page, data=allow)
            harm("Check it is you" in answer.text, "a decision about one's own request")
            assert answer.status_code == 403


async def test_the_database_lets_nobody_decide_about_their_own_request(school: Running, recorded: Recorded) -> None:
    """Around every rule of the program (the same holds when the rule above is broken)."""
    from sqlalchemy.exc import IntegrityError
    from sqlmodel import update

    async with await school.signed_in("headteacher") as head:
        wish = {"why": "complaint", "words": "I need to see it", "starts_at": "10:00", "ends_at": "10:01"}
        await head.post(f"{recorded.page}/ask", data=wish)
    with pytest.raises(IntegrityError):
        async with school.database.writing() as session:
            await session.exec(update(RecordingGrant).values(
                allowed=True, decided_by=school.person("headteacher"), decided_at=school.clock.now(), views=1,
                expires_at=school.clock.now()))


async def test_a_proof_of_identity_for_one_view_opens_no_other(school: Running, recorded: Recorded) -> None:
    dsl = await actor(school, school.person("dsl"))
    proof = await proved(school, dsl, rules.watch_action(recorded.recording_id, "Maths: fractions", "flag", ""))
    given: dict[str, Any] = {"lesson_id": recorded.lesson_id, "in_it": frozenset(), "proof": proof, "now": school.clock.now()}
    with pytest.raises(rules.Invalid):
        async with school.database.writing() as session:
            await commands.watch(session, dsl, why="concern", concern="", **given)
    async with school.database.writing() as session:
        await commands.watch(session, dsl, why="flag", concern="", **given)
    with pytest.raises(rules.Invalid):
        async with school.database.writing() as session:
            await commands.watch(session, dsl, why="flag", concern="", **given)
    assert len(await views(school)) == 1
    async with school.database.reading() as session:
        by = (await session.exec(select(AuditLeaf.actor_id).where(AuditLeaf.kind == "RecordingViewed")
                                 .order_by(col(AuditLeaf.seq)))).all()
    assert list(by) == [school.person(Role.DSL)]
