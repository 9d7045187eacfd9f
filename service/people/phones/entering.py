"""How a phone gets in: an invitation ends in a passkey, a passkey in tokens, and tokens in the next ones.

Each way needs a proof of the phone's own key, which everything that is handed out is bound to. policy: AC1, AC9; threats T19, T20
"""

import secrets
from asyncio import sleep
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.events import Actor, Role
from service.foundation.web import token_hash
from service.people import actions, challenges, passkeys
from service.people import queries as people
from service.people.challenges import Challenge
from service.people.events import SignedIn, SignInRefused
from service.people.passkeys import Answer
from service.people.phones import commands, queries, rules
from service.people.phones.commands import CODE, NewPhone
from service.people.phones.events import InvitationRefused, RefreshReused
from service.people.phones.proofs import Proven
from service.people.phones.queries import PhoneView
from service.people.phones.rules import Refresh
from service.people.phones.tables import Phone, PhoneInvitation, PhoneRefresh
from service.people.phones.tokens import Access
from service.people.push import commands as push
from service.people.tables import Person, SignIn

INVITED, REGISTER, SIGN_IN, NEXT = "phone-invited", "phone-register", "phone-sign-in", "phone-refresh"
PACE = 0.15
"""Seconds that opening an invitation takes, whatever comes of it: nobody learns from a watch how far they got."""


@dataclass(frozen=True)
class Issued:
    """The tokens of a phone. Shown once; of the refresh token only the hash is kept."""

    access_token: str
    refresh_token: str
    phone: PhoneView


# -- invitations ------------------------------------------------------------------------------------------------------


async def open_invitation(state: Any, *, token: str, code: str, born_on: str, address: str) -> tuple[str, people.SchoolView]:
    """A ticket for the ceremony, and the school. Raises InvitationRefused, for whatever reason, after the same time and as many
    looks; TooManyTries."""
    began = state.clock.boottime()
    state.tries.refuse(address)
    now = state.clock.now()
    async with state.database.writing() as session:
        row, why, school = await _look(state, session, token, code, born_on, now)
        ticket = state.pepper.challenge(INVITED, (), row.id if row else new_id(), _until(now))
    await sleep(max(0.0, PACE - (state.clock.boottime() - began)))
    if why or school is None:
        state.tries.note(address)
        raise rules.InvitationRefused()
    return ticket, school


def _until(now: datetime) -> int:
    return int((now + rules.OPENED_LASTS).timestamp())


async def _look(state: Any, session: AsyncSession, token: str, code: str, born_on: str,
                now: datetime) -> tuple[PhoneInvitation | None, str, people.SchoolView | None]:
    """The invitation and why it does not open. A wrong guess is counted here, in the transaction that compares."""
    row = (await session.exec(select(PhoneInvitation).where(
        PhoneInvitation.token_hash == token_hash(token)).with_for_update())).first()
    person_id = row.person_id if row else "nobody"
    births = await queries.births(session, person_id)
    is_parent = Role.PARENT in (await people.roles(session, [person_id])).get(person_id, frozenset())
    person = await session.get(Person, person_id)
    typed = state.pepper.secret(CODE, row.id if row else "nothing", rules.normal_code(code))
    why = rules.invitation_refusal(
        _invited(row), code_fits=secrets.compare_digest(typed, row.code_hash if row and row.code_hash else "-" * 64),
        child_fits=born_on in births, now=now,
        is_blocked=not births or not is_parent or person is None or not people.is_here(person, now.date()),
    )
    school = await people.school(session, row.school_id) if row else await people.only_school(session)
    if why and school is not None:
        actor = Actor(row.person_id if row else "", school.id, frozenset())
        await publish(session, InvitationRefused(actor.person_id, why), actor)
    if row is not None and rules.counts_as_try(why):
        row.failures += 1
        if row.failures >= rules.CODE_TRIES:
            await commands.end(session, Actor(row.person_id, row.school_id, frozenset()), row, "tries", now)
    return row, why, school


def _invited(row: PhoneInvitation | None) -> rules.Invited | None:
    return rules.Invited(row.expires_at, row.failures, row.ended_at is not None, bool(row.code_hash)) if row else None


