"""Changing the school's rules: one leader asks, a second person agrees or does not, and the next lesson has them (policy: IN5).

A lesson that has begun keeps the rules it began with (`lessons.roster`). Nothing here reaches the hard floors: they are
not in the profile.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.errors import Conflict, NotFound
from service.foundation.events import Actor
from service.people import queries, rules, step_up
from service.people.actions import Action
from service.people.events import ProfileChangeAsked, ProfileChanged, ProfileChangeRefused
from service.people.profile import Profile, checked, differences, less_protection, profile_from
from service.people.step_up import Proof
from service.people.tables import ProfileChange, ProfileVersion


class RequestChanged(Conflict):
    """This request has changed. Read it again."""

    code = "request-changed"


async def newest_version(session: AsyncSession, school_id: str) -> int:
    found = await session.exec(select(func.max(ProfileVersion.version)).where(ProfileVersion.school_id == school_id))
    return found.one() or 0


async def ask(session: AsyncSession, actor: Actor, *, base_version: int, after: Profile, reasons: Mapping[str, str],
              review_on: date | None, now: datetime) -> str:
    """Ask a second person for other rules. Returns the request's id; until somebody agrees nothing is different.

    `base_version`: what the comparison that the person saw was made with. Raises RequestChanged, Invalid.
    """
    if base_version != await newest_version(session, actor.school_id):
        raise RequestChanged("The rules have changed since you opened this. Compare again.")
    before = await queries.profile(session, actor.school_id)
    kept = rules.checked_rules_request(before, checked(after), reasons, review_on, now.date())
    assert review_on is not None
    asked = ProfileChange(
        school_id=actor.school_id, base_version=base_version, profile=after.to_json(), reasons=json.dumps(kept, sort_keys=True),
        review_on=review_on, asked_by=actor.person_id, asked_at=now,
    )
    session.add(asked)
    await publish(session, ProfileChangeAsked(asked.id, *_fields(before, after)), actor)
    return asked.id


def _fields(before: Profile, after: Profile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the lines that differ, the fields that protect less), for the audit."""
    return tuple(row.key for row in differences(before, after)), tuple(sorted(less_protection(before, after)))


async def _waiting(session: AsyncSession, actor: Actor, change_id: str) -> ProfileChange:
    asked = await session.get(ProfileChange, change_id)
    if asked is None or asked.school_id != actor.school_id:
        raise NotFound()
    if asked.decided_at is not None:
        raise RequestChanged("Somebody has decided this already. Read it again.")
    return asked


async def agreeing(session: AsyncSession, actor: Actor, change_id: str, now: datetime) -> Action:
    """What this person has to confirm to agree; raises what `agree` would, so that nobody proves themselves in vain."""
    asked = await _agreeable(session, actor, change_id, now)
    changed = len(differences(await queries.profile(session, actor.school_id), profile_from(asked.profile)))
    words = f"change {changed} of the school’s rules from the next lesson on"
    return rules.rules_action(asked.id, asked.base_version, asked.profile, asked.reasons, asked.review_on, words)


async def _agreeable(session: AsyncSession, actor: Actor, change_id: str, now: datetime) -> ProfileChange:
    asked = await _waiting(session, actor, change_id)
    asker = await queries.actor(session, asked.asked_by)
    rules.checked_rules_second(actor, asked.asked_by, asker.roles if asker else frozenset())
    if asked.base_version != await newest_version(session, actor.school_id) or asked.review_on <= now.date():
        raise RequestChanged("This request has changed: the rules, or the day, are not those it was made for. Ask for it again.")
    return asked


async def agree(session: AsyncSession, actor: Actor, change_id: str, *, proof: Proof, now: datetime) -> int:
    """The second person agrees to all of it: a new version of the rules, from the next lesson on. Returns its number.

    Raises NotAllowed, RequestChanged, and NotConfirmed without a proof that is for exactly this change.
    """
    action = await agreeing(session, actor, change_id, now)
    await step_up.confirmed(session, actor, action, proof, now)
    asked = await _agreeable(session, actor, change_id, now)
    before, after = await queries.profile(session, actor.school_id), profile_from(asked.profile)
    asked.decided_by, asked.decided_at, asked.agreed = actor.person_id, now, True
    await session.flush()  # the database lets a version in only after what two people agreed
    session.add(ProfileVersion(
        school_id=actor.school_id, version=asked.base_version + 1, profile=asked.profile, change_id=asked.id,
        reason="; ".join(json.loads(asked.reasons).values())[:500], review_on=asked.review_on, asked_by=asked.asked_by,
        decided_by=actor.person_id, in_force_at=now,
    ))
    await publish(session, ProfileChanged(asked.id, asked.base_version + 1, *_fields(before, after), asked.asked_by), actor)
    return asked.base_version + 1


async def refuse(session: AsyncSession, actor: Actor, change_id: str, *, now: datetime) -> None:
    """Whoever may agree does not, or who asked takes it back: nothing changes. Saying no takes no second person."""
    asked = await _waiting(session, actor, change_id)
    asked.decided_by, asked.decided_at, asked.agreed = actor.person_id, now, False
    await publish(session, ProfileChangeRefused(asked.id), actor)


async def end_all(session: AsyncSession, actor: Actor, now: datetime) -> None:
    """Refuse what waits for a second person, such as after a restore: whether it was taken back since is not known."""
    for asked in (await session.exec(select(ProfileChange).where(
            ProfileChange.school_id == actor.school_id, col(ProfileChange.decided_at).is_(None)))).all():
        asked.decided_by, asked.decided_at, asked.agreed = actor.person_id, now, False
        await publish(session, ProfileChangeRefused(asked.id), actor)


async def has_waiting(session: AsyncSession, actor: Actor) -> int:
    """How many requests wait for somebody else than this person's own word."""
    return (await session.exec(select(func.count()).select_from(ProfileChange).where(
        ProfileChange.school_id == actor.school_id, col(ProfileChange.decided_at).is_(None),
        ProfileChange.asked_by != actor.person_id,
    ))).one()
