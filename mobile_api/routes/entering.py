"""Getting in: invitations, passkeys, tokens. Public, because nobody is known yet; each has a proof or a secret of its own."""

from typing import Annotated, Any

from fastapi import Depends, Request

from mobile_api import access
from mobile_api.route import address_of, router_of
from service.foundation.errors import NotSignedIn
from service.foundation.web import Public
from service.people.passkeys import Answer
from service.people.phones import bearer, entering
from service.people.phones.commands import NewPhone
from service.people.phones.proofs import NotProven, Proven
from service.people.phones.rules import TokenRefused

router = router_of("Getting in", "", Public)
renewing = router_of("Getting in", "", Public, is_limited=False)


class ProofRefused(NotSignedIn):
    """The proof of this phone's key is missing, or is not good any more. Make a new one."""

    code = "invalid-proof"


async def _proof(request: Request) -> Proven:
    """The proof of a key that is not known yet. It is used up with what it opens."""
    try:
        return bearer.proven(request)
    except NotProven as refused:
        request.state.refused_because = refused.error
        raise ProofRefused() from refused


Proof = Annotated[Proven, Depends(_proof)]


@router.post("/invitations/open", operation_id="open_invitation", summary="Open an invitation of the office")
async def open_invitation(request: Request, given: access.Opening) -> access.Opened:
    ticket, school = await entering.open_invitation(
        request.app.state, token=given.token, code=given.code, born_on=given.born_on.isoformat(), address=address_of(request))
    return access.Opened(invitation=ticket, school=school.name, office=school.office)


@router.post("/passkeys/register/begin", operation_id="register_begin", summary="Begin to make a passkey")
async def register_begin(request: Request, given: access.RegisterBegin) -> access.Ceremony:
    return _ceremony(await entering.register_begin(request.app.state, given.invitation))


@router.post("/passkeys/register/finish", operation_id="register_finish", summary="Keep the passkey and sign this phone in")
async def register_finish(request: Request, given: access.RegisterFinish, proof: Proof) -> access.Tokens:
    return _tokens(await entering.register_finish(
        request.app.state, invitation=given.invitation, given=Answer(given.ticket, given.credential),
        new=_new(given.phone, proof), proof=proof))


@router.post("/sign-in/begin", operation_id="sign_in_begin", summary="Begin to sign in with a passkey")
async def sign_in_begin(request: Request) -> access.Ceremony:
    return _ceremony(entering.sign_in_begin(request.app.state))


@router.post("/sign-in/finish", operation_id="sign_in_finish", summary="Sign this phone in")
async def sign_in_finish(request: Request, given: access.SignInFinish, proof: Proof) -> access.Tokens:
    return _tokens(await entering.sign_in_finish(
        request.app.state, given=Answer(given.ticket, given.credential), new=_new(given.phone, proof), proof=proof,
        address=address_of(request)))


@renewing.post("/tokens/refresh", operation_id="refresh_tokens", summary="Exchange a refresh token for the next tokens")
async def refresh(request: Request, given: access.Refresh, proof: Proof) -> access.Tokens:
    limits, address = request.app.state.limits, address_of(request)
    limits.renews(proof.key, address)
    try:
        return _tokens(await entering.refresh(request.app.state, token=given.refresh_token, proof=proof))
    except TokenRefused:
        limits.refused(address)
        raise


def _ceremony(made: dict[str, Any]) -> access.Ceremony:
    return access.Ceremony(ticket=made["ticket"], public_key=made["publicKey"])


def _new(phone: access.ThisPhone, proof: Proven) -> NewPhone:
    return NewPhone(proof.key, phone.name, phone.platform, phone.language)


def _tokens(issued: entering.Issued) -> access.Tokens:
    return access.Tokens(access_token=issued.access_token, refresh_token=issued.refresh_token, phone=access.phone(issued.phone))
