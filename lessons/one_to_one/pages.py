"""Asking for a one-to-one, deciding about it, ending it; and what the safeguarding team sees."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import forms as planning_forms
from lessons import proposals
from lessons.one_to_one import commands, forms, queries, registers
from lessons.pages.day import PLANNERS
from lessons.pages.plan import minutes_of
from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import queries as people
from service.people import step_up
from service.people.pages.forms import saved
from service.people.step_up import Confirming, NotConfirmed
from service.safeguarding.approvals import commands as approvals
from service.safeguarding.approvals import marks, revocation
from service.safeguarding.approvals import queries as approved
from service.safeguarding.approvals.revocation import MAY_END
from service.safeguarding.approvals.rules import PARENT, TRIED

router = APIRouter(prefix="/one-to-one")
team_router = APIRouter(prefix="/safeguarding")
Planner = Annotated[Actor, Depends(Audience(PLANNERS))]
Anybody = Annotated[Actor, Depends(Audience(PLANNERS | {Role.SUPPORT} | MAY_END))]
Ender = Annotated[Actor, Depends(Audience(MAY_END))]
Decider = Annotated[Actor, Depends(Audience(LEADERS | {Role.CHAIR}))]
Team = Annotated[Actor, Depends(Audience(SAFEGUARDING))]
Done = TypeVar("Done")


# Asking


@router.get("")
async def mine(request: Request, actor: Planner, session: Reading, now: Now) -> Response:
    rows = await queries.asked(session, actor, now)
    return await render(request, "lessons/one_to_one/mine.html", title="One-to-one lessons", rows=rows)


@router.get("/ask")
async def form(request: Request, actor: Planner, session: Reading, now: Now) -> Response:
    zone = (await people.school(session, actor.school_id)).zone
    return await _ask_page(request, actor, session, now, forms.AskForm(on=forms.next_week(now.astimezone(ZoneInfo(zone)))), {})


@router.post("/ask")
async def ask(request: Request, actor: Planner, reading: Reading, session: Writing, now: Now) -> Response:
    typed = forms.typed(await request.form())
    zone = (await people.school(reading, actor.school_id)).zone
    try:
        async with session.begin_nested():
            request_id = await commands.ask(session, actor, forms.wish(typed, actor.person_id, zone), now)
    except Invalid as refused:
        return await _ask_page(request, actor, reading, now, typed, refused.fields)
    return see_other(f"/one-to-one/{request_id}?sent=1")


ORDER = ("pupil", "adult", "on", "start", "length", "until", "why", "tried", "safeguards", "parent")


async def _ask_page(request: Request, actor: Actor, session: AsyncSession, now: Any, typed: forms.AskForm,
                    errors: dict[str, str]) -> Response:
    choices = await proposals.choices(session, actor)
    zone = choices.hours.zone
    longest = max((int(choices.profile.longest(group.key_stage).total_seconds() // 60) for group in choices.groups), default=45)
    colleagues = [(person.id, person.name) for person in choices.seconds] if actor.is_any(LEADERS) else []
    return await render(
        request, "lessons/one_to_one/ask.html", 422 if errors else 200, title="Ask for a one-to-one lesson", form=typed,
        errors=dict(sorted(errors.items(), key=lambda item: ORDER.index(item[0]) if item[0] in ORDER else len(ORDER))),
        pupils=await queries.pupils(session, actor), colleagues=colleagues, tried=TRIED, parent=PARENT,
        starts=planning_forms.start_times(choices.hours, typed.start, now.astimezone(ZoneInfo(zone))),
        lengths=minutes_of(planning_forms.lengths(longest, typed.length)), notice=choices.profile.one_to_one_notice_hours,
    )


# In force


@router.get("/in-force")
async def in_force(request: Request, actor: Ender, session: Reading, now: Now, ended: str = "") -> Response:
    rows = await registers.in_force(session, actor, now)
    closed = await registers.one_approval(session, actor, ended, now) if ended else None
    given = await approved.one_given(session, actor.school_id, ended) if ended else None
    return await render(request, "lessons/one_to_one/in_force.html", title="In force", rows=rows, closed=closed,
                        ended_at=given.approval.revoked_at if given else None)


@router.get("/in-force/{approval_id}")
async def ask_to_end(request: Request, approval_id: str, actor: Ender, session: Reading, now: Now) -> Response:
    return await _end_page(request, actor, session, approval_id, now, {})


@router.post("/in-force/{approval_id}")
async def end(request: Request, approval_id: str, actor: Ender, session: Reading, now: Now, proof: Confirming,
              reason: Annotated[str, Form()] = "") -> Response:
    reason = reason.strip()[:500]
    if not reason:
        return await _end_page(request, actor, session, approval_id, now, {"reason": "Give a reason"})
    action = revocation.ending(approval_id, reason)
    if not proof.is_given:
        await registers.one_approval(session, actor, approval_id, now)
        return await step_up.ask(request, session, actor, action)
    try:
        await saved(request, lambda writing: revocation.revoke(writing, actor, approval_id, reason, proof, now), closes=True)
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    return see_other(f"/one-to-one/in-force?ended={approval_id}")


async def _end_page(request: Request, actor: Actor, session: AsyncSession, approval_id: str, now: Any,
                    errors: dict[str, str]) -> Response:
    found = await registers.one_approval(session, actor, approval_id, now)
    return await render(request, "lessons/one_to_one/end.html", 422 if errors else 200, title="End this approval", one=found,
                        errors=errors)


# One request


@router.get("/{request_id}")
async def show(request: Request, request_id: str, actor: Anybody, session: Reading, now: Now, sent: bool = False,
               decided: bool = False) -> Response:
    return await _page(request, actor, session, request_id, now, sent=sent, decided=decided)


@router.post("/{request_id}")
async def decide(request: Request, request_id: str, actor: Decider, session: Reading, now: Now, proof: Confirming) -> Response:
    """Approve exactly this, refuse it, or ask for more. What can be refused is refused before anybody proves who they are."""
    typed = forms.decision(await request.form())
    try:
        verdict = forms.verdict(typed, request_id)
        if typed.answer == "more":
            await saved(request, lambda writing: commands.question(writing, actor, verdict, now))
            return see_other(f"/one-to-one/{request_id}?decided=1")
        found = await commands.to_decide(session, actor, verdict, now, is_yes=typed.answer == "approve")
        action = approvals.decision(found, verdict, typed.answer)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action)
        command = commands.approve if typed.answer == "approve" else commands.refuse
        await saved(request, lambda writing: command(writing, actor, verdict, proof, now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    except (Invalid, Conflict, NotAllowed) as refused:
        return await _page(request, actor, session, request_id, now, errors=_words(refused, "answer"), typed=typed)
    return see_other(f"/one-to-one/{request_id}?decided=1")


@router.post("/{request_id}/spoken")
async def spoken(request: Request, request_id: str, actor: Decider, session: Reading, now: Now,
                 spoken: Annotated[str, Form()] = "", talked: Annotated[str, Form()] = "") -> Response:
    if not talked:
        return await _page(request, actor, session, request_id, now, errors={"talked": "Talk to the DSL, then tick the box"},
                           said=spoken)
    return await _try(request, actor, session, request_id, now, "spoken",
                      lambda writing: approvals.note_spoken(writing, actor, request_id, spoken[:1000], now), spoken)


@router.post("/{request_id}/second")
async def second(request: Request, request_id: str, actor: Decider, session: Reading, now: Now,
                 person: Annotated[str, Form()] = "") -> Response:
    return await _try(request, actor, session, request_id, now, "second",
                      lambda writing: commands.add_second(writing, actor, request_id, person, now))


@router.post("/{request_id}/answer")
async def answer(request: Request, request_id: str, actor: Planner, session: Reading, now: Now,
                 words: Annotated[str, Form()] = "") -> Response:
    return await _try(request, actor, session, request_id, now, "words",
                      lambda writing: approvals.answer(writing, actor, request_id, words[:1000], now), words)


@router.post("/{request_id}/withdraw")
async def withdraw(request: Request, request_id: str, actor: Planner, session: Reading, now: Now) -> Response:
    return await _try(request, actor, session, request_id, now, "",
                      lambda writing: commands.withdraw(writing, actor, request_id, now))


async def _try(request: Request, actor: Actor, session: AsyncSession, request_id: str, now: Any, field: str,
               write: Callable[[AsyncSession], Awaitable[Done]], said: str = "") -> Response:
    """`said`: what was typed into the form's box; a refusal shows it again."""
    try:
        await saved(request, write)
    except (Invalid, Conflict, NotAllowed) as refused:
        return await _page(request, actor, session, request_id, now, errors=_words(refused, field), said=said)
    return see_other(f"/one-to-one/{request_id}")


