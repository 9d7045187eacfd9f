"""What a parent signs on a phone: their own agreement, and that of a child too young to sign (policy: CO1)."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from consent.agreements import commands, queries, rules
from consent.rules import Route
from service.foundation.errors import Conflict, NotFound
from service.foundation.events import Actor
from service.people import queries as people


class OtherVersion(Conflict):
    """This agreement has changed since you opened it. Read it again."""

    code = "other-version"


@dataclass(frozen=True)
class ToSign:
    """One agreement. `child_id` is empty for the parent's own; `sha256` is kept with a signature."""

    id: str
    audience: rules.Audience
    title: str
    version: int
    text: str
    sha256: str
    what_changed: str
    signing: rules.Signing
    renew_on: date | None
    child_id: str = ""
    child: str = ""


async def to_sign(session: AsyncSession, actor: Actor, on: date) -> list[ToSign]:
    """The parent's own agreement, then one for each young child whose parent signs. Who is staff as well signs as staff, and
    once. What the school has no text of is not there."""
    children = {child.id: child.name for child in await queries.young_children(session, actor)}
    lines = await queries.register(session, actor.school_id, [actor.person_id, *children], on)
    texts = await queries.current_agreements(session, actor.school_id)
    return [
        ToSign(text.id, line.audience, _title(line.audience, children.get(line.id, "")), text.version, text.text,
               rules.text_hash(text.text), text.what_changed, line.signing, line.renew_on,
               *((line.id, children[line.id]) if line.id in children else ()))
        for line in sorted(lines, key=lambda line: line.id in children) if (text := texts.get(line.audience)) is not None
    ]


def _title(part: rules.Audience, child: str) -> str:
    return f"The rules for {child}" if child else rules.TITLES[part]


async def sign(session: AsyncSession, actor: Actor, *, agreement_id: str, child_id: str, agrees: bool, name: str,
               route: Route, now: datetime) -> None:
    """Sign exactly the version that was read. Raises NotFound, OtherVersion, Invalid with words for each field."""
    wanted = next((one for one in await to_sign(session, actor, now.date()) if one.child_id == child_id), None)
    if wanted is None:
        raise NotFound()
    if wanted.id != agreement_id:
        raise OtherVersion()
    known_as = (await people.person(session, actor.school_id, actor.person_id)).full_name
    rules.check_signing(agrees, name, known_as, needs_name=True)
    await commands.record_signature(session, actor, person_id=child_id or actor.person_id, route=route, signed_on=now.date(),
                                    signed_by=actor.person_id if child_id else "", seen=wanted.sha256, now=now)
