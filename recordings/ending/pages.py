"""Destroyed and due, keeping a recording, evidence, certificates (policy: RE2, RE3, RE5)."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.ending import certificate, commands, queries, rules
from recordings.ending.commands import Wanted
from recordings.ending.queries import Hold
from recordings.ending.rules import CIRCLE, ITEM_WORDS, READERS, STEP_WORDS, Item, Step
from recordings.erasure import queries as erasures
from recordings.erasure.rules import DECIDERS
from recordings.rules import KIND_WORDS
from service.foundation.banners import Banner
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, render, say_count, see_other
from service.people import queries as people
from service.people import step_up
from service.people.rules import read_day
from service.people.step_up import Confirming, NotConfirmed

router = APIRouter(prefix="/endings")
Reader = Annotated[Actor, Depends(Audience(READERS | {Role.CHAIR}))]
Circle = Annotated[Actor, Depends(Audience(CIRCLE | {Role.CHAIR}))]
Keeper = Annotated[Actor, Depends(Audience(CIRCLE))]
Certified = Annotated[Actor, Depends(Audience(READERS))]
Page = Annotated[int, Query(ge=1, le=10_000)]
Refused = (Invalid, Conflict, NotAllowed)
LINKS = {Item.HOLDS: "#kept", Item.DESTROYED: "#destroyed", Item.ROLES: "/people", Item.APPROVALS: "/safeguarding/one-to-ones",
         Item.LINKS: "/school/words"}


# -- destroyed and due -----------------------------------------------------------------------------------------------------


@router.get("")
async def endings(request: Request, actor: Reader, session: Reading, now: Now, due: Page = 1, destroyed: Page = 1) -> Response:
    zone = (await people.school(session, actor.school_id)).zone
    waits, early = await queries.waiting(session, actor, now), await erasures.waiting(session, actor)
    if not actor.is_any(READERS):
        return await render(
            request, "recordings/ending/list.html", title="Destroyed and due", found=None, waits=waits, erasures=early)
    found = await queries.endings(session, actor, now, zone, due=due, destroyed=destroyed)
    tasks = await queries.tasks(session, actor, now, zone)
    names = await people.people(session, actor.school_id, {task.done_by for task in tasks})
    return await render(
        request, "recordings/ending/list.html", title="Destroyed and due", found=found, waits=waits, tasks=tasks, names=names,
        late=sum(each.is_late for each in found.first), pages=(due, destroyed), kinds=KIND_WORDS, items=ITEM_WORDS,
        due_at=rules.due_at, year=rules.school_year(rules.today(now, zone)), zone=zone, knows=actor.is_any(CIRCLE),
        erasures=early, may_erase=actor.is_any(DECIDERS), links=_links(request, actor),
    )


def _links(request: Request, actor: Actor) -> dict[Item, str]:
    """Where each part of the yearly look is, as far as this person may go there."""
    audiences = request.app.state.audiences
    return {item: path for item, path in LINKS.items() if path.startswith("#") or actor.is_any(audiences.get(path, frozenset()))}


@router.post("/tasks/{item}")
async def done(request: Request, actor: Certified, now: Now, item: str) -> Response:
    async with request.app.state.database.writing() as session:
        await commands.done(session, actor, item, now)
    return see_other("/endings#yearly")


async def banners(session: AsyncSession, actor: Actor, now: Any) -> list[Banner]:
    """That somebody's second word is waited for, or that they look again, and to the headteacher that something is late."""
    if not actor.is_any(READERS | {Role.CHAIR}):
        return []
    found = []
    if await erasures.waiting(session, actor) or await queries.waiting(session, actor, now):
        found.append(Banner("Decision", "A decision is waiting for you.", "/endings"))
    if Role.HEADTEACHER in actor.roles:
        zone = (await people.school(session, actor.school_id)).zone
        if late := await queries.late(session, actor.school_id, now, zone):
            found.append(Banner("Recordings", f"{say_count(late, 'recording is', 'recordings are')} late.", "/endings"))
    return found


# -- the certificate -------------------------------------------------------------------------------------------------------


@router.get("/{lesson_id}/certificate")
async def certified(request: Request, actor: Certified, session: Reading, now: Now, lesson_id: str) -> Response:
    text, words, is_genuine = await _certificate(request, actor, session, lesson_id, now)
    return await render(
        request, "recordings/ending/certificate.html", title="Certificate of destruction", words=words, is_genuine=is_genuine,
        kinds=KIND_WORDS, lesson_id=lesson_id, digest=certificate.digest(text),
    )


@router.get("/{lesson_id}/certificate.json")
async def certificate_file(request: Request, actor: Certified, session: Reading, now: Now, lesson_id: str) -> Response:
    text, _, _ = await _certificate(request, actor, session, lesson_id, now)
    return Response(text, media_type="application/json",
                    headers={"Content-Disposition": f'attachment; filename="certificate-{lesson_id}.json"'})


async def _certificate(request: Request, actor: Actor, session: AsyncSession, lesson_id: str, now: datetime,
                       ) -> tuple[str, dict[str, Any], bool]:
    text = await queries.certificate(session, actor, lesson_id, now)
    public = request.app.state.vault.keys(actor.school_id).public
    return text, json.loads(text), certificate.is_genuine(text, public)


# -- keeping one recording -------------------------------------------------------------------------------------------------


@router.get("/{lesson_id}")
async def hold(request: Request, actor: Circle, session: Reading, now: Now, lesson_id: str) -> Response:
    return await _page(request, actor, session, now, lesson_id)


