"""Classes: their names, pupils and teachers."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from service.foundation.errors import Conflict, Invalid
from service.foundation.events import LEADERS, SAFEGUARDING, STAFF, Actor, Role
from service.foundation.web import Audience, Reading, render, see_other
from service.people import commands, queries, registers
from service.people.pages.forms import form_again, saved

router = APIRouter()
Office = Annotated[Actor, Depends(Audience(Role.OFFICE))]
Reader = Annotated[Actor, Depends(Audience(frozenset({Role.OFFICE}) | LEADERS | SAFEGUARDING))]


@router.get("/classes")
async def show_list(request: Request, actor: Reader, session: Reading) -> Response:
    return await render(request, "people/classes.html", title="Classes", groups=await registers.groups(session, actor.school_id))


@router.get("/classes/add")
async def add_form(request: Request, actor: Office) -> Response:
    return await render(request, "people/class_add.html", title="Add a class", name="", key_stage="2", errors=None)


@router.post("/classes/add")
async def add(request: Request, actor: Office, name: Annotated[str, Form()] = "",
              key_stage: Annotated[int, Form(ge=0, le=5)] = 2) -> Response:
    try:
        group_id = await saved(request, lambda writing: commands.add_group(writing, actor, name, key_stage))
    except Invalid as refusal:
        return await form_again(request, "people/class_add.html", refusal, title="Add a class", name=name,
                                key_stage=str(key_stage))
    return see_other(f"/classes/{group_id}")


@router.get("/classes/{group_id}")
async def show(request: Request, actor: Reader, session: Reading, group_id: str) -> Response:
    today = request.app.state.clock.now().date()
    group = await queries.group(session, actor.school_id, group_id)
    return await render(
        request, "people/class.html", title=group.name, group=group,
        pupils=await queries.members(session, actor.school_id, group_id, "pupil", today),
        teachers=await queries.members(session, actor.school_id, group_id, "teacher", today),
    )


async def _change_form(request: Request, actor: Actor, session: Reading, group_id: str, refusal: Invalid | Conflict | None = None,
                       name: str = "") -> Response:
    today = request.app.state.clock.now().date()
    group = await queries.group(session, actor.school_id, group_id)
    everybody = await registers.search(session, actor)
    context: dict[str, Any] = {
        "title": f"Change {group.name}", "group": group, "name": name or group.name,
        "chosen": {person.id for part in ("pupil", "teacher")
                for person in await queries.members(session, actor.school_id, group_id, part, today)},
        "pupils": [row for row in everybody if row.kind == "child"],
        "adults": [row for row in everybody if row.kind == "adult" and row.roles & (STAFF - {Role.TECHNICIAN})],
    }
    if refusal:
        return await form_again(request, "people/class_change.html", refusal, **context)
    return await render(request, "people/class_change.html", errors=None, **context)


@router.get("/classes/{group_id}/change")
async def change_form(request: Request, actor: Office, session: Reading, group_id: str) -> Response:
    return await _change_form(request, actor, session, group_id)


@router.post("/classes/{group_id}/change")
async def change(request: Request, actor: Office, session: Reading, group_id: str, name: Annotated[str, Form()] = "",
                 key_stage: Annotated[int, Form(ge=0, le=5)] = 2, pupils: Annotated[list[str] | None, Form()] = None,
                 teachers: Annotated[list[str] | None, Form()] = None) -> Response:
    try:
        await saved(request, lambda writing: commands.change_group(
            writing, actor, group_id, name=name, key_stage=key_stage, pupil_ids=pupils or [], teacher_ids=teachers or []))
    except (Invalid, Conflict) as refusal:
        return await _change_form(request, actor, session, group_id, refusal, name)
    return see_other(f"/classes/{group_id}")
