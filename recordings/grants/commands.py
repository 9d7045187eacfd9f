"""Ask to watch, allow or refuse, watch, and take it back. Every step is in the audit in the same transaction (policy: RE1)."""

from datetime import datetime

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import queries as recordings
from recordings import rules as watching
from recordings.commands import open_view
from recordings.grants import queries, rules
from recordings.grants.events import SubjectNamed, WatchAllowed, WatchAsked, WatchEnded, WatchRefused
from recordings.grants.rules import Grant, Terms, Wish
from recordings.grants.tables import ComplaintSubject, RecordingGrant
from recordings.queries import RecordingDetails
from recordings.tables import Recording
from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.errors import Invalid, NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.people import step_up
from service.people.step_up import Proof


async def asked_about(session: AsyncSession, actor: Actor, lesson_id: str, person_id: str) -> RecordingDetails:
    """The recording, for somebody who may ask that `person_id` watches some of it; else NotFound."""
    details = await recordings.recording(session, actor.school_id, lesson_id)
    if details.is_for_practice:
        raise NotFound()
    person = await people.person(session, actor.school_id, person_id)
    rules.check_asks(actor, person_id, person.roles, details.participants)
    return details


async def ask(session: AsyncSession, actor: Actor, lesson_id: str, wish: Wish, now: datetime) -> str:
    """Ask that somebody may watch some minutes. Returns the request's id."""
    details = await asked_about(session, actor, lesson_id, wish.person_id)
    rules.checked_wish(wish, details.started_at, now)
    row = RecordingGrant(
        school_id=actor.school_id, recording_id=details.id, person_id=wish.person_id, asked_by=actor.person_id, asked_at=now,
        why=wish.why, words=wish.words.strip(), starts_at=wish.starts_at, ends_at=wish.ends_at,
    )
    session.add(row)
    await session.flush()
    await publish(session, WatchAsked(row.id, details.id, details.lesson_id, wish.person_id, wish.why), actor)
    await _mail(session, actor, set(await queries.deciders(session, actor.school_id, row.id)), "S2", row.id, now)
    return row.id


async def to_decide(session: AsyncSession, actor: Actor, grant_id: str) -> tuple[Grant, RecordingDetails, frozenset[str]]:
    """A request that this person may decide about, its recording, and whom complaints about it are about."""
    found = await queries.grant(session, actor.school_id, grant_id)
    details = await recordings.recording(session, actor.school_id, found.lesson_id)
    about = await queries.subjects(session, details)
    asker = (await people.roles(session, [found.asked_by])).get(found.asked_by, frozenset())
    rules.check_may_decide(actor, found, asker, details.participants, about)
    return found, details, about


async def allow(session: AsyncSession, actor: Actor, grant_id: str, terms: Terms, proof: Proof, now: datetime) -> None:
    """Let this person watch exactly this. What the same decision says about a complaint binds before it."""
    found, details, about = await to_decide(session, actor, grant_id)
    rules.check_open(found)
    rules.checked_terms(terms, found, about, now)
    if terms.subject_id and terms.subject_id not in details.participants:
        raise Invalid(fields={"subject": "Choose somebody who was in this lesson"})
    confirmed = await step_up.confirmed(session, actor, rules.allowing(found, terms), proof, now)
    await name_subject(session, actor, details, terms.subject_id, now)
    row = await session.get_one(RecordingGrant, grant_id)
    row.allowed, row.decided_by, row.decided_at, row.reason = True, actor.person_id, now, terms.reason.strip()
    row.views, row.expires_at, row.confirmed_by = terms.views, terms.expires_at, confirmed
    session.add(row)
    await publish(session, WatchAllowed(row.id, details.id, details.lesson_id, row.person_id, row.views), actor)
    await _answered(session, actor, found, now)


