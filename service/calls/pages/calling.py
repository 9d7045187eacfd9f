"""Call home, the call itself, and what came of it (policy: CM1 to CM6, RC2)."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls import commands, queries, rules
from service.calls.desk import NOT_CONNECTED
from service.calls.progress import WHY_WORDS
from service.calls.queries import CallView, Wanted
from service.calls.rules import CALLERS, PURPOSE_WORDS, WATCHERS, Refused
from service.calls.texts import queries as texts
from service.calls.texts.rules import NO_TEXTS, STATUS_WORDS, After
from service.calls.way import By, offered
from service.foundation.errors import Conflict, Invalid, NotFound, Unavailable
from service.foundation.events import LEADERS, Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people import registers
from service.people.pages.forms import saved, words
from service.people.rules import read_day

router = APIRouter()
Caller = Annotated[Actor, Depends(Audience(CALLERS))]
Text = Annotated[str, Form()]
Outcome = dict[str, str]
BY_WORDS = {By.COMPUTER: "By this computer", By.TELEPHONE: "By your own phone. We ring it first"}


@router.get("/calls")
async def show_list(request: Request, actor: Caller, session: Reading) -> Response:
    watches = actor.is_any(WATCHERS)
    return await render(
        request, "calls/list.html", title="Calls", to_record=await queries.to_record(session, actor),
        live=await queries.in_progress(session, actor) if watches else [], watches=watches,
        uses=await queries.emergencies(session, actor) if watches else [], purposes=PURPOSE_WORDS,
        reads_register=actor.is_any(rules.ANYBODYS), is_office=Role.OFFICE in actor.roles,
        leaders=LEADERS,
    )


@router.get("/calls/new")
async def new(request: Request, actor: Caller, session: Reading, child: str = "", lesson: str = "") -> Response:
    return await _new(request, actor, session, child, lesson, {})


async def _new(request: Request, actor: Actor, session: AsyncSession, child_id: str, lesson_id: str, given: dict[str, str],
               refusal: Refused | Invalid | Conflict | Unavailable | None = None) -> Response:
    state = request.app.state
    child = await queries.child_to_call_about(session, actor, child_id, state.has_lessons_with)
    school = await people.school(session, actor.school_id)
    reached = (await queries.last_reached(session, actor.school_id, [child.id], actor)).get(child.id)
    errors = (refusal.fields or {"": refusal.message}) if refusal else {}
    own = await registers.own_family(session, actor.school_id, actor.person_id)
    grant, ways = await queries.standing_grant(session, actor.school_id, actor.person_id), offered(state.way)
    return await render(
        request, "calls/new.html", 422 if refusal else 200, title=f"Call {child.name}’s family", child=child, lesson=lesson_id,
        contacts=[(one, one.may_be_called(is_demo=school.is_demo) and one.adult_id not in {actor.person_id, *own})
                  for one in await queries.contacts(session, state.pepper, actor.school_id, child.id)],
        purposes=[(str(purpose), said) for purpose, said in PURPOSE_WORDS.items()], given=given, errors=errors, reached=reached,
        before=(await queries.about(session, actor, child.id, limit=5)), outcomes=commands.OUTCOMES,
        purpose_words=PURPOSE_WORDS, not_connected="" if state.way else NOT_CONNECTED,
        by=[(str(one), said) for one, said in BY_WORDS.items() if one in ways and (grant or one is By.COMPUTER)],
        may_ask=By.TELEPHONE in ways and not grant,
        withheld=await queries.is_withheld(session, actor.school_id),
    )


@router.post("/calls/new")
async def start(request: Request, actor: Caller, session: Reading, now: Now, child: Text = "", lesson: Text = "",
                adult: Text = "", purpose: Text = "", by: Text = "") -> Response:
    """Ask for the call. By one's own telephone it is placed at once; by the computer as soon as its page has a microphone."""
    state = request.app.state
    lesson_id = lesson if re.fullmatch(r"[0-9a-f]{32}", lesson) else ""
    ways = offered(state.way)
    by = by or str(By.COMPUTER if By.COMPUTER in ways else By.TELEPHONE)
    wanted = Wanted(actor.school_id, actor.person_id, actor.session_id, child, adult, purpose, by == By.TELEPHONE)
    given = {"adult": adult, "purpose": purpose, "by": by}
    try:
        wrong = {name: said for name, said, is_there in (
            ("adult", "Choose whom to call", adult), ("purpose", rules.NO_PURPOSE.words, purpose)) if not is_there}
        if wrong:
            raise Invalid(fields=wrong)
        if state.way is None:
            raise Unavailable(NOT_CONNECTED)
        if by not in ways:
            raise Invalid(fields={"by": "This school’s calls cannot be made so. Choose again"})
        call_id = await saved(request, lambda writing: commands.ask(
            writing, actor, state.pepper, state.has_lessons_with, wanted, lesson_id, now))
        if wanted.by_telephone:
            await state.desk.place(actor, call_id)
    except Refused as refusal:
        code = refusal.code
        await saved(request, lambda writing: commands.refuse(writing, actor, wanted, code))
        return await _new(request, actor, session, child, lesson_id, given, refusal)
    except (Invalid, Conflict, Unavailable) as refusal:
        return await _new(request, actor, session, child, lesson_id, given, refusal)
    return see_other(f"/calls/{call_id}")


