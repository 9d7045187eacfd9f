"""Room tickets: one person, one lesson, one connection, one minute, one use (RFC 8725; threats T10, T11).

They carry opaque ids only. What they open is decided again by the room at the moment of entry.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.foundation import keys
from service.foundation.clock import Clock
from service.foundation.db import new_id
from service.foundation.errors import NotAllowed

LIFETIME = 60
ISSUER, AUDIENCE, TYPE, ALGORITHM = "chaperone", "chaperone-room", "room+jwt", "EdDSA"


class TicketRefused(NotAllowed):
    """This ticket is not good any more. Open the lesson's page again."""

    code = "ticket-refused"


@dataclass(frozen=True)
class Ticket:
    """Who may open which connection. `session`: the sign-in it was given to. `device`: a hash of the key the browser keeps.
    `approval`: of a one-to-one, the approval that it goes by."""

    person: str
    lesson: str
    session: str
    connection: str
    device: str = ""
    beside: str = ""
    approval: str = ""


class Tickets:
    """Issues and redeems. `epoch` ties a ticket to this run of the process: a restart makes every earlier one void, so that
    the memory of which were used need not survive it."""

    def __init__(self, key: Ed25519PrivateKey, clock: Clock):
        self._key, self._clock, self.epoch = key, clock, new_id()
        self._used: dict[str, int] = {}

    def issue(self, *, person: str, lesson: str, session: str, device: str = "", beside: str = "",
              approval: str = "") -> str:
        now = int(self._clock.now().timestamp())
        ticket = Ticket(person, lesson, session, new_id(), device, beside, approval)
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": person, "jti": ticket.connection, "iat": now, "exp": now + LIFETIME,
            "epoch": self.epoch, "room": asdict(ticket),
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"typ": TYPE})

    def redeem(self, token: str, *, lesson: str, person: str, session: str) -> Ticket:
        """The ticket, once, for exactly this lesson and the person and sign-in of this connection. Raises TicketRefused."""
        claims = self._read(token)
        now = int(self._clock.now().timestamp())
        self._used = {jti: exp for jti, exp in self._used.items() if exp > now}
        ticket = Ticket(**claims["room"])
        fits = (ticket.lesson, ticket.person, ticket.session) == (lesson, person, session)
        if not fits or claims["epoch"] != self.epoch or not claims["iat"] <= now < claims["exp"]:
            raise TicketRefused()
        if ticket.connection in self._used:
            raise TicketRefused()
        self._used[ticket.connection] = claims["exp"]
        return ticket

    def _read(self, token: str) -> dict[str, Any]:
        try:
            read = jwt.decode_complete(
                token, self._key.public_key(), algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER,
                options={"require": ["iss", "aud", "sub", "jti", "iat", "exp"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            raise TicketRefused() from error
        if read["header"].get("typ") != TYPE or read["header"].keys() - {"typ", "alg"}:
            raise TicketRefused()
        claims: dict[str, Any] = read["payload"]
        return claims


def ticket_key(folder: Path) -> Ed25519PrivateKey:
    """The key that signs tickets."""
    return keys.ed25519(folder, "tickets")
