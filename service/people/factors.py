"""What a person proves themselves with, all together: passkeys, one-time codes, password. Adding, removing and resetting them.

Nobody gains an account by resetting it (threat T5): a link to choose a password removes nothing and leads past no second factor,
the link and the removal of second factors are two people's work, and what is new confirms nothing for a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.errors import NotAllowed, NotFound
from service.foundation.events import Actor
from service.people import actions, credentials, one_time_codes, passkeys, queries, rules, sessions, step_up
from service.people.actions import Action
from service.people.events import FactorsReset
from service.people.step_up import Proof
from service.people.tables import DbsCheck, FactorReset, PasswordReset, Person


class SecondPerson(NotAllowed):
    """You did the other half of this already. Another person has to do this half, so that nobody gets into an account alone."""

    code = "second-person"


CLEARED = ("You recorded this person's DBS check. Ask a leader or the technician to make their first link: nobody lets an adult "
           "in alone.")
BROUGHT_BACK = "You brought this person back. Ask a leader or the technician to make their link: nobody lets an adult in alone."
LET_IN = "You made this person's link. Ask a colleague to record their first DBS check: nobody lets an adult in alone."


# -- one's own --------------------------------------------------------------------------------------------------------


def adding(actor: Actor, what: str) -> Action:
    return Action(f"add-{what}", f"add {WORDS[what]} to your account", {"person_id": actor.person_id})


def removing(actor: Actor, what: str, which: str, name: str = "") -> Action:
    words = f"remove the passkey “{name}” from your account" if name else f"remove {WORDS[what]} from your account"
    return Action(f"remove-{what}", words, {"person_id": actor.person_id, "which": which})


WORDS = {"passkey": "a passkey", "codes": "one-time codes"}


async def proven(session: AsyncSession, actor: Actor, what: str, proof: Proof, now: datetime) -> bool:
    """Confirm that one may add something. True when that was proved with what one had before; False when one had nothing."""
    if not (await step_up.held(session, actor.person_id, now)).can_prove:
        return False
    await step_up.confirmed(session, actor, adding(actor, what), proof, now)
    return True


async def rest(session: AsyncSession, actor: Actor, *, is_proven: bool, now: datetime) -> datetime:
    """From when something that is added now may confirm anything."""
    school = await queries.school(session, actor.school_id)
    return actions.rests_until(is_proven=is_proven, is_live=school.is_live, now=now)


async def begin_codes(session: AsyncSession, state: Any, actor: Actor, proof: Proof, now: datetime) -> str:
    """A new secret for one-time codes, which counts once a code has confirmed it."""
    is_proven = await proven(session, actor, "codes", proof, now)
    return await one_time_codes.begin(session, state.pepper, actor, rests_until=await rest(
        session, actor, is_proven=is_proven, now=now), now=now)


async def remove_passkey(session: AsyncSession, actor: Actor, passkey_id: str, proof: Proof, now: datetime) -> None:
    """Remove one of one's passkeys. One that still rests goes without a proof: it may be a stranger's."""
    row = await passkeys.own(session, actor, passkey_id)
    if row.rests_until <= now:
        await step_up.confirmed(session, actor, removing(actor, "passkey", row.id), proof, now)
    await passkeys.stop(session, actor, row, why="removed", now=now)


async def remove_codes(session: AsyncSession, actor: Actor, proof: Proof, now: datetime) -> None:
    """Remove one's one-time codes. Those that still rest go without a proof."""
    codes = (await step_up.held(session, actor.person_id, now)).codes
    if codes is None:
        raise NotFound()
    if codes.rests_until is None:
        await step_up.confirmed(session, actor, removing(actor, "codes", actor.person_id), proof, now)
    await one_time_codes.stop(session, actor, actor.person_id, "removed")


# -- somebody else's --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Removal:
    """Whose second factors are removed, as a page asks about it."""

    person_id: str
    name: str

    @property
    def action(self) -> Action:
        words = f"remove every passkey and the one-time codes of {self.name}"
        return Action("reset-factors", words, {"person_id": self.person_id})


