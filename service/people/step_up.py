"""Step-up: a person proves again who they are, for exactly one action, in the moment they do it (threat T5).

How a page asks for it, and how a command insists on it: `docs/step-up.md`. In short:

    async def decide(request: Request, actor: Leader, session: Reading, now: Now, proof: Confirming, …) -> Response:
        action = Action("approve-one-to-one", "approve this one-to-one lesson", {"request_id": …, "version": …, "reason": reason})
        if not proof.is_given:
            return await step_up.ask(request, session, actor, action)              # “Check it is you”, carries the form along
        try:
            await saved(request, lambda writing: commands.approve(writing, actor, …, action, proof, now))
        except NotConfirmed as refusal:
            return await step_up.ask(request, session, actor, action, refusal)

and in the command, in the transaction that changes something, before it does:

    grant_id = await step_up.confirmed(session, actor, action, proof, now)

`Confirming` checks the passkey, or the password and the one-time code, before the route's own transaction begins (a password
takes long to hash); what it earns is a grant: one action, one person, one session, 60 seconds, once. `confirmed` uses it up in
the same transaction as the change, or raises `NotConfirmed`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import Response
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.events import Actor
from service.foundation.web import actor_of, render
from service.people import actions, challenges, one_time_codes, passkeys, queries, sign_in
from service.people.actions import Action, NotConfirmed
from service.people.events import StepUpConfirmed, StepUpRefused
from service.people.tables import OneTimeCodes, Password, StepUpGrant

__all__ = ["Action", "Asked", "Confirming", "NotConfirmed", "Proof", "ask", "asked", "confirmed"]
FIELDS = ("step_up_action", "step_up_assertion", "step_up_password", "step_up_code")
PURPOSE = "step-up"


# -- for commands -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proof:
    """What a form brought. `grant_id` is empty when it proved nothing; `why` then says so (a key of `actions.REFUSALS`)."""

    grant_id: str = ""
    why: str = "absent"

    @property
    def is_given(self) -> bool:
        """Whether the person was asked and answered, rightly or wrongly."""
        return bool(self.grant_id) or self.why != "absent"


async def confirmed(session: AsyncSession, actor: Actor, action: Action, proof: Proof, now: datetime) -> str:
    """Use the proof up for `action`, in the caller's transaction; returns the grant's id, to keep beside what it allowed.

    Raises NotConfirmed: nothing was proved, or it was for another action, person or session, is over, or was used before.
    """
    row = await session.get(StepUpGrant, proof.grant_id) if proof.grant_id else None
    if row is None:
        raise NotConfirmed(proof.why if not proof.grant_id else "wrong")
    grant = actions.Grant(row.person_id, row.session_id, row.action_hash, row.expires_at, row.used_at is not None)
    why = actions.refusal(grant, person_id=actor.person_id, session_id=actor.session_id, action_hash=action.hash, now=now)
    if why:
        raise NotConfirmed(why)
    used = await session.exec(update(StepUpGrant).where(
        col(StepUpGrant.id) == row.id, col(StepUpGrant.used_at).is_(None)).values(used_at=now))
    if used.rowcount != 1:
        raise NotConfirmed("used")
    await publish(session, StepUpConfirmed(actor.person_id, action.kind, action.hash, row.id, row.method), actor)
    return row.id


@dataclass(frozen=True)
class Factor:
    """A passkey, or the password with one-time codes. `rests_until` is empty when it confirms already."""

    id: str
    name: str
    added_at: datetime
    used_at: datetime | None
    rests_until: datetime | None


@dataclass(frozen=True)
class Factors:
    """What a person has beside a password. Codes count with a password only."""

    passkeys: tuple[Factor, ...]
    codes: Factor | None

    @property
    def can_prove(self) -> bool:
        """Whether the person can confirm something now."""
        return any(row.rests_until is None for row in (*self.passkeys, *((self.codes,) if self.codes else ())))


async def held(session: AsyncSession, person_id: str, now: datetime) -> Factors:
    """A person's passkeys and codes that work."""
    def resting(*until: datetime | None) -> datetime | None:
        return max((each for each in until if each and each > now), default=None)

    keys = tuple(Factor(row.id, row.name, row.added_at, row.used_at, resting(row.rests_until))
                 for row in await passkeys.of(session, person_id))
    codes, password = await session.get(OneTimeCodes, person_id), await session.get(Password, person_id)
    if codes is None or codes.confirmed_at is None or password is None:
        return Factors(keys, None)
    return Factors(keys, Factor(person_id, "One-time codes", codes.confirmed_at, None,
                                resting(codes.rests_until, password.rests_until)))


# -- for routes -------------------------------------------------------------------------------------------------------


async def _given(request: Request) -> Proof:
    """The dependency behind `Confirming`: checks what the form brought, before the route's own transaction begins."""
    if hasattr(request.state, "writing"):
        raise RuntimeError("Put the proof before `Writing`: a proof is checked before the transaction that it allows.")
    form = await request.form()
    given = {name: str(form.get(name, "")) for name in FIELDS}
    actor = await actor_of(request)
    if actor is None or not given["step_up_action"] or not any(given[name] for name in FIELDS[1:]):
        return Proof()
    state = request.app.state
    if given["step_up_assertion"]:
        return await by_passkey(state, actor, given["step_up_action"], given["step_up_assertion"])
    return await by_password(state, actor, given["step_up_action"], given["step_up_password"], given["step_up_code"])


