"""Importing the roster: choose a file, see what it would change and what is wrong with it, then save."""

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import Response

from service.foundation.errors import Conflict, Invalid
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, render, see_other
from service.people import imports, roster, roster_plan
from service.people.pages.forms import form_again

router = APIRouter()
Office = Annotated[Actor, Depends(Audience(Role.OFFICE))]
LARGEST = 4_000_000
SHOWN = 200


@router.get("/people/import")
async def choose(request: Request, actor: Office) -> Response:
    return await render(request, "people/roster/choose.html", title="Import people from a file", errors=None,
                        columns=roster.COLUMNS, whole="yes")


@router.post("/people/import")
async def check(request: Request, actor: Office, file: Annotated[UploadFile | None, File()] = None,
                whole: Annotated[str, Form()] = "yes") -> Response:
    raw = await file.read(LARGEST + 1) if file else b""
    try:
        if not raw:
            raise Invalid(fields={"file": "Choose a file"})
        if len(raw) > LARGEST:
            raise Invalid(fields={"file": "Choose a file of up to 4 MB"})
        import_id = await imports.check(request.app.state, actor, raw, is_whole=whole == "yes")
    except Invalid as refusal:
        wrong = refusal if refusal.fields else Invalid(fields={"file": refusal.message})
        return await form_again(request, "people/roster/choose.html", wrong, title="Import people from a file",
                                columns=roster.COLUMNS, whole=whole)
    return see_other(f"/people/import/{import_id}")


@router.get("/people/import/{import_id}")
async def preview(request: Request, actor: Office, import_id: str) -> Response:
    return await _preview(request, actor, import_id)


async def _preview(request: Request, actor: Actor, import_id: str, refusal: Conflict | None = None) -> Response:
    row, sheet, plan = await imports.planned(request.app.state, actor, import_id)
    context = {
        "title": "Check before you save", "import_id": row.id, "sheet": sheet, "plan": plan, "shown": SHOWN,
        "wrong_rows": len({problem.row for problem in plan.problems if problem.row}),
        "columns": roster_plan.COLUMN_WORDS, "in_words": roster_plan.in_words,
    }
    if refusal:
        return await form_again(request, "people/roster/preview.html", refusal, **context)
    return await render(request, "people/roster/preview.html", 200, errors=None, **context)


@router.post("/people/import/{import_id}")
async def save(request: Request, actor: Office, import_id: str) -> Response:
    try:
        plan = await imports.save(request.app.state, actor, import_id)
    except Conflict as refusal:
        return await _preview(request, actor, import_id, refusal)
    return await render(request, "people/roster/saved.html", title="Saved", plan=plan)


@router.get("/people/import/{import_id}/errors.csv")
async def errors(request: Request, actor: Office, import_id: str) -> Response:
    _row, sheet, plan = await imports.planned(request.app.state, actor, import_id)
    return Response(roster_plan.problems_csv((*plan.problems, *sheet.remarks)), media_type="text/csv; charset=utf-8",
                    headers={"content-disposition": 'attachment; filename="errors.csv"'})
