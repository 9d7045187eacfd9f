"""`/api/v1`: what a family's phone asks for. Thin: a query, a schema. Errors are RFC 9457, as everywhere under `/api/`."""

from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from fastapi.openapi.utils import get_openapi

from lessons import queries as lessons
from mobile_api import schemas
from service.foundation.events import Actor, Role
from service.foundation.web import COOKIE, Audience, Now, Public, Reading
from service.people import queries as people

WRONG = {
    401: "Nobody is signed in", 404: "It does not exist, or is not for this person to know", 422: "It could not be read",
    429: "Too many tries", 503: "Not available just now",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }} for status, words in WRONG.items()
}
router = APIRouter(prefix="/api/v1", responses=PROBLEMS)
description = APIRouter(prefix="/api/v1")
EARLIEST, LATEST = date(2000, 1, 1), date(2200, 1, 1)
Family = Annotated[Actor, Depends(Audience(Role.PARENT, Role.PUPIL))]


@router.get("/me", operation_id="me", summary="Who is signed in")
async def me(actor: Family, session: Reading) -> schemas.Me:
    school = await people.school(session, actor.school_id)
    return schemas.Me(id=actor.person_id, name=actor.name, school=school.name, roles=sorted(actor.roles))


@router.get("/timetable", operation_id="timetable", summary="The lessons of a pupil, or of a parent's children")
async def timetable(
    actor: Family, session: Reading, now: Now,
    first: Annotated[date | None, Query(ge=EARLIEST, lt=LATEST, description="The first day; today when left out.")] = None,
    days: Annotated[int, Query(ge=1, le=31)] = 7,
) -> schemas.Timetable:
    zone = (await people.school(session, actor.school_id)).zone
    day = first or now.astimezone(ZoneInfo(zone)).date()
    if Role.PUPIL in actor.roles:
        own = lessons.ChildDays(actor.person_id, actor.name, await lessons.pupil_day(session, actor, day, days))
        children: tuple[lessons.ChildDays, ...] = (own,)
    else:
        children = await lessons.family(session, actor, day, days)
    return schemas.Timetable(zone=zone, first=day, days=days, children=[_child(child) for child in children])


def _child(child: lessons.ChildDays) -> schemas.Child:
    return schemas.Child(id=child.child_id, name=child.name, lessons=[_lesson(card) for card in child.lessons])


def _lesson(card: lessons.PupilCard) -> schemas.Lesson:
    plan = card.lesson
    return schemas.Lesson(
        id=plan.id, title=plan.title, class_name=plan.group, teacher=plan.teacher, starts_at=plan.starts_at,
        ends_at=plan.ends_at, status=plan.stage.name.lower(), may_join=card.may_join, joined_at=card.joined_at,
        moved_from=plan.moved_from,
    )


@description.get("/openapi.json", dependencies=[Public], include_in_schema=False)
async def openapi() -> dict[str, Any]:
    """The description of this API and of nothing else."""
    return described()


def described() -> dict[str, Any]:
    """OpenAPI 3.1 for the routes above."""
    made = get_openapi(
        title="Chaperone mobile API", version="1", openapi_version="3.1.0", routes=router.routes,
        description="Lessons as families may see them. Times are RFC 3339 in UTC; errors are RFC 9457 problem documents.",
    )
    parts = made.setdefault("components", {})
    parts.setdefault("schemas", {})["Problem"] = schemas.Problem.model_json_schema()
    parts["securitySchemes"] = {"session": {"type": "apiKey", "in": "cookie", "name": COOKIE}}
    made["security"] = [{"session": []}]
    return made
