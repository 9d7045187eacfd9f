"""Turn a phone's notices on and off, and queue a notice for the phones of people: beside their mails, in the same transaction.

This module is the carrier that `service.foundation.mail` asks: whoever queues a mail queues the notice with it.
"""

import json
from collections.abc import Collection
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import col, delete, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.bus import publish
from service.foundation.events import Actor
from service.foundation.mail import OF_FAMILIES, SAID_BY, Notice, unsent
from service.people.push import rules
from service.people.push.events import NoticesTurnedOff, NoticesTurnedOn
from service.people.push.tables import Push, PushSubscription


async def turn_on(session: AsyncSession, actor: Actor, *, phone_id: str, endpoint: str, p256dh: str, auth: str,
                  allowed: Collection[str], now: datetime) -> None:
    """Send this phone's notices here from now on: one address a phone, and one phone an address.

    Raises `rules.UnknownPushService` or `rules.BadSubscription`.
    """
    rules.check(endpoint, p256dh, auth, allowed)
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), rules.decoded(p256dh))
    except ValueError as error:
        raise rules.BadSubscription() from error
    same = (await session.exec(select(PushSubscription).where(
        PushSubscription.phone_id == phone_id, PushSubscription.endpoint == endpoint, PushSubscription.p256dh == p256dh,
        PushSubscription.auth == auth, PushSubscription.person_id == actor.person_id))).first()
    if same is not None:
        return
    await session.exec(delete(PushSubscription).where(
        or_(col(PushSubscription.phone_id) == phone_id, col(PushSubscription.endpoint) == endpoint)))
    session.add(PushSubscription(school_id=actor.school_id, person_id=actor.person_id, phone_id=phone_id, endpoint=endpoint,
                                 p256dh=p256dh, auth=auth, made_at=now))
    await session.flush()
    await publish(session, NoticesTurnedOn(actor.person_id, phone_id), actor)


async def turn_off(session: AsyncSession, actor: Actor, *, phone_id: str, why: str) -> None:
    """Forget where this phone's notices are sent, once the warnings on their way to it went. Does nothing for a phone that gets
    none.

    `why`: `asked`, or `signed-out`; whoever signs a phone out calls this in the same transaction.
    """
    found = (await session.exec(select(PushSubscription).where(
        PushSubscription.school_id == actor.school_id, PushSubscription.phone_id == phone_id))).first()
    if found is not None:
        await session.exec(update(Push).where(
            col(Push.subscription_id) == found.id, col(Push.text).in_(rules.WARNINGS), unsent(Push),
        ).values(address=json.dumps([found.endpoint, found.p256dh, found.auth])))
        await session.delete(found)
        await session.flush()
        await publish(session, NoticesTurnedOff(found.person_id, phone_id, why), actor)


# -- the carrier ------------------------------------------------------------------------------------------------------


async def queue(session: AsyncSession, notice: Notice) -> frozenset[str]:
    """A push for every phone of these people that takes notices, once. Returns who needs no mail of it besides."""
    phones = (await session.exec(select(PushSubscription).where(
        PushSubscription.school_id == notice.school_id, col(PushSubscription.person_id).in_(sorted(notice.people))))).all()
    same = (Push.about == notice.about) & (Push.occasion == notice.occasion) & (Push.text == notice.text)
    had = set((await session.exec(select(Push.subscription_id).where(
        col(Push.subscription_id).in_([phone.id for phone in phones]),
        or_(same, unsent(Push) & col(Push.text).in_(SAID_BY.get(notice.text, ())))))).all()) if phones else set()
    session.add_all(
        Push(school_id=notice.school_id, person_id=phone.person_id, subscription_id=phone.id, text=notice.text,
             about=notice.about, occasion=notice.occasion, made_at=notice.now, due_at=notice.due, next_at=notice.due)
        for phone in phones if phone.id not in had)
    reached = frozenset(phone.person_id for phone in phones)
    return reached if notice.text in rules.PHONE_ALONE else frozenset()


async def call_off(session: AsyncSession, *, about: str, now: datetime, person_id: str = "") -> None:
    """What nobody needs to be told any more."""
    wanted = update(Push).where(col(Push.about) == about, unsent(Push)).values(called_off_at=now, address="")
    await session.exec(wanted.where(col(Push.person_id) == person_id) if person_id else wanted)


async def call_off_news(session: AsyncSession, *, people: Collection[str], now: datetime) -> None:
    """What is of families, to people who must not be told any more."""
    await session.exec(update(Push).where(
        col(Push.person_id).in_(people), col(Push.text).in_(OF_FAMILIES), unsent(Push)).values(called_off_at=now))
