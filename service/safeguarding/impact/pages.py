"""The Data Protection Officer's page: the assessment section by section (policy: AC5)."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.banners import Banner
from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import LEADERS, Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import step_up
from service.people.pages.forms import saved, words
from service.people.step_up import Confirming, NotConfirmed
from service.safeguarding.impact import commands, queries, rules
from service.safeguarding.impact.inventory import inventory
from service.safeguarding.impact.words import KINDS

router = APIRouter(prefix="/impact")
Reader = Annotated[Actor, Depends(Audience(rules.READ))]
Officer = Annotated[Actor, Depends(Audience(rules.REVIEW))]


@router.get("")
async def show(request: Request, actor: Reader, session: Reading) -> Response:
    return await _page(request, actor, session, {})


async def _page(request: Request, actor: Actor, session: AsyncSession, given: dict[str, str],
                refusal: Invalid | Conflict | NotAllowed | None = None) -> Response:
    return await render(
        request, "impact/assessment.html", 422 if refusal else 200, title="Impact assessment", given=given,
        found=await queries.assessment(session, actor.school_id), may_review=actor.is_any(rules.REVIEW),
        may_add=actor.is_any(LEADERS), errors=words(refusal) if refusal else None,
    )


@router.post("")
async def review(request: Request, actor: Officer, session: Reading, now: Now, proof: Confirming) -> Response:
    given = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    document = (await queries.assessment(session, actor.school_id)).document
    answers = {section.key: given.get(section.key, "") for section in document.sections}
    notes = {section.key: given.get(f"{section.key}-note", "") for section in document.sections}
    action = rules.review_action(document, answers, notes)
    try:
        rules.check_reviewer(actor)
        rules.check_answers(document, answers, notes)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action)
        await saved(request, lambda writing: commands.review(
            writing, actor, shown=given.get("shown", ""), answers=answers, notes=notes, proof=proof, now=now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    except (Invalid, Conflict, NotAllowed) as refusal:
        return await _page(request, actor, session, given, refusal)
    return see_other("/impact")


@router.get("/data")
async def data(request: Request, actor: Reader) -> Response:
    tables = {key: [table for table in inventory().tables if table.data == key] for key in KINDS}
    return await render(request, "impact/data.html", title="Everything that is kept", kinds=KINDS, tables=tables)


async def banners(session: AsyncSession, actor: Actor, now: datetime) -> list[Banner]:
    """The office and the headteacher, who would add pupils, are told why they cannot."""
    if not actor.is_any(frozenset({Role.OFFICE, Role.HEADTEACHER})) or not await queries.are_blocked(session, actor.school_id):
        return []
    words = "Real pupils stay blocked until your Data Protection Officer approves the impact assessment."
    return [Banner("Pupils are blocked", words, "/impact")]
