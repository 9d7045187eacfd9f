"""Passkeys (WebAuthn level 3): made with user verification, checked with it, each answer used once. policy: AC9.

Those of parents' phones open the phones' API and nothing else: they come by an invitation of the office, which must lead into
no account of a member of staff who is a parent too (threat T5).

The signature and the formats are `webauthn`'s to check. Here is what a library cannot know: whose passkey it is, what the
challenge was for, whether it was answered before, and whether the counter betrays a copy.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import webauthn
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from service.foundation.bus import publish
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import Actor
from service.people import actions, challenges
from service.people.challenges import Challenge
from service.people.events import PasskeyAdded, PasskeyStopped
from service.people.tables import Passkey

MOST = 10
VERIFIED = UserVerificationRequirement.REQUIRED
OF_A_PHONE = "phone:"
"""Of a phone's user handle: a device keeps it beside the same person's passkey for the pages, and does not replace that."""


@dataclass(frozen=True)
class Site:
    """Whom a passkey is for: the WebAuthn relying party's id, and the one origin whose pages may use it."""

    rp_id: str
    origin: str


def site(state: Any) -> Site:
    """From the settings; a demo on a port that the machine chose knows its origin only when it listens."""
    origin = getattr(state, "dev_origin", "") or state.settings.origin
    return Site(urlsplit(origin).hostname or "", origin)


@dataclass(frozen=True)
class Answer:
    """What the browser sends back: our ticket, and the authenticator's answer as JSON (WebAuthn section 5.1)."""

    ticket: str
    credential: dict[str, Any]


def answer(text: str) -> Answer | None:
    """What a form's hidden field holds; None when it is not that."""
    try:
        found = json.loads(text)
        return Answer(str(found["ticket"]), dict(found["credential"]))
    except (ValueError, TypeError, KeyError):
        return None


# -- making one -------------------------------------------------------------------------------------------------------


async def of(session: AsyncSession, person_id: str) -> list[Passkey]:
    """A person's passkeys for the pages that work, the oldest first."""
    return await _working(session, person_id, is_phone=False)


async def of_phones(session: AsyncSession, person_id: str) -> list[Passkey]:
    """Those of a parent's phones."""
    return await _working(session, person_id, is_phone=True)


async def _working(session: AsyncSession, person_id: str, *, is_phone: bool) -> list[Passkey]:
    return list((await session.exec(select(Passkey).where(
        Passkey.person_id == person_id, col(Passkey.stopped_at).is_(None), col(Passkey.is_phone).is_(is_phone),
    ).order_by(col(Passkey.added_at)))).all())


def creation(where: Site, actor: Actor, email: str, challenge: Challenge, existing: Iterable[Passkey], *,
             is_discoverable: bool = False) -> dict[str, Any]:
    """What `navigator.credentials.create` is asked for: verified by finger, face or PIN, kept by the device, unattested.

    `is_discoverable`: the device finds it again without being told whose it is.
    """
    resident = ResidentKeyRequirement.REQUIRED if is_discoverable else ResidentKeyRequirement.PREFERRED
    options = webauthn.generate_registration_options(
        rp_id=where.rp_id, rp_name="Chaperone", user_name=email or actor.name,
        user_id=(OF_A_PHONE * is_discoverable + actor.person_id).encode(),
        user_display_name=actor.name, challenge=challenge.value, timeout=300_000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=resident, user_verification=VERIFIED),
        exclude_credentials=[_descriptor(row) for row in existing],
    )
    made: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return made


