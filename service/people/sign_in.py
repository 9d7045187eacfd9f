"""Ways into the service: password and one-time code, passkey, one-time link, badge and PIN.

Each ends in `sessions.start` with its route's name. Another way (the school's identity provider) is one more function here
and one more route name: it proves who somebody is in its own manner and then does what these do. Nothing slow happens inside
a transaction: look, prove, write.
policy: AC1, AC9.
"""

import hmac
import ipaddress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import bindparam
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.errors import Invalid, NotAllowed, NotFound, TooMany
from service.foundation.events import Actor
from service.foundation.web import token_hash
from service.people import actions, challenges, credentials, one_time_codes, passkeys, queries, rules, sessions
from service.people.events import PasswordSet, SignInRefused
from service.people.tables import Badge, OneTimeCodes, Password, PasswordReset, Person

TICKET_SECONDS = 300
SECOND = "second-factor"


class NotProved(Invalid):
    """We could not sign you in. Try again."""

    code = "not-proved"


class CodeRefused(NotProved):
    """This is not the code. Enter the 6 numbers that the app shows now."""

    code = "code-refused"


class BadTicket(NotProved):
    """That took a while. Sign in again."""

    code = "ticket-over"


class TooManyTries(TooMany):
    """Too many tries. Wait 15 minutes or ask the office."""

    code = "too-many-tries"
    retry_after = 15 * 60


class BadgeRefused(Invalid):
    """That is not right. Have another go."""

    code = "badge-refused"


class BadgeLocked(NotAllowed):
    """Let's stop there. Ask your grown-up to ring school."""

    code = "badge-locked"


class OutOfHours(NotAllowed):
    """You cannot sign in just now."""

    code = "out-of-hours"


@dataclass(frozen=True)
class Entered:
    """Somebody is in: the token for their cookie, and who they are."""

    token: str
    actor: Actor


@dataclass(frozen=True)
class Wanted:
    """The password was right, and is not enough: a one-time code is wanted for this ticket; without one, a passkey."""

    ticket: str


@dataclass(frozen=True)
class Scanned:
    """A badge that is good: what its owner may see before the PIN. Never a surname, a class or the school."""

    ticket: str
    name: str
    animal: str
    pin_kind: str


class Tries:
    """Wrong tries by network address and, for names that nobody has, by name. What succeeds is never counted,
    so a whole class behind one address signs in freely."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._address = RateLimitItemPerMinute(60, 15)
        self._name = RateLimitItemPerMinute(credentials.PASSWORD_TRIES, 15)

    def refuse(self, address: str, name: str = "") -> None:
        if not self._limiter.test(self._address, network(address)) or (name and not self._limiter.test(self._name, name)):
            raise TooManyTries()

    def note(self, address: str, name: str = "") -> None:
        self._limiter.hit(self._address, network(address))
        if name:
            self._limiter.hit(self._name, name)


def network(address: str) -> str:
    """An IPv4 address, or the /64 that one household has."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network(f"{ip}/64", strict=False))


# -- passwords --------------------------------------------------------------------------------------------------------


async def by_password(state: Any, *, email: str, password: str, address: str, replaces: str = "") -> Entered | Wanted:
    """Sign an adult in. Unknown addresses, people who left and wrong passwords look alike and cost alike.

    Who has a second factor is asked for it. `replaces`: the cookie's token before, whose session ends. Raises NotProved,
    TooManyTries, Busy.
    """
    now = state.clock.now()
    email = email.strip().lower()
    name = state.pepper.name(email)
    state.tries.refuse(address, name)
    async with state.database.glance() as session:
        person, kept = await _password_of(session, email)
        actor = await queries.actor(session, person.id) if person else None
    if kept and kept.locked_until and now < kept.locked_until:
        raise TooManyTries()
    proved = await state.passwords.fits(kept.hash if kept and actor else None, password)
    if not proved:
        state.tries.note(address, "" if kept else name)
        await note_wrong(state, kept, now)
        raise NotProved()
    assert actor is not None
    async with state.database.writing() as session:
        meanwhile = await session.get_one(Password, actor.person_id)
        if meanwhile.locked_until and now < meanwhile.locked_until:
            raise TooManyTries()  # others tried at the same moment
        meanwhile.failures, meanwhile.locked_until = 0, None
        wanted = await _wanted(state, session, actor, now)
        return wanted or await _enter(session, actor, route="password", now=now, replaces=replaces)


