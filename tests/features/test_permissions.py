"""The office writes down what families say; lessons admit by it (policy: CO2, CO3)."""


import httpx
import pytest
from sqlmodel import col, select

from consent import commands, queries, rules
from consent.documents import commands as document_commands
from consent.documents import queries as documents
from consent.documents.tables import ConsentText
from consent.rules import Purpose, Route
from consent.tables import ConsentResponse
from lessons.reminders import waiting_for
from service.foundation.audit import AuditLeaf
from service.foundation.errors import Conflict
from service.foundation.events import Actor, Role
from service.foundation.mail import Mail
from service.people import queries as people
from service.people.tables import Guardianship
from tests.features.test_consent_documents import publish
from tests.school import Running

ALL = {purpose.value for purpose in rules.IN_LESSONS}


async def office(school: Running) -> Actor:
    async with school.database.reading() as session:
        found = await people.actor(session, school.person("office"))
    assert found is not None
    return found


async def may(school: Running, child: str) -> frozenset[str]:
    actor = await office(school)
    async with school.database.reading() as session:
        return (await queries.permissions(session, actor.school_id, [child]))[child]


async def families(school: Running, title: str = "Maths: fractions") -> list[tuple[str, list[str]]]:
    """The pupils of a lesson with their guardians, first contact first."""
    async with school.database.reading() as session:
        links = (await session.exec(select(Guardianship).order_by(col(Guardianship.contact_order)))).all()
    pupils = school.lesson(title)["pupil_ids"]
    return [(child, [row.guardian_id for row in links if row.child_id == child]) for child in pupils]


def form(respondent: str, **answers: str) -> dict[str, str]:
    return {"respondent": respondent, "day": "24", "month": "11", "year": "2026", "route": "in_person", **answers}


async def events(school: Running, kind: str) -> int:
    async with school.database.reading() as session:
        return len((await session.exec(select(AuditLeaf).where(AuditLeaf.kind == kind))).all())


async def test_a_child_may_do_what_the_family_said_yes_to(school: Running) -> None:
    child, _ = (await families(school))[0]
    assert await may(school, child) == ALL


async def test_a_no_on_a_paper_form_takes_the_permission_away_at_once_and_is_told(school: Running) -> None:
    child, (mother, *_) = (await families(school))[0]
    async with await school.signed_in("office") as client:
        answer = await client.post(f"/permissions/children/{child}", data=form(mother, camera="no"))
    assert answer.status_code == 303
    assert await may(school, child) == ALL - {"camera"}
    assert await events(school, "ConsentWithdrawn") == 1


async def test_an_answer_is_only_ever_added(school: Running) -> None:
    child, (mother, *_) = (await families(school))[0]
    async with school.database.reading() as session:
        before = (await session.exec(select(ConsentResponse))).all()
    async with await school.signed_in("office") as client:
        await client.post(f"/permissions/children/{child}", data=form(mother, camera="no", chat="yes"))
    async with school.database.reading() as session:
        after = (await session.exec(select(ConsentResponse))).all()
    assert len(after) == len(before) + 2
    assert {row.id: row.answer for row in before}.items() <= {row.id: row.answer for row in after}.items()


async def test_an_answer_entered_by_mistake_stays_to_be_read_and_no_longer_counts(school: Running) -> None:
    child, (mother, *_) = (await families(school))[0]
    async with await school.signed_in("office") as client:
        await client.post(f"/permissions/children/{child}", data=form(mother, chat="no"))
        async with school.database.reading() as session:
            line = (await session.exec(select(ConsentResponse).where(ConsentResponse.answer == "withdrawn",
                                                                     ConsentResponse.child_id == child))).one()
        silent = await client.post(f"/permissions/responses/{line.id}/mistake", data={"note": " "})
        assert silent.status_code == 422
        await client.post(f"/permissions/responses/{line.id}/mistake", data={"note": "The form of another child"})
        page = await client.get(f"/permissions/children/{child}")
    assert await may(school, child) == ALL
    assert "<s>Changed to no</s><br>Entered by mistake: The form of another child" in page.text
    actor = await office(school)
    with pytest.raises(Conflict):
        async with school.database.writing() as session:
            await commands.correct(session, actor, response_id=line.id, note="again", now=school.clock.now())