def _words(refused: Invalid | Conflict | NotAllowed, field: str) -> dict[str, str]:
    fields = {"answer" if name == "verdict" else name: words for name, words in refused.fields.items()}
    return fields or {field: refused.message}


async def _page(request: Request, actor: Actor, session: AsyncSession, request_id: str, now: Any, *, sent: bool = False,
                decided: bool = False, errors: dict[str, str] | None = None, typed: forms.DecisionForm | None = None,
                said: str = "") -> Response:
    page = await queries.page(session, actor, request_id, now)
    typed = replace(typed or forms.DecisionForm(), digest=page.request.asked.digest)
    names = page.names
    title = f"One-to-one: {names[page.request.parties.adult]} with {names[page.request.parties.child]}"
    return await render(request, "lessons/one_to_one/request.html", 422 if errors else 200, title=title, page=page, sent=sent,
                        decided=decided, errors=errors or {}, typed=typed, tried=[TRIED[one] for one in page.request.asked.tried],
                        parent=PARENT, said=said)


# The safeguarding team


@team_router.get("/one-to-ones")
async def every_one(request: Request, actor: Team, session: Reading, now: Now) -> Response:
    rows = await registers.every_approval(session, actor, now)
    return await render(request, "lessons/one_to_one/register.html", title="One-to-ones", rows=rows)


