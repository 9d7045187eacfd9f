"""What worries a parent, to those whose it is: never to whom it is about (policy: IN4, RC1)."""

import re
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import Invalid
from service.foundation.events import Actor, Role
from service.people import family
from service.people import queries as people
from service.people.rules import sort_key
from service.safeguarding import commands
from service.safeguarding.rules import INBOX, REACH, About, Kind
from service.safeguarding.tables import Alert

ABOUT = {"my-child": "Their own child", "another-child": "Another child", "an-adult": "An adult at school",
         "this-app": "This app"}
TO = {Role.DSL: "safeguarding team", Role.HEADTEACHER: "headteacher", Role.CHAIR: "chair of governors"}


async def raise_worry(session: AsyncSession, actor: Actor, *, about: str, child_id: str, adult: str, who: str, words: str,
                      reach: str, now: datetime) -> str:
    """Send it at once. Returns who has it, as a screen says it.

    About an adult it goes to the headteacher, about the headteacher to the chair. Whoever could have it and is named in it does
    not get it either, whatever was chosen: parents know names, not posts. What the same parent has sent and nobody has dealt with
    gets the words, where the same people learn of it. `child_id`: the parent's own child; raises NotFound
    for anybody else's, Invalid without words.
    """
    child = await family.child(session, actor, child_id) if child_id else None
    wrong = {} if words.strip() else {"words": "Tell us what worries you"}
    if about == "my-child" and child is None:
        wrong["child_id"] = "Choose which child"
    if wrong:
        raise Invalid(fields=wrong)
    named = await _named(session, actor, f"{who} {words}")
    told = [f"{ABOUT[about]}{f': {child.name}' if child else ''}{f'. {who.strip()}' if who.strip() else ''}.", words.strip(),
            REACH[reach]]
    heads = {one for one, roles in named.items() if Role.HEADTEACHER in roles}
    given: dict[str, Any] = {"kind": Kind.PARENT, "now": now, "words": "\n".join(told), "present": set(named),
                             "about": _about(about, adult, is_head=bool(heads)), "do_not_ring": reach != "phone"}
    alert_id = (await commands.add_to_own(session, actor, **given)
                or await commands.raise_alert(session, actor, place="From a parent, in the app", **given))
    return TO[Role((await session.get_one(Alert, alert_id)).routed_to)]


def _about(about: str, adult: str, *, is_head: bool) -> str:
    if about != "an-adult":
        return About.OTHER
    return About.HEADTEACHER if adult == "headteacher" or is_head else About.STAFF


async def _named(session: AsyncSession, actor: Actor, text: str) -> dict[str, frozenset[Role]]:
    """Those whose such things are, and whose family name the text has as a word of its own."""
    said = set(re.findall(r"\w+", sort_key(text)))
    holders = await people.holders(session, actor.school_id, INBOX)
    return {one.id: one.roles for one in holders if set(re.findall(r"\w+", sort_key(one.full_name.split()[-1]))) & said}
