"""A parent answers themself, from a phone or the web: what is kept with it, and what it does (policy: CO2, CO3)."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from consent import commands, queries
from consent.commands import Answered, Beside
from consent.documents import commands as document_commands
from consent.documents import queries as documents
from consent.documents.rules import WordsChanged
from consent.documents.tables import ConsentText
from consent.family import FamilyChild, Objection, Outcome, Question
from consent.rules import Answer, AnsweredSince, MayNotAnswer, Purpose, Route
from consent.tables import ConsentResponse
from service.foundation.audit import AuditLeaf
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.people.tables import Person
from tests.features.test_consent_documents import office, publish, text
from tests.features.test_families import family
from tests.school import Running


async def actor_of(school: Running, person: str) -> Actor:
    async with school.database.reading() as session:
        found = await people.actor(session, person)
    assert found is not None
    return found


async def answer(school: Running, person: str, child: str, says_yes: bool, purpose: Purpose = Purpose.CAMERA,
                 **more: Any) -> Answered:
    actor = await actor_of(school, person)
    async with school.database.writing() as session:
        shown = (await documents.shown(session, actor.school_id))[purpose]
        given: dict[str, Any] = {"document_id": shown.document_id, "language": "en", "route": Route.APP} | more
        return await commands.answer(session, actor, child_id=child, purpose=purpose, says_yes=says_yes,
                                     now=school.clock.now(), **given)


async def sees(school: Running, person: str) -> FamilyChild:
    actor = await actor_of(school, person)
    async with school.database.reading() as session:
        return (await queries.for_family(session, actor))[0]


def asked(child: FamilyChild, purpose: Purpose = Purpose.CAMERA) -> Question:
    return next(question for question in child.questions if question.purpose is purpose)


async def may(school: Running, child: str) -> frozenset[str]:
    async with school.database.reading() as session:
        return (await queries.permissions(session, (await office(school)).school_id, [child]))[child]


async def rows(school: Running, **where: Any) -> list[ConsentResponse]:
    async with school.database.reading() as session:
        found = select(ConsentResponse).order_by(col(ConsentResponse.recorded_at))
        for name, value in where.items():
            found = found.where(getattr(ConsentResponse, name) == value)
        return list((await session.exec(found)).all())


@pytest.mark.postgresql
async def test_with_each_answer_is_kept_what_was_read_and_how(school: Running) -> None:
    child, mother, _ = await family(school)
    done = await answer(school, mother, child, False, reason=" belief ", listened=True, declared_relationship="mother",
                        declared_responsibility="yes", phone_id="phone-1", client_id="c-1", counts_from=school.clock.now())
    (row,) = await rows(school, id=done.id)
    async with school.database.reading() as session:
        shown = (await documents.shown(session, row.school_id))[Purpose.CAMERA]
    assert (row.document_id, row.document_version, row.text_hash) == (shown.document_id, 1, shown.languages["en"])
    assert (row.language, row.listened, row.reason, row.phone_id, row.route) == ("en", True, "belief", "phone-1", "app")
    assert (row.declared_relationship, row.declared_responsibility, row.recorded_by) == ("mother", "yes", mother)
    assert "Not other pupils." in row.filled
    assert row.counts_from is None  # a no never rests
    assert done.answer is Answer.WITHDRAWN
    assert "camera" not in await may(school, child)


async def test_a_withdrawal_in_the_app_is_told_to_rooms_by_its_own_event(school: Running) -> None:
    child, mother, _ = await family(school)
    await answer(school, mother, child, False)
    async with school.database.reading() as session:
        kinds = (await session.exec(select(AuditLeaf.kind).where(AuditLeaf.actor_id == mother))).all()
    assert "ConsentWithdrawn" in kinds


async def test_a_yes_from_a_new_phone_rests_a_day_and_then_counts_without_anybody_doing_anything(school: Running) -> None:
    child, mother, _ = await family(school)
    await answer(school, mother, child, False)
    school.clock.advance(60)
    rests = school.clock.now() + timedelta(hours=24)
    done = await answer(school, mother, child, True, counts_from=rests)
    assert done.counts_from == rests
    shown = asked(await sees(school, mother))
    assert (shown.outcome, shown.own and shown.own.counts_from) == (Outcome.RESTS, rests)
    assert shown.own is not None
    assert shown.own.has_earlier, "her no counts until then"
    assert "camera" not in await may(school, child)
    school.clock.advance(24 * 3600)
    assert "camera" in await may(school, child)


async def test_a_first_yes_that_rests_replaces_nothing_and_another_parents_yes_holds_beside_it(school: Running) -> None:
    child, _, father = await family(school)
    rests = school.clock.now() + timedelta(hours=24)
    await answer(school, father, child, True, Purpose.PHOTOGRAPHS, counts_from=rests)
    his = asked(await sees(school, father), Purpose.PHOTOGRAPHS)
    assert (his.outcome, his.own and his.own.has_earlier, his.asks) == (Outcome.RESTS, False, "")
    await answer(school, father, child, True, counts_from=rests)
    assert asked(await sees(school, father)).outcome is Outcome.YES, "the mother said yes to a camera before"
    school.clock.advance(24 * 3600)
    assert asked(await sees(school, father), Purpose.PHOTOGRAPHS).outcome is Outcome.YES


@pytest.mark.parametrize(("ends", "earlier"), [("nothing", True), ("a year", False), ("new words", False)])
async def test_a_yes_that_is_over_is_no_earlier_answer_that_counts_until_the_new_one(
        school: Running, ends: str, earlier: bool) -> None:
    """Nobody reads that their child may use a camera who may not: “Until then your earlier answer counts.”"""
    child, mother, _ = await family(school)
    if ends == "a year":
        school.clock.advance(366 * 86_400)
    if ends == "new words":
        await publish(school, ends_answers=True)
        school.clock.advance(60)
    await answer(school, mother, child, True, counts_from=school.clock.now() + timedelta(hours=24))
    own = asked(await sees(school, mother)).own
    assert own is not None
    assert ("camera" in await may(school, child), own.has_earlier) == (earlier, earlier)


@pytest.mark.postgresql
async def test_an_answer_that_is_sent_twice_is_kept_once_and_another_under_its_id_is_refused(school: Running) -> None:
    child, mother, father = await family(school)
    first = await answer(school, mother, child, False, client_id="c-1")
    assert await answer(school, mother, child, False, client_id="c-1") == first
    assert len(await rows(school, client_id="c-1")) == 1
    for who, says_yes in ((mother, True), (father, False)):
        with pytest.raises(Conflict):
            await answer(school, who, child, says_yes, client_id="c-1")


async def test_a_yes_is_only_to_the_words_that_are_shown_now_and_a_no_is_taken_to_any(school: Running) -> None:
    child, mother, _ = await family(school)
    head = await office(school, "headteacher")
    async with school.database.writing() as session:
        old = (await documents.shown(session, head.school_id))[Purpose.CAMERA].document_id
        await document_commands.publish_version(
            session, head, purpose=Purpose.CAMERA, text=text(), changed="Clearer", ends_answers=True, after=1,
            now=school.clock.now())
    assert asked(await sees(school, mother)).asks == "words"
    with pytest.raises(WordsChanged):
        await answer(school, mother, child, True, document_id=old)
    await answer(school, mother, child, False, document_id=old)
    school.clock.advance(1)
    await answer(school, mother, child, True)
    assert "camera" in await may(school, child)


async def test_a_yes_that_waited_on_one_phone_does_not_come_after_a_no_from_another(school: Running) -> None:
    """A parent's last word holds, not the one that was sent last (policy: CO2)."""
    child, mother, _ = await family(school)
    shown = asked(await sees(school, mother)).own
    beside = Beside(shown.recorded_at if shown else None)
    school.clock.advance(60)
    await answer(school, mother, child, False)
    school.clock.advance(60)
    with pytest.raises(AnsweredSince):
        await answer(school, mother, child, True, beside=beside)
    assert "camera" not in await may(school, child)
    await answer(school, mother, child, False, beside=beside)
    now = asked(await sees(school, mother)).own
    assert now is not None
    school.clock.advance(60)
    await answer(school, mother, child, True, beside=Beside(now.recorded_at))
    assert "camera" in await may(school, child)


