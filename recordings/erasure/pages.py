"""A request to erase a recording before its day: who asked, why, what two people decide (policy: RE2, RE3)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings.ending.rules import due_at
from recordings.erasure import commands, queries, rules
from recordings.erasure.rules import Wish
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people import queries as people
from service.people import step_up
from service.people.pages.forms import saved, words
from service.people.step_up import Confirming, NotConfirmed

router = APIRouter(prefix="/endings/{lesson_id}/erasure")
Decider = Annotated[Actor, Depends(Audience(rules.DECIDERS))]
Refused = (Invalid, Conflict, NotAllowed)
Text = Annotated[str, Form()]
ANSWERS = {"erase": True, "keep": False}


@router.get("")
async def show(request: Request, actor: Decider, session: Reading, now: Now, lesson_id: str) -> Response:
    return await _page(request, actor, session, now, lesson_id)


@router.post("")
async def decide(request: Request, actor: Decider, session: Reading, now: Now, lesson_id: str, proof: Confirming,
                 asker: Text = "", reason: Text = "", answer: Text = "") -> Response:
    wish, back = Wish(asker, reason, ANSWERS.get(answer)), f"/endings/{lesson_id}/erasure"
    try:
        found = await queries.asked(session, actor, lesson_id)
        await commands.check_decide(session, found, wish, now)
        action = rules.erasing(found.recording.id, wish)
        if wish.erases and not proof.is_given:
            return await step_up.ask(request, session, actor, action, back=back)
        await saved(request, lambda writing: commands.decide(writing, actor, lesson_id, wish, proof=proof, now=now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back=back)
    except Refused as refusal:
        return await _page(request, actor, session, now, lesson_id, refusal,
                           {"asker": asker, "reason": reason, "answer": answer})
    return see_other(back)


@router.post("/answer")
async def answer(request: Request, actor: Decider, session: Reading, now: Now, lesson_id: str, proof: Confirming,
                 second: Text = "", why: Text = "") -> Response:
    """The second person's yes or no; or whoever decided it takes it back."""
    back = f"/endings/{lesson_id}/erasure"
    try:
        if second not in ("agree", "refuse"):
            raise Invalid(fields={"second": "Choose whether you agree"})
        if second == "refuse":
            await saved(request, lambda writing: commands.refuse(writing, actor, lesson_id, words=why, now=now))
            return see_other(back)
        found = await queries.asked(session, actor, lesson_id)
        action = rules.agreeing(found.recording.id, await commands.check_answer(session, actor, found))
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action, back=back)
        await saved(request, lambda writing: commands.agree(writing, actor, lesson_id, proof=proof, now=now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back=back)
    except Refused as refusal:
        return await _page(request, actor, session, now, lesson_id, refusal, {"why": why, "second": second})
    return see_other(back)


async def _page(request: Request, actor: Actor, session: AsyncSession, now: Any, lesson_id: str,
                refusal: Invalid | Conflict | NotAllowed | None = None, given: dict[str, str] | None = None) -> Response:
    found = await queries.asked(session, actor, lesson_id)
    school = await people.school(session, actor.school_id)
    who = {each for one in found.requests for each in (one.decided_by, one.second)}
    return await render(
        request, "recordings/erasure/request.html", 422 if refusal else 200, title="Erase a recording early", found=found,
        names=await people.people(session, actor.school_id, who), errors=words(refusal) if refusal else {}, given=given or {},
        due=due_at(found.recording.kept_until, school.zone), askers=[(str(one), said) for one, said in rules.ASKER_WORDS.items()],
        asker_words=rules.ASKER_WORDS, may_answer=await _may_answer(session, actor, found),
    )


async def _may_answer(session: AsyncSession, actor: Actor, found: queries.Asked) -> bool:
    try:
        await commands.check_answer(session, actor, found)
    except (Conflict, NotAllowed, NotFound):
        return False
    return True