async def _wanted(state: Any, session: AsyncSession, actor: Actor, now: datetime) -> Wanted | None:
    """What this person needs beside the password. A code, or a passkey where there are no codes; also one that still rests."""
    codes = await session.get(OneTimeCodes, actor.person_id)
    if codes is not None and codes.confirmed_at is not None:
        return Wanted(state.pepper.challenge(SECOND, (), actor.person_id, int(now.timestamp()) + TICKET_SECONDS))
    return Wanted("") if await passkeys.of(session, actor.person_id) else None


async def by_one_time_code(state: Any, *, ticket: str, code: str, address: str, replaces: str = "") -> Entered:
    """The second half of `by_password`. Raises CodeRefused, TooManyTries; BadTicket when the first half is too long ago."""
    now = state.clock.now()
    state.tries.refuse(address)
    async with state.database.writing() as session:
        actor = await _behind_second(state, session, ticket, now)
        why = await one_time_codes.accepted(session, state.pepper, actor.person_id, code, now)
        if not why:
            return await _enter(session, actor, route="password", now=now, replaces=replaces)
        await publish(session, SignInRefused(actor.person_id, "code", why), actor)
    state.tries.note(address)
    if why == "locked":
        raise TooManyTries()
    raise CodeRefused("This code was used already. Wait for the next one." if why == "used-code" else None)


async def _behind_second(state: Any, session: AsyncSession, ticket: str, now: datetime) -> Actor:
    given = challenges.behind(state.pepper, SECOND, (), ticket, now)
    actor = await queries.actor(session, given.nonce) if given else None
    if actor is None:
        raise BadTicket()
    return actor


# -- passkeys ---------------------------------------------------------------------------------------------------------


def passkey_challenge(state: Any, browser: str) -> dict[str, Any]:
    """What a browser asks an authenticator for, before anybody is known. `browser`: a token that only its cookie holds."""
    until = state.clock.now() + actions.ENROLMENT_LASTS
    challenge = challenges.new(state.pepper, "sign-in", (token_hash(browser),), until)
    return {"ticket": challenge.ticket, "publicKey": passkeys.request(passkeys.site(state), challenge)}


async def by_passkey(state: Any, *, answer: str, browser: str, address: str, replaces: str = "") -> Entered:
    """Sign in with a passkey alone: it is two factors, a device and a finger, a face or a PIN. Raises NotProved, TooManyTries."""
    now = state.clock.now()
    state.tries.refuse(address)
    given = passkeys.answer(answer)
    challenge = challenges.behind(state.pepper, "sign-in", (token_hash(browser),), given.ticket, now) if given else None
    if given is not None and challenge is not None:
        async with state.database.writing() as session:
            row, why = await passkeys.proved(session, passkeys.site(state), given, challenge, now=now)
            actor = await queries.actor(session, row.person_id) if row else None
            if actor is not None:
                return await _enter(session, actor, route="passkey", now=now, replaces=replaces)
            await _note_unknown(session, "passkey", why or "left")
    state.tries.note(address)
    raise NotProved()


async def _note_unknown(session: AsyncSession, route: str, why: str) -> None:
    school = await queries.only_school(session)
    if school:
        await publish(session, SignInRefused("", route, why), Actor("", school.id, frozenset()))


async def _password_of(session: AsyncSession, email: str) -> tuple[Person | None, Password | None]:
    found = (await session.exec(
        select(Person, Password).join(Password, col(Password.person_id) == Person.id).where(Person.email == email)
    )).first()
    return found or (None, None)


