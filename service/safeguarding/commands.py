"""Raising alerts and reviewing them. Anybody's alert is taken; nothing that was said is ever changed, nothing is lost between
two who review."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlmodel import col, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import mail
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import Actor, Role, system
from service.people import queries as people
from service.people.events import PersonLeft, RolesChanged, RosterImported
from service.safeguarding import queries, rules
from service.safeguarding.events import (
    AlertClosed,
    AlertGrew,
    AlertHandedOver,
    AlertMoved,
    AlertNoted,
    AlertOpened,
    AlertPutAside,
    AlertRaised,
    AlertReleased,
    AlertReopened,
    AlertResumed,
    AlertTaken,
    ParentAnswered,
)
from service.safeguarding.rules import Kind
from service.safeguarding.tables import Alert, AlertBarred, AlertNote

PRESSED_AGAIN = timedelta(minutes=1)
"""How often “Pressed again.” is written down for one worry."""
TAKEN_A_WHILE_AGO = timedelta(minutes=10)


class AlreadyTaken(Conflict):
    """Somebody else took this while you read it."""

    code = "already-taken"


class TookPart(Conflict):
    """You were in this lesson, so somebody else says what this came to. Hand it over."""

    code = "took-part"


async def raise_alert(
    session: AsyncSession, actor: Actor, *, kind: Kind | str, now: datetime, lesson_id: str = "", place: str = "",
    present: Collection[str] = (), about: str = "", about_id: str = "", words: str = "", do_not_ring: bool = False,
    source: str = "", times: int = 1, concern_id: str = "",
) -> str:
    """Tell those who keep children safe (policy: RC1, RC4). Returns the alert's id, with which words may be added.

    actor          who noticed: a pupil, an adult, or `events.system(school_id)`
    present        the adults of the lesson (`lessons.adults`): they never learn of it
    about          one of `rules.About`, when it was said
    about_id       the person it is about, when known
    place          where, for whoever opens it: “Maths, 5 Oak”
    source         what the service found it in, so that it is found once (`find`)
    concern_id     the concern that it tells of
    """
    kind = Kind(kind)
    barred = set(present) | ({about_id} if about_id else set())
    holders = await queries.holders(session, actor.school_id)
    subject = (await people.people(session, actor.school_id, [about_id])).get(about_id)
    if subject is not None:
        about = rules.about_person(about, subject.roles)
    barred |= rules.barred_by(about, holders)
    alert = Alert(
        id=new_id(), school_id=actor.school_id, kind=kind, lesson_id=lesson_id, place=place[:200], raised_by=actor.person_id,
        raised_at=now, called_at=now, routed_to=rules.route(about, holders, barred), do_not_ring=do_not_ring,
        source=source, times=times, concern_id=concern_id,
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
    row.times += 1
    known = await _left_out(session, row.id) | {row.taken_by}
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


async def add_to_own(session: AsyncSession, actor: Actor, *, kind: Kind, about: str, present: Collection[str], words: str,
                     do_not_ring: bool, now: datetime) -> str:
    """Add the words to an alert of this kind that the same person raised, nobody has dealt with, and exactly the same people
    learn of: one account does not fill an inbox. Returns its id; empty where there is none, and it is raised anew."""
    holders = await queries.holders(session, actor.school_id)
    kept_from = set(present) | rules.barred_by(about, holders)
    rows = (await session.exec(select(Alert).where(
        Alert.school_id == actor.school_id, Alert.kind == kind, Alert.raised_by == actor.person_id,
        col(Alert.closed_at).is_(None),
    ).order_by(col(Alert.raised_at).desc()))).all()
    for row in rows:
        is_old = row.taken_at is not None and now - row.taken_at >= TAKEN_A_WHILE_AGO
        same = await queries.barred(session, row.id) == kept_from and rules.route(about, holders, kept_from) == row.routed_to
        if same and not is_old:
            row.times += 1
            await add_words(session, actor, alert_id=row.id, about=about, words=words, do_not_ring=do_not_ring, now=now)
            return row.id
    return ""


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
        _call_again(alert, now)
    note_id = await _add_note(session, actor, alert, about, words, now)
    if was_closed:
        await publish(session, AlertReopened(alert.id, note_id), actor)
    if about in (rules.About.STAFF, rules.About.HEADTEACHER):
        await _move(session, actor, alert, about, (), now)


def _call_again(alert: Alert, now: datetime) -> None:
    """It is nobody's, and calls as if it were raised now."""
    alert.taken_by, alert.taken_at, alert.closed_by, alert.closed_at = "", None, "", None
    alert.called_at, alert.step, alert.handed_to, alert.waits_for, alert.outcome = now, 0, "", "", ""