async def refuse(session: AsyncSession, actor: Actor, grant_id: str, reason: str, subject_id: str, proof: Proof,
                 now: datetime) -> None:
    """Nobody has to say more than that it is refused."""
    found, details, _ = await to_decide(session, actor, grant_id)
    rules.check_open(found)
    if subject_id and subject_id not in details.participants:
        raise Invalid(fields={"subject": "Choose somebody who was in this lesson"})
    confirmed = await step_up.confirmed(session, actor, rules.refusing(found, reason, subject_id), proof, now)
    await name_subject(session, actor, details, subject_id, now)
    row = await session.get_one(RecordingGrant, grant_id)
    row.allowed, row.decided_by, row.decided_at, row.reason = False, actor.person_id, now, reason.strip()
    row.confirmed_by = confirmed
    session.add(row)
    await publish(session, WatchRefused(row.id, details.id, details.lesson_id, row.person_id), actor)
    await _answered(session, actor, found, now)


async def name_subject(session: AsyncSession, actor: Actor, details: RecordingDetails, person_id: str, now: datetime) -> None:
    """From here on this person can never be let watch this lesson, whatever was allowed before."""
    if not person_id or await session.get(ComplaintSubject, (details.id, person_id)) is not None:
        return
    session.add(ComplaintSubject(recording_id=details.id, person_id=person_id, school_id=actor.school_id,
                                 named_by=actor.person_id, named_at=now))
    await session.flush()
    await publish(session, SubjectNamed(details.id, details.lesson_id, person_id), actor)


async def end(session: AsyncSession, actor: Actor, grant_id: str, now: datetime) -> None:
    """Take a grant back: what is being watched stops with the next byte."""
    found, details, _ = await to_decide(session, actor, grant_id)
    if not found.is_served(now):
        raise rules.Decided("This has ended already.")
    row = await session.get_one(RecordingGrant, grant_id)
    row.ended_by, row.ended_at = actor.person_id, now
    session.add(row)
    await publish(session, WatchEnded(row.id, details.id, details.lesson_id, row.person_id), actor)


async def end_all(session: AsyncSession, actor: Actor, now: datetime) -> int:
    """End every grant of the school that stands, and every request that waits, such as after a restore."""
    rows = (await session.exec(select(RecordingGrant, Recording.lesson_id).join(
        Recording, col(Recording.id) == RecordingGrant.recording_id
    ).where(
        RecordingGrant.school_id == actor.school_id, col(RecordingGrant.allowed).is_not(False),
        col(RecordingGrant.ended_at).is_(None),
        or_(col(RecordingGrant.expires_at).is_(None), col(RecordingGrant.expires_at) > now),
    ))).all()
    for row, lesson_id in rows:
        row.ended_by, row.ended_at = actor.person_id, now
        session.add(row)
        await publish(session, WatchEnded(row.id, row.recording_id, lesson_id, row.person_id), actor)
    return len(rows)


async def to_watch(session: AsyncSession, actor: Actor, grant_id: str, now: datetime) -> tuple[Grant, RecordingDetails]:
    """A grant that this person may open a view under now, and its recording."""
    found = await queries.grant(session, actor.school_id, grant_id)
    details = await recordings.recording(session, actor.school_id, found.lesson_id)
    rules.check_watches(actor, found, await queries.subjects(session, details), now)
    if details.is_destroyed:
        raise watching.KeyDestroyed()
    return found, details


async def watch(session: AsyncSession, actor: Actor, grant_id: str, proof: Proof, now: datetime) -> str:
    """Use one view of a grant up. Returns the view's id."""
    found, details = await to_watch(session, actor, grant_id, now)
    await step_up.confirmed(session, actor, rules.watching(found), proof, now)
    assert found.expires_at is not None
    return await open_view(session, actor, details, why=found.why, concern="", now=now, grant_id=found.id,
                           until=found.expires_at)


async def _answered(session: AsyncSession, actor: Actor, found: Grant, now: datetime) -> None:
    await mail.call_off(session, about=found.id, now=now)
    await _mail(session, actor, {found.asked_by, found.person_id}, "S3", found.id, now)


async def _mail(session: AsyncSession, actor: Actor, whom: set[str], text: mail.Text, about: str, now: datetime) -> None:
    zone = (await people.school(session, actor.school_id)).zone
    await mail.queue(session, school_id=actor.school_id, people=whom, text=text, about=about, now=now, zone=zone)