async def written(school: Running, child: str, mother: str, says_yes: bool, route: Route = Route.PAPER,
                  days_ago: int = 0) -> None:
    """The office writes down what she said about the camera."""
    now, actor = school.clock.now(), await office(school)
    async with school.database.writing() as session:
        await commands.record_response(
            session, actor, child_id=child, answers={Purpose.CAMERA: says_yes}, respondent_id=mother, route=route,
            signed_on=now.date() - timedelta(days=days_ago), now=now)


async def test_a_no_on_paper_counts_against_a_yes_in_the_app_on_the_morning_of_that_day(school: Running) -> None:
    child, mother, _ = await family(school)
    await answer(school, mother, child, True)
    school.clock.advance(3600)
    await written(school, child, mother, False)
    assert "camera" not in await may(school, child)
    shown = asked(await sees(school, mother))
    assert (shown.outcome, shown.own and shown.own.route) == (Outcome.NO, Route.PAPER)
    school.clock.advance(3600)
    await answer(school, mother, child, True)  # and she may change her mind again, having seen it
    assert "camera" in await may(school, child)


async def test_a_no_on_paper_takes_back_a_yes_that_rests_since_the_same_day(school: Running) -> None:
    """A phone that somebody else added says yes; its owner hands in a no before the yes counts (threat T19)."""
    child, mother, _ = await family(school)
    await answer(school, mother, child, False)
    school.clock.advance(60)
    await answer(school, mother, child, True, counts_from=school.clock.now() + timedelta(hours=24))
    school.clock.advance(3600)
    await written(school, child, mother, False)
    school.clock.advance(26 * 3600)
    assert "camera" not in await may(school, child)