async def test_parents_who_differ_leave_the_child_out_and_the_office_sees_a_call_to_make(school: Running) -> None:
    found = [family for title in ("Maths: fractions", "Algebra: brackets") for family in await families(school, title)]
    child, guardians = next(family for family in found if len(family[1]) == 2)
    async with await school.signed_in("office") as client:
        await client.post(f"/permissions/children/{child}", data=form(guardians[1], attend="no"))
        page = await client.get(f"/permissions/children/{child}")
    assert "attend" not in await may(school, child)
    assert "Needs a call" in page.text


async def test_only_somebody_with_parental_responsibility_can_say_yes(school: Running) -> None:
    child, (mother, *_) = (await families(school))[0]
    async with school.database.writing() as session:
        link = (await session.exec(select(Guardianship).where(Guardianship.child_id == child,
                                                              Guardianship.guardian_id == mother))).one()
        link.parental_responsibility = "unknown"
    assert await may(school, child) == frozenset()
    stranger = (await families(school))[1][1][0]
    async with await school.signed_in("office") as client:
        for who in (mother, stranger):
            refused = await client.post(f"/permissions/children/{child}", data=form(who, camera="yes"))
            assert refused.status_code == 422
            assert "parental responsibility" in refused.text
        kept = await client.post(f"/permissions/children/{child}", data=form(mother, camera="no"))
        assert kept.status_code == 303


@pytest.mark.parametrize(("wrong", "words"), [
    ({"respondent": ""}, "Choose who signed"), ({"day": "31", "month": "2"}, "Enter the day on the form"),
    ({"year": "2027"}, "today or earlier"), ({"camera": ""}, "Choose yes or no for at least one question"),
    ({"route": "app"}, "Say how it reached us"),
])
async def test_a_form_with_a_gap_is_given_back_with_words_and_nothing_saved(
    school: Running, wrong: dict[str, str], words: str,
) -> None:
    child, (mother, *_) = (await families(school))[0]
    async with await school.signed_in("office") as client:
        answer = await client.post(f"/permissions/children/{child}", data=form(mother, camera="no") | wrong)
    assert answer.status_code == 422
    assert words in answer.text
    assert "<title>Error: " in answer.text
    assert await may(school, child) == ALL


async def test_a_stack_of_forms_goes_from_pupil_to_pupil_with_the_same_day(school: Running) -> None:
    ids = [child for child, _ in await families(school)]
    actor = await office(school)
    async with school.database.reading() as session:
        group = await queries.class_of(session, actor.school_id, ids[0])
        order = [row.id for row in (await queries.one_class(session, actor.school_id, group)).children]
    guardians = dict(await families(school))
    async with await school.signed_in("office") as client:
        first = await client.post(f"/permissions/children/{order[0]}",
                                  data=form(guardians[order[0]][0], chat="yes", then="next", day="20"))
        assert first.headers["location"] == f"/permissions/children/{order[1]}?day=2026-11-20&route=in_person"
        last = await client.post(f"/permissions/children/{order[-1]}",
                                 data=form(guardians[order[-1]][0], chat="yes", then="next"))
        assert last.headers["location"] == f"/permissions/classes/{group}"


