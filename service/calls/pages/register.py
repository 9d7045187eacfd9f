"""The register of calls: who, when, how long, why, and what came of it. Never a number (policy: CM2, CM5)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from service.calls import commands, queries, rules
from service.calls.progress import WHY_WORDS
from service.calls.rules import PURPOSE_WORDS
from service.calls.tables import Call
from service.calls.texts import queries as texts
from service.calls.texts.rules import STATUS_WORDS
from service.foundation import sheets
from service.foundation.events import Actor
from service.foundation.web import Audience, Reading, Writing, render, say_moment
from service.people import queries as people

router = APIRouter()
Reader = Annotated[Actor, Depends(Audience(rules.ANYBODYS))]
HEADINGS = ("When", "Who called", "About", "Called", "Why", "Connected for (minutes:seconds)", "Carried by", "How it ended",
            "What came of it", "What was agreed", "Next step", "On", "Text")


@router.get("/calls/register")
async def show(request: Request, actor: Reader, session: Reading, child: str = "") -> Response:
    found = await queries.register(session, actor, *([Call.child_id == child] if child else []))
    sent = await texts.sent(session, actor.school_id, [one.id for one in found])
    return await render(request, "calls/register.html", title="Register of calls", found=found, child=child, whys=WHY_WORDS,
                        purposes=PURPOSE_WORDS, outcomes=commands.OUTCOMES, texts=sent, statuses=STATUS_WORDS)


@router.get("/calls/register.csv")
async def export(actor: Reader, session: Writing) -> Response:
    """A copy of the register; that it was taken is kept."""
    found = await queries.register(session, actor, limit=20_000)
    sent = await texts.sent(session, actor.school_id, [one.id for one in found])
    zone = (await people.school(session, actor.school_id)).zone
    await commands.exported(session, actor, len(found))
    rows = [[sheets.plain(cell) for cell in (
        say_moment(one.placed_at or one.asked_at, zone), one.caller, one.child, one.adult,
        PURPOSE_WORDS[rules.Purpose(one.purpose)], one.length,
        "App" if one.in_app else "Telephone" if one.connected_at else "", WHY_WORDS.get(one.why, ""),
        commands.OUTCOMES.get(one.outcome, ""), one.agreed, one.next_step,
        f"{one.next_on:%d/%m/%Y}" if one.next_on else "",
        f"{sent[one.id].title}. {STATUS_WORDS[sent[one.id].status]}" if one.id in sent else "",
    )] for one in found]
    return Response(sheets.written(HEADINGS, rows), media_type="text/csv; charset=utf-8",
                    headers={"content-disposition": 'attachment; filename="register-of-calls.csv"'})
