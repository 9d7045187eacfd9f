"""Asking to watch, deciding about it, watching by grant, and who is told of views (policy: RE1)."""

from datetime import datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import queries as recordings
from recordings import rules as watching
from recordings.grants import commands, notices, queries, rules
from recordings.grants.rules import Grant, State, Terms, Wish
from recordings.queries import RecordingDetails
from service.foundation.banners import Banner
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, render, say_time, see_other
from service.people import queries as people
from service.people import step_up
from service.people.pages.forms import saved, words
from service.people.step_up import Confirming, NotConfirmed

router = APIRouter()
Asker = Annotated[Actor, Depends(Audience(rules.ASKERS))]
Decider = Annotated[Actor, Depends(Audience(rules.DECIDERS))]
Watcher = Annotated[Actor, Depends(Audience(rules.WATCHERS))]
Told = Annotated[Actor, Depends(Audience(Role.HEADTEACHER, Role.CHAIR))]
REFUSALS = (Invalid, Conflict, NotAllowed)


class AskForm(BaseModel):
    """What the form sends: times of day as they are said."""

    person: str = ""
    why: str = ""
    words: str = ""
    starts_at: str = ""
    ends_at: str = ""

    def wish(self, actor: Actor, details: RecordingDetails, zone: str) -> Wish:
        times = {name: _moment(getattr(self, name), details, zone) for name in ("starts_at", "ends_at")}
        wrong = {name: "Enter a time of the lesson, like 10:20" for name, at in times.items() if at is None}
        first, last = times["starts_at"], times["ends_at"]
        if first is None or last is None:
            raise Invalid(fields=wrong)
        return Wish(self.person or actor.person_id, self.why, self.words[:500], first, last)


def _moment(text: str, details: RecordingDetails, zone: str) -> datetime | None:
    """A time of day on the day of the lesson."""
    try:
        hour, minute = (int(part) for part in text.strip().replace(".", ":").split(":"))
        at = time(hour, minute)
    except ValueError:
        return None
    return datetime.combine(details.started_at.astimezone(ZoneInfo(zone)).date(), at, ZoneInfo(zone))


# -- asking -----------------------------------------------------------------------------------------------------------


@router.get("/recordings/{lesson_id}/ask")
async def ask_form(request: Request, actor: Asker, session: Reading, lesson_id: str) -> Response:
    return await _ask_page(request, actor, session, lesson_id, AskForm())


@router.post("/recordings/{lesson_id}/ask")
async def ask(request: Request, actor: Asker, session: Reading, now: Now, lesson_id: str,
              form: Annotated[AskForm, Form()]) -> Response:
    zone = (await people.school(session, actor.school_id)).zone
    try:
        details = await commands.asked_about(session, actor, lesson_id, form.person or actor.person_id)
        wish = form.wish(actor, details, zone)
        grant_id = await saved(request, lambda writing: commands.ask(writing, actor, lesson_id, wish, now))
    except REFUSALS as refusal:
        return await _ask_page(request, actor, session, lesson_id, form, words(refusal))
    return see_other(f"/grants/{grant_id}")


