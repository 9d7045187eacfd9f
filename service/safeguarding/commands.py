"""Raising alerts and working on them. Anybody's alert is taken; nothing that was said is ever changed."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor, Role
from service.people import queries as people
from service.safeguarding import queries, rules
from service.safeguarding.events import (
    AlertClosed,
    AlertMoved,
    AlertNoted,
    AlertOpened,
    AlertRaised,
    AlertReopened,
    AlertTaken,
)
from service.safeguarding.rules import INBOX, Kind
from service.safeguarding.tables import Alert, AlertBarred, AlertNote

PRESSED_AGAIN = timedelta(minutes=1)
"""How often “Pressed again.” is written down for one worry."""
TAKEN_A_WHILE_AGO = timedelta(minutes=10)


async def raise_alert(
    session: AsyncSession, actor: Actor, *, kind: Kind | str, now: datetime, lesson_id: str = "", place: str = "",
    present: Collection[str] = (), about: str = "", about_id: str = "", words: str = "", do_not_ring: bool = False,
) -> str:
    """Tell those who keep children safe (policy: RC1, RC4). Returns the alert's id, with which words may be added.

    actor          who noticed: a pupil, an adult, or `events.system(school_id)`
    present        the adults of the lesson, rostered or in its room: they never learn of it
    about          one of `rules.About`, when it was said
    about_id       the person it is about, when known
    place          where, for whoever opens it: “Maths, 5 Oak”
    """
    kind = Kind(kind)
    barred = set(present) | ({about_id} if about_id else set())
    holders = await _holders(session, actor.school_id)
    subject = (await people.people(session, actor.school_id, [about_id])).get(about_id)
    if subject is not None:
        about = rules.about_person(about, subject.roles)
    barred |= rules.barred_by(about, holders)
    alert = Alert(
        id=new_id(), school_id=actor.school_id, kind=kind, lesson_id=lesson_id, place=place[:200], raised_by=actor.person_id,
        raised_at=now, routed_to=rules.route(about, holders, barred), do_not_ring=do_not_ring,
    )
    session.add(alert)
    await session.flush()
    session.add_all(AlertBarred(alert_id=alert.id, person_id=person, school_id=actor.school_id) for person in barred)
    if about or words:
        session.add(_note(alert, actor, about, words, now))
    await publish(session, AlertRaised(alert.id, kind, lesson_id, alert.routed_to), actor)
    return alert.id


async def press_worried(
    session: AsyncSession, actor: Actor, *, now: datetime, lesson_id: str = "", place: str = "", present: Collection[str] = (),
    about: str = "", words: str = "", do_not_ring: bool = False,
) -> str:
    """“I'm worried”, pressed. Pressed again it joins what this child raised and nobody has dealt with: words are added, nothing
    is lost, and an inbox is not filled by one child (policy: RC4). Returns the alert's id."""
    row = await _same_worry(session, actor, lesson_id, now)
    if row is None:
        return await raise_alert(session, actor, kind=Kind.WORRY, now=now, lesson_id=lesson_id, place=place, present=present,
                                 about=about, words=words, do_not_ring=do_not_ring)
    known = await queries.barred(session, row.id) | {row.taken_by}
    session.add_all(AlertBarred(alert_id=row.id, person_id=p, school_id=row.school_id) for p in set(present) - known)
    last = (await session.exec(select(func.max(AlertNote.added_at)).where(
        AlertNote.alert_id == row.id, AlertNote.added_by == actor.person_id))).one() or row.raised_at
    if about or words.strip() or do_not_ring or now - last >= PRESSED_AGAIN:
        await add_words(session, actor, alert_id=row.id, about=about, words=words or ("" if about else "Pressed again."),
                        do_not_ring=do_not_ring, now=now)
    return row.id


async def _same_worry(session: AsyncSession, actor: Actor, lesson_id: str, now: datetime) -> Alert | None:
    """This child's open worry of this lesson. One that somebody took a while ago is another: it calls them again."""
    row = (await session.exec(select(Alert).where(
        Alert.school_id == actor.school_id, Alert.kind == Kind.WORRY, Alert.raised_by == actor.person_id,
        Alert.lesson_id == lesson_id, col(Alert.closed_at).is_(None),
    ).order_by(col(Alert.raised_at).desc()).limit(1))).first()
    is_old = row is not None and row.taken_at is not None and now - row.taken_at >= TAKEN_A_WHILE_AGO
    return None if is_old else row


async def add_words(
    session: AsyncSession, actor: Actor, *, alert_id: str, about: str = "", words: str = "", do_not_ring: bool = False,
    now: datetime,
) -> None:
    """Whoever raised an alert says more. “It is about a grown-up at school” moves it to the headteacher (policy: IN4)."""
    alert = await session.get(Alert, alert_id)
    if alert is None or alert.school_id != actor.school_id or alert.raised_by != actor.person_id:
        raise NotFound()
    alert.do_not_ring = alert.do_not_ring or do_not_ring
    was_closed = alert.closed_at is not None
    if was_closed:
        alert.taken_by, alert.taken_at, alert.closed_by, alert.closed_at = "", None, "", None
    note_id = await _add_note(session, actor, alert, about, words, now)
    if was_closed:
        await publish(session, AlertReopened(alert.id, note_id), actor)
    if about in (rules.About.STAFF, rules.About.HEADTEACHER):
        await _move(session, actor, alert, about)


