"""Access tokens: EdDSA, one type, one audience, five minutes, worth nothing without the phone's own key (RFC 8725, 9449; T20).

They say who was signed in where. What that still allows is looked up with every request.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.foundation import keys
from service.people.phones.proofs import NotProven, hashed
from service.people.phones.rules import ACCESS_LASTS

ISSUER, AUDIENCE, TYPE, ALGORITHM = "chaperone", "chaperone-phone", "at+jwt", "EdDSA"
CLAIMS = frozenset({"iss", "aud", "sub", "sid", "jti", "iat", "exp", "cnf"})
LONGEST = 2_000


@dataclass(frozen=True)
class Access:
    """What a good token says: whose sign-in, and the thumbprint of the only key that may use it."""

    person_id: str
    sign_in_id: str
    key: str


class AccessTokens:
    """Issues and reads. `kid` names the key, so that it can be changed; no token chooses the key or how it is checked."""

    def __init__(self, key: Ed25519PrivateKey):
        self._key = key
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.kid = hashed(raw.hex())[:16]

    def issue(self, access: Access, *, jti: str, made_at: datetime) -> str:
        """The same token for the same moment and `jti`: a lost answer can be given again."""
        now = int(made_at.timestamp())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": access.person_id, "sid": access.sign_in_id, "jti": jti, "iat": now,
                  "exp": now + int(ACCESS_LASTS.total_seconds()), "cnf": {"jkt": access.key}}
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": self.kid})

    def read(self, token: str, now: datetime) -> Access:
        """Raises NotProven (`invalid_token`) for everything that is not exactly what `issue` makes, or is over."""
        try:
            if len(token) > LONGEST:
                raise NotProven("invalid_token")
            read = jwt.decode_complete(
                token, self._key.public_key(), algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER,
                options={"require": list(CLAIMS), "verify_exp": False, "verify_iat": False},
            )
            head, claims = read["header"], read["payload"]
            if head != {"typ": TYPE, "alg": ALGORITHM, "kid": self.kid} or claims.keys() != CLAIMS:
                raise NotProven("invalid_token")
            return _checked(claims, int(now.timestamp()))
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise NotProven("invalid_token") from error


def _checked(claims: dict[str, Any], now: int) -> Access:
    made, over, key = claims["iat"], claims["exp"], claims["cnf"]
    if type(made) is not int or type(over) is not int or not made <= now < over or over - made > ACCESS_LASTS.total_seconds():
        raise NotProven("invalid_token")
    if not isinstance(key, dict) or key.keys() != {"jkt"} or claims["aud"] != AUDIENCE:
        raise NotProven("invalid_token")
    return Access(str(claims["sub"]), str(claims["sid"]), str(key["jkt"]))


def token_key(folder: Path) -> Ed25519PrivateKey:
    """The key that signs phones' tokens."""
    return keys.ed25519(folder, "phones")