async def move(session: AsyncSession, actor: Actor, *, alert_id: str, about: str, about_id: str, now: datetime) -> None:
    """What it is found to be about moves an alert to the headteacher or the chair; whom it is about loses it (policy: IN4)."""
    alert = await session.get_one(Alert, alert_id)
    await _move(session, actor, alert, about, {about_id} - {""}, now)


async def _move(session: AsyncSession, actor: Actor, alert: Alert, about: str, left_out: Collection[str], now: datetime) -> None:
    holders = await queries.holders(session, alert.school_id)
    barred = await queries.barred(session, alert.id)
    more = (rules.barred_by(about, holders) | set(left_out)) - barred
    for person in more:
        await _bar(session, alert, person)
    before, alert.routed_to = alert.routed_to, rules.route(about, holders, barred | more)
    if before != alert.routed_to or alert.taken_by in more or alert.handed_to in more:
        _call_again(alert, now)
        await publish(session, AlertMoved(alert.id, before, alert.routed_to), actor)


async def _bar(session: AsyncSession, alert: Alert, person: str, *, keeps: bool = False) -> None:
    row = await session.get(AlertBarred, (alert.id, person))
    if row is None:
        session.add(AlertBarred(alert_id=alert.id, person_id=person, school_id=alert.school_id, keeps=keeps))
    elif row.keeps and not keeps:
        row.keeps = False
    if not keeps:
        await mail.call_off(session, about=alert.id, person_id=person, now=session.info["clock"].now())


async def open_alert(session: AsyncSession, actor: Actor, *, alert_id: str, now: datetime) -> queries.AlertView:
    """Read an alert; that somebody read it is kept. NotFound when it does not exist for this person."""
    found = await queries.alert(session, actor, alert_id, now)
    await publish(session, AlertOpened(alert_id), actor)
    return found


async def take(session: AsyncSession, actor: Actor, *, alert_id: str, seen: str = "", now: datetime) -> None:
    """“I have got this”: stops calling the others and shows whose it is. It can be taken over from whoever had it.

    seen    who had it when the actor read it. Of two who press at once one gets it; the other is told (AlreadyTaken).
    """
    await queries.alert(session, actor, alert_id, now)
    alert = await session.get_one(Alert, alert_id)
    if alert.closed_at is not None:
        raise Conflict("This is closed.")
    if alert.taken_by == actor.person_id and not alert.handed_to:
        raise Conflict("You have this already.")
    taken = await session.exec(update(Alert).where(
        col(Alert.id) == alert_id, col(Alert.taken_by) == seen, col(Alert.closed_at).is_(None),
    ).values(taken_by=actor.person_id, taken_at=now, handed_to="", waits_for=""))
    if taken.rowcount != 1:
        owner = (await people.people(session, actor.school_id, [alert.taken_by])).get(alert.taken_by)
        raise AlreadyTaken(f"{owner.full_name if owner else 'Somebody'} took this while you read it. You can still take it over.")
    await session.refresh(alert)
    await publish(session, AlertTaken(alert_id), actor)


async def hand_over(session: AsyncSession, actor: Actor, *, alert_id: str, to_id: str, words: str, now: datetime) -> None:
    """Ask a colleague to take it over. Until they do it stays the actor's, so that it is always somebody's."""
    alert = await _mine(session, actor, alert_id, now)
    wrong = {}
    if to_id not in {one.id for one in await queries.colleagues(session, actor, alert_id)}:
        wrong["to"] = "Choose who you hand this to"
    if not words.strip():
        wrong["handing"] = "Say what they need to know"
    if wrong:
        raise Invalid(fields=wrong)
    note_id = await _add_note(session, actor, alert, "", words, now)
    alert.handed_to = to_id
    await publish(session, AlertHandedOver(alert.id, to_id, note_id), actor)