async def add(session: AsyncSession, where: Site, actor: Actor, given: Answer, challenge: Challenge, *, name: str,
              rests_until: datetime, now: datetime, is_phone: bool = False) -> str:
    """Keep a new passkey. Raises Invalid when the answer is not one, or was sent before."""
    try:
        made = webauthn.verify_registration_response(
            credential=given.credential, expected_challenge=challenge.value, expected_rp_id=where.rp_id,
            expected_origin=where.origin, require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise Invalid("This passkey could not be added. Try again.") from error
    credential_id = bytes_to_base64url(made.credential_id)
    taken = (await session.exec(select(Passkey.id).where(
        Passkey.school_id == actor.school_id, Passkey.credential_id == credential_id))).first()
    if taken or len(await _working(session, actor.person_id, is_phone=is_phone)) >= MOST:
        raise Invalid("This passkey is known already." if taken else f"You have {MOST} passkeys. Remove one first.")
    if not await challenges.spend(session, challenge, school_id=actor.school_id, now=now):
        raise Invalid("This passkey could not be added. Try again.")
    row = Passkey(
        school_id=actor.school_id, person_id=actor.person_id, credential_id=credential_id,
        public_key=bytes_to_base64url(made.credential_public_key), sign_count=made.sign_count,
        transports=_transports(given), name=" ".join(name.split())[:60] or "Passkey", is_synced=made.credential_backed_up,
        added_at=now, rests_until=rests_until, is_phone=is_phone,
    )
    session.add(row)
    await publish(session, PasskeyAdded(actor.person_id, row.id), actor)
    return row.id


def _transports(given: Answer) -> str:
    said = given.credential.get("response", {}).get("transports") or ()
    known = {each.value for each in AuthenticatorTransport}
    return ",".join(each for each in said if each in known)


def _descriptor(row: Passkey) -> PublicKeyCredentialDescriptor:
    transports = [AuthenticatorTransport(each) for each in row.transports.split(",") if each]
    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(row.credential_id), transports=transports or None)


async def stop(session: AsyncSession, actor: Actor, row: Passkey, *, why: str, now: datetime) -> None:
    """A passkey works no more. It stays on record, so that what it confirmed can be told."""
    row.stopped_at, row.stopped_why = now, why
    await publish(session, PasskeyStopped(row.person_id, row.id, why), actor)


async def own(session: AsyncSession, actor: Actor, passkey_id: str) -> Passkey:
    """One of the actor's passkeys that work, or NotFound."""
    row = await session.get(Passkey, passkey_id)
    if row is None or row.person_id != actor.person_id or row.stopped_at is not None or row.is_phone:
        raise NotFound()
    return row


# -- using one --------------------------------------------------------------------------------------------------------


def request(where: Site, challenge: Challenge, allowed: Iterable[Passkey] = ()) -> dict[str, Any]:
    """What `navigator.credentials.get` is asked for. Without `allowed` the person chooses among the device's own."""
    options = webauthn.generate_authentication_options(
        rp_id=where.rp_id, challenge=challenge.value, timeout=60_000, user_verification=VERIFIED,
        allow_credentials=[_descriptor(row) for row in allowed] or None,
    )
    made: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return made


async def proved(session: AsyncSession, where: Site, given: Answer, challenge: Challenge | None, *, person_id: str = "",
                 now: datetime, is_phone: bool = False) -> tuple[Passkey | None, str]:
    """Whose passkey answered, or why none did (`wrong` or `cloned`). The challenge is used up by a right answer.

    `person_id`: whose it must be; without, it is whose the authenticator says, which a passkey of its own knows. The caller
    commits in either case: a copied passkey is stopped for good.
    """
    row = await _named(session, given, person_id)
    row = row if row is not None and row.is_phone == is_phone else None
    if row is None or challenge is None:
        return None, "wrong"
    try:
        checked = webauthn.verify_authentication_response(
            credential=given.credential, expected_challenge=challenge.value, expected_rp_id=where.rp_id,
            expected_origin=where.origin, credential_public_key=base64url_to_bytes(row.public_key),
            credential_current_sign_count=0, require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        return None, "wrong"
    if not await challenges.spend(session, challenge, school_id=row.school_id, now=now):
        return None, "wrong"
    if actions.is_cloned(row.sign_count, checked.new_sign_count):
        await stop(session, Actor(row.person_id, row.school_id, frozenset()), row, why="cloned", now=now)
        return None, "cloned"
    row.sign_count, row.used_at, row.is_synced = checked.new_sign_count, now, checked.credential_backed_up
    return row, ""


async def _named(session: AsyncSession, given: Answer, person_id: str) -> Passkey | None:
    """The row of the credential, when it belongs to whom the authenticator and the caller say (WebAuthn section 7.2)."""
    said = _handle(given)
    if person_id and said and said != person_id:
        return None
    return (await session.exec(
        select(Passkey).where(
            Passkey.credential_id == str(given.credential.get("id", "")), Passkey.person_id == (person_id or said),
            col(Passkey.stopped_at).is_(None),
        ).with_for_update()
    )).first()


def _handle(given: Answer) -> str:
    response = given.credential.get("response")
    handle = response.get("userHandle") if isinstance(response, dict) else None
    try:
        return base64url_to_bytes(str(handle)).decode().removeprefix(OF_A_PHONE) if handle else ""
    except ValueError:
        return "?"
