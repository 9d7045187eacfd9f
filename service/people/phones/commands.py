"""Inviting parents, adding their phones and signing them out. policy: AC1, CO1; threats T5, T19, T20.

The office alone never gets into an account of a parent who has the app: of a recovery, one person makes the letter and another
the code, what is added rests for a day, and the person hears of it where they could be reached before.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, NotFound
from service.foundation.events import Actor, Role
from service.foundation.web import token_hash
from service.people import passkeys, sessions
from service.people import queries as people
from service.people.events import SignedOut
from service.people.hashing import Pepper
from service.people.phones import queries, rules
from service.people.phones.events import InvitationEnded, PhoneAdded, PhoneCodeMade, PhoneInvited, PhoneRemoved
from service.people.phones.tables import Phone, PhoneInvitation
from service.people.push import commands as push
from service.people.tables import Passkey, SignIn

CODE = "phone-code"


@dataclass(frozen=True)
class Letter:
    """What is printed once. `code` is empty when another person makes it."""

    person_id: str
    name: str
    token: str
    code: str
    expires_at: datetime


# -- the office -------------------------------------------------------------------------------------------------------


async def invite(session: AsyncSession, actor: Actor, pepper: Pepper, person_id: str, *, in_person: bool, keeps_phones: bool,
                 now: datetime, token: str) -> Letter:
    """A letter with a link, and the code that goes another way; earlier letters stop. Raises NotFound, NoChild.

    For whoever had a phone before it is a recovery: it says whether the old ones stay, and its code is made by another person.
    """
    person = await people.person(session, actor.school_id, person_id)
    if Role.PARENT not in person.roles or person_id == actor.person_id:
        raise NotFound()
    if not await queries.births(session, person_id):
        raise rules.NoChild()
    for row in await _open(session, person_id):
        await end(session, actor, row, "replaced", now)
    is_recovery = await queries.had_phone(session, person_id)
    row = PhoneInvitation(
        id=new_id(), school_id=actor.school_id, person_id=person_id, token_hash=token_hash(token), made_by=actor.person_id,
        made_at=now, in_person=in_person, is_recovery=is_recovery, keeps_phones=keeps_phones or not is_recovery,
        expires_at=now + rules.INVITATION_LASTS,
    )
    session.add(row)
    await publish(session, PhoneInvited(person_id, row.id, is_recovery, in_person, row.keeps_phones), actor)
    code = "" if is_recovery else await _make_code(session, actor, pepper, row)
    return Letter(person_id, person.full_name, token, code, row.expires_at)


async def make_code(session: AsyncSession, actor: Actor, pepper: Pepper, invitation_id: str, now: datetime) -> Letter:
    """The other half of a recovery, once, by another person than who made the letter. Raises OtherHalf, Conflict."""
    row = await _waiting(session, actor, invitation_id, now)
    if row.code_hash:
        raise Conflict("This letter has its code already. Make a new letter if the code is lost.")
    if row.made_by == actor.person_id or row.person_id == actor.person_id:
        raise rules.OtherHalf()
    code = await _make_code(session, actor, pepper, row)
    person = await people.person(session, actor.school_id, row.person_id)
    return Letter(row.person_id, person.full_name, "", code, row.expires_at)


async def _make_code(session: AsyncSession, actor: Actor, pepper: Pepper, row: PhoneInvitation) -> str:
    code = rules.new_code()
    row.code_hash, row.code_by = pepper.secret(CODE, row.id, code), actor.person_id
    await publish(session, PhoneCodeMade(row.person_id, row.id), actor)
    return code


async def revoke(session: AsyncSession, actor: Actor, invitation_id: str, now: datetime) -> str:
    """A letter stops working. Returns whose it was."""
    row = await _waiting(session, actor, invitation_id, now)
    await end(session, actor, row, "revoked", now)
    return row.person_id


async def _waiting(session: AsyncSession, actor: Actor, invitation_id: str, now: datetime) -> PhoneInvitation:
    row = await session.get(PhoneInvitation, invitation_id, with_for_update=True)
    if row is None or row.school_id != actor.school_id:
        raise NotFound()
    if row.ended_at is not None or now >= row.expires_at:
        raise Conflict("This letter does not work any more. Make a new one.")
    return row


async def _open(session: AsyncSession, person_id: str) -> list[PhoneInvitation]:
    return list((await session.exec(select(PhoneInvitation).where(
        PhoneInvitation.person_id == person_id, col(PhoneInvitation.ended_at).is_(None)))).all())


async def end(session: AsyncSession, actor: Actor, row: PhoneInvitation, why: str, now: datetime) -> None:
    row.ended_at, row.ended_why = now, why
    await publish(session, InvitationEnded(row.person_id, row.id, why), actor)


async def sign_out_all(session: AsyncSession, actor: Actor, person_id: str, now: datetime) -> int:
    """The office signs every phone of a parent out for good: lost, stolen, or asked for by telephone."""
    person = await people.person(session, actor.school_id, person_id)
    return await _remove_all(session, actor, person.id, "office", now)


# -- the phone --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewPhone:
    """What a phone says of itself, and the thumbprint of its key, which it proved to hold."""

    key: str
    name: str
    platform: str
    language: str


async def add(session: AsyncSession, actor: Actor, passkey_id: str, new: NewPhone, invitation: PhoneInvitation | None,
              now: datetime) -> Phone:
    """A new phone of this person, signed in. Raises TooManyPhones. Its owner is told where they could be reached before (N6)."""
    school = await people.school(session, actor.school_id)
    rests_until = rules.rests_until(
        is_first=not await queries.had_phone(session, actor.person_id), in_person=bool(invitation and invitation.in_person),
        is_live=school.is_live, now=now)
    phone_id = new_id()
    office = [one.id for one in await people.holders(session, actor.school_id, frozenset({Role.OFFICE}))]
    await mail.queue(session, school_id=actor.school_id, people={actor.person_id, *office}, text="N6", about=phone_id, now=now,
                     zone=school.zone)  # first: it goes also to the phones that a recovery signs out
    if invitation is not None and not invitation.keeps_phones:
        await _remove_all(session, actor, actor.person_id, "recovery", now, but=passkey_id)
    if len(await _phones(session, actor.person_id)) >= rules.MOST:
        raise rules.TooManyPhones()
    sign_in = begin_sign_in(session, actor, now)
    row = Phone(
        id=phone_id, school_id=actor.school_id, person_id=actor.person_id, passkey_id=passkey_id, key=new.key,
        invitation_id=invitation.id if invitation else "", name=" ".join(new.name.split())[:60] or "Phone",
        platform=new.platform, language=new.language, added_at=now, rests_until=rests_until, sign_in_id=sign_in.id,
    )
    session.add(row)
    await session.flush()
    await publish(session, PhoneAdded(actor.person_id, row.id, row.invitation_id), actor)
    return row


def begin_sign_in(session: AsyncSession, actor: Actor, now: datetime) -> SignIn:
    """A sign-in as everybody has, that no cookie opens: nobody is ever given the token behind its hash."""
    row = SignIn(id=new_id(), school_id=actor.school_id, person_id=actor.person_id, route="phone", started_at=now, seen_at=now,
                 token_hash=token_hash(f"{new_id()}{new_id()}"), ends_at=rules.ends_at(now, now))
    session.add(row)
    return row


async def known(session: AsyncSession, person_id: str, key: str) -> Phone | None:
    """The phone of this person that has this key, if it was not removed."""
    return (await session.exec(select(Phone).where(
        Phone.person_id == person_id, Phone.key == key, col(Phone.removed_at).is_(None)))).first()


async def remove(session: AsyncSession, actor: Actor, phone_id: str, now: datetime) -> None:
    """Sign one of one's phones out for good. Raises NotFound."""
    row = await session.get(Phone, phone_id)
    if row is None or row.person_id != actor.person_id or row.removed_at is not None:
        raise NotFound()
    await _remove(session, actor, row, "asked", now)


