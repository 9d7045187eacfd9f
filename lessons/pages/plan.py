"""Planning a lesson: one form, in under a minute, that loses nothing when the rules refuse."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import commands, forms, proposals, rules
from lessons.forms import PlanForm
from lessons.pages.day import PLANNERS
from lessons.proposals import Choices, Measured
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, Writing, clock_of, render, see_other
from service.people import queries as people

router = APIRouter()
Planner = Annotated[Actor, Depends(Audience(PLANNERS))]


@router.get("/lessons/plan")
async def plan(request: Request, actor: Planner, session: Reading, now: Now, group: str = "") -> Response:
    choices = await proposals.choices(session, actor)
    chosen = group if group in {one.id for one in choices.groups} else await proposals.last_group(session, actor, choices.groups)
    if not chosen:
        return await render(request, "lessons/no_class.html", title="Plan a lesson")
    zone = choices.hours.zone
    longest = _longest(choices, chosen)
    last = await proposals.prefill(session, actor, chosen, zone)
    form = forms.fresh(chosen, last, longest, now.astimezone(ZoneInfo(zone)), choices.hours)
    return await _page(request, actor, session, form, choices)


@router.post("/lessons/plan")
async def plan_it(request: Request, actor: Planner, reading: Reading, session: Writing, now: Now) -> Response:
    """What only has to be read is read beside the writing session, which keeps every other writer waiting."""
    sent = await request.form()
    form, choices = forms.typed(sent), await proposals.choices(reading, actor)
    if not choices.groups:
        raise NotFound()
    try:
        wanted = forms.wanted(form, actor.person_id, now.astimezone(ZoneInfo(choices.hours.zone)), choices.hours.zone)
        if sent.get("step") == "check":
            return await _dates(request, actor, reading, form, choices, wanted)
        async with session.begin_nested():
            made = await commands.plan(session, actor, wanted, now)
    except commands.PlanRefused as refused:
        fields = forms.place_links(form, refused.fields)
        return await _page(request, actor, reading, form, choices, errors=fields, refused=refused, measured=refused.measured)
    except Invalid as invalid:
        return await _page(request, actor, reading, form, choices, errors=invalid.fields)
    return see_other(f"/lessons/{made.lesson_ids[0]}?planned={len(made.lesson_ids)}")


async def _dates(request: Request, actor: Actor, session: AsyncSession, form: PlanForm, choices: Choices,
                 wanted: proposals.Wanted) -> Response:
    """Every date of the series with what the rules say of it; nothing is planned yet."""
    await proposals.own_group(session, actor, form.group)
    measured = await proposals.measure(session, actor.school_id, wanted, clock_of(request).now())
    return await _page(request, actor, session, form, choices, measured=tuple(measured))


async def _page(request: Request, actor: Actor, session: AsyncSession, form: PlanForm, choices: Choices, *,
                errors: dict[str, str] | None = None, refused: commands.PlanRefused | None = None,
                measured: tuple[Measured, ...] = ()) -> Response:
    zone = choices.hours.zone
    now = clock_of(request).now().astimezone(ZoneInfo(zone))
    group = next((one for one in choices.groups if one.id == form.group), choices.groups[0])
    context: dict[str, Any] = {
        "form": form, "choices": choices, "errors": errors or {}, "group": group,
        "outlook": await proposals.outlook(session, actor.school_id, group, now.date()),
        "starts": forms.start_times(choices.hours, form.start, now),
        "lengths": minutes_of(forms.lengths(_longest(choices, group.id), form.length)),
        "seconds": [("", "Nobody"), *((person.id, person.name) for person in choices.seconds)],
        "platforms": [("", "Chaperone"), *((one.id, one.name) for one in choices.platforms if one.host)],
        "days": {"today": now.date(), "tomorrow": now.date() + timedelta(days=1)}, 
        "dates": _rows(form, measured, zone) if form.repeat == "weekly" else [],
        "may_be_asked": refused is not None and refused.may_be_asked,
        "one_to_one": refused is not None and any(r.rule is rules.Rule.ONE_PUPIL for r in refused.refusals),
        "approver": await _approver(session, actor.school_id),
    }
    return await render(request, "lessons/plan.html", 422 if errors else 200, title="Plan a lesson", **context)


def minutes_of(lengths: list[int]) -> list[tuple[str, str]]:
    return [(str(minutes), f"{minutes} minutes") for minutes in lengths]


@dataclass(frozen=True)
class DateRow:
    """One date of a series: left out, or what the rules say of it (nothing: OK)."""

    day: date
    left_out: bool = False
    words: tuple[str, ...] = ()


def _rows(form: PlanForm, measured: tuple[Measured, ...], zone: str) -> list[DateRow]:
    kept = [DateRow(one.starts_at.astimezone(ZoneInfo(zone)).date(), words=tuple(refusal.words for refusal in one.refusals))
            for one in measured]
    gone = [DateRow(day, left_out=True) for text in form.left_out if (day := forms.iso(text))]
    return sorted(kept + gone, key=lambda row: row.day)


def _longest(choices: Choices, group_id: str) -> int:
    stage = next(one.key_stage for one in choices.groups if one.id == group_id)
    return int(choices.profile.longest(stage).total_seconds() // 60)


async def _approver(session: AsyncSession, school_id: str) -> str:
    """Who decides about a one-to-one."""
    heads = await people.holders(session, school_id, frozenset({Role.HEADTEACHER}))
    return heads[0].name if heads else "the headteacher"