async def test_a_talk_that_the_office_writes_down_later_undoes_no_withdrawal_made_in_between(school: Running) -> None:
    child, mother, _ = await family(school)
    await answer(school, mother, child, False)
    for days_ago in (0, 1):
        school.clock.advance(days_ago * 86400)
        with pytest.raises(Invalid) as refused:
            await written(school, child, mother, True, Route.IN_PERSON, days_ago)
        assert list(refused.value.fields) == ["camera-yes"]
        assert "They said no to this themself on" in refused.value.fields["camera-yes"]
    assert "camera" not in await may(school, child)
    await written(school, child, mother, False, Route.IN_PERSON, 1)  # a no is always taken
    await written(school, child, mother, True, Route.IN_PERSON)  # said today, a day after her no
    assert "camera" in await may(school, child)


async def test_the_office_reads_beside_its_question_why_a_yes_is_not_taken(school: Running) -> None:
    child, mother, _ = await family(school)
    await answer(school, mother, child, False)
    today = school.clock.now()
    sent = {"respondent": mother, "day": str(today.day), "month": str(today.month), "year": str(today.year), "route": "in_person",
            "camera": "yes", "chat": "no"}
    async with await school.signed_in("office") as client:
        page = await client.post(f"/permissions/children/{child}", data=sent)
    assert (page.status_code, page.text.count("ask them to answer in the app")) == (422, 2)
    assert 'id="camera-yes-error"' in page.text
    assert await rows(school, route="in_person", answer="withdrawn") == []


async def test_an_answer_is_for_ones_own_child_in_ones_own_way_and_language(school: Running) -> None:
    child, mother, father = await family(school)
    others = [pupil for pupil in school.lesson()["pupil_ids"] if pupil != child]
    async with school.database.reading() as session:
        wrong_purpose = (await documents.shown(session, (await office(school)).school_id))[Purpose.CHAT].document_id
    for kind, change in (
        (NotFound, {"child": others[0]}), (NotFound, {"child": "no-such-child"}), (NotFound, {"document_id": wrong_purpose}),
        (NotFound, {"document_id": "none"}), (Invalid, {"language": "cy"}), (Invalid, {"route": Route.PAPER}),
        (Invalid, {"declared_responsibility": "perhaps"}), (MayNotAnswer, {"declared_responsibility": "not_sure"}),
        (MayNotAnswer, {"declared_responsibility": "no"}), (NotFound, {"person": school.person("teacher")}),
    ):
        asked_by, of = change.pop("person", mother), change.pop("child", child)
        with pytest.raises(kind):
            await answer(school, asked_by, of, True, **change)
    assert await rows(school, route="app") == []
    await answer(school, father, child, False, declared_responsibility="not_sure")  # a no is kept