@team_router.get("/marks")
async def all_marks(request: Request, actor: Team, session: Reading) -> Response:
    return await _marks_page(request, actor, session, {}, {})


@team_router.post("/marks")
async def put_mark(request: Request, actor: Team, session: Reading, now: Now, person: Annotated[str, Form()] = "",
                   mark: Annotated[str, Form()] = "", reason: Annotated[str, Form()] = "") -> Response:
    async def put(writing: AsyncSession) -> None:
        await marks.put(writing, actor, person_id=person, mark=mark, reason=reason[:1000], now=now)

    try:
        await saved(request, put)
    except Invalid as refused:
        given = {"person": person, "mark": mark, "reason": reason}
        return await _marks_page(request, actor, session, given, refused.fields)
    return see_other("/safeguarding/marks")


@team_router.post("/marks/{mark_id}/lift")
async def lift_mark(request: Request, mark_id: str, actor: Team, session: Reading, now: Now,
                    because: Annotated[str, Form()] = "") -> Response:
    try:
        await saved(request, lambda writing: marks.lift(writing, actor, mark_id, because=because[:1000], now=now))
    except Invalid as refused:
        return await _marks_page(request, actor, session, {}, refused.fields)
    return see_other("/safeguarding/marks")


async def _marks_page(request: Request, actor: Actor, session: AsyncSession, given: dict[str, str],
                      errors: dict[str, str]) -> Response:
    found = await approved.marks(session, actor)
    ids = {p for mark in found for p in (mark.person_id, mark.set_by, mark.lifted_by)}
    names = {one.id: one.full_name for one in (await people.people(session, actor.school_id, ids)).values()}
    return await render(
        request, "lessons/one_to_one/marks.html", 422 if errors else 200, title="Marks", marks=found, names=names, given=given,
        errors=errors, kinds=marks.MARKS, choices=await queries.mark_choices(session, actor),
    )
