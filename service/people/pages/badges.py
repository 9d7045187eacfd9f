"""Printed badges and PIN slips: shown once, because neither can be read back. policy: AC1."""

import io
from dataclasses import dataclass
from typing import Annotated

import segno
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from markupsafe import Markup

from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Reading, Writing, render, see_other
from service.people import commands, queries, registers

router = APIRouter()
Office = Annotated[Actor, Depends(Audience(Role.OFFICE))]
Reader = Annotated[Actor, Depends(Audience(frozenset({Role.OFFICE}) | LEADERS | SAFEGUARDING))]


@dataclass(frozen=True)
class Printed:
    badge: commands.NewBadge
    square: Markup


def square(code: str, title: str = "Badge code") -> Markup:
    """The code as a QR symbol, level Q: a quarter of it may be scratched."""
    drawing = io.BytesIO()
    symbol = segno.make_qr(code, error="q")
    symbol.save(drawing, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2, title=title)
    return Markup(drawing.getvalue().decode())


@router.post("/people/{person_id}/badge")
async def one(request: Request, actor: Office, session: Writing, person_id: str) -> Response:
    state = request.app.state
    badge = await commands.issue_badge(session, actor, person_id, state.pepper, state.clock.now())
    printed = [Printed(badge, square(badge.code))]
    return await render(request, "people/badges.html", title=f"Badge for {badge.name}", printed=printed,
                        back_to=f"/people/{person_id}", refused=[])


@router.post("/people/{person_id}/badge/open")
async def reopen(request: Request, actor: Office, session: Writing, person_id: str) -> Response:
    await commands.unlock_badge(session, actor, person_id)
    return see_other(f"/people/{person_id}")


@router.get("/classes/{group_id}/badges")
async def class_form(request: Request, actor: Office, session: Reading, group_id: str) -> Response:
    group = await queries.group(session, actor.school_id, group_id)
    pupils = await registers.without_badges(session, actor.school_id, group_id)
    return await render(request, "people/class_badges.html", title=f"Badges for {group.name}", group=group,
                        without=len(pupils[0]), everybody=len(pupils[1]))


@router.post("/classes/{group_id}/badges")
async def whole_class(request: Request, actor: Office, session: Reading, group_id: str,
                      who: Annotated[str, Form()] = "missing") -> Response:
    """A badge for each pupil, one short transaction each: nobody's lesson waits for a printer."""
    state = request.app.state
    group = await queries.group(session, actor.school_id, group_id)
    missing, everybody = await registers.without_badges(session, actor.school_id, group_id)
    printed, refused = [], []
    for pupil in everybody if who == "everybody" else missing:
        try:
            async with state.database.writing() as writing:
                badge = await commands.issue_badge(writing, actor, pupil.id, state.pepper, state.clock.now())
            printed.append(Printed(badge, square(badge.code)))
        except (commands.IsTheirTeacher, NotFound):
            refused.append(pupil.name)
    return await render(request, "people/badges.html", title=f"Badges for {group.name}", printed=printed, refused=refused,
                        back_to=f"/classes/{group_id}")