async def test_each_sees_their_own_answer_and_of_the_joint_outcome_only_whether_it_is_yes(school: Running) -> None:
    child, mother, father = await family(school)
    await answer(school, father, child, False, Purpose.ATTEND)
    hers, his = await sees(school, mother), await sees(school, father)
    assert asked(hers, Purpose.ATTEND).outcome is Outcome.NOT_YET
    assert asked(his, Purpose.ATTEND).outcome is Outcome.NO
    assert asked(his, Purpose.CAMERA).outcome is Outcome.UNANSWERED
    assert (hers.may_join, his.may_join) == (False, None)
    assert asked(hers, Purpose.ATTEND).asks == ""  # she has answered: nobody asks her to change her mind


async def test_a_yes_is_asked_for_again_a_month_before_it_ends_and_opens_nothing_after_its_year(school: Running) -> None:
    child, mother, _ = await family(school)
    school.clock.advance((365 - 20 - 30 - 1) * 86400)
    assert asked(await sees(school, mother)).asks == ""
    school.clock.advance(86400)
    assert asked(await sees(school, mother)).asks == "renewal"
    school.clock.advance(29 * 86400)
    assert await may(school, child) != frozenset()
    school.clock.advance(86400)
    assert await may(school, child) == frozenset()
    assert asked(await sees(school, mother)).asks == "expired"
    await answer(school, mother, child, True)
    assert await may(school, child) == {"camera"}


async def test_a_pupil_who_is_asked_answers_themself_and_their_no_is_a_call_to_make(school: Running) -> None:
    child, mother, _ = await family(school)
    with pytest.raises(NotFound):
        await answer(school, child, child, False)
    await school.set_profile(pupils_asked_from=11)
    async with school.database.writing() as session:
        (await session.get_one(Person, child)).born_on = school.clock.now().date() - timedelta(days=13 * 366)
    await answer(school, mother, child, True)
    school.clock.advance(1)
    assert "camera" in await may(school, child)
    await answer(school, child, child, False)
    assert "camera" not in await may(school, child)
    assert asked(await sees(school, mother)).outcome is Outcome.NOT_YET


# -- what somebody said of their own responsibility ----------------------------------------------------------------------


async def declares(school: Running, child: str, mother: str, declared: str, days_ago: int = 0) -> str:
    """The office types in a paper form with a no and what it says of her responsibility. Returns the line."""
    now, actor = school.clock.now(), await office(school)
    async with school.database.writing() as session:
        (line,) = await commands.record_response(
            session, actor, child_id=child, answers={Purpose.CAMERA: False}, respondent_id=mother, route=Route.PAPER,
            signed_on=now.date() - timedelta(days=days_ago), now=now, declared_responsibility=declared)
    return line


async def declared(school: Running, person: str, child: str) -> str:
    actor = await actor_of(school, person)
    async with school.database.reading() as session:
        return await queries.declared(session, actor, child)


async def test_nobody_is_held_to_a_word_on_their_responsibility_that_the_office_struck_out(school: Running) -> None:
    child, mother, _ = await family(school)
    await declares(school, child, mother, "yes", days_ago=3)
    school.clock.advance(60)
    line = await declares(school, child, mother, "no", days_ago=1)
    assert await declared(school, mother, child) == "no"
    actor = await office(school)
    async with school.database.writing() as session:
        await commands.correct(session, actor, response_id=line, note="Of another child", now=school.clock.now())
    assert await declared(school, mother, child) == "yes"


async def test_an_older_form_that_is_typed_in_late_does_not_undo_what_they_say_of_themselves_now(school: Running) -> None:
    child, mother, _ = await family(school)
    await answer(school, mother, child, False, declared_responsibility="yes")
    school.clock.advance(60)
    await declares(school, child, mother, "not_sure", days_ago=1)
    assert await declared(school, mother, child) == "yes"
    await declares(school, child, mother, "not_sure")
    assert await declared(school, mother, child) == "not_sure", "control: the newest"


# -- recording as the school's public task: no question of permission ----------------------------------------------------


