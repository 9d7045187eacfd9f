"""T11: forged room tickets. Thousands of changed, stripped, re-signed and confused tokens; none opens anything."""

import base64
import json
import random
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lessons.live.tickets import ALGORITHM, AUDIENCE, ISSUER, TYPE, TicketRefused, Tickets
from tests.fakes import FakeClock

KEY = Ed25519PrivateKey.generate()
WHO = {"lesson": "lesson", "person": "person", "session": "session"}


def tickets(clock: FakeClock | None = None, key: Ed25519PrivateKey = KEY) -> Tickets:
    return Tickets(key, clock or FakeClock())


def good(issuer: Tickets) -> str:
    return issuer.issue(**WHO)


def claims(issuer: Tickets) -> dict[str, object]:
    read: dict[str, object] = jwt.decode(good(issuer), options={"verify_signature": False})
    return read


def forged(issuer: Tickets) -> Iterator[str]:
    dice, token = random.Random(11), good(issuer)
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


def test_no_forged_ticket_opens_anything() -> None:
    issuer = tickets()
    real = jwt.decode(good(issuer), options={"verify_signature": False})
    tried = 0
    for token in forged(issuer):
        try:
            ticket = issuer.redeem(token, **WHO)
        except TicketRefused:
            tried += 1
            continue
        # The last characters of a base64 part may carry unused bits, so a changed text can be the very same ticket.
        same = jwt.decode(token, options={"verify_signature": False})
        assert (ticket.connection, same.keys()) == (same["jti"], real.keys()), token
    assert tried > 5000


def test_the_negative_control_is_let_in() -> None:
    issuer = tickets()
    assert issuer.redeem(good(issuer), **WHO).person == "person"
    assert (claims(issuer)["iss"], claims(issuer)["aud"]) == (ISSUER, AUDIENCE)


@pytest.mark.parametrize("other", [{"lesson": "another"}, {"person": "another"}, {"session": "another"}])
def test_a_ticket_is_for_one_person_in_one_sign_in_and_one_lesson(other: dict[str, str]) -> None:
    issuer = tickets()
    with pytest.raises(TicketRefused):
        issuer.redeem(good(issuer), **{**WHO, **other})


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
