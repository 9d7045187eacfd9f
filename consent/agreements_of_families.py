"""What a parent signs on a phone: their own agreement, and that of a child too young to sign (policy: CO1)."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from consent import commands, queries, rules
from consent.rules import Audience, Route, Signing
from service.foundation.errors import Conflict, NotFound
from service.foundation.events import Actor
from service.people import family
from service.people import queries as people

TITLES = {Audience.PARENTS: "Agreement for families", Audience.PUPILS: "Rules for {name}", Audience.STAFF: "Agreement for staff",
          Audience.GOVERNORS: "Agreement for governors", Audience.GUESTS: "Agreement for guests"}


class OtherVersion(Conflict):
    """This agreement has changed since you opened it. Read it again."""

    code = "other-version"


@dataclass(frozen=True)
class ToSign:
    """One agreement. `child_id` is empty for the parent's own."""

    id: str
    audience: Audience
    title: str
    version: int
    text: str
    what_changed: str
    signing: Signing
    renew_on: date | None
    child_id: str = ""
    child: str = ""


async def due(session: AsyncSession, actor: Actor, now: datetime) -> list[ToSign]:
    """The parent's own agreement, then one for each child whose parent signs. What the school has no text of is not there."""
    children = {one.id: one.name for one in await family.children(session, actor)}
    lines = await queries.register(session, actor.school_id, [actor.person_id, *children], now.date())
    texts = await queries.current_agreements(session, actor.school_id)
    wanted = [line for line in lines if line.audience in texts and (line.id == actor.person_id or line.by_parent)]
    return [
        ToSign(text.id, line.audience, TITLES[line.audience].format(name=children.get(line.id, "")), text.version, text.text,
               "", line.signing, line.renew_on, *((line.id, children[line.id]) if line.id in children else ()))
        for line in sorted(wanted, key=lambda line: line.id in children) for text in (texts[line.audience],)
    ]


async def own(session: AsyncSession, actor: Actor, on: date) -> Signing | None:
    """Whether this person has signed what they need to. Who is staff as well signs as staff, and once."""
    lines = await queries.register(session, actor.school_id, [actor.person_id], on)
    return lines[0].signing if lines else None


async def sign(session: AsyncSession, actor: Actor, *, agreement_id: str, child_id: str, agrees: bool, name: str,
               now: datetime) -> None:
    """Sign exactly the version that was read. Raises NotFound, OtherVersion, Invalid with words for each field."""
    if child_id:
        await family.child(session, actor, child_id)
    own = next((one for one in await due(session, actor, now) if one.child_id == child_id), None)
    if own is None:
        raise NotFound()
    if own.id != agreement_id:
        raise OtherVersion()
    known_as = (await people.person(session, actor.school_id, actor.person_id)).full_name
    rules.check_signing(agrees, name, known_as, needs_name=True)
    await commands.record_signature(session, actor, person_id=child_id or actor.person_id, route=Route.APP, signed_on=now.date(),
                                    signed_by=actor.person_id if child_id else "", now=now)