async def test_where_recording_is_the_public_task_no_list_says_that_families_have_not_answered_about_it(school: Running) -> None:
    """Neither the list to print nor the counts of a class: nobody is asked (docs/decisions: 217)."""
    child, adults = (await families(school))[0]
    async with school.database.writing() as session:  # their yes counts no more; they say no to everything but recording
        for link in (await session.exec(select(Guardianship).where(Guardianship.child_id == child))).all():
            link.parental_responsibility = "unknown"
    said = dict.fromkeys(sorted(set(rules.PURPOSES) - {Purpose.BE_RECORDED}), "no")
    pages = []
    async with await school.signed_in("office") as client:
        assert (await client.post(f"/permissions/children/{child}", data=form(adults[0], **said))).status_code == 303
        for basis in ("consent", "public_task"):
            await school.set_profile(recording_basis=basis)
            async with school.database.reading() as session:
                group = await queries.class_of(session, (await office(school)).school_id, child)
            for path in ("/permissions", "/permissions/missing", f"/permissions/classes/{group}"):
                page = await client.get(path)
                assert page.status_code == 200
                pages.append("Recording" in page.text.partition("<main")[2])
    assert pages == [True, True, True, False, False, False]


# -- which words a form was an answer to -------------------------------------------------------------------------------

DAY = 86_400


async def written(school: Running, child: str, **sent: str) -> tuple[httpx.Response, ConsentResponse | None]:
    """What the office's form does, and the newest line that it wrote."""
    async with await school.signed_in("office") as client:
        page = await client.post(f"/permissions/children/{child}", data=sent)
    async with school.database.reading() as session:
        row = (await session.exec(select(ConsentResponse).where(
            ConsentResponse.child_id == child, ConsentResponse.recorded_by == school.person("office"),
        ).order_by(col(ConsentResponse.recorded_at).desc()))).first()
    return page, row


async def version_two_of_live_lessons(school: Running) -> tuple[str, str]:
    """It ends old answers, and came on 25 November; today is the 26th. A child, and who signs for it."""
    child, (mother, *_) = (await families(school))[0]
    school.clock.advance(DAY)
    await publish(school, ends_answers=True, purpose=Purpose.ATTEND)
    school.clock.advance(DAY)
    return child, mother


async def test_a_form_signed_before_words_that_end_old_answers_and_written_down_after_them_leaves_the_child_out(
        school: Running) -> None:
    """Nobody is admitted by a yes to words that they had not read (policy: CO2)."""
    child, mother = await version_two_of_live_lessons(school)
    paper = form(mother, attend="yes", camera="yes", route="paper")
    page, line = await written(school, child, **paper)
    assert line is not None
    assert (page.status_code, line.document_version, "attend" in await may(school, child)) == (303, 1, False)
    school.clock.advance(60)
    page, line = await written(school, child, **paper | {"day": "26", "version-attend": "2"})
    assert "attend" in await may(school, child), "control: signed when the new words were there, and to them"
    async with school.database.reading() as session:
        rows = (await session.exec(select(ConsentResponse).where(ConsentResponse.recorded_at == line.recorded_at))).all()
    assert {row.purpose: row.document_version for row in rows} == {"attend": 2, "camera": 1}, "each question has its own version"


@pytest.mark.parametrize(("route", "days", "asks"), [("paper", 1, True), ("paper", 90, True), ("paper", 91, False),
                                                     ("in_person", 1, False)])
async def test_after_words_that_end_old_answers_the_office_says_which_are_printed_on_the_form(
        school: Running, route: str, days: int, asks: bool) -> None:
    """It may have been printed before them, however late it is signed: for as long as a request runs (policy: CO2)."""
    child, mother = await version_two_of_live_lessons(school)
    school.clock.advance(DAY * (days - 1))
    signed = f"{school.clock.now():%d %m %Y}".split()
    paper = form(mother, attend="yes", camera="yes", route=route) | dict(zip(("day", "month", "year"), signed, strict=True))
    page, line = await written(school, child, **paper)
    assert (page.status_code, line is None) == ((422, True) if asks else (303, False))
    if asks:
        assert "Choose the version that is printed on the form" in page.text
        assert 'id="version-attend-error"' in page.text
        assert 'id="version-camera-error"' not in page.text
        page, line = await written(school, child, **paper | {"version-attend": "1"})
        assert line is not None
        assert (page.status_code, "attend" in await may(school, child)) == (303, False), "they have not read the new words"
        school.clock.advance(60)
        assert (await written(school, child, **paper | {"attend": "no"}))[0].status_code == 303, "a no is to any words"


