"""Who one is, and the agreement that comes before everything else (policy: CO1, CO5)."""

from datetime import datetime

from fastapi import Request
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.agreements import families
from consent.agreements import queries as agreements
from consent.agreements.rules import Signing
from consent.rules import Route
from lessons.family import queries as family_news
from mobile_api import schemas
from mobile_api.once import Once
from mobile_api.permissions import questions
from mobile_api.route import NOT_CHANGED, Known, Unsigned, router_of
from mobile_api.routes.phones import this_phone
from service.foundation.events import Actor
from service.foundation.web import Now, Reading, Standing
from service.people import family
from service.people import queries as people
from service.people.phones import commands

router = router_of("Me")
"""Signing is possible before anything is signed; so is seeing who one is."""


@router.get("/me", operation_id="me", summary="Who is signed in", responses=NOT_CHANGED)
async def me(request: Request, actor: Known, session: Reading, now: Now) -> schemas.Me:
    school = await people.school(session, actor.school_id)
    children = await family.children(session, actor)
    phone = getattr(request.state, "phone", None)
    return schemas.Me(
        id=actor.person_id, name=actor.name, school=school.name, office=school.office, zone=school.zone,
        roles=sorted(actor.roles), language=phone.language if phone else "en",
        agreement=_signing(request.state.standing).value,
        children=[schemas.OwnChild(id=one.id, name=one.name) for one in children],
        questions=await questions(session, actor, now), rules_to_sign=await _rules_to_sign(session, actor),
        unread=await family_news.unread(session, actor),
        rests_until=phone.rests_until if phone and phone.rests_until and now < phone.rests_until else None,
    )


async def _rules_to_sign(session: AsyncSession, actor: Actor) -> list[schemas.OwnChild]:
    """The young children who cannot come in, or soon cannot, until this parent signs for them (policy: CO1)."""
    return [schemas.OwnChild(id=one.id, name=one.name) for one in await agreements.young_children(session, actor)
            if one.signing is not Signing.SIGNED]


def _signing(standing: Standing) -> Signing:
    """As the door of the service found it."""
    return Signing.NOT_SIGNED if not standing.may_enter else Signing.DUE if standing.ends_soon else Signing.SIGNED


@router.put("/me/language", operation_id="set_language", summary="The language of this phone", status_code=204)
async def set_language(request: Request, actor: Unsigned, session: Once, given: schemas.Language) -> None:
    await commands.set_language(session, actor, this_phone(request).id, given.language)


@router.get("/agreement", operation_id="agreement", summary="What one signs: one's own, and for the youngest children",
            responses=NOT_CHANGED)
async def agreement(actor: Unsigned, session: Reading, now: Now) -> schemas.Agreements:
    return await _agreements(session, actor, now)


@router.post("/agreement", operation_id="sign_agreement", summary="Sign an agreement")
async def sign(request: Request, actor: Unsigned, session: Once, now: Now, given: schemas.Signature) -> schemas.Agreements:
    route = Route.APP if getattr(request.state, "phone", None) else Route.WEB
    await families.sign(session, actor, agreement_id=given.agreement_id, child_id=given.child_id or "", agrees=given.agree,
                        name=given.name, route=route, now=now)
    await session.flush()
    return await _agreements(session, actor, now)


async def _agreements(session: AsyncSession, actor: Actor, now: datetime) -> schemas.Agreements:
    signs_as = (await people.person(session, actor.school_id, actor.person_id)).full_name
    return schemas.Agreements(signs_as=signs_as, agreements=[
        schemas.Agreement(
            id=one.id, audience=one.audience.value, title=one.title, version=one.version, text=one.text, sha256=one.sha256,
            what_changed=one.what_changed, state=one.signing.value, renew_on=one.renew_on,
            child=schemas.OwnChild(id=one.child_id, name=one.child) if one.child_id else None,
        ) for one in await families.to_sign(session, actor, now.date())])