async def note_wrong(state: Any, kept: Password | None, now: datetime) -> None:
    """Count a wrong password, in a transaction of its own; ten in a row close the account for 15 minutes."""
    async with state.database.writing() as session:
        if kept is None:
            return await _note_unknown(session, "password", "unknown")
        row = await session.get_one(Password, kept.person_id)
        row.failures += 1
        row.locked_until = credentials.locked_until(row.failures, now)
        row.failures = 0 if row.locked_until else row.failures
        why = "locked" if row.locked_until else "wrong"
        await publish(session, SignInRefused(row.person_id, "password", why), Actor(row.person_id, row.school_id, frozenset()))


async def _enter(session: AsyncSession, actor: Actor, *, route: str, now: datetime, replaces: str = "") -> Entered:
    """A new session under a new token; the one that the browser had before is over."""
    if replaces:
        await sessions.end_token(session, replaces, now=now)
    token = await sessions.start(session, person_id=actor.person_id, school_id=actor.school_id, route=route, now=now,
                                 roles=actor.roles)
    return Entered(token, actor)


async def reset_for(session: AsyncSession, token: str) -> PasswordReset:
    """The one-time link's row while it can be used, or NotFound."""
    row = (await session.exec(select(PasswordReset).where(PasswordReset.token_hash == token_hash(token)))).first()
    if row is None or row.used_at is not None or session.info["clock"].now() >= row.expires_at:
        raise NotFound("This link does not work any more. Ask the office for a new one.")
    return row


async def by_reset(state: Any, *, token: str, password: str) -> Entered | Wanted:
    """Choose a password with a one-time link, and be signed in. Every other session of the person ends.

    The link leads past no second factor: whoever made it has the link, and not the person's phone (threat T5).
    """
    now = state.clock.now()
    async with state.database.glance() as session:
        row = await reset_for(session, token)
        actor = await queries.actor(session, row.person_id)
        words = await queries.own_words(session, row.person_id)
    if actor is None:
        raise NotFound("This link does not work any more. Ask the office for a new one.")
    kept = await state.passwords.hash(credentials.checked_password(password, words))
    async with state.database.writing() as session:
        used = await session.exec(update(PasswordReset).where(
            col(PasswordReset.id) == row.id, col(PasswordReset.used_at).is_(None)).values(used_at=now))
        if used.rowcount != 1:
            raise NotFound("This link does not work any more. Ask the office for a new one.")
        await _keep_password(session, actor, kept, route="reset", now=now)
        await sessions.end_all(session, actor, person_id=actor.person_id, why="password", now=now)
        return await _wanted(state, session, actor, now) or await _enter(session, actor, route="reset", now=now)


async def change_password(state: Any, actor: Actor, *, old: str, new: str) -> Entered:
    """A person's own change: they prove the old one first, and are signed out everywhere else."""
    now = state.clock.now()
    async with state.database.glance() as session:
        kept = await session.get(Password, actor.person_id)
        words = await queries.own_words(session, actor.person_id)
    if kept is None:
        raise NotAllowed("You sign in without a password here. There is none to change.")
    if kept.locked_until and now < kept.locked_until:
        raise TooManyTries()
    if not await state.passwords.fits(kept.hash, old):
        await note_wrong(state, kept, now)
        raise Invalid(fields={"old": "This is not your password"})
    hashed = await state.passwords.hash(credentials.checked_password(new, words))
    async with state.database.writing() as session:
        await _keep_password(session, actor, hashed, route="account", now=now)
        await sessions.end_all(session, actor, person_id=actor.person_id, why="password", now=now)
        return await _enter(session, actor, route="password", now=now)


async def _keep_password(session: AsyncSession, actor: Actor, kept: str, *, route: str, now: datetime) -> None:
    """A password that was chosen with a link confirms nothing for a day: whoever made the link may have used it (threat T5)."""
    before = await session.get(Password, actor.person_id)
    rests_until = before.rests_until if before else None
    if route == "reset":
        school = await queries.school(session, actor.school_id)
        rests_until = actions.rests_until(is_proven=False, is_live=school.is_live, now=now)
    await session.merge(Password(
        person_id=actor.person_id, school_id=actor.school_id, hash=kept, set_at=now, failures=0, locked_until=None,
        rests_until=rests_until,
    ))
    await publish(session, PasswordSet(actor.person_id, route), actor)