async def test_under_the_public_task_nobody_is_asked_about_recording_and_a_no_to_it_is_an_objection(school: Running) -> None:
    child, mother, father = await family(school)
    await school.set_profile(recording_basis="public_task")
    assert asked(await sees(school, father), Purpose.BE_RECORDED).asks == ""
    for _ in range(2):
        await answer(school, mother, child, False, Purpose.BE_RECORDED, reason="belief")
        school.clock.advance(1)
    assert "be_recorded" in await may(school, child)
    shown = asked(await sees(school, mother), Purpose.BE_RECORDED)
    assert (shown.by_public_task, shown.objection, shown.outcome) == (True, Objection.WAITS, Outcome.YES)
    async with school.database.reading() as session:
        (waits,) = await queries.objections(session, (await office(school)).school_id, child)
        kinds = Counter((await session.exec(select(AuditLeaf.kind).where(AuditLeaf.actor_id == mother))).all())
    assert waits.words == "They said no to recording: belief"
    assert (kinds["RefusalKept"], kinds["ObjectionReceived"]) == (2, 1), "each no is in the audit, and one objection waits"
    assert not kinds.keys() & {"ConsentWithdrawn", "ConsentRecorded"}, "nobody is told that something ended"
    hers, his = await decided(school, waits.id, False, mother), asked(await sees(school, father), Purpose.BE_RECORDED)
    assert (hers.objection, hers.outcome, his.objection) == (Objection.DECLINED, Outcome.YES, None)


async def decided(school: Running, objection_id: str, upheld: bool, parent: str) -> Question:
    """What the parent then sees of recording."""
    head = await office(school, "headteacher")
    async with school.database.writing() as session:
        await commands.decide_objection(session, head, objection_id=objection_id, upheld=upheld, reason="Heard them",
                                        now=school.clock.now())
    return asked(await sees(school, parent), Purpose.BE_RECORDED)


async def test_an_objection_that_is_upheld_is_told_to_who_made_it_and_to_nobody_else(school: Running) -> None:
    child, mother, father = await family(school)
    await school.set_profile(recording_basis="public_task")
    await answer(school, father, child, False, Purpose.BE_RECORDED)
    async with school.database.reading() as session:
        (waits,) = await queries.objections(session, (await office(school)).school_id, child)
    his = await decided(school, waits.id, True, father)
    assert (his.objection, his.outcome) == (Objection.UPHELD, Outcome.NO)
    hers = await sees(school, mother)
    assert "be_recorded" not in await may(school, child)
    assert (asked(hers, Purpose.BE_RECORDED).objection, asked(hers, Purpose.BE_RECORDED).outcome) == (None, Outcome.NOT_YET)
    assert hers.may_join is False


async def test_a_no_under_the_public_task_stands_when_the_school_comes_to_ask_for_permission(school: Running) -> None:
    child, mother, _ = await family(school)
    await school.set_profile(recording_basis="public_task")
    await answer(school, mother, child, False, Purpose.BE_RECORDED)
    assert "be_recorded" in await may(school, child)
    await school.set_profile(recording_basis="consent")
    assert "be_recorded" not in await may(school, child)


@pytest.mark.parametrize("language", ["en", "cy", "pl"])
async def test_the_text_about_recording_says_who_decides_where_permission_is_not_asked(school: Running, language: str) -> None:
    mine = {"cy": "Tan hynny mae Ali yn cael ei recordio"}.get(language, "The headteacher decides. Until then Ali is recorded.")
    actor = await office(school)
    async with school.database.writing() as session:
        shown = (await documents.shown(session, actor.school_id))[Purpose.BE_RECORDED]
        english = (await documents.document(session, actor.school_id, shown.document_id)).languages[0]
        session.add(ConsentText(document_id=shown.document_id, school_id=actor.school_id, language="pl", text_hash="0" * 64,
                                sections=english.text.to_json(), written_by="system", written_at=school.clock.now()))
        await session.flush()
        for row in (await session.exec(select(ConsentText).where(
                ConsentText.document_id == shown.document_id, col(ConsentText.approved_at).is_(None)))).all():
            row.approved_by, row.approved_at = "system", school.clock.now()

    async def read() -> str:
        async with school.database.reading() as session:
            found = await documents.words(session, actor.school_id, shown.document_id, language, name="Ali")
        return " ".join(section.words for section in found.text.sections)

    before = await read()
    await school.set_profile(recording_basis="public_task")
    now = await read()
    assert mine not in before
    assert mine in now
    assert not [old for old in ("we follow your answer", "rydym yn dilyn eich ateb", "Nothing new is recorded.") if old in now]
