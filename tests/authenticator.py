"""An authenticator made of software: ES256 keys, “none” attestation, and every lie that an attacker's could tell.

It writes what a browser and a security key write (WebAuthn level 3, sections 5.8.1, 6.1 and 6.5), and shares no code with
what checks it.
"""

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class Authenticator:
    """One credential. `origin`: the page it believes to be on; `rp_id`: whom it signs for, by default whom it is asked for."""

    origin: str = "http://localhost:8000"
    rp_id: str = ""
    is_verified: bool = True
    count: int = 0
    counts: bool = True
    user: str = ""
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, asked: dict[str, Any]) -> str:
        """What a form's hidden field holds after `navigator.credentials.create`."""
        options = asked["publicKey"]
        self.user = options["user"]["id"]
        client = self._client("webauthn.create", options["challenge"])
        data = self._data(options["rp"]["id"], ATTESTED) + self._attested()
        response = {"clientDataJSON": text(client), "transports": ["internal"],
                    "attestationObject": text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data}))}
        return self._answer(asked["ticket"], response)

    def get(self, asked: dict[str, Any]) -> str:
        """What a form's hidden field holds after `navigator.credentials.get`."""
        options = asked["publicKey"]
        client = self._client("webauthn.get", options["challenge"])
        data = self._data(options["rpId"], 0)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {"clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(signature),
                    "userHandle": self.user}
        return self._answer(asked["ticket"], response)

    def copy(self) -> "Authenticator":
        """A thief's: the same key, the counter as it was."""
        return Authenticator(self.origin, self.rp_id, self.is_verified, self.count, self.counts, self.user, self.credential,
                             self.key)

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _data(self, asked_for: str, flags: int) -> bytes:
        self.count += self.counts
        flags |= PRESENT | (VERIFIED if self.is_verified else 0)
        return hashlib.sha256((self.rp_id or asked_for).encode()).digest() + struct.pack(">BI", flags, self.count)

    def _attested(self) -> bytes:
        point = self.key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})
        return bytes(16) + struct.pack(">H", len(self.credential)) + self.credential + public

    def _answer(self, ticket: str, response: dict[str, Any]) -> str:
        own = text(self.credential)
        return json.dumps({"ticket": ticket, "credential": {
            "id": own, "rawId": own, "type": "public-key", "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": response,
        }})