async def put_aside(session: AsyncSession, actor: Actor, *, alert_id: str, waits_for: str, now: datetime) -> None:
    """Its owner can go on only when somebody else has answered. What it waits for is shown in the list."""
    alert = await _mine(session, actor, alert_id, now)
    if not waits_for.strip():
        raise Invalid(fields={"waits_for": "Say who or what you wait for"})
    alert.waits_for = waits_for.strip()[:200]
    await _add_note(session, actor, alert, "", f"Waiting for: {alert.waits_for}", now)
    await publish(session, AlertPutAside(alert.id), actor)


async def resume(session: AsyncSession, actor: Actor, *, alert_id: str, now: datetime) -> None:
    """Its owner goes on with what was put aside, or keeps what a colleague was asked to take."""
    alert = await _mine(session, actor, alert_id, now)
    alert.waits_for, alert.handed_to = "", ""
    await publish(session, AlertResumed(alert.id), actor)


async def _mine(session: AsyncSession, actor: Actor, alert_id: str, now: datetime) -> Alert:
    found = await queries.alert(session, actor, alert_id, now)
    if not found.mine or found.closed_at is not None:
        raise Conflict("Press “I have got this” first, so that others know who had it.")
    return await session.get_one(Alert, alert_id)


async def answer_parent(session: AsyncSession, actor: Actor, *, alert_id: str, answer: str, now: datetime) -> None:
    """Whoever has it answers the parent who wrote, in the app. Raises Conflict for who asked not to be contacted about it."""
    alert = await _mine(session, actor, alert_id, now)
    if answer not in set(rules.Answer):
        raise Invalid(fields={"answer": "Choose what they read"})
    if not await queries.may_be_answered(session, alert):
        raise Conflict("They asked not to be contacted about this.")
    words = rules.ANSWER_WORDS[rules.Answer(answer)]
    note_id = await _add_note(session, actor, alert, "", f"Answered in the app: {words}", now)
    await publish(session, ParentAnswered(alert.id, note_id, answer), actor)


async def add_note(session: AsyncSession, actor: Actor, *, alert_id: str, words: str, now: datetime) -> None:
    """Write down what was done. Notes are only ever added (policy: RC1)."""
    await queries.alert(session, actor, alert_id, now)
    await _add_note(session, actor, await session.get_one(Alert, alert_id), "", words, now)


async def close(session: AsyncSession, actor: Actor, *, alert_id: str, outcome: str, words: str, now: datetime) -> None:
    """Whoever has an alert says what it came to and closes it. It stays to be read; more words from the child reopen it."""
    alert = await _mine(session, actor, alert_id, now)
    left_out = await session.get(AlertBarred, (alert_id, actor.person_id))
    if left_out is not None:
        raise TookPart()
    wrong = {} if words.strip() else {"words": "Write something first"}
    try:
        came_to = rules.outcome_of(outcome, has_concern=bool(alert.concern_id))
    except Invalid as refused:
        raise Invalid(fields=wrong | refused.fields) from refused
    await _add_note(session, actor, alert, "", words, now)
    alert.closed_by, alert.closed_at, alert.outcome, alert.handed_to, alert.waits_for = actor.person_id, now, came_to, "", ""
    await publish(session, AlertClosed(alert_id, came_to), actor)


async def link_concern(session: AsyncSession, *, alert_id: str, concern_id: str) -> None:
    """A concern was recorded from it."""
    (await session.get_one(Alert, alert_id)).concern_id = concern_id


async def settle(session: AsyncSession, actor: Actor, *, alert_id: str, words: str, now: datetime) -> None:
    """An alert whose matter a leader settled elsewhere is closed with their words; whoever has it already keeps it open."""
    alert = await session.get(Alert, alert_id)
    if alert is None or alert.school_id != actor.school_id or alert.closed_at is not None:
        return
    await _add_note(session, actor, alert, "", words, now)
    if alert.taken_by in ("", actor.person_id):
        alert.taken_by, alert.taken_at, alert.closed_by, alert.closed_at = actor.person_id, now, actor.person_id, now
        alert.outcome, alert.handed_to, alert.waits_for = rules.Outcome.NOTED, "", ""
        await publish(session, AlertClosed(alert_id, alert.outcome), actor)


