"""A parent's phone made of software: a P-256 key, a passkey, DPoP proofs and tokens. It shares no code with what checks them."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import col, select

from service.foundation.db import new_id
from service.people.phones import commands
from service.people.phones.commands import Letter
from service.people.queries import actor as actor_of
from service.people.tables import Guardianship, Person
from tests.authenticator import Authenticator
from tests.school import Running

ORIGIN = "http://localhost:8000"
API = "/api/v1"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class NativePhone:
    """`nonce`: the newest that the service gave. `clock`: what its own says. `tokens`: the newest answer with tokens."""

    client: httpx.AsyncClient
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    passkey: Authenticator = field(default_factory=Authenticator)
    nonce: str = ""
    clock: int = 1_795_514_400
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def jwk(self) -> dict[str, str]:
        at = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": b64(at.x.to_bytes(32, "big")), "y": b64(at.y.to_bytes(32, "big"))}

    def proof(self, method: str, path: str, token: str = "", *, head: dict[str, Any] | None = None, **claims: Any) -> str:
        """A proof for one request. `head`, `claims`: what it says instead; None leaves a claim out."""
        said = {"htm": method, "htu": ORIGIN + path, "iat": self.clock, "jti": secrets.token_urlsafe(16), "nonce": self.nonce}
        if token:
            said["ath"] = b64(hashlib.sha256(token.encode()).digest())
        said |= claims
        return jwt.encode({name: value for name, value in said.items() if value is not None}, self.key, algorithm="ES256",
                          headers={"typ": "dpop+jwt", "jwk": self.jwk} | (head or {}))

    async def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None, key: str = "",
                  headers: dict[str, str] | None = None) -> httpx.Response:
        """One request as an app makes it: signed, once more with the nonce that it is told, writes with a key of their own."""
        token = self.tokens.get("access_token", "") if token is None else token
        bare = (API + path).partition("?")[0]
        sent = dict(headers or {})
        if method != "GET" and token:
            sent["Idempotency-Key"] = key or new_id()
        for _ in range(2):
            proof = {"DPoP": self.proof(method, bare, token)} | ({"Authorization": f"DPoP {token}"} if token else {})
            answer = await self.client.request(method, API + path, json=body, headers=sent | proof)
            self.nonce = answer.headers["DPoP-Nonce"]
            if "use_dpop_nonce" not in answer.headers.get("WWW-Authenticate", ""):
                break
        if answer.status_code == 200 and "refresh_token" in answer.text:
            self.tokens = answer.json()
        return answer

    async def accept(self, letter: Letter, code: str, born_on: str, **phone: str) -> httpx.Response:
        """From the letter to being signed in. The answer of the step that failed, else the tokens."""
        opened = await self.ask("POST", "/invitations/open", {"token": letter.token, "code": code, "born_on": born_on}, token="")
        if opened.status_code != 200:
            return opened
        invitation = opened.json()["invitation"]
        begun = await self.ask("POST", "/passkeys/register/begin", {"invitation": invitation}, token="")
        if begun.status_code != 200:
            return begun
        made = json.loads(self.passkey.create(begun.json()))
        return await self.ask("POST", "/passkeys/register/finish", {
            "invitation": invitation, **made, "phone": {"name": "My phone", "platform": "android"} | phone}, token="")

    async def sign_in(self) -> httpx.Response:
        begun = (await self.ask("POST", "/sign-in/begin", token="")).json()
        made = json.loads(self.passkey.get(begun))
        return await self.ask("POST", "/sign-in/finish", {**made, "phone": {"name": "My phone", "platform": "android"}}, token="")

    async def refresh(self, token: str = "") -> httpx.Response:
        return await self.ask("POST", "/tokens/refresh", {"refresh_token": token or self.tokens["refresh_token"]}, token="")


async def parent_of(school: Running, child_id: str) -> str:
    async with school.database.reading() as session:
        found: str = (await session.exec(select(Guardianship.guardian_id).where(
            Guardianship.child_id == child_id).order_by(col(Guardianship.contact_order)))).all()[0]
    return found


async def born_on(school: Running, child_id: str) -> str:
    """The child's date of birth, written down for the test where the school has none."""
    async with school.database.writing() as session:
        child = await session.get_one(Person, child_id)
        if child.born_on is None:
            child.born_on = school.clock.now().date().replace(year=2017)
        return str(child.born_on.isoformat())


async def letter_for(school: Running, parent: str, *, in_person: bool = False, keeps_phones: bool = True,
                     by: str = "office") -> Letter:
    """What the office prints. A recovery has no code yet."""
    async with school.database.writing() as session:
        office = await actor_of(session, school.person(by))
        assert office is not None
        return await commands.invite(session, office, school.app.state.pepper, parent, in_person=in_person,
                                     keeps_phones=keeps_phones, now=school.clock.now(), token=secrets.token_urlsafe(32))


async def signed_in(school: Running, child_id: str = "", *, in_person: bool = False) -> NativePhone:
    """The phone of a child's first parent, come by a letter."""
    child_id = child_id or school.lesson()["pupil_ids"][0]
    parent, day = await parent_of(school, child_id), await born_on(school, child_id)
    letter = await letter_for(school, parent, in_person=in_person)
    phone = NativePhone(school.client(), clock=int(school.clock.now().timestamp()))
    answer = await phone.accept(letter, letter.code, day)
    assert answer.status_code == 200, answer.text
    return phone
