"""What families are asked, word for word: versions, languages, and what a new version does to old answers (policy: CO2)."""

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from consent import queries
from consent.documents import commands, rules, texts
from consent.documents import queries as documents
from consent.documents.tables import ConsentDocument, ConsentText
from consent.rules import IN_LESSONS, Purpose
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor
from service.people import queries as people
from tests.school import Running


async def office(school: Running, role: str = "office") -> Actor:
    async with school.database.reading() as session:
        found = await people.actor(session, school.person(role))
    assert found is not None
    return found


def text(title: str = "Camera", **words: str) -> rules.Text:
    return rules.Text(title, tuple(rules.Section(key, "Heading", words.get(key, "Words")) for key in rules.SECTIONS))


async def publish(school: Running, *, ends_answers: bool, purpose: Purpose = Purpose.CAMERA, after: int = 1) -> str:
    actor = await office(school)
    async with school.database.writing() as session:
        return await commands.publish_version(session, actor, purpose=purpose, text=text(), changed="It is clearer",
                                              ends_answers=ends_answers, after=after, now=school.clock.now())


async def may(school: Running) -> frozenset[str]:
    child, actor = school.lesson()["pupil_ids"][0], await office(school)
    async with school.database.reading() as session:
        return (await queries.permissions(session, actor.school_id, [child]))[child]


async def test_a_school_starts_with_a_text_for_every_purpose_and_welsh_as_a_draft_that_nobody_sees(school: Running) -> None:
    actor = await office(school)
    async with school.database.reading() as session:
        shown = await documents.shown(session, actor.school_id)
        welsh = (await session.exec(select(ConsentText).where(ConsentText.language == "cy"))).all()
        assert set(shown) == set(Purpose)
        assert all(set(one.languages) == {"en"} for one in shown.values())
        assert welsh
        with pytest.raises(NotFound):
            await documents.words(session, actor.school_id, welsh[0].document_id, "cy", name="Ali")


async def test_every_text_says_what_follows_a_no_and_that_telling_to_keep_a_child_safe_needs_no_yes(school: Running) -> None:
    actor = await office(school)
    async with school.database.reading() as session:
        for one in (await documents.shown(session, actor.school_id)).values():
            read = await documents.words(session, actor.school_id, one.document_id, "en", name="Ali")
            said = {section.key: section.words for section in read.text.sections}
            assert set(said) == set(rules.SECTIONS)
            assert "{" not in "".join(said.values())
            if one.purpose in IN_LESSONS:
                assert "To keep a child safe, the law lets us share what we must without asking." in said["legal"]
        shown = await documents.shown(session, actor.school_id)
        published = await documents.words(session, actor.school_id, shown[Purpose.PUBLICATION].document_id, "en", name="Ali")
    assert "Chaperone never publishes anything" in published.text.sections[0].words


async def test_what_one_person_read_can_be_put_together_again_from_what_is_kept(school: Running) -> None:
    actor = await office(school)
    async with school.database.reading() as session:
        one = (await documents.shown(session, actor.school_id))[Purpose.CAMERA]
        read = await documents.words(session, actor.school_id, one.document_id, "en", name="Ali")
    await school.set_profile(pupils_see_each_other=True)
    async with school.database.reading() as session:
        later = await documents.words(session, actor.school_id, one.document_id, "en", name="Ali")
    assert read.text != later.text
    assert "Not other pupils." in read.filled
    assert read.text_hash == later.text_hash == one.languages["en"]  # the words are one thing, what fills them another


def test_a_hash_is_of_the_words_and_not_of_how_they_were_typed() -> None:
    one, other = text(what="Siân  may\r\njoin "), text(what="Sia\u0302n may\njoin")
    assert rules.text_hash(Purpose.CHAT, 1, "en", one) == rules.text_hash(Purpose.CHAT, 1, "en", other)
    different = [(Purpose.CAMERA, 1, "en", one), (Purpose.CHAT, 2, "en", one), (Purpose.CHAT, 1, "cy", one),
                 (Purpose.CHAT, 1, "en", text(what="Siân must join"))]
    assert len({rules.text_hash(*each) for each in [(Purpose.CHAT, 1, "en", one), *different]}) == 5


@pytest.mark.parametrize(("ends_answers", "holds"), [(False, True), (True, False)])
async def test_a_new_version_says_whether_old_answers_still_stand(school: Running, ends_answers: bool, holds: bool) -> None:
    await publish(school, ends_answers=ends_answers)
    assert ("camera" in await may(school)) is holds
    assert "attend" in await may(school)  # the other texts are as they were


async def tamper(school: Running, table: Any, change: dict[str, str] | None) -> None:
    async with school.database.writing() as session:
        row = (await session.exec(select(table))).first()
        if change is None:
            await session.delete(row)
        for name, value in (change or {}).items():
            setattr(row, name, value)


async def test_a_version_that_was_published_never_changes_in_the_database_either(school: Running) -> None:
    await publish(school, ends_answers=False)
    for table, change in ((ConsentDocument, {"changed": "Nothing"}), (ConsentText, {"sections": "{}"}),
                          (ConsentDocument, None), (ConsentText, None)):
        with pytest.raises(IntegrityError):
            await tamper(school, table, change)


async def test_two_people_who_write_from_the_same_version_do_not_overwrite_each_other(school: Running) -> None:
    await publish(school, ends_answers=False)
    with pytest.raises(Conflict):
        await publish(school, ends_answers=False, after=1)


