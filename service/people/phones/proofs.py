"""Proof of possession (DPoP, RFC 9449): a request is signed by a key that its phone cannot give away, and accepted once.

A nonce of ours says when a proof was made, so a phone's clock may be wrong. Nonces belong to this run of this process, so the
memory of which proofs were used need not survive it, and no other process accepts what this one did.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.datastructures import Headers

from service.foundation.clock import Clock
from service.foundation.errors import Unavailable

TYPE, ALGORITHM = "dpop+jwt", "ES256"
SLOT, SLOTS = 60, 5
"""Seconds for which one nonce is given out, and for how many such spans it is good."""
CLOCK_MAY_BE_WRONG = 86_400
LONGEST = 2_000
REMEMBERED = 200_000
COORDINATE = re.compile(r"[A-Za-z0-9_-]{43}")
JTI = re.compile(r"[A-Za-z0-9_-]{16,64}")


class NotProven(Exception):
    """The request does not prove itself. `error`: as RFC 9449 calls it."""

    def __init__(self, error: str = "invalid_dpop_proof"):
        super().__init__(error)
        self.error = error


@dataclass(frozen=True)
class Proven:
    """A good proof: the thumbprint of the key that signed it."""

    key: str
    jti: str
    slot: int


class Proofs:
    """Checks proofs, and remembers those that opened something for as long as their nonce is good."""

    def __init__(self, clock: Clock):
        self._clock, self._secret = clock, secrets.token_bytes(32)
        self._seen: dict[int, set[tuple[str, str]]] = {}

    def nonce(self) -> str:
        return self._nonce_of(self._slot())

    def check(self, headers: Headers, method: str, address: str, token: str = "") -> Proven:
        """The proof of a request, not yet used up. `address`: the whole address without a query. Raises NotProven."""
        given = headers.getlist("dpop")
        if len(given) != 1 or len(given[0]) > LONGEST:
            raise NotProven()
        key, claims = _opened(given[0])
        slot = self._slot_of(str(claims.get("nonce", "")))
        if slot is None:
            raise NotProven("use_dpop_nonce")
        wanted = {"htm": method, "htu": address} | ({"ath": hashed(token)} if token else {})
        issued, jti = claims.get("iat"), claims.get("jti")
        if any(claims.get(name) != value for name, value in wanted.items()) or ("ath" in claims) != bool(token):
            raise NotProven()
        if type(issued) is not int or abs(issued - self._clock.now().timestamp()) > CLOCK_MAY_BE_WRONG:
            raise NotProven()
        if not isinstance(jti, str) or not JTI.fullmatch(jti) or (key, jti) in self._seen.get(slot, ()):
            raise NotProven()
        return Proven(key, jti, slot)

    def spend(self, proof: Proven) -> None:
        """Use a proof up. Raises NotProven when it was before; Unavailable rather than forget one that is still good."""
        oldest = self._slot() - SLOTS
        self._seen = {slot: used for slot, used in self._seen.items() if slot > oldest}
        used = self._seen.setdefault(proof.slot, set())
        if (proof.key, proof.jti) in used:
            raise NotProven()
        if sum(map(len, self._seen.values())) >= REMEMBERED:
            raise Unavailable()
        used.add((proof.key, proof.jti))

    def _slot(self) -> int:
        return int(self._clock.now().timestamp()) // SLOT

    def _nonce_of(self, slot: int) -> str:
        mac = hmac.new(self._secret, str(slot).encode(), hashlib.sha256).digest()[:18]
        return base64.urlsafe_b64encode(slot.to_bytes(6, "big") + mac).decode()

    def _slot_of(self, nonce: str) -> int | None:
        newest = self._slot()
        return next((slot for slot in range(newest, newest - SLOTS, -1)
                     if hmac.compare_digest(self._nonce_of(slot).encode(), nonce.encode())), None)


def _opened(proof: str) -> tuple[str, dict[str, Any]]:
    """The thumbprint of the key that signed a proof, and what it says."""
    try:
        head = jwt.get_unverified_header(proof)
        jwk = head.get("jwk")
        if head.keys() != {"typ", "alg", "jwk"} or (head["typ"], head["alg"]) != (TYPE, ALGORITHM) or not isinstance(jwk, dict):
            raise NotProven()
        claims = jwt.decode(proof, _public(jwk), algorithms=[ALGORITHM], options={
            "require": ["jti", "htm", "htu", "iat"], "verify_exp": False, "verify_nbf": False, "verify_iat": False,
            "verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise NotProven() from error
    return thumbprint(jwk), claims


def _public(jwk: dict[str, Any]) -> ec.EllipticCurvePublicKey:
    """Only a public key on P-256, written as RFC 7638 hashes it. A private key that somebody sends is no secret any more."""
    if jwk.keys() != {"kty", "crv", "x", "y"} or (jwk["kty"], jwk["crv"]) != ("EC", "P-256"):
        raise NotProven()
    x, y = (_number(jwk[name]) for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def _number(text: object) -> int:
    if not isinstance(text, str) or not COORDINATE.fullmatch(text):
        raise NotProven()
    raw = base64.urlsafe_b64decode(text + "=")
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != text:
        raise NotProven()
    return int.from_bytes(raw, "big")


def thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638, for a key on P-256."""
    canonical = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"), sort_keys=True)
    return hashed(canonical)


def hashed(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