# -- badges -----------------------------------------------------------------------------------------------------------

_BY_SECRET = select(Badge).where(Badge.secret_hash == bindparam("secret"), col(Badge.revoked_at).is_(None))
_BADGE = select(Badge).where(Badge.id == bindparam("badge"))


async def by_code(state: Any, *, code: str, address: str) -> Scanned:
    """The badge behind a scanned or typed code. Raises BadgeRefused, BadgeLocked, OutOfHours, TooManyTries."""
    now = state.clock.now()
    state.tries.refuse(address)
    secret = state.pepper.code(credentials.normal_code(code))
    async with state.database.glance() as session:
        badge = (await session.exec(_BY_SECRET, params={"secret": secret})).first()
        actor = await queries.actor(session, badge.person_id) if badge else None
        if badge is None or actor is None:
            state.tries.note(address)
            raise BadgeRefused()
        await _within_hours(session, actor, now)
    if badge.failures >= credentials.PIN_TRIES:
        raise BadgeLocked()
    ticket = state.pepper.ticket(badge.id, int(now.timestamp()) + TICKET_SECONDS)
    return Scanned(ticket, actor.name, badge.animal, badge.pin_kind)


async def scanned(state: Any, ticket: str) -> Scanned:
    """What a ticket stands for, so that a page can show it again."""
    async with state.database.glance() as session:
        badge, actor = await _behind(state, session, ticket)
    return Scanned(ticket, actor.name, badge.animal, badge.pin_kind)


async def by_pin(state: Any, *, ticket: str, pin: list[str], address: str, replaces: str = "") -> Entered:
    """Sign a pupil in. A pupil is in one place: signing in here ends where they were before (policy: AC1)."""
    now = state.clock.now()
    state.tries.refuse(address)
    async with state.database.glance() as session:
        badge, actor = await _behind(state, session, ticket)
        await _within_hours(session, actor, now)
    given = state.pepper.pin(badge.id, credentials.normal_pin(badge.pin_kind, pin))
    async with state.database.writing() as session:
        failures = await _try_pin(session, badge.id, given, actor)
        if failures == 0:
            await sessions.end_others(session, actor, now=now)
            return await _enter(session, actor, route="badge", now=now, replaces=replaces)
    state.tries.note(address)
    raise BadgeLocked() if failures >= credentials.PIN_TRIES else BadgeRefused()


async def _try_pin(session: AsyncSession, badge_id: str, given: str, actor: Actor) -> int:
    """How many tries in a row were wrong, 0 when this one is right. Counted where it is compared: guessing with many
    devices at once gains nothing."""
    badge = (await session.exec(_BADGE, params={"badge": badge_id})).one()
    if badge.failures >= credentials.PIN_TRIES or badge.revoked_at is not None:
        return credentials.PIN_TRIES
    if hmac.compare_digest(given, badge.pin_hash):
        badge.failures = 0
        return 0
    badge.failures += 1
    why = "locked" if badge.failures >= credentials.PIN_TRIES else "wrong"
    await publish(session, SignInRefused(actor.person_id, "badge", why), actor)
    return badge.failures


async def _behind(state: Any, session: AsyncSession, ticket: str) -> tuple[Badge, Actor]:
    badge_id = state.pepper.badge_of(ticket, int(state.clock.now().timestamp()))
    badge = (await session.exec(_BADGE, params={"badge": badge_id})).first() if badge_id else None
    actor = await queries.actor(session, badge.person_id) if badge and badge.revoked_at is None else None
    if badge is None or actor is None:
        raise BadgeRefused("That took a while. Scan your badge again.", code="ticket-over")
    return badge, actor


async def _within_hours(session: AsyncSession, actor: Actor, now: datetime) -> None:
    school = await queries.school(session, actor.school_id)
    opens = rules.pupils_may_sign_in_from(school.opens_at, school.closes_at, now, school.zone)
    if opens is not None:
        raise OutOfHours(f"You can sign in from {opens}, when school is open.")

