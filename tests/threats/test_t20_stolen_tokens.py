"""T20: a phone's tokens, forged, replayed and stolen. Thousands of variants, judged by what judges every request; none opens."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import HTTPConnection

from service.people.phones import bearer
from service.people.phones.proofs import Proofs, Proven
from service.people.phones.tokens import ALGORITHM, TYPE, AccessTokens
from tests.phones import API, ORIGIN, NativePhone, b64, signed_in
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm
from tests.threats.test_t11_room_tickets import Any_, _part, believing, read_as

PATH = "/api/v1/me"
ODD = "ABCxyz019-_.=+/\x00é"


@dataclass(frozen=True)
class Try:
    """One request: what it says it is signed in by, and with which proof."""

    token: str
    proof: str
    method: str = "GET"
    path: str = PATH
    scheme: str = "DPoP"
    also: tuple[tuple[str, str], ...] = ()


async def opens(school: Running, one: Try) -> Any:
    """Who the service takes this for, asked as every route asks."""
    given = [("authorization", f"{one.scheme} {one.token}"), ("dpop", one.proof), *one.also]
    headers = [(name.encode(), text.encode()) for name, text in given if text]
    return await bearer.authenticate(HTTPConnection({
        "type": "http", "method": one.method, "path": one.path, "query_string": b"", "scheme": "http", "headers": headers,
        "server": ("localhost", 8000), "app": school.app, "state": {}}))


class Thief:
    """Whoever has everything that a phone ever sent, and makes what they like of it."""

    def __init__(self, school: Running, phone: NativePhone, other: NativePhone):
        self.school, self.phone, self.other, self.dice = school, phone, other, random.Random(20)
        self.token: str = phone.tokens["access_token"]
        self.key: Ed25519PrivateKey = school.app.state.access_tokens._key
        self.claims: dict[str, Any] = unverified(self.token)["payload"]

    def proof(self, token: str = "", by: NativePhone | None = None, **changes: Any) -> str:
        phone = by or self.phone
        phone.nonce = self.school.app.state.proofs.nonce()
        return phone.proof("GET", PATH, token or self.token, **changes)

    def edited(self, text: str) -> str:
        at = self.dice.randrange(len(text))
        return text[:at] + self.dice.choice(ODD) + text[at + self.dice.randint(0, 3):]

    def signed(self, claims: dict[str, Any], key: Any = None, **head: Any) -> str:
        kid = self.school.app.state.access_tokens.kid
        return jwt.encode(claims, key or self.key, ALGORITHM, headers={"typ": TYPE, "kid": kid} | head)

    def forged(self) -> Iterator[str]:
        """Tokens that nobody was given."""
        head, body, signature = self.token.split(".")
        for algorithm in ("none", "None", "HS256", "HS512", "RS256", "ES256", "eddsa", ""):
            for typ in (TYPE, "JWT"):
                other = _part({"alg": algorithm, "typ": typ, "kid": self.school.app.state.access_tokens.kid})
                yield from (f"{other}.{body}.", f"{other}.{body}.{signature}", f"{other}..{signature}")
        for secret in (self.key.public_key().public_bytes_raw(), b"chaperone" * 4):
            mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
            other = _part({"alg": "HS256", "typ": TYPE, "kid": self.school.app.state.access_tokens.kid})
            yield f"{other}.{body}.{b64(mac.sign(f'{other}.{body}'.encode(), secret))}"
        yield self.signed(self.claims, Ed25519PrivateKey.generate())
        for changed in ({"aud": "chaperone-room"}, {"aud": ["chaperone-phone", "x"]}, {"iss": "somebody"}, {"exp": 9e12},
                        {"exp": self.claims["exp"] + 86_400}, {"exp": str(self.claims["exp"])}, {"iat": 1}, {"sub": "nobody"},
                        {"sub": self.other_claims["sub"]}, {"sid": self.other_claims["sid"]}, {"sid": "nothing"},
                        {"cnf": {}}, {"cnf": {"jkt": ""}}, {"cnf": {"jkt": self.other_claims["cnf"]["jkt"]}},
                        {"cnf": None}, {"role": "dsl"}):
            yield self.signed(self.claims | changed)
        for missing in self.claims:
            yield self.signed({name: value for name, value in self.claims.items() if name != missing})
        for extra in ({"typ": "JWT"}, {"typ": "dpop+jwt"}, {"kid": "../../keys"}, {"jwk": {"kty": "oct", "k": "AA"}},
                      {"jku": "https://evil"}, {"crit": ["exp"]}):
            yield self.signed(self.claims, **extra)
        yield from (self.token + ".", self.token * 2, "", "..", "a.b.c", "\x00", head, f"{head}.{body}", "x" * 3000)
        yield from (self.edited(self.token) for _ in range(2_400))

    @property
    def other_claims(self) -> dict[str, Any]:
        said: dict[str, Any] = unverified(self.other.tokens["access_token"])["payload"]
        return said

    def unproven(self) -> Iterator[str]:
        """Proofs that this phone did not make for this request now."""
        stolen = self.proof()
        yield from (self.proof(by=NativePhone(self.phone.client)) for _ in range(200))
        yield self.proof(by=self.other)
        for changed in ({"htm": "POST"}, {"htm": "get"}, {"htu": f"{ORIGIN}{API}/phones"}, {"htu": f"https://evil{PATH}"},
                        {"htu": f"{ORIGIN}{PATH}?x=1"}, {"htu": PATH}, {"ath": b64(b"another")}, {"ath": None}, {"jti": None},
                        {"jti": "short"}, {"jti": 7}, {"iat": None}, {"iat": 1}, {"iat": True}, {"iat": 9e12}, {"nonce": None},
                        {"nonce": ""}, {"nonce": Proofs(self.school.clock).nonce()}, {"htm": None}, {"htu": None}):
            yield self.proof(**changed)
        for head in ({"typ": "JWT"}, {"typ": TYPE}, {"kid": "x"}, {"jwk": {}}, {"jwk": self.other.jwk}, {"jwk": "x"},
                     {"jwk": self.phone.jwk | {"d": "AA"}}, {"jwk": self.phone.jwk | {"crv": "P-384"}},
                     {"jwk": self.phone.jwk | {"x": self.phone.jwk["x"] + "="}}, {"crit": ["exp"]}):
            yield self.proof(head=head)
        claims = jwt.decode(stolen, options={"verify_signature": False})
        yield jwt.encode(claims, "x" * 32, "HS256", headers={"typ": "dpop+jwt", "jwk": self.phone.jwk})
        yield jwt.encode(claims, None, "none", headers={"typ": "dpop+jwt", "jwk": self.phone.jwk})
        wide = ec.generate_private_key(ec.SECP384R1())
        yield jwt.encode(claims, wide, "ES384", headers={"typ": "dpop+jwt", "jwk": self.phone.jwk})
        yield from ("", "..", "a.b.c", stolen + ".", "x" * 3000)
        yield from (self.edited(stolen) for _ in range(2_400))

    def tries(self) -> Iterator[Try]:
        yield from (Try(token, self.proof(token) if token.isascii() and token else "x") for token in self.forged())
        yield from (Try(self.token, proof) for proof in self.unproven())
        for scheme in ("Bearer", "Basic", "", "DPoP "):
            yield Try(self.token, self.proof(), scheme=scheme)
        yield Try(self.token, self.proof(), method="POST")
        yield Try(self.token, self.proof(), path="/api/v1/phones")
        yield Try(self.token, self.proof(), path="/today")
        yield Try(self.token, self.proof(), also=(("authorization", f"DPoP {self.token}"),))
        yield Try(self.token, self.proof(), also=(("dpop", self.proof()),))
        yield Try(self.other.tokens["access_token"], self.proof(self.other.tokens["access_token"]))


def unverified(token: str) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode_complete(token, options={"verify_signature": False})
    return read


def same(text: str, real: str) -> bool:
    """The last characters of a base64 part carry unused bits, so a changed text can be the very same token."""
    if text.rpartition(".")[0] != real.rpartition(".")[0]:
        return False
    return bool(unverified(text)["signature"] == unverified(real)["signature"])


def by_any_key(patch: pytest.MonkeyPatch) -> None:
    check = Proofs.check
    patch.setattr(Proofs, "check", lambda self, *given: replace(check(self, *given), key=Any_()))


def for_any_request(patch: pytest.MonkeyPatch) -> None:
    check = Proofs.check

    def of_itself(self: Proofs, headers: Any, method: str, address: str, token: str = "") -> Proven:
        said = jwt.decode(headers["dpop"], options={"verify_signature": False})
        return check(self, headers, str(said.get("htm", "")), str(said.get("htu", "")), token)

    patch.setattr(Proofs, "check", of_itself)


def at_any_time(patch: pytest.MonkeyPatch) -> None:
    read = AccessTokens.read
    patch.setattr(AccessTokens, "read", lambda self, token, now: read(
        self, token, datetime.fromtimestamp(unverified(token)["payload"]["iat"], UTC)))


def forgetful(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Proofs, "spend", lambda *_: None)


def any_nonce(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Proofs, "_slot_of", lambda self, _: self._slot())


GUARDS: tuple[Guard, ...] = (
    Guard("the signature of the token", believing(verify_signature=False)),
    Guard("whom the token is for", read_as("payload", aud="chaperone-phone")),
    Guard("the key that a token is bound to", by_any_key),
    Guard("what a proof is for", for_any_request),
    Guard("a nonce of this run", any_nonce),
)


@guarded_by(*GUARDS)
async def test_no_forged_or_stolen_token_opens_anything(school: Running, attempt: Any) -> None:
    phone, other = await signed_in(school), await signed_in(school, school.lesson()["pupil_ids"][1])
    thief, tried = Thief(school, phone, other), 0
    with attempt:
        for one in thief.tries():
            found = await opens(school, one)
            tried += 1
            harm(found is not None and not same(one.token, thief.token) and one, "let in by a forged token")
            harm(found is not None and one.proof.count(".") != 2 and one, "let in without a proof")
            harm(found is not None and one.proof.partition(".")[0] != thief.proof().partition(".")[0] and one, "another's key")
            harm(found is not None and not genuine(thief, one) and one, "let in by a proof of something else")
            if tried % 500 == 0:
                assert await opens(school, Try(thief.token, thief.proof())) is not None  # and the genuine one is
        assert tried > 5_000


def genuine(thief: Thief, one: Try) -> bool:
    """Whether a proof says what the phone's own would."""
    said = jwt.decode(one.proof, options={"verify_signature": False})
    mine = jwt.decode(thief.proof(), options={"verify_signature": False})
    stands = all(said.get(name) == mine[name] for name in ("htm", "htu", "ath")) and said.get("nonce") == mine["nonce"]
    return stands and (one.method, one.path, one.scheme.strip().lower(), one.also) == ("GET", PATH, "dpop", ())