@router.get("/calls/{call_id}")
async def show(request: Request, actor: Caller, session: Reading, call_id: str) -> Response:
    return await _page(request, actor, session, await queries.call(session, actor, call_id), {})


async def _text(request: Request, actor: Actor, session: AsyncSession, view: CallView) -> dict[str, Any]:
    """The text that was sent after this call, or whether one may follow it."""
    state = request.app.state
    after = After(view.why, view.ended_at, view.connected_at, view.message_left, view.outcome)
    return {"text": (await texts.sent(session, actor.school_id, [view.id])).get(view.id), "statuses": STATUS_WORDS,
            "may_text": after.was_missed(state.clock.now()), "carries_texts": state.way is not None and state.way.texts,
            "no_texts": NO_TEXTS.words}


async def _page(request: Request, actor: Actor, session: AsyncSession, view: CallView, given: Outcome,
                refusal: Invalid | Conflict | None = None) -> Response:
    own = view.caller_id == actor.person_id
    template = "calls/call.html" if own and view.ended_at is None else "calls/record.html"
    live = request.app.state.desk.live(view.id)
    shown: dict[str, Any] = {
        "view": view, "own": own, "given": given, "errors": words(refusal) if refusal else {}, "outcomes": commands.OUTCOMES,
        "purposes": PURPOSE_WORDS, "why": WHY_WORDS.get(view.why, ""), "state": live.state() if live else None,
        **await _text(request, actor, session, view),
    }
    title = f"Call about {view.child}"
    return await render(request, template, 422 if refusal else 200, title=title, **shown)


@router.post("/calls/{call_id}/record")
async def record(request: Request, actor: Caller, session: Reading, now: Now, call_id: str, outcome: Text = "", agreed: Text = "",
                 next_step: Text = "", next_on: Text = "") -> Response:
    day = read_day(next_on)
    try:
        await saved(request, lambda writing: commands.record(
            writing, actor, call_id, outcome=outcome, agreed=agreed, next_step=next_step, next_on=day,
            wrong_day=bool(next_on.strip()) and day is None, now=now))
    except (Invalid, Conflict) as refusal:
        given = {"outcome": outcome, "agreed": agreed, "next_step": next_step, "next_on": next_on}
        return await _page(request, actor, session, await queries.call(session, actor, call_id), given, refusal)
    return see_other(f"/calls/{call_id}")


@router.post("/calls/{call_id}/end")
async def end(request: Request, actor: Caller, session: Reading, call_id: str) -> Response:
    """Whoever placed a call ends it, and any leader does."""
    view = await queries.call(session, actor, call_id)
    if view.caller_id != actor.person_id and not actor.is_any(WATCHERS):
        raise NotFound()
    request.app.state.desk.end(call_id, actor)
    return see_other(f"/calls/{call_id}" if view.caller_id == actor.person_id else "/calls")