async def remove_others(session: AsyncSession, actor: Actor, phone_id: str, now: datetime) -> None:
    """Sign every other phone of one's own out for good. `phone_id`: the one that stays."""
    for row in await _phones(session, actor.person_id):
        if row.id != phone_id:
            await _remove(session, actor, row, "asked", now)


async def _phones(session: AsyncSession, person_id: str) -> list[Phone]:
    return list((await session.exec(select(Phone).where(
        Phone.person_id == person_id, col(Phone.removed_at).is_(None)))).all())


async def _remove_all(session: AsyncSession, actor: Actor, person_id: str, why: str, now: datetime, but: str = "") -> int:
    rows = await _phones(session, person_id)
    for row in rows:
        await _remove(session, actor, row, why, now, but=but)
    if why in ("office", "recovery"):
        await _stop_passkeys(session, actor, person_id, now, but=but)
    return len(rows)


async def _remove(session: AsyncSession, actor: Actor, row: Phone, why: str, now: datetime, but: str = "") -> None:
    """The phone's sign-in ends with it, and its passkey when no other phone came by the same one."""
    row.removed_at, row.removed_why = now, why
    await session.flush()
    await end_sign_in(session, actor, row, why, now)
    await push.turn_off(session, actor, phone_id=row.id, why="signed-out")
    others = [phone for phone in await _phones(session, row.person_id) if phone.passkey_id == row.passkey_id]
    passkey = await session.get(Passkey, row.passkey_id)
    if not others and passkey is not None and passkey.stopped_at is None and passkey.id != but:
        await passkeys.stop(session, actor, passkey, why="removed", now=now)
    await publish(session, PhoneRemoved(row.person_id, row.id, why), actor)


async def _stop_passkeys(session: AsyncSession, actor: Actor, person_id: str, now: datetime, but: str) -> None:
    for passkey in await passkeys.of_phones(session, person_id):
        if passkey.id != but:
            await passkeys.stop(session, actor, passkey, why="reset", now=now)


async def end_sign_in(session: AsyncSession, actor: Actor, phone: Phone, why: str, now: datetime) -> None:
    """End a phone's sign-in: no token of it opens anything from here on."""
    row = await session.get_one(SignIn, phone.sign_in_id)
    if row.ended_at is None:
        row.ended_at = now
        await session.flush()
        await publish(session, SignedOut(person_id=phone.person_id, why=f"phone {why}"), Actor(
            actor.person_id, actor.school_id, actor.roles, actor.name, row.id))


async def set_language(session: AsyncSession, actor: Actor, phone_id: str, language: str) -> None:
    row = await session.get_one(Phone, phone_id)
    row.language = language


async def sign_out(session: AsyncSession, actor: Actor, *, everywhere: bool, now: datetime) -> None:
    """End this sign-in, or every one. The phones stay known and sign in again with their passkeys; notices to them stop."""
    for row in await _phones(session, actor.person_id):
        if everywhere or row.sign_in_id == actor.session_id:
            await push.turn_off(session, actor, phone_id=row.id, why="signed-out")
    if everywhere:
        await sessions.end_all(session, actor, person_id=actor.person_id, why="asked", now=now)
    else:
        await sessions.end(session, actor, why="asked", now=now)
