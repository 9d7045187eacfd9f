"""Changing a planned lesson: move, cancel, cover, a second adult, and its links."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.datastructures import FormData

from lessons import commands, forms, proposals, queries, rules
from lessons.pages.plan import minutes_of
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import LEADERS, Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other
from service.people import queries as people

router = APIRouter()
Staff = Annotated[Actor, Depends(Audience(frozenset({Role.TEACHER, Role.SUPPORT}) | LEADERS))]


@router.get("/lessons/{lesson_id}/change")
async def change(request: Request, lesson_id: str, actor: Staff, session: Reading, saved: str = "") -> Response:
    return await _page(request, actor, session, lesson_id, {}, saved=SAVED.get(saved, ""))


SAVED = {
    "moved": "Moved. Families can see the new time.", "covered": "Families will be told who teaches this lesson.",
    "second": "Added. They can go in now.", "link": "Added. Look at the page before the lesson.",
    "previewed": "Previewed. It opens in the lesson now.", "link-removed": "Removed from the lesson.",
}


@router.post("/lessons/{lesson_id}/move")
async def move(request: Request, lesson_id: str, actor: Staff, session: Writing, now: Now) -> Response:
    async def act(form: FormData) -> None:
        day, at, minutes = forms.move(form)
        await commands.move(session, actor, lesson_id, day=day, at=at, minutes=minutes, later=_later(form), now=now)

    return await _try(request, actor, session, lesson_id, act, "moved")


@router.post("/lessons/{lesson_id}/cancel")
async def cancel(request: Request, lesson_id: str, actor: Staff, session: Writing, now: Now) -> Response:
    form = await request.form()
    await commands.cancel(session, actor, lesson_id, because=str(form.get("because", ""))[:200], later=_later(form), now=now)
    return see_other(f"/lessons/{lesson_id}")


@router.post("/lessons/{lesson_id}/cover")
async def cover(request: Request, lesson_id: str, actor: Staff, session: Writing, now: Now) -> Response:
    async def act(form: FormData) -> None:
        await commands.cover(session, actor, lesson_id, person_id=str(form.get("person", "")), later=_later(form), now=now)

    return await _try(request, actor, session, lesson_id, act, "covered")


@router.post("/lessons/{lesson_id}/second")
async def second(request: Request, lesson_id: str, actor: Staff, session: Writing, now: Now) -> Response:
    async def act(form: FormData) -> None:
        await commands.add_second(session, actor, lesson_id, person_id=str(form.get("second", "")), now=now)

    return await _try(request, actor, session, lesson_id, act, "second", rename={"person": "second"})


@router.post("/lessons/{lesson_id}/links")
async def add_link(request: Request, lesson_id: str, actor: Staff, session: Writing, now: Now) -> Response:
    async def act(form: FormData) -> None:
        await commands.add_link(session, actor, lesson_id, url=str(form.get("url", ""))[:500], now=now)

    return await _try(request, actor, session, lesson_id, act, "link")


@router.post("/lessons/{lesson_id}/links/{link_id}/preview")
async def preview(request: Request, lesson_id: str, link_id: str, actor: Staff, session: Writing, now: Now) -> Response:
    async def act(form: FormData) -> None:
        await commands.preview_link(session, actor, lesson_id, link_id, looked=bool(form.get("looked")), now=now)

    return await _try(request, actor, session, lesson_id, act, "previewed", rename={"looked": f"looked-{link_id}"})


@router.post("/lessons/{lesson_id}/links/{link_id}/remove")
async def remove_link(request: Request, lesson_id: str, link_id: str, actor: Staff, session: Writing, now: Now) -> Response:
    await commands.remove_link(session, actor, lesson_id, link_id, now=now)
    return see_other(f"/lessons/{lesson_id}/change?saved=link-removed")


async def _try(request: Request, actor: Actor, session: AsyncSession, lesson_id: str,
               act: Callable[[FormData], Awaitable[None]], saved: str, rename: dict[str, str] | None = None) -> Response:
    """Do it whole or not at all; what the rules refuse comes back on the page with its words."""
    form = await request.form()
    try:
        async with session.begin_nested():
            await act(form)
    except Invalid as refused:
        errors = {(rename or {}).get(name, name): words for name, words in refused.fields.items()}
        return await _page(request, actor, session, lesson_id, errors, given=dict(form))
    return see_other(f"/lessons/{lesson_id}/change?saved={saved}")


async def _page(request: Request, actor: Actor, session: AsyncSession, lesson_id: str, errors: dict[str, str], *,
                saved: str = "", given: dict[str, Any] | None = None) -> Response:
    view = await queries.lesson_view(session, actor, lesson_id)
    if not view.may_change:
        raise NotFound()
    if view.card.stage.value in ("Cancelled", "Ended", "Not approved"):
        raise Conflict("This lesson is over or cancelled, so it cannot be changed.")
    choices = await proposals.choices(session, actor)
    zone = choices.hours.zone
    local = view.card.starts_at.astimezone(ZoneInfo(zone))
    longest = int(view.roster.profile.longest(view.roster.group.key_stage).total_seconds() // 60)
    minutes = str(int((view.card.ends_at - view.card.starts_at).total_seconds() // 60))
    names = await people.people(session, actor.school_id, [link.previewed_by for link in view.roster.links])
    return await render(
        request, "lessons/change.html", 422 if errors else 200, title=f"Change {view.card.title}", view=view, errors=errors,
        saved=saved, given=given or {}, names={person.id: person.name for person in names.values()},
        on=(str(local.day), str(local.month), str(local.year)), start=f"{local:%H:%M}", length=minutes,
        starts=forms.start_times(choices.hours, f"{local:%H:%M}", local), shown_address=rules.shown_address,
        lengths=minutes_of(forms.lengths(longest, minutes)), colleagues=await _colleagues(session, actor, view),
    )


async def _colleagues(session: AsyncSession, actor: Actor, view: queries.LessonView) -> list[tuple[str, str]]:
    """Who could still be asked to teach or be the second adult."""
    here = {adult.id for adult in view.roster.adults}
    staff = await people.holders(session, actor.school_id, proposals.TEACHING)
    return [("", "Choose"), *((person.id, person.name) for person in staff if person.id not in here)]


def _later(form: FormData) -> bool:
    return form.get("scope") == "later"
