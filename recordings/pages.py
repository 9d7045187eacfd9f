"""Recordings for the safeguarding team: the list, the reason, and the review player (policy: RE1, RE2, RE4)."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import JSONResponse, Response

from recordings import commands, flags, forgetting, lines, queries, review, rules
from recordings.grants import queries as granted
from recordings.grants import rules as grants
from recordings.grants.window import limited
from recordings.marks import queries as marks
from recordings.practice import commands as practice
from recordings.preparation import queries as prepared_queries
from recordings.preparation import rules as preparing
from recordings.queries import Sought
from recordings.review import Review
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people import step_up
from service.people.rules import read_day
from service.people.step_up import Confirming, NotConfirmed
from service.safeguarding import queries as safeguarding
from service.safeguarding.concerns import queries as concerns

router = APIRouter()
Reviewer = Annotated[Actor, Depends(Audience(SAFEGUARDING))]
Watcher = Annotated[Actor, Depends(Audience(grants.WATCHERS))]

YEARS_END = 2200  # later is a slip of the keyboard, and at the end of the calendar no day has a next one
ROLE_WORDS = {Role.DSL: "DSL", Role.DEPUTY_DSL: "deputy DSL"}


@router.get("/recordings")
async def recordings(
    request: Request, actor: Reviewer, session: Reading, day: Annotated[str, Query(max_length=40)] = "",
    class_name: Annotated[str, Query(alias="class", max_length=60)] = "", page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    zone, on = (await people.school(session, actor.school_id)).zone, read_day(day)
    sought = Sought(on if on and on.year < YEARS_END else None, class_name)
    errors = {"day": "Enter a day, like 12/11/2026"} if day.strip() and sought.on is None else {}
    found = [] if errors else await queries.listing(session, actor.school_id, actor.person_id, zone, sought, page)
    return await render(
        request, "recordings/list.html", 422 if errors else 200, title="Recordings", recordings=found[:queries.A_PAGE], page=page,
        has_more=len(found) > queries.A_PAGE, day=day, class_name=class_name, errors=errors,
        classes=[("", "Every class"), *((name, name) for name in await queries.classes(session, actor.school_id))],
    )


@router.get("/recordings/{lesson_id}")
async def ask(
    request: Request, actor: Reviewer, session: Reading, lesson_id: str, clip: Annotated[int, Query(ge=0, lt=1 << 31)] = 0
) -> Response:
    return await _ask(request, actor, session, lesson_id, {}, {"clip": str(clip or "")})


async def _in_it(request: Request, actor: Reviewer, lesson_id: str) -> frozenset[str]:
    """Whom the recording itself shows. Read before the transaction begins: files are slow, and writers wait."""
    state = request.app.state
    async with state.database.glance() as session:
        details = await queries.recording(session, actor.school_id, lesson_id)
        await commands.check_may_watch(session, actor, details)
    if not details.outcome:
        return frozenset()
    return (await review.open_review(details, state.vault, state.shelf)).people


@router.post("/recordings/{lesson_id}")
async def watch(
    request: Request, actor: Reviewer, in_it: Annotated[frozenset[str], Depends(_in_it)], session: Reading, now: Now,
    lesson_id: str, proof: Confirming, why: Annotated[str, Form()] = "", concern: Annotated[str, Form()] = "",
    clip: Annotated[str, Form(pattern=r"^\d{0,9}$")] = "",
) -> Response:
    details = await queries.recording(session, actor.school_id, lesson_id)
    await commands.check_may_watch(session, actor, details, in_it)
    if rules.is_refused(why):
        async with request.app.state.database.writing() as writing:
            await commands.refuse_purpose(writing, actor, lesson_id, why)
    action = rules.watch_action(details.id, details.title, why, concern)
    try:
        rules.check_reason(why, concern.strip())
        await concerns.check_number(session, actor, concern)
        if details.can_be_watched and not proof.is_given:
            return await step_up.ask(request, session, actor, action)
        async with request.app.state.database.writing() as writing:
            view_id = await commands.watch(
                writing, actor, lesson_id=lesson_id, why=why, concern=concern, in_it=in_it, proof=proof, now=now
            )
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    except Invalid as error:
        return await _ask(request, actor, session, lesson_id, error.fields,
                          {"why": why, "concern": concern, "clip": clip})
    return see_other(f"/recordings/{lesson_id}/views/{view_id}" + (f"?clip={clip}" if clip else ""))


async def _ask(
    request: Request, actor: Actor, session: Reading, lesson_id: str, wrong: dict[str, str], given: dict[str, str]
) -> Response:
    details = await queries.recording(session, actor.school_id, lesson_id)
    await commands.check_may_watch(session, actor, details)
    views = await queries.views(session, details.id)
    names = await people.people(session, actor.school_id, {view.person_id for view in views})
    is_isolated = request.app.state.vault.is_isolated(actor.school_id, details.id)
    return await render(
        request, "recordings/ask.html", 422 if wrong else 200, title="Watch a recording", recording=details, wrong=wrong,
        given=given, whys=rules.WHY_WORDS, views=views, names=names, kinds=rules.KIND_WORDS, is_isolated=is_isolated,
        preparation=await _preparation(request, session, details.id) if details.can_be_watched and not is_isolated else "",
    )


async def _granted(
    request: Request, actor: Watcher, session: Reading, now: Now, lesson_id: str, view_id: str,
) -> AsyncIterator[Review]:
    """What was opened, for the person, sign-in and time that the view was given to; for anybody else, nothing. An answer that was
    made of it is sent only if nobody, in whatever process, has begun to destroy it since."""
    watched = await _opened(request, actor, session, now, lesson_id, view_id)
    yield watched
    await forgetting.check_still_there(request.app.state, watched)


async def _opened(request: Request, actor: Watcher, session: Reading, now: Now, lesson_id: str, view_id: str) -> Review:
    """Under a grant there is only what it names, for as long as it stands; for teaching practice, while everybody says yes."""
    view = await queries.view(session, actor.school_id, view_id)
    details = await queries.recording(session, actor.school_id, lesson_id)
    if view is None or not rules.is_in_force(view, actor, details.id, now):
        raise NotFound()
    state = request.app.state
    if details.is_for_practice:
        await practice.check_watches(session, actor, details.id, now)
        return replace(await review.open_review(details, state.vault, state.shelf), is_whole=False)
    if view.by_grant:
        named = await granted.grant(session, actor.school_id, view.by_grant)
        if not named.is_served(now) or actor.person_id in await granted.subjects(session, details):
            raise NotFound()
        return limited(await review.open_review(details, state.vault, state.shelf), named.starts_at, named.ends_at)
    await commands.check_may_watch(session, actor, details)
    found = await review.open_review(details, state.vault, state.shelf)
    alerts = await safeguarding.flags(session, actor, details.lesson_id, now)
    read = flags.read([flags.At(flag, found.moment(flag.at_ms)) for flag in found.facts.flags], alerts)
    return replace(found, facts=flags.without_words(found.facts, read))


Granted = Annotated[Review, Depends(_granted, scope="function")]
"""Also under a grant: a route that shows more than the `Review` itself holds has to ask for the whole (`Whole`)."""


async def _whole(watched: Granted, actor: Reviewer) -> Review:
    if not watched.is_whole:
        raise NotFound()
    rules.check_may_watch(actor, watched.details.participants, ())  # a subject was given no `Review`
    return watched


Whole = Annotated[Review, Depends(_whole, scope="function")]
"""The whole recording, for the safeguarding team only."""
VIEW = "/recordings/{lesson_id}/views/{view_id}"


@router.get(VIEW)
async def player(
    request: Request, actor: Watcher, session: Reading, watched: Granted, clip: Annotated[int, Query(ge=0, lt=1 << 31)] = 0
) -> Response:
    return await show_player(request, actor, session, watched, clip=clip)


async def show_player(
    request: Request, actor: Actor, session: Reading, watched: Review, *, clip: int = 0, wrong: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
) -> Response:
    """The page of one view; with `wrong` and `given` again, after a form on it that could not be used."""
    details = watched.details
    school = await people.school(session, actor.school_id)
    notes = await marks.notes(session, details.id) if watched.is_whole else []
    clips = await marks.clips(session, details.id) if watched.is_whole else []
    authors = {each.person_id for each in notes} | {each.person_id for each in clips}
    names = await _names(session, actor, watched, authors)

    def clock(at_ms: int) -> str:
        return lines.seconds(watched.moment(at_ms), school.zone)

    return await render(
        request, "recordings/player.html", 422 if wrong else 200, title=details.title, review=watched, zone=school.zone,
        at=f"/recordings/{details.lesson_id}/views/{request.path_params['view_id']}", clock=clock,
        drawing=lines.drawing(watched, names), moments=lines.moments(watched, names, school.zone),
        voices=lines.voices(watched, names, school.zone),
        chat=[(message, clock(message.at_ms), review.name(names, message.person_id))
              for message in watched.facts.chat if message.outcome == "delivered"],
        role=_role(actor, details), back=f"/practice/{details.id}" if details.is_for_practice else "/recordings",
        notes=notes, clips=clips, clip=next((each for each in clips if each.number == clip), None),
        who={author: review.name(names, author) for author in authors},
        preparation=await _preparation(request, session, details.id), wrong=wrong or {}, given=given or {},
    )


def _role(actor: Actor, details: queries.RecordingDetails) -> str:
    """What the watermark says beside the name."""
    if details.is_for_practice:
        return "teaching practice"
    return next((words for role, words in ROLE_WORDS.items() if role in actor.roles), "by grant")


@router.get(VIEW + "/tracks")
async def tracks(actor: Watcher, session: Reading, watched: Granted) -> Response:
    return JSONResponse(review.for_player(watched, await _names(session, actor, watched)))


@router.get(VIEW + "/pieces")
async def pieces(
    watched: Granted, of: Annotated[str, Query(max_length=2000)], at: Annotated[int, Query(ge=0, lt=1 << 31)],
    until: Annotated[int, Query(ge=0, lt=1 << 31)],
) -> Response:
    """What plays several tracks together, from one moment to another; `of` as in `review.wanted`."""
    asked = review.wanted(of)
    return _media(await asyncio.to_thread(lambda: b"".join(review.pieces(watched, asked, at, until))))


@router.get(VIEW + "/parts/{part}/tracks/{track}/pictures/{at_ms}")
async def picture(watched: Granted, part: int, track: int, at_ms: int) -> Response:
    return _media(await asyncio.to_thread(review.picture, watched, part, track, at_ms))


@router.get(VIEW + "/preparation")
async def preparation(request: Request, session: Reading, watched: Granted) -> Response:
    return JSONResponse({"words": await _preparation(request, session, watched.details.id)})


async def _preparation(request: Request, session: Reading, recording_id: str) -> str:
    """How far the preparing of a recording is, in words; empty when it is done."""
    found = await prepared_queries.prepared(session, recording_id)
    if found.waiting:
        progress = request.app.state.preparations.progress
        return preparing.words(next((progress[part] for part in found.waiting if part in progress), None))
    return f"Speech and pictures: {', and '.join(found.problems)}." if found.problems else ""


def _media(data: bytes) -> Response:
    # Said again beside the Shield's own header: this is the one answer that must never lie in any cache.
    return Response(data, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})


async def _names(
    session: Reading, actor: Actor, watched: Review, others: Collection[str] = ()
) -> dict[str, Any]:
    said = {message.person_id for message in watched.facts.chat} | {flag.person_id for flag in watched.facts.flags}
    return await people.people(session, actor.school_id, watched.people | said | set(others))
