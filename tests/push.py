"""A push service on this machine and the phone behind it: it takes what is sent, and decrypts it as a browser would (RFC 8188,
8291). Written from the RFCs; it shares no code with what encrypts."""

import asyncio
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI, Request, Response

from service.foundation import mail
from service.people import queries as people
from service.people.push import commands, sending
from tests.school import Running, running


def text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class Receiver:
    """One phone's subscription and its private key."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    @property
    def point(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @property
    def subscription(self) -> dict[str, str]:
        return {"endpoint": self.endpoint, "p256dh": text(self.point), "auth": text(self.secret)}

    def read(self, body: bytes) -> str:
        """What a body says; raises `cryptography.exceptions.InvalidTag` for anybody else's."""
        salt, length = body[:16], body[20]
        sender = body[21:21 + length]
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        info = b"WebPush: info\0" + self.point + sender
        secret = HKDF(algorithm=SHA256(), length=32, salt=self.secret, info=info).derive(shared)
        first = HKDF.extract(SHA256(), salt, secret)
        key = HKDFExpand(SHA256(), 16, b"Content-Encoding: aes128gcm\0").derive(first)
        nonce = HKDFExpand(SHA256(), 12, b"Content-Encoding: nonce\0").derive(first)
        padded = AESGCM(key).decrypt(nonce, body[21 + length:], None)
        return padded.rstrip(b"\0")[:-1].decode()


@dataclass
class PushService:
    """What was sent to it, by address. `answers`: the status for each address; 201 else."""

    url: str = ""
    taken: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def phone(self) -> Receiver:
        return Receiver(f"{self.url}/{secrets.token_hex(8)}")

    def to(self, phone: Receiver) -> list[str]:
        """What this phone was told, decrypted."""
        return [phone.read(body) for address, _, body in self.taken if address == phone.endpoint]


@asynccontextmanager
async def push_service() -> AsyncIterator[PushService]:
    """Until the block ends."""
    fake, app = PushService(), FastAPI()

    @app.post("/{address}")
    async def take(address: str, request: Request) -> Response:
        fake.taken.append((f"{fake.url}/{address}", dict(request.headers), await request.body()))
        fake.came.set()
        return Response(status_code=fake.answers.get(f"{fake.url}/{address}", 201))

    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup(sockets)  # type: ignore[arg-type]
            started.set()

    server = Server(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="warning"))
    task = asyncio.create_task(server.serve())
    await started.wait()
    fake.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def quiet_school(folder: Path, template: Path, phones: PushService,
                       monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """The school with a mail server and a push service; its own jobs rest: the test says when something is sent."""
    for module in (mail, sending):
        monkeypatch.setattr(module, "EVERY", 86_400.0)
    monkeypatch.setattr("service.app.remind", _nobody)
    async with running(folder / "data", template=template, smtp_host="127.0.0.1", smtp_port=1, smtp_tls="none",
                       smtp_sender="chaperone@school.example", push_hosts=phones.url) as started:
        yield started


async def _nobody(_state: Any) -> None:
    """The daily reminders rest as well: they are notices of their own."""


async def notices_on(school: Running, phones: PushService, person_id: str, name: str = "phone-1") -> Receiver:
    """A phone of this person that takes notices."""
    phone = phones.phone()
    async with school.database.writing() as session:
        actor = await people.actor(session, person_id)
        assert actor is not None
        await commands.turn_on(session, actor, phone_id=name, **phone.subscription, allowed=(phones.url,), now=school.clock.now())
    return phone


async def send(school: Running) -> int:
    """Send what is due. Returns how many were taken."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        return await sending.send_due(school.database, school.app.state.pusher, school.clock, client)
