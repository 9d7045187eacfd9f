"""“Proof”: what the last self-test found, for those who answer for the school and those who keep it running."""

from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from service.foundation import audit
from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Reading, render, say_moment, say_time
from service.people import queries
from service.selftest import report
from service.selftest.report import Outcome, Report, ReportChanged

router = APIRouter(prefix="/proof")
Answering = LEADERS | SAFEGUARDING | {Role.GOVERNOR, Role.CHAIR, Role.DPO, Role.TECHNICIAN}
Answerer = Annotated[Actor, Depends(Audience(frozenset(Answering)))]
OLD = timedelta(days=7)


@router.get("")
async def proof(request: Request, actor: Answerer, session: Reading) -> Response:
    """The questions, the answers and how. A report that was changed since it was signed is not shown."""
    zone, now = (await queries.school(session, actor.school_id)).zone, request.app.state.clock.now()
    found = _genuine(request)
    title = f"Proof, tested {_when(found.at, now, zone)}" if isinstance(found, Report) else "Proof"
    return await render(
        request, "selftest/proof.html", title=title, report=found if isinstance(found, Report) else None, Outcome=Outcome,
        changed=isinstance(found, ReportChanged), stops=request.app.state.rooms.self_test_fails(),
        old=isinstance(found, Report) and now - found.at > OLD)


@router.get("/report.{kind}")
async def signed_file(request: Request, kind: str, actor: Answerer) -> Response:
    """The signed report itself, to keep elsewhere."""
    file = report.latest(request.app.state.settings.data)
    if file is None or kind not in ("json", "html"):
        raise NotFound()
    body, media = (file, "application/json") if kind == "json" else (report.as_html(file), "text/html")
    return Response(body, media_type=media, headers={"Content-Disposition": f'attachment; filename="chaperone-proof.{kind}"'})


def _genuine(request: Request) -> Report | ReportChanged | None:
    file = report.latest(request.app.state.settings.data)
    if file is None:
        return None
    try:
        return report.verified(file, audit.signing_key(request.app.state.keys).public_key())
    except ReportChanged as changed:
        return changed


def _when(at: datetime, now: datetime, zone: str) -> str:
    """“today 8:02am”, “Tuesday 3 March, 8:02am”"""
    here = ZoneInfo(zone)
    is_today = at.astimezone(here).date() == now.astimezone(here).date()
    return f"today {say_time(at, zone)}" if is_today else say_moment(at, zone)
