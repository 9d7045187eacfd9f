"""The office's pages for what families are asked, word for word: versions, languages, and who answers for each (policy: CO2)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.documents import commands, queries, rules
from consent.rules import Purpose
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other

router = APIRouter(prefix="/permissions/texts")
Reader = Annotated[Actor, Depends(Audience(SAFEGUARDING, Role.OFFICE, Role.HEADTEACHER))]
Writer = Annotated[Actor, Depends(Audience(Role.OFFICE, Role.HEADTEACHER))]
Text = Annotated[str, Form()]


def _purpose(given: str) -> Purpose:
    try:
        return Purpose(given)
    except ValueError as error:
        raise NotFound() from error


@router.get("")
async def texts(request: Request, actor: Reader, session: Reading) -> Response:
    found = {purpose: versions[0] for purpose in Purpose
             if (versions := await queries.versions(session, actor.school_id, purpose))}
    return await render(request, "documents/list.html", title="What families are asked", newest=found)


@router.get("/{purpose}")
async def versions(request: Request, purpose: str, actor: Reader, session: Reading, saved: str = "") -> Response:
    return await _versions_page(request, actor, session, _purpose(purpose), saved=saved)


async def _versions_page(request: Request, actor: Actor, session: AsyncSession, purpose: Purpose, *, saved: str = "",
                         errors: dict[str, str] | None = None) -> Response:
    found = await queries.versions(session, actor.school_id, purpose)
    if not found:
        raise NotFound()
    words = {"version": "The new version is what families are asked from now on.", "language": "The draft is saved. Nobody "
             "sees it until somebody answers for it.", "approved": "Families can read it in this language now."}.get(saved, "")
    return await render(
        request, "documents/versions.html", 422 if errors else 200, title="What families are asked", purpose=purpose,
        versions=found, saved=words, errors=errors, rtl=rules.RIGHT_TO_LEFT, sections=rules.SECTIONS,
        may_write=actor.is_any(frozenset({Role.OFFICE, Role.HEADTEACHER})),
    )


@router.get("/{purpose}/new")
async def new_version(request: Request, purpose: str, actor: Writer, session: Reading) -> Response:
    newest = await _newest(session, actor, _purpose(purpose))
    return await _form(request, newest, "en", _boxes_of(newest.languages[0].text), {})


@router.post("/{purpose}/new")
async def publish_version(
    request: Request, purpose: str, actor: Writer, session: Writing, now: Now, changed: Text = "", stands: Text = "",
    after: Annotated[int, Form(ge=0)] = 0,
) -> Response:
    form, which = await request.form(), _purpose(purpose)
    given = {name: str(value) for name, value in form.items()}
    try:
        if stands not in ("yes", "no"):
            raise Invalid("There is a problem", fields={"stands": "Choose whether old answers still stand"})
        await commands.publish_version(session, actor, purpose=which, text=_text(given), changed=changed,
                                       ends_answers=stands == "no", after=after, now=now)
    except Invalid as error:
        return await _form(request, await _newest(session, actor, which), "en", given, error.fields)
    return see_other(f"/permissions/texts/{which}?saved=version")


@router.get("/versions/{document_id}/{language}")
async def new_language(request: Request, document_id: str, language: str, actor: Writer, session: Reading) -> Response:
    view = await queries.document(session, actor.school_id, document_id)
    if language not in {code for code, _ in view.missing}:
        raise NotFound()
    return await _form(request, view, language, {}, {})


@router.post("/versions/{document_id}/{language}")
async def add_language(
    request: Request, document_id: str, language: str, actor: Writer, session: Writing, now: Now,
) -> Response:
    view = await queries.document(session, actor.school_id, document_id)
    given = {name: str(value) for name, value in (await request.form()).items()}
    try:
        await commands.add_language(session, actor, document_id=document_id, language=language, text=_text(given), now=now)
    except Invalid as error:
        return await _form(request, view, language, given, error.fields)
    return see_other(f"/permissions/texts/{view.purpose}?saved=language")


@router.post("/languages/{text_id}")
async def approve(
    request: Request, text_id: str, actor: Writer, session: Writing, now: Now, reviewer: Text = "",
) -> Response:
    try:
        purpose = await commands.approve(session, actor, text_id=text_id, reviewer=reviewer, now=now)
    except Invalid as error:
        which = await queries.purpose_of(session, actor.school_id, text_id)
        return await _versions_page(request, actor, session, which, errors={f"reviewer-{text_id}": error.fields["reviewer"]})
    return see_other(f"/permissions/texts/{purpose}?saved=approved")


async def _newest(session: AsyncSession, actor: Actor, purpose: Purpose) -> queries.VersionView:
    found = await queries.versions(session, actor.school_id, purpose)
    if not found:
        raise Conflict("The school has no text for this yet.")
    return found[0]


def _text(given: dict[str, str]) -> rules.Text:
    return rules.Text(given.get("title", ""), tuple(
        rules.Section(key, given.get(f"{key}-heading", ""), given.get(key, "")) for key in rules.SECTIONS))


def _boxes_of(text: rules.Text) -> dict[str, str]:
    return {"title": text.title, **{s.key: s.words for s in text.sections},
            **{f"{s.key}-heading": s.heading for s in text.sections}}


async def _form(request: Request, view: queries.VersionView, language: str, given: dict[str, Any],
                errors: dict[str, str] | None) -> Response:
    return await render(
        request, "documents/form.html", 422 if errors else 200, title="New version" if language == "en" else "Another language",
        view=view, language=language, language_name=rules.LANGUAGES.get(language, language), given=given, errors=errors,
        sections=rules.SECTIONS, english=view.languages[0].text, is_rtl=language in rules.RIGHT_TO_LEFT,
        gaps=[gap for gap in rules.GAPS if language == "en" or gap != "others" or commands.texts.others(language, seen=False)],
    )
