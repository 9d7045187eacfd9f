"""The school's rules: changing them by two people, and how they came to be (policy: IN5)."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import Conflict, Invalid, NotAllowed
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading, render, say_count, see_other
from service.people import profile_changes, profile_history, queries, rules, step_up
from service.people.pages.forms import saved, words
from service.people.pages.school import Reader
from service.people.profile import Profile, differences, lines, read
from service.people.step_up import Confirming, NotConfirmed, Proof

router = APIRouter(prefix="/school/rules")
Asker = Annotated[Actor, Depends(Audience(rules.ASK_FOR_RULES))]
Second = Annotated[Actor, Depends(Audience(rules.AGREE_TO_RULES))]


async def _given(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


@router.get("/change")
async def change_form(request: Request, actor: Asker, session: Reading) -> Response:
    profile = await queries.profile(session, actor.school_id)
    version = await profile_changes.newest_version(session, actor.school_id)
    return await _form(request, {line.key: str(line.value) for line in lines(profile)} | {"base_version": str(version)})


async def _form(request: Request, given: dict[str, str], refusal: Invalid | None = None) -> Response:
    shown = list(lines(Profile()))
    groups = {group: [line for line in shown if line.rule.group == group]
              for group in dict.fromkeys(line.rule.group for line in shown)}
    return await render(request, "people/profile/change.html", 422 if refusal else 200, title="Change the school’s rules",
                        groups=groups, given=given, errors=words(refusal) if refusal else None)


@router.post("/change")
async def compare(request: Request, actor: Asker, session: Reading) -> Response:
    given = await _given(request)
    if "back" in given:
        return await _form(request, given)
    try:
        after = read(given)
        if not differences(await queries.profile(session, actor.school_id), after):
            raise Invalid("Nothing is different from the rules as they are. Change something first.")
    except Invalid as refusal:
        return await _form(request, given, refusal)
    return await _comparison(request, actor, session, given, after)


async def _comparison(request: Request, actor: Actor, session: AsyncSession, given: dict[str, str], after: Profile,
                      refusal: Invalid | Conflict | None = None) -> Response:
    before = await queries.profile(session, actor.school_id)
    version = str(await profile_changes.newest_version(session, actor.school_id))
    return await render(
        request, "people/profile/compare.html", 422 if refusal else 200, title="Compare before you ask", given=given,
        rows=await profile_history.compared(session, actor.school_id, before, after), base_version=version,
        boxes={line.key: line.value for line in lines(after)}, errors=words(refusal) if refusal else None,
    )


@router.post("/ask")
async def ask(request: Request, actor: Asker, session: Reading, now: Now) -> Response:
    given = await _given(request)
    try:
        after = read(given)
    except Invalid as refusal:
        return await _form(request, given, refusal)
    reasons = {name.removeprefix("reason_"): said for name, said in given.items() if name.startswith("reason_")}
    version = given.get("base_version", "")
    try:
        change_id = await saved(request, lambda writing: profile_changes.ask(
            writing, actor, base_version=int(version) if version.isdigit() else 0, after=after, reasons=reasons,
            review_on=rules.read_day(given.get("review_on", "")), now=now))
    except (Invalid, Conflict) as refusal:
        return await _comparison(request, actor, session, given, after, refusal)
    return see_other(f"/school/rules/changes/{change_id}")


@router.get("/changes/{change_id}")
async def show(request: Request, actor: Second, session: Reading, change_id: str) -> Response:
    return await _request(request, actor, session, change_id)


async def _request(request: Request, actor: Actor, session: AsyncSession, change_id: str,
                   refusal: Invalid | Conflict | NotAllowed | None = None) -> Response:
    asked = await profile_history.request(session, actor.school_id, change_id)
    rules_to_change = say_count(len(asked.rows), "rule")
    return await render(
        request, "people/profile/request.html", 422 if refusal else 200, asked=asked,
        is_mine=asked.asked_by_id == actor.person_id, title=f"{asked.asked_by} wants to change {rules_to_change}",
        errors=words(refusal) if refusal else None,
    )


@router.post("/changes/{change_id}")
async def decide(request: Request, actor: Second, session: Reading, change_id: str, now: Now, proof: Confirming) -> Response:
    answer = (await _given(request)).get("answer", "")
    try:
        if answer == "agree":
            return await _agree(request, actor, session, change_id, now, proof)
        if answer != "refuse":
            raise Invalid(fields={"answer": "Choose one"})
        await saved(request, lambda writing: profile_changes.refuse(writing, actor, change_id, now=now))
    except (Invalid, Conflict, NotAllowed) as refusal:
        return await _request(request, actor, session, change_id, refusal)
    return see_other(f"/school/rules/changes/{change_id}")


async def _agree(request: Request, actor: Actor, session: AsyncSession, change_id: str, now: datetime,
                 proof: Proof) -> Response:
    action = await profile_changes.agreeing(session, actor, change_id, now)
    if not proof.is_given:
        return await step_up.ask(request, session, actor, action)
    try:
        await saved(request, lambda writing: profile_changes.agree(writing, actor, change_id, proof=proof, now=now))
    except NotConfirmed as refusal:
        return await step_up.ask(request, session, actor, action, refusal)
    return see_other(f"/school/rules/changes/{change_id}")


@router.get("/history")
async def history(request: Request, actor: Reader, session: Reading) -> Response:
    return await render(request, "people/profile/history.html", title="How the rules came to be",
                        versions=await profile_history.history(session, actor.school_id))