async def test_a_yes_to_a_version_that_came_after_the_day_on_the_form_is_refused_and_a_no_is_kept(school: Running) -> None:
    child, mother = await version_two_of_live_lessons(school)
    paper = form(mother, attend="yes", route="paper") | {"version-attend": "2"}
    page, line = await written(school, child, **paper)
    assert (page.status_code, line) == (422, None)
    assert 'id="version-attend-error"' in page.text
    assert '<option value="2" selected>' in page.text
    assert (await written(school, child, **paper | {"version-attend": "9", "day": "26"}))[0].status_code == 422
    page, line = await written(school, child, **paper | {"attend": "no"})
    assert line is not None
    assert (page.status_code, line.answer, line.document_version) == (303, "withdrawn", 1)


@pytest.mark.parametrize(("route", "version", "chosen"), [
    ("paper", 1, ""), ("in_person", 2, ""), ("paper", 2, "2"), ("in_person", 1, "1"),
])
async def test_on_the_day_of_a_new_version_paper_was_printed_before_it_and_a_talk_was_about_what_is_there(
    school: Running, route: str, version: int, chosen: str,
) -> None:
    child, (mother, *_) = (await families(school))[0]
    school.clock.advance(DAY)
    await publish(school, ends_answers=True, purpose=Purpose.ATTEND)
    sent = form(mother, attend="yes", route=route, day="25") | {"version-attend": chosen}
    _, line = await written(school, child, **sent)
    assert line is not None
    assert line.document_version == version
    assert ("attend" in await may(school, child)) is (version == 2)


async def test_of_a_form_older_than_the_texts_nobody_claims_to_know_the_words(school: Running) -> None:
    child, (mother, *_) = (await families(school))[0]
    page, line = await written(school, child, **form(mother, camera="yes", route="paper", month="1"))
    assert line is not None
    assert (page.status_code, line.document_id, line.document_version, line.text_hash) == (303, "", 0, "")
    async with await school.signed_in("office") as client:
        assert "words older than those kept here" in (await client.get(f"/permissions/children/{child}")).text


async def test_a_call_in_welsh_is_kept_with_the_welsh_words_and_none_are_claimed_that_were_not_there(school: Running) -> None:
    child, (mother, *_) = (await families(school))[0]
    sent = form(mother, camera="yes", route="telephone", language="cy", second_listener=school.person("teacher"))
    refused, line = await written(school, child, **sent)
    assert (refused.status_code, line, "not there in this language" in refused.text) == (422, None, True)
    async with school.database.writing() as session:
        actor = await office(school)
        about = (await documents.shown(session, actor.school_id))[Purpose.CAMERA]
        welsh = (await session.exec(select(ConsentText).where(
            ConsentText.language == "cy", ConsentText.document_id == about.document_id))).one()
        await document_commands.approve(session, actor, text_id=welsh.id, reviewer="Mrs Jones", now=school.clock.now())
        text_hash = welsh.text_hash
    page, line = await written(school, child, **sent)
    assert line is not None
    assert (page.status_code, line.language, line.text_hash) == (303, "cy", text_hash)
    school.clock.advance(60)
    page, line = await written(school, child, **sent | {"camera": "", "chat": "no"})
    assert line is not None
    assert (page.status_code, line.answer, line.text_hash) == (303, "withdrawn", ""), "a no is always kept"


