"""T11: forged room tickets. Thousands of changed, stripped, re-signed and confused tokens; none opens anything."""

import base64
import contextlib
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lessons.live.tickets import ALGORITHM, AUDIENCE, ISSUER, TYPE, TicketRefused, Tickets
from tests.fakes import FakeClock
from tests.threats.attack import Guard, guarded_by, harm

KEY = Ed25519PrivateKey.generate()
WHO = {"lesson": "lesson", "person": "person", "session": "session"}


def tickets(clock: FakeClock | None = None, key: Ed25519PrivateKey = KEY) -> Tickets:
    return Tickets(key, clock or FakeClock())


def good(issuer: Tickets) -> str:
    return issuer.issue(**WHO)


def claims(issuer: Tickets) -> dict[str, object]:
    read: dict[str, object] = jwt.decode(good(issuer), options={"verify_signature": False})
    return read


def forged(issuer: Tickets, token: str) -> Iterator[str]:
    dice = random.Random(11)
    head, body, signature = token.split(".")
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for algorithm in ("none", "None", "HS256", "HS512", "RS256", "ES256", "eddsa", ""):
        for typ in (TYPE, "JWT"):
            other = _part({"alg": algorithm, "typ": typ})
            yield from (f"{other}.{body}.", f"{other}.{body}.{signature}", f"{other}..{signature}")
    for secret in (public, public.strip(), KEY.public_key().public_bytes_raw() * 2):
        key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        head_hs = _part({"alg": "HS256", "typ": TYPE})
        mac = key.sign(f"{head_hs}.{body}".encode(), secret)
        yield f"{head_hs}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    stranger = Ed25519PrivateKey.generate()
    yield jwt.encode(claims(issuer), stranger, ALGORITHM, headers={"typ": TYPE})
    for extra in ({"kid": "../../keys/x"}, {"jwk": {"kty": "oct", "k": "AA"}}, {"jku": "https://evil"}, {"crit": ["exp"]}):
        yield jwt.encode(claims(issuer), KEY, ALGORITHM, headers={"typ": TYPE, **extra})
    for typ in ("JWT", "at+jwt", "ROOM+JWT", ""):
        yield jwt.encode(claims(issuer), KEY, ALGORITHM, headers={"typ": typ})
    for changed in ({"aud": "chaperone-api"}, {"iss": "someone"}, {"exp": 1}, {"epoch": "another run"}, {"iat": 9e12}):
        yield jwt.encode({**claims(issuer), **changed}, KEY, ALGORITHM, headers={"typ": TYPE})
    for missing in ("aud", "iss", "exp", "iat", "jti", "sub"):
        yield jwt.encode({k: v for k, v in claims(issuer).items() if k != missing}, KEY, ALGORITHM, headers={"typ": TYPE})
    for _ in range(5000):
        at = dice.randrange(len(token))
        yield token[:at] + dice.choice("ABCxyz019-_.=+/\x00é") + token[at + dice.randint(0, 3):]
    yield from (token + ".", "." + token, token * 2, "", "..", "a.b.c", "\x00", "é.é.é", head, f"{head}.{body}")


def _part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unverified(token: str) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode_complete(token, options={"verify_signature": False})
    return read


def believing(**options: object) -> Callable[[pytest.MonkeyPatch], None]:
    """The library is told to believe what the token says of itself."""
    def remove(patch: pytest.MonkeyPatch) -> None:
        decode = jwt.decode_complete
        patch.setattr(jwt, "decode_complete", lambda token, *of, **given: decode(
            token, *of, **{**given, "options": {**given.get("options", {}), **options}}))
    return remove


def read_as(part: str, **claims: object) -> Callable[[pytest.MonkeyPatch], None]:
    """One part of every ticket is taken to be right."""
    def remove(patch: pytest.MonkeyPatch) -> None:
        decode = jwt.decode_complete

        def right(token: str, *of: object, **given: Any) -> dict[str, Any]:
            read = decode(token, *of, **given)
            return {**read, part: claims if part == "header" else {**read[part], **claims}}

        patch.setattr(jwt, "decode_complete", right)
    return remove


class Any_(str):
    """Is every text."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


GUARDS = (
    Guard("the signature", believing(verify_signature=False)),
    Guard("whom it is for", believing(verify_aud=False)),
    Guard("who made it", believing(verify_iss=False)),
    Guard("what it is for, and nothing else in its header", read_as("header", typ=TYPE, alg=ALGORITHM)),
    Guard("its time", read_as("payload", iat=0, exp=2**40)),
    Guard("the run of the process that it is of", read_as("payload", epoch=Any_())),
)


@guarded_by(*GUARDS)
def test_no_forged_ticket_opens_anything(attempt: Any) -> None:
    issuer = tickets()
    token = good(issuer)
    real, tried = unverified(token), 0
    with attempt:
        for each in forged(issuer, token):
            try:
                issuer.redeem(each, **WHO)
            except (TicketRefused, KeyError):
                tried += 1
                continue
            # The last characters of a base64 part may carry unused bits, so a changed text can be the very same ticket.
            same = unverified(each)
            harm((same["payload"], same["header"]) != (real["payload"], real["header"]) and each, "let in by a forged ticket")
        assert tried > 5000
    assert (real["payload"]["iss"], real["payload"]["aud"]) == (ISSUER, AUDIENCE)


def test_what_is_not_forged_is_let_in() -> None:
    issuer = tickets()
    assert issuer.redeem(good(issuer), **WHO).person == "person"


def for_anybody(patch: pytest.MonkeyPatch) -> None:
    redeem = Tickets.redeem
    patch.setattr(Tickets, "redeem", lambda self, token, **who: redeem(
        self, token, **{name: unverified(token)["payload"]["room"][name] for name in who}))


@pytest.mark.parametrize("other", [{"lesson": "another"}, {"person": "another"}, {"session": "another"}])
@guarded_by(Guard("who and where it is for", for_anybody))
def test_a_ticket_is_for_one_person_in_one_sign_in_and_one_lesson(other: dict[str, str], attempt: Any) -> None:
    issuer, taken = tickets(), []
    with attempt:
        with contextlib.suppress(TicketRefused):
            taken.append(issuer.redeem(good(issuer), **{**WHO, **other}))
        harm(taken, "let in by a ticket of another")


def forgetful(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tickets, "_used", property(lambda self: {}, lambda self, value: None), raising=False)


@guarded_by(Guard("what was used is remembered", forgetful))
def test_a_ticket_is_good_once(attempt: Any) -> None:
    with attempt:
        issuer, taken = tickets(), []
        token = good(issuer)
        issuer.redeem(token, **WHO)
        with contextlib.suppress(TicketRefused):
            taken.append(issuer.redeem(token, **WHO))
        harm(taken, "let in twice by one ticket")


def test_a_ticket_is_good_once_for_a_minute_and_for_this_run_of_the_process() -> None:
    clock = FakeClock()
    issuer = tickets(clock)
    token = good(issuer)
    issuer.redeem(token, **WHO)
    with pytest.raises(TicketRefused):
        issuer.redeem(token, **WHO)
    late = good(issuer)
    clock.advance(60)
    with pytest.raises(TicketRefused):
        issuer.redeem(late, **WHO)
    restarted = tickets(clock)
    with pytest.raises(TicketRefused):
        restarted.redeem(good(issuer), **WHO)


def test_a_ticket_holds_no_name_and_no_secret() -> None:
    assert set(claims(tickets())) == {"iss", "aud", "sub", "jti", "iat", "exp", "epoch", "room"}