async def _page(request: Request, actor: Actor, session: AsyncSession, now: Any, lesson_id: str,
                refusal: Invalid | Conflict | NotAllowed | None = None, given: dict[str, str] | None = None) -> Response:
    found = await queries.hold(session, actor, lesson_id, now)
    zone = (await people.school(session, actor.school_id)).zone
    names = await people.people(session, actor.school_id, {step.by for step in found.steps})
    latest = rules.today(now, zone) + rules.REVIEW_WITHIN
    return await render(
        request, "recordings/ending/hold.html", 422 if refusal else 200, title="Keep this recording", hold=found,
        may_agree=await _may(commands.check_answer, session, actor, found),
        may_refuse=await _may(commands.check_refuse, session, actor, found),
        is_orphaned=await commands.is_orphaned(session, found), may_ask=actor.is_any(CIRCLE), names=names, zone=zone,
        step_words=STEP_WORDS, Step=Step, errors=(refusal.fields or {"": refusal.message}) if refusal else None,
        due=rules.due_at(found.recording.kept_until, zone), latest=latest,
        given={"review_on": f"{latest.day}/{latest.month}/{latest.year}"} | (given or {}),
    )


async def _may(check: Callable[[AsyncSession, Actor, Hold], Awaitable[None]], session: AsyncSession, actor: Actor, found: Hold,
               ) -> bool:
    try:
        await check(session, actor, found)
    except (Conflict, NotAllowed, NotFound):
        return False
    return True


@router.post("/{lesson_id}/keep")
async def keep(
    request: Request, actor: Keeper, session: Reading, now: Now, lesson_id: str, proof: Confirming,
    reason: Annotated[str, Form()] = "", reference: Annotated[str, Form()] = "", review_on: Annotated[str, Form()] = "",
    evidence: Annotated[str, Form()] = "",
) -> Response:
    wanted = Wanted(reason, reference, read_day(review_on), evidence == "yes")
    given = {"reason": reason, "reference": reference, "review_on": review_on, "evidence": evidence}
    try:
        found = await queries.hold(session, actor, lesson_id, now)
        await commands.check_ask(session, actor, found, wanted, now)
        action = commands.asking(found, wanted)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action, back=f"/endings/{lesson_id}")
        async with request.app.state.database.writing() as writing:
            await commands.ask(writing, actor, lesson_id, wanted, vault=request.app.state.vault, proof=proof, now=now)
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back=f"/endings/{lesson_id}")
    except Refused as refusal:
        return await _page(request, actor, session, now, lesson_id, refusal, given)
    return see_other(f"/endings/{lesson_id}")


@router.post("/{lesson_id}/answer")
async def answer(
    request: Request, actor: Circle, session: Reading, now: Now, lesson_id: str, proof: Confirming,
    answer: Annotated[str, Form()] = "", why: Annotated[str, Form()] = "",
) -> Response:
    """The second person's yes; a no; or whoever asked takes it back."""
    try:
        if answer not in ("agree", "refuse"):
            raise Invalid(fields={"answer": "Choose whether you agree"})
        if answer == "refuse":
            async with request.app.state.database.writing() as writing:
                await commands.refuse(writing, actor, lesson_id, words=why, now=now)
            return see_other(f"/endings/{lesson_id}")
        found = await queries.hold(session, actor, lesson_id, now)
        await commands.check_answer(session, actor, found)
        action = commands.agreeing(found)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action, back=f"/endings/{lesson_id}")
        async with request.app.state.database.writing() as writing:
            await commands.agree(writing, actor, lesson_id, vault=request.app.state.vault, proof=proof, now=now)
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back=f"/endings/{lesson_id}")
    except Refused as refusal:
        fields = {"why": refusal.fields["reason"]} if "reason" in refusal.fields else refusal.fields
        return await _page(request, actor, session, now, lesson_id, Invalid(refusal.message, fields=fields),
                           {"why": why, "answer": answer})
    return see_other(f"/endings/{lesson_id}")


@router.post("/{lesson_id}/release")
async def release(
    request: Request, actor: Keeper, session: Reading, now: Now, lesson_id: str, proof: Confirming,
    release_reason: Annotated[str, Form()] = "",
) -> Response:
    try:
        found = await queries.hold(session, actor, lesson_id, now)
        await commands.check_release(session, actor, found)
        rules.check_reason(release_reason, "release_reason")
        action = commands.releasing(found, release_reason)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action, back=f"/endings/{lesson_id}")
        async with request.app.state.database.writing() as writing:
            await commands.ask_release(writing, actor, lesson_id, words=release_reason, proof=proof, now=now)
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back=f"/endings/{lesson_id}")
    except Refused as refusal:
        return await _page(request, actor, session, now, lesson_id, refusal, {"release_reason": release_reason})
    return see_other(f"/endings/{lesson_id}")


@router.post("/{lesson_id}/review")
async def review(
    request: Request, actor: Keeper, session: Reading, now: Now, lesson_id: str, reason: Annotated[str, Form()] = "",
    review_on: Annotated[str, Form()] = "",
) -> Response:
    try:
        async with request.app.state.database.writing() as writing:
            await commands.review(writing, actor, lesson_id, words=reason, review_on=read_day(review_on), now=now)
    except Refused as refusal:
        return await _page(request, actor, session, now, lesson_id, refusal, {"reason": reason, "review_on": review_on})
    return see_other(f"/endings/{lesson_id}")


@router.post("/{lesson_id}/referral")
async def referral(
    request: Request, actor: Keeper, session: Reading, now: Now, lesson_id: str, referral: Annotated[str, Form()] = "",
    reference: Annotated[str, Form()] = "",
) -> Response:
    try:
        async with request.app.state.database.writing() as writing:
            await commands.note_referral(writing, actor, lesson_id, words=referral, reference=reference, now=now)
    except Refused as refusal:
        return await _page(request, actor, session, now, lesson_id, refusal, {"referral": referral, "reference": reference})
    return see_other(f"/endings/{lesson_id}")