async def test_who_writes_that_they_are_not_sure_of_their_responsibility_says_no_yes_on_paper_either(school: Running) -> None:
    child, (mother, *_) = (await families(school))[0]
    for declared in ("not_sure", "no"):
        sent = form(mother, camera="yes", chat="no", route="paper", declared_responsibility=declared)
        refused, line = await written(school, child, **sent)
        assert (refused.status_code, line, "Only a No can be kept" in refused.text) == (422, None, True)
    page, line = await written(school, child, **sent | {"camera": ""})
    assert line is not None
    assert (page.status_code, line.declared_responsibility) == (303, "no")
    school.clock.advance(60)
    page, line = await written(school, child, **sent | {"declared_responsibility": "yes"})
    assert line is not None
    assert (page.status_code, line.declared_responsibility) == (303, "yes")
    assert (await written(school, child, **sent | {"declared_responsibility": "perhaps"}))[0].status_code == 422


@pytest.mark.parametrize("role", ["teacher", "support", "senior_leader", "governor", "technician", "pupil", "parent"])
async def test_teachers_and_families_never_see_who_said_what(school: Running, role: str) -> None:
    child, (mother, *_) = (await families(school))[0]
    async with await school.signed_in(role) as client:
        for path in ("/permissions", "/permissions/missing", "/permissions/agreements", f"/permissions/children/{child}"):
            assert (await client.get(path)).status_code == 404
        assert (await client.post(f"/permissions/children/{child}", data=form(mother, camera="no"))).status_code == 404


async def test_the_dsl_reads_permissions_and_does_not_write_them(school: Running) -> None:
    child, (mother, *_) = (await families(school))[0]
    async with await school.signed_in("dsl") as client:
        page = await client.get(f"/permissions/children/{child}")
        assert page.status_code == 200
        assert "Write down a form" not in page.text
        assert (await client.post(f"/permissions/children/{child}", data=form(mother, camera="no"))).status_code == 404


async def test_every_page_of_permissions_opens_and_names_nobody_in_its_address(school: Running) -> None:
    actor = await office(school)
    async with school.database.reading() as session:
        groups = await queries.classes(session, actor.school_id)
    async with await school.signed_in("office") as client:
        dashboard = await client.get("/permissions")
        assert all(group.name in dashboard.text for group in groups)
        assert not any(child.name in dashboard.text for group in groups for child in group.children)
        for path in ("/permissions/missing", "/permissions/agreements", f"/permissions/classes/{groups[0].id}"):
            page = await client.get(path)
            assert page.status_code == 200, path
        assert_no_names_in_links(page, [child.name for child in groups[0].children])


def assert_no_names_in_links(page: httpx.Response, names: list[str]) -> None:
    links = [part.split('"')[0] for part in page.text.split('href="')[1:]]
    assert links
    assert not [link for link in links for name in names if name.split()[0] in link]


async def test_a_child_of_another_school_may_do_nothing(school: Running) -> None:
    child, _ = (await families(school))[0]
    async with school.database.reading() as session:
        assert await queries.permissions(session, "another", [child]) == {child: frozenset()}


async def test_under_public_task_recording_needs_no_answer_until_the_headteacher_upholds_an_objection(school: Running) -> None:
    child, (mother, *_) = (await families(school))[0]
    await school.set_profile(recording_basis="public_task")
    async with await school.signed_in("office") as client:
        await client.post(f"/permissions/children/{child}", data=form(mother, be_recorded="no"))
        assert "be_recorded" in await may(school, child)
        page = (await client.get(f"/permissions/children/{child}")).text
        assert "They said no to recording, and not why." in page, "a no on a form is taken as the objection that it is"
        assert "Not asked: the school’s public task" in page
        assert await events(school, "ConsentWithdrawn") == 0
        await client.post(f"/permissions/children/{child}/objections", data={"objector": mother, "words": "Our faith"})
        async with school.database.reading() as session:
            objection = (await queries.objections(session, (await office(school)).school_id, child))[0]
        by_office = await client.post(f"/permissions/objections/{objection.id}", data={"upheld": "yes", "reason": "x"})
        assert by_office.status_code == 404
    async with await school.signed_in("headteacher") as client:
        decided = {"upheld": "yes", "reason": "A strong reason"}
        assert (await client.post(f"/permissions/objections/{objection.id}", data=decided)).status_code == 303
        assert (await client.post(f"/permissions/objections/{objection.id}", data=decided)).status_code == 409
    assert "be_recorded" not in await may(school, child)
    assert await events(school, "ObjectionDecided") == 1


