"""Recordings for the safeguarding team: the list, the reason, and the review player (policy: RE1, RE2, RE4)."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import JSONResponse, Response

from recordings import commands, lines, queries, review, rules
from recordings.grants import queries as granted
from recordings.grants import rules as grants
from recordings.grants.window import limited
from recordings.review import Review
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people import step_up
from service.people.step_up import Confirming, NotConfirmed

router = APIRouter()
Reviewer = Annotated[Actor, Depends(Audience(SAFEGUARDING))]
Watcher = Annotated[Actor, Depends(Audience(grants.WATCHERS))]

ROLE_WORDS = {Role.DSL: "DSL", Role.DEPUTY_DSL: "deputy DSL"}


@router.get("/recordings")
async def recordings(request: Request, actor: Reviewer, session: Reading) -> Response:
    found = await queries.listing(session, actor.school_id, actor.person_id)
    return await render(request, "recordings/list.html", title="Recordings", recordings=found)


@router.get("/recordings/{lesson_id}")
async def ask(request: Request, actor: Reviewer, session: Reading, lesson_id: str) -> Response:
    return await _ask(request, actor, session, lesson_id, {}, {})


async def _in_it(request: Request, actor: Reviewer, lesson_id: str) -> frozenset[str]:
    """Whom the recording itself shows. Read before the transaction begins: files are slow, and writers wait."""
    state = request.app.state
    async with state.database.glance() as session:
        details = await queries.recording(session, actor.school_id, lesson_id)
    rules.check_may_watch(actor, details.participants)
    if not details.outcome:
        return frozenset()
    return (await review.open_review(details, state.vault, state.shelf)).people


@router.post("/recordings/{lesson_id}")
async def watch(
    request: Request, actor: Reviewer, in_it: Annotated[frozenset[str], Depends(_in_it)], session: Reading, now: Now,
    lesson_id: str, proof: Confirming, why: Annotated[str, Form()] = "", concern: Annotated[str, Form()] = "",
) -> Response:
    details = await queries.recording(session, actor.school_id, lesson_id)
    rules.check_may_watch(actor, details.participants | in_it)
    if rules.is_refused(why):
        async with request.app.state.database.writing() as writing:
            await commands.refuse_purpose(writing, actor, lesson_id, why)
    action = rules.watch_action(details.id, details.title, why, concern)
    try:
        rules.check_reason(why, concern.strip())
        if details.can_be_watched and not proof.is_given:
            return await step_up.ask(request, session, actor, action)
        async with request.app.state.database.writing() as writing:
            view_id = await commands.watch(
                writing, actor, lesson_id=lesson_id, why=why, concern=concern, in_it=in_it, proof=proof, now=now
            )
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    except Invalid as error:
        return await _ask(request, actor, session, lesson_id, error.fields, {"why": why, "concern": concern})
    return see_other(f"/recordings/{lesson_id}/views/{view_id}")


async def _ask(
    request: Request, actor: Actor, session: Reading, lesson_id: str, wrong: dict[str, str], given: dict[str, str]
) -> Response:
    details = await queries.recording(session, actor.school_id, lesson_id)
    rules.check_may_watch(actor, details.participants)
    views = await queries.views(session, details.id)
    names = await people.people(session, actor.school_id, {view.person_id for view in views})
    is_isolated = request.app.state.vault.key_store(actor.school_id).is_isolated(details.id)
    return await render(
        request, "recordings/ask.html", 422 if wrong else 200, title="Watch a recording", recording=details, wrong=wrong,
        given=given, whys=rules.WHY_WORDS, views=views, names=names, kinds=rules.KIND_WORDS, is_isolated=is_isolated,
    )


async def _granted(request: Request, actor: Watcher, session: Reading, now: Now, lesson_id: str, view_id: str) -> Review:
    """What was opened, for the person, sign-in and time that the view was given to; for anybody else, nothing.

    Under a grant there is only what it names, for as long as it stands.
    """
    view = await queries.grant(session, actor.school_id, view_id)
    details = await queries.recording(session, actor.school_id, lesson_id)
    if view is None or not rules.is_in_force(view, actor, details.id, now):
        raise NotFound()
    state = request.app.state
    if view.by_grant:
        named = await granted.grant(session, actor.school_id, view.by_grant)
        if not named.is_served(now) or actor.person_id in await granted.subjects(session, details):
            raise NotFound()
        return limited(await review.open_review(details, state.vault, state.shelf), named.starts_at, named.ends_at)
    rules.check_may_watch(actor, details.participants)
    return await review.open_review(details, state.vault, state.shelf)


Granted = Annotated[Review, Depends(_granted)]
"""Also under a grant: a route that shows more than the `Review` itself holds has to ask for the whole (`Whole`)."""


async def _whole(watched: Granted, actor: Reviewer) -> Review:
    rules.check_may_watch(actor, watched.details.participants)
    return watched


Whole = Annotated[Review, Depends(_whole)]
"""The whole recording, for the safeguarding team only."""
VIEW = "/recordings/{lesson_id}/views/{view_id}"


@router.get(VIEW)
async def player(request: Request, actor: Watcher, session: Reading, watched: Granted) -> Response:
    school = await people.school(session, actor.school_id)
    names = await _names(session, actor, watched)
    return await render(
        request, "recordings/player.html", title=watched.details.title, review=watched, zone=school.zone,
        drawing=lines.drawing(watched, names), moments=lines.moments(watched, names, school.zone),
        chat=[(message, lines.seconds(watched.moment(message.at_ms), school.zone), review.name(names, message.person_id))
              for message in watched.facts.chat if message.outcome == "delivered"],
        role=next((words for role, words in ROLE_WORDS.items() if role in actor.roles), "by grant"),
    )


@router.get(VIEW + "/tracks")
async def tracks(actor: Watcher, session: Reading, watched: Granted) -> Response:
    return JSONResponse(review.for_player(watched, await _names(session, actor, watched)))


@router.get(VIEW + "/parts/{part}/tracks/{track}/beginning")
async def beginning(watched: Granted, part: int, track: int) -> Response:
    return _media(review.beginning(watched, part, track))


@router.get(VIEW + "/parts/{part}/tracks/{track}/clusters")
async def clusters(
    watched: Granted, part: int, track: int, first: Annotated[int, Query()], count: Annotated[int, Query()]
) -> Response:
    return _media(await asyncio.to_thread(review.clusters, watched, part, track, first, count))


def _media(data: bytes) -> Response:
    # Said again beside the Shield's own header: this is the one answer that must never lie in any cache.
    return Response(data, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})


async def _names(session: Reading, actor: Actor, watched: Review) -> dict[str, Any]:
    said = {message.person_id for message in watched.facts.chat} | {flag.person_id for flag in watched.facts.flags}
    return await people.people(session, actor.school_id, watched.people | said)