async def _move(session: AsyncSession, actor: Actor, alert: Alert, about: str) -> None:
    holders = await _holders(session, alert.school_id)
    barred = await queries.barred(session, alert.id)
    more = rules.barred_by(about, holders) - barred
    session.add_all(AlertBarred(alert_id=alert.id, person_id=person, school_id=alert.school_id) for person in more)
    before, alert.routed_to = alert.routed_to, rules.route(about, holders, barred | more)
    if before != alert.routed_to:
        alert.taken_by, alert.taken_at = "", None
        await publish(session, AlertMoved(alert.id, before, alert.routed_to), actor)


async def open_alert(session: AsyncSession, actor: Actor, *, alert_id: str, now: datetime) -> queries.AlertView:
    """Read an alert; that somebody read it is kept. NotFound when it does not exist for this person."""
    found = await queries.alert(session, actor, alert_id, now)
    await publish(session, AlertOpened(alert_id), actor)
    return found


async def take(session: AsyncSession, actor: Actor, *, alert_id: str, now: datetime) -> None:
    """“I have got this”: stops calling the others and shows whose it is. It can be taken over from whoever had it."""
    await queries.alert(session, actor, alert_id, now)
    alert = await session.get_one(Alert, alert_id)
    if alert.taken_by == actor.person_id or alert.closed_at is not None:
        raise Conflict("You have this already." if alert.closed_at is None else "This is closed.")
    alert.taken_by, alert.taken_at = actor.person_id, now
    await publish(session, AlertTaken(alert_id), actor)


async def add_note(session: AsyncSession, actor: Actor, *, alert_id: str, words: str, now: datetime) -> None:
    """Write down what was done. Notes are only ever added (policy: RC1)."""
    await queries.alert(session, actor, alert_id, now)
    await _add_note(session, actor, await session.get_one(Alert, alert_id), "", words, now)


async def close(session: AsyncSession, actor: Actor, *, alert_id: str, words: str, now: datetime) -> None:
    """Whoever has an alert says what was done and closes it. It stays to be read; more words from the child reopen it."""
    found = await queries.alert(session, actor, alert_id, now)
    if not found.mine:
        raise Conflict("Press “I have got this” first, so that others know who had it.")
    alert = await session.get_one(Alert, alert_id)
    await _add_note(session, actor, alert, "", words, now)
    alert.closed_by, alert.closed_at = actor.person_id, now
    await publish(session, AlertClosed(alert_id), actor)


async def settle(session: AsyncSession, actor: Actor, *, alert_id: str, words: str, now: datetime) -> None:
    """An alert whose matter a leader settled elsewhere is closed with their words; whoever has it already keeps it open."""
    alert = await session.get(Alert, alert_id)
    if alert is None or alert.school_id != actor.school_id or alert.closed_at is not None:
        return
    await _add_note(session, actor, alert, "", words, now)
    if alert.taken_by in ("", actor.person_id):
        alert.taken_by, alert.taken_at, alert.closed_by, alert.closed_at = actor.person_id, now, actor.person_id, now
        await publish(session, AlertClosed(alert_id), actor)


async def bar(session: AsyncSession, *, school_id: str, lesson_id: str, person_id: str) -> None:
    """An adult came into a lesson: its alerts stop existing for them too, except those they took: whoever goes in because
    of an alert keeps it. For the host of the lesson's room."""
    found = await session.exec(select(Alert.id).where(
        Alert.school_id == school_id, Alert.lesson_id == lesson_id, Alert.taken_by != person_id
    ))
    for alert_id in found.all():
        if await session.get(AlertBarred, (alert_id, person_id)) is None:
            session.add(AlertBarred(alert_id=alert_id, person_id=person_id, school_id=school_id))
            await mail.call_off(session, about=alert_id, person_id=person_id, now=session.info["clock"].now())


async def _add_note(session: AsyncSession, actor: Actor, alert: Alert, about: str, words: str, now: datetime) -> str:
    if not words.strip() and not about:
        raise Invalid("There is a problem", fields={"words": "Write something first"})
    note = _note(alert, actor, about, words, now)
    session.add(note)
    await publish(session, AlertNoted(alert.id, note.id), actor)
    return note.id


def _note(alert: Alert, actor: Actor, about: str, words: str, now: datetime) -> AlertNote:
    return AlertNote(
        id=new_id(), school_id=alert.school_id, alert_id=alert.id, about=about[:40], words=words.strip()[:4000],
        added_by=actor.person_id, added_at=now,
    )


async def _holders(session: AsyncSession, school_id: str) -> dict[str, frozenset[Role]]:
    return {person.id: person.roles for person in await people.holders(session, school_id, INBOX)}