NOT_DAILY = ~col(Mail.occasion).startswith("daily")
"""Each morning's reminder is about everything that waits."""


async def test_an_objection_reaches_who_decides_it_and_nothing_that_was_typed_is_lost(school: Running) -> None:
    """Until it is decided the child is recorded: it must not lie on a page that nobody opens (policy: CO2)."""
    child, (mother, *_) = (await families(school))[0]
    await school.set_profile(recording_basis="public_task")
    page, head = f"/permissions/children/{child}", school.person("headteacher")

    async def mails(**where: object) -> list[Mail]:
        async with school.database.reading() as session:
            found = select(Mail).where(Mail.person_id == head, Mail.text == "S2", NOT_DAILY).filter_by(**where)
            return list((await session.exec(found)).all())

    async with await school.signed_in("office") as client:
        empty = await client.post(f"{page}/objections", data={"objector": mother, "words": " "})
        assert (empty.status_code, "Write down why they object, in their words" in empty.text) == (422, True)
        assert f'value="{mother}" selected' in empty.text
        assert await mails() == []
        assert (await client.post(f"{page}/objections", data={"objector": mother, "words": "Our faith"})).status_code == 303
        assert "that wait for you" not in (await client.get("/permissions")).text, "the office does not decide"
    (told,) = await mails()
    async with school.database.reading() as session:
        assert head in await waiting_for(session, (await office(school)).school_id, school.clock.now())
    async with await school.signed_in("headteacher") as client:
        assert page in (await client.get("/permissions")).text.partition("that wait for you")[2].partition("</ul>")[0]
        silent = await client.post(f"/permissions/objections/{told.about}", data={"upheld": "yes", "reason": " "})
        assert (silent.status_code, silent.text.count("Give a reason")) == (422, 2), "above, and beside its own box"
        decided = {"upheld": "yes", "reason": "Their faith"}
        assert (await client.post(f"/permissions/objections/{told.about}", data=decided)).status_code == 303
        assert "that wait for you" not in (await client.get("/permissions")).text
    assert await mails(about=told.about, called_off_at=None) == []


async def test_a_headteacher_of_the_family_neither_hears_of_it_nor_decides(school: Running) -> None:
    child, (mother, *_) = (await families(school))[0]
    await school.set_profile(recording_basis="public_task")
    me, head = await office(school), school.person("headteacher")
    async with school.database.writing() as session:
        session.add(Guardianship(school_id=me.school_id, guardian_id=head, child_id=child, relationship="father"))
    async with await school.signed_in("office") as client:
        sent = {"objector": mother, "words": "Our faith"}
        assert (await client.post(f"/permissions/children/{child}/objections", data=sent)).status_code == 303
    async with school.database.reading() as session:
        assert (await session.exec(select(Mail).where(Mail.person_id == head, Mail.text == "S2", NOT_DAILY))).all() == []
        objection = (await queries.objections(session, me.school_id, child))[0]
    async with await school.signed_in("headteacher") as client:
        assert "that wait for you" not in (await client.get("/permissions")).text
        decided = {"upheld": "no", "reason": "I want it"}
        assert (await client.post(f"/permissions/objections/{objection.id}", data=decided)).status_code == 403


def test_the_office_is_the_only_role_that_writes() -> None:
    assert frozenset({Role.HEADTEACHER}) == commands.MAY_DECIDE_OBJECTIONS
    assert rules.OFFICE_ROUTES == (Route.PAPER, Route.TELEPHONE, Route.IN_PERSON)
