"""Who is told of personal telephones: those who decide, whoever asked, and leaders after an emergency (policy: CM3)."""

from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls.events import (
    OwnPhoneUsedInEmergency,
    PersonalPhoneApproved,
    PersonalPhoneAsked,
    PersonalPhoneEnded,
    PersonalPhoneRefused,
)
from service.foundation import mail
from service.foundation.events import LEADERS, Actor
from service.foundation.mail import Text
from service.people import queries as people


async def ask_to_decide(session: AsyncSession, event: PersonalPhoneAsked, actor: Actor) -> None:
    """S2: every leader but the asker."""
    await _write(session, actor, await _leaders(session, actor) - {event.person_id}, "S2", event.request_id)


async def answer(session: AsyncSession, event: PersonalPhoneApproved | PersonalPhoneRefused | PersonalPhoneEnded,
                 actor: Actor) -> None:
    """S3: whoever asked; nobody has to decide any more."""
    await mail.call_off(session, about=event.request_id, now=session.info["clock"].now())
    await _write(session, actor, {event.person_id} - {actor.person_id}, "S3", event.request_id, event.kind)


async def tell_leaders(session: AsyncSession, event: OwnPhoneUsedInEmergency, actor: Actor) -> None:
    """N5: there is something to read."""
    await _write(session, actor, await _leaders(session, actor) - {actor.person_id}, "N5", event.use_id)


async def _leaders(session: AsyncSession, actor: Actor) -> set[str]:
    return {one.id for one in await people.holders(session, actor.school_id, LEADERS)}


async def _write(session: AsyncSession, actor: Actor, whom: set[str], text: Text, about: str, occasion: str = "") -> None:
    zone = (await people.school(session, actor.school_id)).zone
    await mail.queue(session, school_id=actor.school_id, people=whom, text=text, about=about, occasion=occasion,
                     now=session.info["clock"].now(), zone=zone)