async def checked_reset(session: AsyncSession, actor: Actor, person_id: str, now: datetime) -> Removal:
    """Whether the actor may remove somebody's second factors. Raises NotFound, NotAllowed, SecondPerson."""
    row = await session.get(Person, person_id)
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    held = (await queries.roles(session, [person_id])).get(person_id, frozenset())
    rules.checked_factor_reset(actor, person_id, held)
    made = (await session.exec(select(PasswordReset.id).where(
        PasswordReset.person_id == person_id, PasswordReset.made_by == actor.person_id,
        col(PasswordReset.expires_at) > now + credentials.RESET_LASTS - rules.TWO_PEOPLE_FOR))).first()
    if made:
        raise SecondPerson()
    return Removal(person_id, queries.view_of(row, held).full_name)


async def reset(session: AsyncSession, actor: Actor, person_id: str, proof: Proof, now: datetime) -> None:
    """Remove somebody's passkeys and codes, because they lost them. They are signed out; their password stays as it was."""
    removal = await checked_reset(session, actor, person_id, now)
    await step_up.confirmed(session, actor, removal.action, proof, now)
    for row in await passkeys.of(session, person_id):
        await passkeys.stop(session, actor, row, why="reset", now=now)
    await one_time_codes.stop(session, actor, person_id, "reset")
    session.add(FactorReset(school_id=actor.school_id, person_id=person_id, made_by=actor.person_id, made_at=now))
    await publish(session, FactorsReset(person_id), actor)
    await sessions.end_all(session, actor, person_id=person_id, why="factors", now=now)


async def refuse_who_cleared(session: AsyncSession, actor: Actor, person_id: str) -> None:
    """Nobody alone lets in an adult whom they alone cleared: that adult could be themselves (threat T5). Raises SecondPerson."""
    links = (await session.exec(select(PasswordReset).where(PasswordReset.person_id == person_id))).all()
    recorded = (await session.exec(select(DbsCheck.recorded_by).where(DbsCheck.person_id == person_id))).all()
    person = await session.get_one(Person, person_id)
    since = person.returned_at and person.returned_at + credentials.RESET_LASTS
    ever, after = {each.made_by for each in links}, {each.made_by for each in links if since and each.expires_at >= since}
    for cleared, made, why in ((set(recorded), ever, CLEARED), ({person.returned_by} - {""}, after, BROUGHT_BACK)):
        if actor.person_id in cleared and made | cleared == {actor.person_id}:
            raise SecondPerson(why)


async def came_back(session: AsyncSession, actor: Actor, ids: Sequence[str]) -> None:
    """These had left and are here again, by the word of `actor`: what others did before makes nobody the second person now. Who
    let them in before stays known: they may know the password."""
    now = session.info["clock"].now()
    await session.exec(update(Person).where(col(Person.id).in_(ids)).values(returned_by=actor.person_id, returned_at=now))
    await session.exec(delete(PasswordReset).where(col(PasswordReset.person_id).in_(ids), col(PasswordReset.used_at).is_(None)))


async def refuse_who_let_in(session: AsyncSession, actor: Actor, person_id: str) -> None:
    """The other order: nobody alone clears an adult whom they alone let in. Raises SecondPerson."""
    if person_id in await let_in_alone(session, actor):
        raise SecondPerson(LET_IN)


async def let_in_alone(session: AsyncSession, actor: Actor) -> frozenset[str]:
    """Those for whom nobody but `actor` ever made a link or recorded a check."""
    made = (await session.exec(select(PasswordReset.person_id).where(
        PasswordReset.school_id == actor.school_id, PasswordReset.made_by == actor.person_id))).all()
    let_in = await session.exec(select(PasswordReset.person_id).where(
        col(PasswordReset.person_id).in_(made), PasswordReset.made_by != actor.person_id))
    cleared = await session.exec(select(DbsCheck.person_id).where(
        col(DbsCheck.person_id).in_(made), DbsCheck.recorded_by != actor.person_id))
    return frozenset(made) - {*let_in.all(), *cleared.all()}


async def refuse_who_reset(session: AsyncSession, actor: Actor, person_id: str, now: datetime) -> None:
    """Who removed somebody's second factors does not also make the link to choose their password."""
    if (await session.exec(select(FactorReset.id).where(
        FactorReset.person_id == person_id, FactorReset.made_by == actor.person_id,
        col(FactorReset.made_at) > now - rules.TWO_PEOPLE_FOR,
    ))).first():
        raise SecondPerson()
