"""Sending one of the school's texts after a call, keeping them, and what families wrote back (policy: CM1, CM2, CM5)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls import queries as calls
from service.calls import rules
from service.calls.rules import CALLERS, Refused
from service.calls.tables import Call
from service.calls.texts import commands, queries
from service.calls.texts.rules import HOME, Status, decide, parts
from service.calls.way import NotKnown, NoWay
from service.foundation.errors import Conflict, Invalid, NotFound, Unavailable
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people.pages.forms import saved, words

router = APIRouter()
Caller = Annotated[Actor, Depends(Audience(CALLERS))]
Office = Annotated[Actor, Depends(Audience(Role.OFFICE))]
Box = Annotated[str, Form()]
A_PAGE = 50
"""How many answers to texts a page lists: whoever sends hundreds puts nobody's out of reach."""
BEGIN = "Hello. We tried to ring you from school. Please ring the school office on this number. Thank you."


@router.get("/calls/{call_id}/text")
async def choose(request: Request, actor: Caller, session: Reading, now: Now, call_id: str) -> Response:
    return await _choose(request, actor, session, call_id)


async def _choose(request: Request, actor: Actor, session: AsyncSession, call_id: str, template: str = "",
                  refusal: Refused | Invalid | Conflict | Unavailable | None = None) -> Response:
    state, view = request.app.state, await calls.call(session, actor, call_id)
    if view.caller_id != actor.person_id:
        raise NotFound()
    wanted, after = await queries.wanted_of(session, await session.get_one(Call, call_id), actor.session_id)
    found = await queries.facts(session, state.pepper, wanted, state.has_lessons_with)
    said = decide(found, rules.limits(await people.profile(session, actor.school_id)), after, state.clock.now(),
                  has_way=state.way is not None and state.way.texts)
    return await render(
        request, "texts/send.html", 422 if refusal else 200, title=f"Send {view.adult} a text", view=view, chosen=template,
        offered=await queries.offered(session, actor.school_id, found.contact.language if found.contact else ""),
        no="" if isinstance(said, rules.Allowed) else said.words,
        errors=(refusal.fields or {"": refusal.message}) if refusal else {},
    )


@router.post("/calls/{call_id}/text")
async def send(request: Request, actor: Caller, session: Reading, now: Now, call_id: str, template: Box = "") -> Response:
    """Written down and committed, then sent once, then what became of it."""
    state = request.app.state
    try:
        placed = await saved(request, lambda writing: commands.place(
            writing, actor, state.pepper, state.has_lessons_with, call_id, template, now=now,
            has_way=state.way is not None and state.way.texts))
    except Refused as refusal:
        code = refusal.code
        await saved(request, lambda writing: commands.refuse(writing, actor, call_id, code))
        return await _choose(request, actor, session, call_id, template, refusal)
    except (Invalid, Conflict, Unavailable) as refusal:
        return await _choose(request, actor, session, call_id, template, refusal)
    try:
        await state.way.text(placed.text)
        status = Status.SENT
    except NoWay:
        status = Status.FAILED
    except NotKnown:
        status = Status.NOT_KNOWN
    await saved(request, lambda writing: commands.settle(writing, actor, placed.id, status, state.clock.now()))
    return see_other(f"/calls/{call_id}")


# -- the office ---------------------------------------------------------------------------------------------------------------


@router.get("/calls/texts")
async def show_list(request: Request, actor: Office, session: Reading) -> Response:
    return await _keep(request, actor, session, "", {"title": "", "language": HOME, "words": BEGIN})


@router.get("/calls/texts/{key}")
async def show(request: Request, actor: Office, session: Reading, key: str) -> Response:
    now = await queries.templates(session, actor.school_id, key)
    if not now:
        raise NotFound()
    one = next((each for each in now if each.language == HOME), now[0])
    return await _keep(request, actor, session, key, {"title": one.title, "language": one.language, "words": one.words})


async def _keep(request: Request, actor: Actor, session: AsyncSession, key: str, given: dict[str, str],
                refusal: Invalid | None = None) -> Response:
    found, way = await queries.templates(session, actor.school_id, key, every=bool(key)), request.app.state.way
    return await render(
        request, "texts/keep.html", 422 if refusal else 200, title="A text of the school" if key else "The school’s texts",
        key=key, found=[(one, parts(one.words)) for one in found], given=given, errors=words(refusal) if refusal else {},
        carries=way is not None and way.texts, is_withdrawn=bool(key) and not any(
            one.words for one in await queries.templates(session, actor.school_id, key)),
    )


@router.post("/calls/texts")
async def write(request: Request, actor: Office, session: Reading, now: Now, title: Box = "", language: Box = "",
                said: Annotated[str, Form(alias="words")] = "") -> Response:
    return await _write(request, actor, session, "", {"title": title, "language": language, "words": said})


@router.post("/calls/texts/{key}")
async def write_anew(request: Request, actor: Office, session: Reading, now: Now, key: str, title: Box = "", language: Box = "",
                     said: Annotated[str, Form(alias="words")] = "", withdraw: Box = "") -> Response:
    """A new version of it, in this language; or it is withdrawn in all."""
    if withdraw:
        await saved(request, lambda writing: commands.withdraw_template(writing, actor, key, now))
        return see_other("/calls/texts")
    return await _write(request, actor, session, key, {"title": title, "language": language, "words": said})


async def _write(request: Request, actor: Actor, session: AsyncSession, key: str, given: dict[str, str]) -> Response:
    now = request.app.state.clock.now()
    try:
        made = await saved(request, lambda writing: commands.publish_template(writing, actor, key, **given, now=now))
    except Invalid as refusal:
        return await _keep(request, actor, session, key, given, refusal)
    return see_other(f"/calls/texts/{made}")


@router.get("/calls/replies")
async def show_replies(request: Request, actor: Office, session: Reading,
                       page: Annotated[int, Query(ge=1, le=10_000)] = 1) -> Response:
    found = await queries.replies(session, actor, skip=(page - 1) * A_PAGE, limit=A_PAGE + 1)
    return await render(request, "texts/replies.html", title="Answers to texts", found=found[:A_PAGE], page=page,
                        has_more=len(found) > A_PAGE)


@router.post("/calls/replies/{reply_id}")
async def show_reply(request: Request, actor: Office, session: Reading, now: Now, reply_id: str) -> Response:
    """That it is read is written and committed first."""
    await saved(request, lambda writing: commands.show_reply(writing, actor, reply_id, now))
    one, said = await queries.reply(session, request.app.state.pepper, actor, reply_id)
    return await render(request, "texts/reply.html", title="An answer to a text", one=one, said=said)