async def register_begin(state: Any, invitation: str) -> dict[str, Any]:
    """What `navigator.credentials.create` is asked for: discoverable, verified by finger, face or lock.

    Raises InvitationRefused.
    """
    now = state.clock.now()
    async with state.database.glance() as session:
        row, actor = await _behind(state, session, invitation, now)
        existing = await passkeys.of_phones(session, row.person_id)
    challenge = challenges.new(state.pepper, REGISTER, (row.id,), now + actions.ENROLMENT_LASTS)
    options = passkeys.creation(passkeys.site(state), actor, "", challenge, existing, is_discoverable=True)
    return {"ticket": challenge.ticket, "publicKey": options}


async def _behind(state: Any, session: AsyncSession, invitation: str, now: datetime, *,
                  uses: bool = False) -> tuple[PhoneInvitation, Actor]:
    """The invitation of a ticket that `open_invitation` gave, while it still works. `uses`: nobody else uses it meanwhile."""
    given = challenges.behind(state.pepper, INVITED, (), invitation, now)
    row = await session.get(PhoneInvitation, given.nonce, with_for_update=uses) if given else None
    actor = await people.actor(session, row.person_id) if row else None
    stands = row is not None and row.ended_at is None and now < row.expires_at
    if row is None or actor is None or not stands or not await queries.births(session, row.person_id):
        raise rules.InvitationRefused()
    return row, Actor(actor.person_id, actor.school_id, actor.roles & {Role.PARENT}, actor.name)


async def register_finish(state: Any, *, invitation: str, given: Answer, new: NewPhone, proof: Proven) -> Issued:
    """The passkey is kept, the invitation used up, and the phone signed in. Raises InvitationRefused, Invalid."""
    now = state.clock.now()
    async with state.database.writing() as session:
        row, actor = await _behind(state, session, invitation, now, uses=True)
        challenge = challenges.behind(state.pepper, REGISTER, (row.id,), given.ticket, now)
        if challenge is None:
            raise rules.PasskeyRefused()
        passkey_id = await passkeys.add(session, passkeys.site(state), actor, given, challenge, name=new.name, rests_until=now,
                                        now=now, is_phone=True)
        await commands.end(session, actor, row, "used", now)
        phone = await commands.add(session, actor, passkey_id, new, row, now)
        return await _first(state, session, actor, phone, proof, now)


# -- passkeys ---------------------------------------------------------------------------------------------------------


def sign_in_begin(state: Any) -> dict[str, Any]:
    """What `navigator.credentials.get` is asked for, before anybody is known."""
    challenge = challenges.new(state.pepper, SIGN_IN, (), state.clock.now() + actions.ENROLMENT_LASTS)
    return {"ticket": challenge.ticket, "publicKey": passkeys.request(passkeys.site(state), challenge)}


async def sign_in_finish(state: Any, *, given: Answer, new: NewPhone, proof: Proven, address: str) -> Issued:
    """Sign a phone in with its passkey: the phone that it was by its key, else a new one that rests. Raises PasskeyRefused."""
    now = state.clock.now()
    state.tries.refuse(address)
    challenge: Challenge | None = challenges.behind(state.pepper, SIGN_IN, (), given.ticket, now)
    async with state.database.writing() as session:
        passkey, why = await passkeys.proved(session, passkeys.site(state), given, challenge, now=now, is_phone=True)
        actor = await people.actor(session, passkey.person_id) if passkey else None
        if passkey is not None and actor is not None and Role.PARENT in actor.roles:
            actor = Actor(actor.person_id, actor.school_id, frozenset({Role.PARENT}), actor.name)
            phone = await commands.known(session, actor.person_id, new.key)
            if phone is None:
                phone = await commands.add(session, actor, passkey.id, new, None, now)
            else:
                await commands.end_sign_in(session, actor, phone, "again", now)
                phone.sign_in_id, phone.language = commands.begin_sign_in(session, actor, now).id, new.language
                await session.flush()
            return await _first(state, session, actor, phone, proof, now)
        school = await people.only_school(session)
        if school is not None:
            await publish(session, SignInRefused("", "phone", why or "left"), Actor("", school.id, frozenset()))
    state.tries.note(address)
    raise rules.PasskeyRefused()


# -- tokens -----------------------------------------------------------------------------------------------------------


async def _first(state: Any, session: AsyncSession, actor: Actor, phone: Phone, proof: Proven, now: datetime) -> Issued:
    """The first tokens of a sign-in."""
    state.proofs.spend(proof)
    await publish(session, SignedIn(person_id=actor.person_id, route="phone"), actor)
    token = secrets.token_urlsafe(32)
    row = _keep(session, phone, token, now)
    return await _issued(state, session, phone, row, token, now)