Confirming = Annotated[Proof, Depends(_given)]


async def by_passkey(state: Any, actor: Actor, action_hash: str, assertion: str) -> Proof:
    """Check a passkey's answer to a challenge that was made for this action and session."""
    now = state.clock.now()
    given = passkeys.answer(assertion)
    async with state.database.writing(closes=True) as session:
        if given is None:
            return await _refused(session, actor, action_hash, "wrong")
        challenge = challenges.behind(state.pepper, PURPOSE, (actor.session_id, action_hash), given.ticket, now)
        row, why = await passkeys.proved(session, passkeys.site(state), given, challenge, person_id=actor.person_id, now=now)
        if row is None or now < row.rests_until:
            return await _refused(session, actor, action_hash, why or "resting")
        return _granted(session, actor, action_hash, "passkey", now)


async def by_password(state: Any, actor: Actor, action_hash: str, password: str, code: str) -> Proof:
    """Check a password and a one-time code. Wrong ones are counted, each where it is kept, and say nothing of the other."""
    now = state.clock.now()
    async with state.database.glance() as session:
        kept = await session.get(Password, actor.person_id)
    is_locked = kept is not None and kept.locked_until is not None and now < kept.locked_until
    fits = not is_locked and await state.passwords.fits(kept.hash if kept else None, password)
    if kept and not fits and not is_locked:
        await sign_in.note_wrong(state, kept, now)
    async with state.database.writing(closes=True) as session:
        why = await _password_refusal(session, actor, fits, now) or await one_time_codes.accepted(
            session, state.pepper, actor.person_id, code, now)
        codes = (await held(session, actor.person_id, now)).codes
        if why or codes is None or codes.rests_until:
            return await _refused(session, actor, action_hash, why or "resting")
        return _granted(session, actor, action_hash, "password", now)


async def _password_refusal(session: AsyncSession, actor: Actor, fits: bool, now: datetime) -> str:
    kept = await session.get(Password, actor.person_id)
    if kept is not None and kept.locked_until and now < kept.locked_until:
        return "locked"
    return "" if kept is not None and fits else "wrong"


async def _refused(session: AsyncSession, actor: Actor, action_hash: str, why: str) -> Proof:
    await publish(session, StepUpRefused(actor.person_id, action_hash[:64], why), actor)
    return Proof(why=why)


def _granted(session: AsyncSession, actor: Actor, action_hash: str, method: str, now: datetime) -> Proof:
    grant_id = new_id()
    session.add(StepUpGrant(
        id=grant_id, school_id=actor.school_id, person_id=actor.person_id, session_id=actor.session_id,
        action_hash=action_hash, method=method, made_at=now, expires_at=now + actions.GRANT_LASTS,
    ))
    return Proof(grant_id, "")


# -- for pages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What the partial `people/step_up/fields.html` shows: what is about to happen, and how this person can prove it."""

    action: Action
    has_passkeys: bool
    has_codes: bool
    rests_until: datetime | None
    zone: str
    refusal: str = ""
    demo: dict[str, str] | None = None
    email: str = ""


async def asked(request: Request, session: AsyncSession, actor: Actor, action: Action,
                refusal: NotConfirmed | None = None) -> Asked:
    """For a page whose own form confirms: give it to the template as `asked`, for the macro `confirm(asked)` in the form."""
    now = request.app.state.clock.now()
    has = await held(session, actor.person_id, now)
    resting = [row.rests_until for row in (*has.passkeys, *((has.codes,) if has.codes else ())) if row.rests_until]
    return Asked(
        action, any(row.rests_until is None for row in has.passkeys), has.codes is not None and has.codes.rests_until is None,
        min(resting, default=None), (await queries.school(session, actor.school_id)).zone, refusal.message if refusal else "",
        await one_time_codes.demo(session, request.app.state, actor.person_id, now),
        (await queries.account(session, actor.person_id)).email,
    )


async def ask(request: Request, session: AsyncSession, actor: Actor, action: Action, refusal: NotConfirmed | None = None, *,
              to: str = "", back: str = "") -> Response:
    """The page “Check it is you”, which sends the form that led to it again, to the same address, with the proof.

    `to`: another address to send it to. `back`: where “Back” leads, by default the page itself.
    """
    form = await request.form()
    carried = [(name, value) for name, value in form.multi_items() if not name.startswith("step_up_") and isinstance(value, str)]
    return await render(
        request, "people/step_up/check.html", 422 if refusal else 200, title="Check it is you", carried=carried,
        asked=await asked(request, session, actor, action, refusal), to=to or request.url.path, back_to=back or request.url.path,
    )


def options(state: Any, actor: Actor, action_hash: str, keys: list[Any]) -> dict[str, Any]:
    """A challenge for one action in this session, with the passkeys that may answer it. Good for one minute."""
    now = state.clock.now()
    challenge = challenges.new(state.pepper, PURPOSE, (actor.session_id, action_hash), now + actions.CHALLENGE_LASTS)
    return {"ticket": challenge.ticket, "publicKey": passkeys.request(passkeys.site(state), challenge, keys)}