@guarded_by(Guard("a proof is used up", forgetful))
async def test_a_proof_that_was_seen_on_its_way_opens_nothing_again(school: Running, attempt: Any) -> None:
    phone = await signed_in(school)
    thief = Thief(school, phone, phone)
    proof = thief.proof()
    with attempt:
        assert await opens(school, Try(thief.token, proof)) is not None
        harm(await opens(school, Try(thief.token, proof)), "let in by a proof that was used")


@guarded_by(Guard("the time of a token", at_any_time))
async def test_a_token_lasts_five_minutes(school: Running, attempt: Any) -> None:
    phone = await signed_in(school)
    thief = Thief(school, phone, phone)
    with attempt:
        school.clock.advance(299)
        assert await opens(school, Try(thief.token, thief.proof())) is not None
        school.clock.advance(1)
        harm(await opens(school, Try(thief.token, thief.proof())), "let in after five minutes")


async def test_a_proof_of_the_run_before_opens_nothing_after_a_restart(school: Running) -> None:
    """What was used is remembered by the run that took it, and no other run takes what it gave a nonce for."""
    phone = await signed_in(school)
    thief = Thief(school, phone, phone)
    proof = thief.proof()
    school.app.state.proofs = Proofs(school.clock)
    assert await opens(school, Try(thief.token, proof)) is None
    assert await opens(school, Try(thief.token, thief.proof())) is not None


async def test_a_phones_clock_may_be_wrong_by_hours_and_a_nonce_stands_for_minutes(school: Running) -> None:
    phone = await signed_in(school)
    thief = Thief(school, phone, phone)
    wrong = int(school.clock.now().timestamp()) - 6 * 3600
    assert await opens(school, Try(thief.token, thief.proof(iat=wrong))) is not None
    proof = thief.proof()
    school.clock.advance(270)
    assert await opens(school, Try(thief.token, proof)) is not None
    old = school.app.state.proofs.nonce()
    school.clock.advance(301)
    await phone.refresh()
    thief = Thief(school, phone, phone)
    assert await opens(school, Try(thief.token, thief.proof(nonce=old))) is None
    assert await opens(school, Try(thief.token, thief.proof())) is not None