async def _ask_page(request: Request, actor: Actor, session: AsyncSession, lesson_id: str, form: AskForm,
                    errors: Any = None) -> Response:
    details = await recordings.recording(session, actor.school_id, lesson_id)
    if details.is_for_practice:
        raise NotFound()
    colleagues = []
    if actor.is_any(rules.NAMERS) and actor.person_id not in details.participants:
        staff = await people.holders(session, actor.school_id, rules.WATCHERS)
        colleagues = [(one.id, one.name) for one in staff if one.id not in details.participants]
    if not colleagues:
        await commands.asked_about(session, actor, lesson_id, actor.person_id)
    return await render(
        request, "recordings/grants/ask.html", 422 if errors else 200, title="Ask to watch", recording=details, form=form,
        errors=errors, whys=watching.WHY_WORDS, colleagues=colleagues, longest=int(rules.LONGEST.total_seconds() // 60),
    )


# -- one request, and all ----------------------------------------------------------------------------------------------


@router.get("/grants")
async def show_list(request: Request, actor: Asker, session: Reading, now: Now) -> Response:
    found = await queries.listed(session, actor, now)
    groups = {state: [one for one in found if one.state is state] for state in State}
    return await render(request, "recordings/grants/list.html", title="Requests to watch", groups=groups)


@router.get("/grants/{grant_id}")
async def show(request: Request, actor: Asker, session: Reading, now: Now, grant_id: str) -> Response:
    return await _page(request, actor, session, grant_id, now)


class DecisionForm(BaseModel):
    answer: str = ""
    views: str = "1"
    days: str = "7"
    reason: str = ""
    subject: str = ""

    def terms(self, now: datetime, zone: str) -> Terms:
        """Until the end of the last day."""
        number, days = (int(text) if text.isdecimal() and len(text) < 4 else 0 for text in (self.views, self.days))
        last = now.astimezone(ZoneInfo(zone)).replace(hour=23, minute=59, second=0, microsecond=0) + timedelta(days=days)
        return Terms(number, last if days else now, self.reason[:500], self.subject[:32])


@router.post("/grants/{grant_id}")
async def decide(request: Request, actor: Decider, session: Reading, now: Now, grant_id: str, proof: Confirming,
                 form: Annotated[DecisionForm, Form()]) -> Response:
    found, _, about = await commands.to_decide(session, actor, grant_id)
    zone = (await people.school(session, actor.school_id)).zone
    allows, reason, subject = form.answer == "allow", form.reason[:500], form.subject[:32]
    try:
        rules.check_open(found)
        if form.answer not in ("allow", "refuse"):
            raise Invalid(fields={"answer": "Choose what you decide"})
        terms = rules.checked_terms(form.terms(now, zone), found, about, now) if allows else None
        action = rules.allowing(found, terms) if terms else rules.refusing(found, reason, subject)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action)
        if terms:
            await saved(request, lambda writing: commands.allow(writing, actor, grant_id, terms, proof, now))
        else:
            await saved(request, lambda writing: commands.refuse(
                writing, actor, grant_id, reason, subject, proof, now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    except REFUSALS as refusal:
        return await _page(request, actor, session, grant_id, now, form, words(refusal))
    return see_other(f"/grants/{grant_id}")


@router.post("/grants/{grant_id}/end")
async def end(request: Request, actor: Decider, session: Reading, now: Now, grant_id: str) -> Response:
    try:
        await saved(request, lambda writing: commands.end(writing, actor, grant_id, now))
    except Conflict as refusal:
        return await _page(request, actor, session, grant_id, now, errors=words(refusal))
    return see_other(f"/grants/{grant_id}")


@router.post("/grants/{grant_id}/watch")
async def watch(request: Request, actor: Watcher, session: Reading, now: Now, grant_id: str, proof: Confirming) -> Response:
    try:
        found, details = await commands.to_watch(session, actor, grant_id, now)
        if not proof.is_given:
            return await step_up.ask(request, session, actor, rules.watching(found), back=f"/grants/{grant_id}")
        view_id = await saved(request, lambda writing: commands.watch(writing, actor, grant_id, proof, now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, rules.watching(found), refusal, back=f"/grants/{grant_id}")
    except Conflict as refusal:
        return await _page(request, actor, session, grant_id, now, errors=words(refusal))
    return see_other(f"/recordings/{details.lesson_id}/views/{view_id}")


async def _page(request: Request, actor: Actor, session: AsyncSession, grant_id: str, now: datetime,
                form: DecisionForm | None = None, errors: Any = None) -> Response:
    found = await queries.grant(session, actor.school_id, grant_id)
    is_mine = actor.person_id in (found.person_id, found.asked_by)
    may_decide = False if is_mine else await _may_decide(session, actor, grant_id)
    details = await recordings.recording(session, actor.school_id, found.lesson_id)
    about = await queries.subjects(session, details) if may_decide else frozenset()
    names = {one.id: one.name for one in (await people.people(
        session, actor.school_id, {found.person_id, found.asked_by, found.decided_by, found.ended_by})).values()}
    return await render(
        request, "recordings/grants/grant.html", 422 if errors else 200, title=_title(found, names), grant=found,
        state=found.state(now), State=State, recording=details, names=names, may_decide=may_decide, errors=errors or {},
        form=form or DecisionForm(), whys=watching.WHY_WORDS, may_watch=found.person_id == actor.person_id, about=about,
        in_it=await _in_it(session, actor, details) if may_decide else [], most_views=rules.MOST_VIEWS,
    )


def _title(found: Grant, names: dict[str, str]) -> str:
    return f"Request to watch: {names[found.person_id]}"


async def _may_decide(session: AsyncSession, actor: Actor, grant_id: str) -> bool:
    """True, or NotFound: a request is there for whoever asked, whom it is for, and who decides."""
    if not actor.is_any(rules.DECIDERS):
        raise NotFound()
    await commands.to_decide(session, actor, grant_id)
    return True


async def _in_it(session: AsyncSession, actor: Actor, details: RecordingDetails) -> list[tuple[str, str]]:
    """The adults of the lesson: whom a complaint may be about."""
    known = await people.people(session, actor.school_id, details.participants)
    return [(one.id, one.name) for one in sorted(known.values(), key=lambda one: one.name) if not one.is_child]


# -- who is told of views ----------------------------------------------------------------------------------------------


@router.get("/views")
async def views(request: Request, actor: Told, session: Reading, now: Now) -> Response:
    found = await queries.told(session, actor)
    if any(one.is_new for one in found):
        await saved(request, lambda writing: notices.read(writing, actor, now))
    return await render(request, "recordings/grants/views.html", title="Who watched recordings", views=found,
                        whys=watching.WHY_WORDS)


async def banners(session: AsyncSession, actor: Actor, now: datetime) -> list[Banner]:
    """That a recording was watched: which and why stands on the page behind it."""
    waiting = await queries.unread(session, actor) if actor.is_any(frozenset({Role.HEADTEACHER, Role.CHAIR})) else []
    if not waiting:
        return []
    _, newest, _ = waiting[0]
    zone = (await people.school(session, actor.school_id)).zone
    return [Banner("Recording", f"A recording was watched, {say_time(newest.granted_at, zone)}.", "/views")]
