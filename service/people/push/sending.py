"""Send what is due to the phones: encrypted for each (RFC 8291), signed for its push service (RFC 8292), by a job of its own.

A push service learns that a phone of somebody gets a notice, and when; not whose, from which school or about what. The words
never leave: what is encrypted is the id of a sentence that the app already has, in the language of its reader.
"""

import asyncio
import functools
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import httpx
import structlog
from cryptography.hazmat.primitives import serialization
from pydantic import AnyHttpUrl, ValidationError
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession
from webpush import VAPID, WebPush, WebPushSubscription
from webpush.types import WebPushKeys

from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.events import system
from service.foundation.settings import Settings
from service.people.push import rules
from service.people.push.events import NoticesTurnedOff
from service.people.push.tables import Push, PushSubscription

log = structlog.get_logger(__name__)
EVERY = 2.0
BATCH, AT_ONCE = 50, 8
PATIENCE = 10.0
"""Seconds for which one try may take."""
GONE = frozenset({404, 410})


@dataclass(frozen=True)
class Pusher:
    """Who sends: the key that push services know this installation by, whom they may write to, and where may be sent."""

    private: bytes
    public: bytes
    application_key: str
    contact: str
    allowed: tuple[str, ...]

    @property
    def is_on(self) -> bool:
        return bool(self.contact)


def pusher_of(settings: Settings) -> Pusher:
    """The key is made at first use, beside the other keys and readable by its owner only. Without a contact nothing is sent."""
    path = settings.keys / "push.pem"
    if not path.exists():
        _keep(path, VAPID.generate_keys()[0])
    private = path.read_bytes()
    key = serialization.load_pem_private_key(private, None).public_key()
    public = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    contact = settings.push_contact or settings.smtp_sender or ("technician@localhost" if settings.dev else "")
    return Pusher(private, public, VAPID.get_application_server_key(key), contact, rules.hosts(settings.push_hosts))


def _keep(path: Path, made: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(made)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are believed, read once a process: it takes longer than all else at a start."""
    return httpx.create_ssl_context()


async def run(database: Database, pusher: Pusher, clock: Clock) -> None:
    """Send what is due, for as long as the process lives."""
    async with httpx.AsyncClient(verify=_trusted(), timeout=PATIENCE, follow_redirects=False) as client:
        while True:
            await send_due(database, pusher, clock, client)
            await asyncio.sleep(EVERY)


async def send_due(database: Database, pusher: Pusher, clock: Clock, client: httpx.AsyncClient) -> int:
    """Returns how many were taken by their push services. Each is looked at again when its turn comes: while others were slow, it
    may have been called off."""
    if not pusher.is_on:
        return 0
    async with database.reading() as session:
        due = await _due(session, clock.now())
    turn = asyncio.Semaphore(AT_ONCE)

    async def send(push_id: str) -> str | None:
        async with turn:
            async with database.reading() as session:
                push = (await session.exec(select(Push).where(Push.id == push_id, mail.unsent(Push)))).first()
                phone = await _where(session, push) if push is not None else None
            if push is None:
                return None
            return "gone" if phone is None else await _try(pusher, push, phone, client)

    troubles = await asyncio.gather(*map(send, due))
    for push_id, trouble in zip(due, troubles, strict=True):
        if trouble is not None:
            await _note(database, push_id, trouble, clock.now())
    return troubles.count("")


async def _due(session: AsyncSession, now: datetime) -> Sequence[str]:
    return (await session.exec(select(Push.id).where(mail.unsent(Push), Push.next_at <= now).order_by(
        col(Push.due_at)).limit(BATCH))).all()


async def _where(session: AsyncSession, push: Push) -> PushSubscription | None:
    """The phone that it is for; also one that was signed out since, of a warning that was on its way."""
    if push.address:
        endpoint, p256dh, auth = json.loads(push.address)
        return PushSubscription(id=push.subscription_id, school_id=push.school_id, person_id=push.person_id, phone_id="",
                                endpoint=endpoint, p256dh=p256dh, auth=auth, made_at=push.made_at)
    return await session.get(PushSubscription, push.subscription_id)


async def _try(pusher: Pusher, push: Push, phone: PushSubscription, client: httpx.AsyncClient) -> str:
    """What went wrong, in a word. Looked at again here: the list may have become shorter since the phone was added."""
    if not rules.is_allowed(phone.endpoint, pusher.allowed):
        return "gone"
    try:
        keys = WebPushKeys(p256dh=phone.p256dh, auth=phone.auth)
        to = WebPushSubscription(endpoint=AnyHttpUrl(phone.endpoint), keys=keys)
        seconds = int(rules.lasts(push.text).total_seconds())
        made = WebPush(BytesIO(pusher.private), BytesIO(pusher.public), pusher.contact, ttl=seconds).get(push.text, to)
        answer = await client.post(phone.endpoint, content=made.encrypted, headers={
            **{name: str(value) for name, value in made.headers.items()}, "content-type": "application/octet-stream",
            "urgency": "high" if push.text in rules.URGENT else "normal",
            "topic": sha256(f"{push.subscription_id} {push.text}".encode()).hexdigest()[:32],
        })
    except (httpx.HTTPError, ValidationError, ValueError) as error:
        return type(error).__name__[:60]
    return "" if answer.is_success else "gone" if answer.status_code in GONE else f"status {answer.status_code}"


async def _note(database: Database, push_id: str, trouble: str, now: datetime) -> None:
    """What came of a try. A phone that is gone is forgotten; what only it would have been told of goes by mail after all."""
    async with database.writing() as session:
        push = await session.get_one(Push, push_id)
        push.attempts, push.trouble = push.attempts + 1, trouble
        if not trouble:
            push.sent_at, push.address = now, ""
            return
        if trouble != "gone" and now - push.due_at < rules.lasts(push.text):
            push.next_at = now + mail.pause(push.attempts)
            return
        push.gave_up_at, push.address = now, ""
        log.warning("push.given_up", push_id=push_id, trouble=trouble)
        if trouble == "gone":
            await _forget(session, push)
        if push.text in rules.PHONE_ALONE and push.called_off_at is None:
            await mail.write(session, mail.Notice(push.school_id, frozenset({push.person_id}), push.text, push.about,
                                                  push.occasion, now, max(now, push.due_at)))


async def _forget(session: AsyncSession, push: Push) -> None:
    phone = await session.get(PushSubscription, push.subscription_id)
    if phone is not None:
        await session.delete(phone)
        await session.flush()
        await publish(session, NoticesTurnedOff(phone.person_id, phone.phone_id, "gone"), system(push.school_id))


async def clear(database: Database, clock: Clock) -> None:
    """Who was told is kept for a month, as with mails."""
    async with database.writing() as session:
        await session.exec(delete(Push).where(col(Push.made_at) < clock.now() - mail.KEPT))
