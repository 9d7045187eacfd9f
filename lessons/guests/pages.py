"""The pages about guests: asking for one, deciding, ending a visit, and the guest's own page (policy: AC7)."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from lessons.guests import commands, queries, rules
from lessons.guests.queries import Visit
from lessons.guests.rules import KIND_WORDS, Asked, State
from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import LEADERS, SAFEGUARDING, Actor, Role
from service.foundation.web import Audience, Now, Public, Reading, Writing, render, say_day, see_other
from service.people import queries as people
from service.people import sessions, step_up
from service.people.actions import Action
from service.people.pages.forms import saved, words
from service.people.rules import read_day
from service.people.step_up import Confirming, NotConfirmed, Proof

router = APIRouter()
READERS = rules.ASK | SAFEGUARDING | {Role.OFFICE}
Sponsor = Annotated[Actor, Depends(Audience(rules.ASK))]
Reader = Annotated[Actor, Depends(Audience(READERS))]
Guest = Annotated[Actor, Depends(Audience(Role.GUEST))]
Text = Annotated[str, Form()]


@router.get("/guests")
async def show_list(request: Request, actor: Reader, session: Reading) -> Response:
    visits = await queries.visits(session, actor)
    groups = {state: [visit for visit in visits if visit.state is state] for state in State}
    return await render(request, "lessons/guests/list.html", title="Guests", groups=groups, may_decide=actor.is_any(LEADERS))


class GuestForm(BaseModel):
    """What the form sends: words, which `asked` reads."""

    lesson: str = ""
    kind: str = ""
    guest_id: str = ""
    title: str = ""
    given_name: str = ""
    family_name: str = ""
    purpose: str = ""
    identity_note: str = ""
    first: str = ""
    last: str = ""
    lessons: list[str] = []
    children: list[str] = []

    def asked(self) -> Asked:
        tidy = {name: " ".join(getattr(self, name).split()) for name in ("title", "given_name", "family_name")}
        return Asked(self.kind, self.purpose, self.identity_note, read_day(self.first), read_day(self.last),
                     frozenset(self.lessons), frozenset(self.children), self.guest_id, **tidy)


@router.get("/guests/ask")
async def ask_form(request: Request, actor: Sponsor, session: Reading, lesson: str = "") -> Response:
    choices = await queries.choices(session, actor, lesson)
    day = next(starts_at for each, _, starts_at in choices.lessons if each == lesson)
    on = f"{day.day}/{day.month}/{day.year}"
    return await _form(request, actor, session, GuestForm(lesson=lesson, lessons=[lesson], first=on, last=on))


async def _form(request: Request, actor: Actor, session: AsyncSession, form: GuestForm,
                refusal: Invalid | None = None) -> Response:
    return await render(
        request, "lessons/guests/ask.html", 422 if refusal else 200, title="Ask for a guest", form=form,
        kinds=[(str(kind), said) for kind, said in KIND_WORDS.items()], errors=words(refusal) if refusal else {},
        choices=await queries.choices(session, actor, form.lesson),
    )


@router.post("/guests/ask")
async def ask(request: Request, actor: Sponsor, session: Reading, now: Now, form: Annotated[GuestForm, Form()]) -> Response:
    try:
        pass_id = await saved(request, lambda writing: commands.ask(writing, actor, form.lesson, form.asked(), now))
    except Invalid as refusal:
        return await _form(request, actor, session, form, refusal)
    return see_other(f"/guests/{pass_id}")


@router.get("/guests/{pass_id}")
async def show(request: Request, actor: Reader, session: Reading, pass_id: str) -> Response:
    return await _page(request, actor, session, pass_id)


async def _page(request: Request, actor: Actor, session: AsyncSession, pass_id: str,
                refusal: Invalid | Conflict | NotAllowed | None = None, *, answer: str = "", reason: str = "",
                link: str = "") -> Response:
    visit = await queries.visit(session, actor, pass_id)
    people = (visit.it.sponsor_id, visit.it.guest_id)
    is_sponsor = actor.person_id == visit.it.sponsor_id
    return await render(
        request, "lessons/guests/visit.html", 422 if refusal else 200, title=f"Guest: {visit.guest}", visit=visit,
        errors=words(refusal) if refusal else {}, answer=answer, reason=reason, link=link, is_sponsor=is_sponsor,
        waiting=visit.state is State.WAITING, may_decide=actor.is_any(LEADERS) and actor.person_id not in people,
        is_leader=actor.is_any(LEADERS), may_end=visit.state is State.APPROVED and (is_sponsor or actor.is_any(LEADERS)),
    )


Deciding = Callable[[AsyncSession, Actor, str, str, datetime], Awaitable[tuple[rules.Pass, str]]]


@router.post("/guests/{pass_id}")
async def decide(request: Request, actor: Annotated[Actor, Depends(Audience(LEADERS))], session: Reading, now: Now,
                 pass_id: str, proof: Confirming, answer: Text = "", reason: Text = "") -> Response:
    try:
        if answer == "approve":
            one, said = await commands.decidable(session, actor, pass_id, reason, now)
            action = rules.approval_action(one, said, _approving(await queries.visit(session, actor, pass_id)))
            return await _proved(request, session, actor, action, proof, pass_id, lambda writing: commands.approve(
                writing, actor, pass_id, reason=reason, proof=proof, now=now))
        if answer != "refuse":
            raise Invalid(fields={"answer": "Choose what you decide"})
        await saved(request, lambda writing: commands.refuse(writing, actor, pass_id, reason=reason, now=now))
    except (Invalid, Conflict, NotAllowed) as refusal:
        return await _page(request, actor, session, pass_id, refusal, answer=answer, reason=reason)
    return see_other(f"/guests/{pass_id}")


def _approving(visit: Visit) -> str:
    lessons = f"{len(visit.lessons)} lesson{'s' if len(visit.lessons) != 1 else ''}"
    return (f"let {visit.guest}, a guest of {visit.sponsor}, come to {lessons} between {say_day(visit.first)} and "
            f"{say_day(visit.last)}")


async def _proved(request: Request, session: AsyncSession, actor: Actor, action: Action, proof: Proof, pass_id: str,
                  write: Callable[[AsyncSession], Awaitable[Any]]) -> Response:
    if not proof.is_given:
        return await step_up.ask(request, session, actor, action, back=f"/guests/{pass_id}")
    try:
        await saved(request, write)
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal, back=f"/guests/{pass_id}")
    return see_other(f"/guests/{pass_id}")


@router.post("/guests/{pass_id}/end")
async def end(request: Request, actor: Sponsor, session: Reading, now: Now, pass_id: str, proof: Confirming,
              reason: Text = "") -> Response:
    try:
        one, said = await commands.endable(session, actor, pass_id, reason, now)
        visit = await queries.visit(session, actor, pass_id)
        action = rules.ending_action(one, said, f"end the visit of {visit.guest}, at once")
        return await _proved(request, session, actor, action, proof, pass_id, lambda writing: commands.end(
            writing, actor, pass_id, reason=reason, proof=proof, now=now))
    except (Invalid, Conflict, NotAllowed) as refusal:
        return await _page(request, actor, session, pass_id, refusal, reason=reason)


@router.post("/guests/{pass_id}/link")
async def make_link(request: Request, actor: Sponsor, session: Reading, now: Now, pass_id: str) -> Response:
    try:
        token = await saved(request, lambda writing: commands.make_link(writing, actor, pass_id, now))
    except Conflict as refusal:
        return await _page(request, actor, session, pass_id, refusal)
    return await _page(request, actor, session, pass_id, link=f"{request.app.state.settings.origin}/guest/in/{token}")


# -- the guest's own pages --------------------------------------------------------------------------------------------------


@router.get("/guest/in/{token}", dependencies=[Public])
async def arrive(request: Request, session: Reading, token: str) -> Response:
    """Looking at the link uses nothing up: mail programs and messengers look at every link."""
    _, one, guest = await commands.behind_link(session, token)
    sponsor = (await people.person(session, guest.school_id, one.sponsor_id)).name
    return await render(request, "lessons/guests/arrive.html", title=f"You are a guest of {sponsor}", guest=guest.name,
                        token=token)


@router.post("/guest/in/{token}", dependencies=[Public])
async def enter(request: Request, session: Writing, now: Now, token: str) -> Response:
    cookie = await commands.enter(session, token, now)
    answer = see_other("/guest")
    secure = request.url.scheme == "https" or request.app.state.settings.origin.startswith("https://")
    sessions.give_cookie(answer, cookie, secure=secure)
    return answer


@router.get("/guest")
async def own_page(request: Request, actor: Guest, session: Reading, now: Now) -> Response:
    visits = await queries.own_visits(session, actor)
    sponsors = " and ".join(dict.fromkeys(visit.sponsor for visit in visits))
    return await render(request, "lessons/guests/own.html", title=f"You are a guest of {sponsors}" if visits else "Your visit",
                        visits=visits)