async def bar(session: AsyncSession, *, school_id: str, lesson_id: str, person_id: str) -> None:
    """An adult came into a lesson: its alerts stop existing for them too, except those they took: whoever goes in because
    of an alert keeps it, and somebody else says what it came to. For the host of the lesson's room."""
    found = (await session.exec(select(Alert).where(Alert.school_id == school_id, Alert.lesson_id == lesson_id))).all()
    holders = await queries.holders(session, school_id) if found else {}
    for alert in found:
        if await session.get(AlertBarred, (alert.id, person_id)) is None:
            await _bar(session, alert, person_id, keeps=alert.taken_by == person_id)
        if alert.handed_to == person_id:
            alert.handed_to = ""
        await _pass_over(session, alert, holders, await queries.barred(session, alert.id))


async def _pass_over(session: AsyncSession, alert: Alert, holders: Mapping[str, frozenset[Role]],
                     barred: Collection[str]) -> None:
    """A queue in which nobody is left who may open it is passed over, where a later one has somebody: an alert is always
    somebody's. Where none has, it stays for whoever comes to its queue."""
    if alert.closed_at is not None or alert.taken_by:
        return
    queue = Role(alert.routed_to)
    to = None if rules.is_read(queue, holders, barred) else rules.next_after(queue, holders, barred)
    if to is not None:
        before, alert.routed_to = alert.routed_to, to
        _call_again(alert, session.info["clock"].now())
        await publish(session, AlertMoved(alert.id, before, to), system(alert.school_id))


async def find(
    session: AsyncSession, school_id: str, *, kind: Kind, source: str, lesson_id: str, place: str, present: Collection[str],
    times: int, words: str, now: datetime,
) -> str | None:
    """What the service found in a lesson and somebody must review: one item a source, however often it is found.

    Found `times` more often than before it grows, and opens again when it was closed. Returns its id when anything changed.
    """
    row = (await session.exec(select(Alert).where(Alert.school_id == school_id, Alert.source == source))).first()
    if row is None:
        return await raise_alert(session, system(school_id), kind=kind, now=now, lesson_id=lesson_id, place=place,
                                 present=present, words=words, source=source, times=times)
    if times <= row.times:
        return None
    row.times = times
    note_id = await _add_note(session, system(school_id), row, "", words, now)
    await publish(session, AlertGrew(row.id, times), system(school_id))
    if row.closed_at is not None:
        _call_again(row, now)
        await publish(session, AlertReopened(row.id, note_id), system(school_id))
    return row.id


async def release_what_nobody_has(
    session: AsyncSession, event: RolesChanged | PersonLeft | RosterImported, actor: Actor,
) -> None:
    """Whoever leaves, or may not open an alert any more, gives it back: it calls the others again. And what only they could
    open goes on to the next queue at once."""
    if isinstance(event, RolesChanged) and rules.INBOX.isdisjoint((*event.given, *event.taken)):
        return
    now = session.info["clock"].now()
    gone = event.left if isinstance(event, RosterImported) else (event.person_id,)
    rows = (await session.exec(select(Alert).where(Alert.school_id == actor.school_id, col(Alert.closed_at).is_(None)))).all()
    holders, barred = await queries.holders(session, actor.school_id), await queries.barred_of(session, [row.id for row in rows])
    for row in rows:
        if row.handed_to in gone and row.handed_to not in holders:
            row.handed_to = ""
        if row.taken_by in gone and row.taken_by not in holders:
            was_with = row.taken_by
            _call_again(row, now)
            await publish(session, AlertReleased(row.id, was_with), actor)
        await _pass_over(session, row, holders, barred[row.id])


async def _left_out(session: AsyncSession, alert_id: str) -> frozenset[str]:
    """Everybody who has a row, those who keep it as well."""
    return frozenset((await session.exec(select(AlertBarred.person_id).where(AlertBarred.alert_id == alert_id))).all())


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