@pytest.mark.parametrize(("wrong", "field"), [
    ({"what": ""}, "what"), ({"no": "{price} a month"}, "no"), ({"who": "x" * 1_501}, "who"),
])
def test_a_text_without_a_part_or_with_a_gap_that_nothing_fills_is_given_back(wrong: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.checked(text(**wrong), knows_others=True)
    assert set(refused.value.fields) == {field}


async def test_a_language_is_read_by_families_once_somebody_of_the_school_answers_for_it(school: Running) -> None:
    actor = await office(school)
    async with school.database.reading() as session:
        one = (await documents.shown(session, actor.school_id))[Purpose.ATTEND]
        draft = (await session.exec(select(ConsentText).where(
            ConsentText.document_id == one.document_id, ConsentText.language == "cy"))).one()
    async with await school.signed_in("office") as client:
        nameless = await client.post(f"/permissions/texts/languages/{draft.id}", data={"reviewer": " "})
        assert (nameless.status_code, "Say who read it beside the English" in nameless.text) == (422, True)
        for reviewer, status in (("Mrs Siân Jones", 303), ("Me", 409)):
            sent = await client.post(f"/permissions/texts/languages/{draft.id}", data={"reviewer": reviewer})
            assert sent.status_code == status
        page = (await client.get("/permissions/texts/attend?saved=approved")).text
    assert "Ms Lin answers for it, read by Mrs Siân Jones" in page
    async with school.database.reading() as session:
        assert set((await documents.shown(session, actor.school_id))[Purpose.ATTEND].languages) == {"en", "cy"}
        welsh = await documents.words(session, actor.school_id, one.document_id, "cy", name="Ali")
    assert welsh.text.title == "Gwersi byw"


async def test_the_office_writes_a_version_and_a_language_on_its_pages(school: Running) -> None:
    boxes = {"title": "Chat", **dict.fromkeys(rules.SECTIONS, "{name} writes"),
             **{f"{key}-heading": "Heading" for key in rules.SECTIONS}}
    async with await school.signed_in("headteacher") as client:
        assert (await client.get("/permissions/texts")).status_code == 200
        form = await client.get("/permissions/texts/chat/new")
        assert "may write to everyone in the lesson" in form.text
        undecided = await client.post("/permissions/texts/chat/new", data={**boxes, "changed": "Shorter", "after": 1})
        assert (undecided.status_code, "Choose whether old answers still stand" in undecided.text) == (422, True)
        silent = await client.post("/permissions/texts/chat/new", data={**boxes, "stands": "no", "after": 1})
        assert "Say what changed, in words for families" in silent.text
        sent = await client.post("/permissions/texts/chat/new", data={**boxes, "stands": "no", "changed": "Shorter", "after": 1})
        assert sent.headers["location"] == "/permissions/texts/chat?saved=version"
        page = await client.get("/permissions/texts/chat")
        assert "Version 2, asked now" in page.text
        assert "A yes to an earlier version counts no more." in page.text
        async with school.database.reading() as session:
            newest = (await documents.shown(session, (await office(school)).school_id))[Purpose.CHAT]
        address = f"/permissions/texts/versions/{newest.document_id}/ur"
        assert 'dir="rtl"' in (await client.get(address)).text
        assert "Nothing fills {others}" in (await client.post(address, data={**boxes, "who": "{others}"})).text
        assert (await client.post(address, data=boxes)).status_code == 303
        assert "اردو: a draft, nobody sees it" in (await client.get("/permissions/texts/chat?saved=language")).text
        assert (await client.get(address)).status_code == 404
    assert "chat" not in await may(school)


def test_the_texts_we_bring_pass_our_own_check_in_every_language() -> None:
    for language in texts.languages():
        found: dict[Purpose, Any] = {p: brought for p in Purpose if (brought := texts.default(p, language))}
        assert found
        for brought in found.values():
            assert rules.checked(brought, knows_others=True) == brought
    assert all(texts.default(purpose, "en") for purpose in Purpose)


async def test_a_text_of_ours_that_came_to_ask_for_more_is_asked_again_and_a_schools_own_is_left(
    school: Running, monkeypatch: pytest.MonkeyPatch,
) -> None:
    actor, now = await office(school), school.clock.now()

    async def versions(purpose: Purpose) -> list[bool]:
        async with school.database.writing() as session:
            await commands.seed(session, actor.school_id, now)
            return [one.ends_answers_at is not None for one in await documents.versions(session, actor.school_id, purpose)]

    assert await versions(Purpose.TEACHING_PRACTICE) == [False], "the same words are not asked again"
    monkeypatch.setattr(texts, "default", lambda purpose, language: text("Now it is kept"))
    assert await versions(Purpose.TEACHING_PRACTICE) == [True, False]
    assert await versions(Purpose.TEACHING_PRACTICE) == [True, False], "once"
    assert await versions(Purpose.ATTEND) == [False], "nothing else is touched: nobody is kept out of a lesson"
    await publish(school, ends_answers=False, purpose=Purpose.TEACHING_PRACTICE, after=2)
    monkeypatch.setattr(texts, "default", lambda purpose, language: text("And more"))
    assert await versions(Purpose.TEACHING_PRACTICE) == [False, True, False], "the school answers for its own"