def _keep(session: AsyncSession, phone: Phone, token: str, now: datetime) -> PhoneRefresh:
    row = PhoneRefresh(id=new_id(), school_id=phone.school_id, phone_id=phone.id, sign_in_id=phone.sign_in_id,
                       token_hash=token_hash(token), made_at=now)
    session.add(row)
    return row


async def _issued(state: Any, session: AsyncSession, phone: Phone, row: PhoneRefresh, token: str, now: datetime) -> Issued:
    await session.flush()
    access = state.access_tokens.issue(Access(phone.person_id, phone.sign_in_id, phone.key), jti=row.id, made_at=row.made_at)
    own = await queries.phones(session, phone.person_id, now, here=phone.sign_in_id)
    return Issued(access, token, next(one for one in own if one.id == phone.id))


async def refresh(state: Any, *, token: str, proof: Proven) -> Issued:
    """The next tokens for a refresh token, which is used up. Raises TokenRefused.

    A lost answer is given again, once and soon, byte for byte. A token that comes any later is a copy: its sign-in ends in this
    transaction, and its owner and the office are told (threat T20).
    """
    now = state.clock.now()
    async with state.database.writing(closes=True) as session:
        row = (await session.exec(select(PhoneRefresh).where(
            PhoneRefresh.token_hash == token_hash(token)).with_for_update())).first()
        phone = await session.get(Phone, row.phone_id) if row else None
        if row is None or phone is None or phone.key != proof.key:
            raise rules.TokenRefused()  # a copy without the phone's key opens nothing and ends nothing
        state.proofs.spend(proof)
        issued = await _exchanged(state, session, row, phone, token, now)
    if issued is None:
        raise rules.TokenRefused()
    return issued


async def _exchanged(state: Any, session: AsyncSession, row: PhoneRefresh, phone: Phone, token: str,
                     now: datetime) -> Issued | None:
    sign_in = await session.get_one(SignIn, row.sign_in_id)
    actor = await people.actor(session, phone.person_id, session_id=sign_in.id)
    following = await session.get(PhoneRefresh, row.next_id) if row.next_id else None
    verdict = rules.refreshed(
        used_at=row.used_at, retried_at=row.retried_at, next_used=following is not None and following.used_at is not None,
        now=now, is_over=actor is None or Role.PARENT not in actor.roles or sign_in.ended_at is not None or now >= sign_in.ends_at
        or phone.removed_at is not None or phone.sign_in_id != sign_in.id)
    if actor is None or verdict is Refresh.OVER:
        return None
    if verdict is Refresh.REUSED:
        await _stop_copies(session, actor, phone, now)
        return None
    then = state.pepper.secret(NEXT, token)  # never written down, and the same when it is asked for again
    if verdict is Refresh.RETRY and following is not None:
        row.retried_at = now
        return await _issued(state, session, phone, following, then, now)
    following = _keep(session, phone, then, now)
    row.used_at, row.next_id = now, following.id
    sign_in.ends_at, sign_in.seen_at = rules.ends_at(sign_in.started_at, now), now
    await session.exec(delete(PhoneRefresh).where(
        col(PhoneRefresh.sign_in_id) == sign_in.id, col(PhoneRefresh.made_at) < now - rules.UNUSED_FOR - timedelta(days=1)))
    return await _issued(state, session, phone, following, then, now)


async def _stop_copies(session: AsyncSession, actor: Actor, phone: Phone, now: datetime) -> None:
    """Its sign-in ends, and its notices. The owner hears of it on their other phones, else by mail."""
    await commands.end_sign_in(session, actor, phone, "copied", now)
    await push.turn_off(session, actor, phone_id=phone.id, why="signed-out")  # first: nobody is told by this phone alone
    await publish(session, RefreshReused(phone.person_id, phone.id), actor)
    school = await people.school(session, actor.school_id)
    office = [one.id for one in await people.holders(session, actor.school_id, frozenset({Role.OFFICE}))]
    await mail.queue(session, school_id=actor.school_id, people={phone.person_id, *office}, text="N5", about=phone.id,
                     occasion=f"copied {phone.sign_in_id}", now=now, zone=school.zone)
