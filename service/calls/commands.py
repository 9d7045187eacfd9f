"""Asking for a call, writing down that it is placed, connected and over, and what came of it (policy: CM2, CM6, RC2).

The desk calls these in transactions of its own: what is placed is committed before anybody is rung.
"""

from datetime import date, datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.calls import numbers, queries, rules
from service.calls.events import (
    CallAsked,
    CallConnected,
    CallEnded,
    CallingChanged,
    CallPlaced,
    CallRecorded,
    CallRefused,
    CallsExported,
    ContactShown,
    OwnPhoneUsedInEmergency,
    SchoolNumberChanged,
)
from service.calls.number import Number
from service.calls.progress import Why
from service.calls.queries import Teaches, Wanted
from service.calls.rules import Not, Refused
from service.calls.tables import Call, Calling, EmergencyUse
from service.foundation.bus import publish
from service.foundation.errors import Conflict, Invalid, NotFound
from service.foundation.events import SAFEGUARDING, Actor, system
from service.people import queries as people
from service.people import step_up, telephones
from service.people.actions import Action
from service.people.events import PersonLeft, RosterImported
from service.people.hashing import Pepper
from service.people.step_up import Proof

NO_NUMBERS = "Leave telephone numbers out"
OUTCOMES = {"spoke": "Spoke", "no-answer": "No answer", "child-answered": "A child answered", "wrong-person": "Wrong person"}


# -- a call --------------------------------------------------------------------------------------------------------------------


async def ask(session: AsyncSession, actor: Actor, pepper: Pepper, has_lessons_with: Teaches, wanted: Wanted, lesson_id: str,
              now: datetime) -> str:
    """Ask for a call; nobody is rung yet. Returns its id. Raises Refused in the rule's words, which the caller has published."""
    await queries.child_to_call_about(session, actor, wanted.child_id, has_lessons_with)
    said = await decided(session, pepper, wanted, has_lessons_with)
    if isinstance(said, Not):
        raise Refused(said.words, code=said.code)
    row = Call(school_id=actor.school_id, child_id=wanted.child_id, adult_id=wanted.adult_id, caller_id=actor.person_id,
               lesson_id=lesson_id[:32], purpose=wanted.purpose, by_telephone=wanted.by_telephone,
               by_team=actor.is_any(SAFEGUARDING), asked_at=now)
    session.add(row)
    await session.flush()
    await publish(session, CallAsked(row.child_id, row.id, row.adult_id, row.purpose, row.lesson_id), actor)
    return row.id


async def decided(session: AsyncSession, pepper: Pepper, wanted: Wanted, has_lessons_with: Teaches, *,
                  is_placed: bool = False) -> rules.Allowed | Not:
    """What the rule says of a call now."""
    found = await queries.facts(session, pepper, wanted, has_lessons_with, is_placed=is_placed)
    limit = rules.limits(await people.profile(session, wanted.school_id))
    return rules.decide(found, limit, session.info["clock"].now(), is_placed=is_placed)


async def refuse(session: AsyncSession, actor: Actor, wanted: Wanted, code: str) -> None:
    """Keep that somebody wanted to call, and may not. Whom: nobody, where what was sent is no person of this school."""
    named = await people.people(session, actor.school_id, [wanted.child_id, wanted.adult_id])
    if wanted.child_id in named:
        await publish(session, CallRefused(wanted.child_id, wanted.adult_id if wanted.adult_id in named else "", code), actor)


async def place(session: AsyncSession, actor: Actor, call_id: str, *, grant_id: str, now: datetime) -> None:
    """Write down that a call is being placed, once. Raises Conflict where one of the two is in a call by now."""
    row = await session.get_one(Call, call_id)
    if row.placed_at is not None or row.ended_at is not None or now - row.asked_at > rules.FRESH:
        raise Conflict("This call was made already, or asked for too long ago. Start again.")
    row.placed_at, row.grant_id = now, grant_id
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict("You, or they, are in another call. Try again in a few minutes.") from error
    withheld = await queries.is_withheld(session, row.school_id)
    await publish(session, CallPlaced(row.child_id, row.id, row.adult_id, row.purpose, row.by_telephone, grant_id, withheld),
                  actor)


async def connect(session: AsyncSession, actor: Actor, call_id: str, *, in_app: bool, now: datetime) -> None:
    row = await session.get_one(Call, call_id)
    if row.ended_at is not None:
        raise Conflict("This call is over.")
    row.connected_at, row.in_app = now, in_app
    await publish(session, CallConnected(row.child_id, row.id, in_app), actor)


async def end(session: AsyncSession, actor: Actor, call_id: str, why: Why, *, refusal: str = "", ended_by: str = "",
              message_left: bool = False, now: datetime) -> None:
    """Write down that a call is over; what is over stays so."""
    row = await session.get_one(Call, call_id)
    if row.ended_at is not None:
        return
    row.ended_at, row.ended_why, row.ended_by, row.message_left = now, why, ended_by, message_left
    await publish(session, CallEnded(row.child_id, row.id, why, refusal, ended_by), actor)


async def close_what_a_crash_left(session: AsyncSession, now: datetime) -> int:
    """Calls that nobody wrote the end of: the process stopped in them. Returns how many."""
    rows = (await session.exec(select(Call).where(col(Call.placed_at).is_not(None), col(Call.ended_at).is_(None)))).all()
    for row in rows:
        await end(session, system(row.school_id), row.id, Why.NOT_KNOWN, now=now)
    return len(rows)


async def record(session: AsyncSession, actor: Actor, call_id: str, *, outcome: str, agreed: str, next_step: str,
                 next_on: date | None, wrong_day: bool, now: datetime) -> None:
    """What came of a call, once, by whoever placed it (policy: RC2)."""
    row = await session.get(Call, call_id)
    if row is None or row.school_id != actor.school_id or row.caller_id != actor.person_id or row.placed_at is None:
        raise NotFound()
    if row.ended_at is None:
        raise Conflict("End the call first.")
    if row.recorded_at is not None:
        raise Conflict("This was recorded already. What was recorded stays.")
    agreed, next_step = " ".join(agreed.split()), " ".join(next_step.split())
    wrong = {}
    if outcome not in OUTCOMES:
        wrong["outcome"] = "Choose what happened"
    elif outcome == "spoke" and not agreed:
        wrong["agreed"] = "Say what was agreed"
    if len(agreed) > 1000:
        wrong["agreed"] = "Use 1,000 letters or fewer"
    if len(next_step) > 500:
        wrong["next_step"] = "Use 500 letters or fewer"
    wrong |= {name: NO_NUMBERS for name, said in (("agreed", agreed), ("next_step", next_step)) if telephones.is_in(said)}
    if wrong_day or (next_step and next_on is None):
        wrong["next_on"] = "Enter the day of the next step, like 5/3/2027"
    if wrong:
        raise Invalid(fields=wrong)
    row.outcome, row.what_agreed, row.next_step, row.next_on, row.recorded_at = outcome, agreed, next_step, next_on, now
    await publish(session, CallRecorded(row.child_id, row.id, outcome), actor)


async def exported(session: AsyncSession, actor: Actor, rows: int) -> None:
    await publish(session, CallsExported(rows), actor)


# -- numbers that people enter or read ----------------------------------------------------------------------------------------


def contact_action(person_id: str, reason: str, words: str) -> Action:
    """What the office confirms before it reads a family's number."""
    return Action("read-telephone", words, {"person_id": person_id, "reason": reason})


async def show_contact(session: AsyncSession, actor: Actor, person_id: str, *, reason: str, proof: Proof, now: datetime) -> None:
    """Audit that somebody in the office is about to read this number. The page opens it after the commit (policy: CM5)."""
    said = checked_reason(reason)
    grant_id = await step_up.confirmed(session, actor, contact_action(person_id, said, ""), proof, now)
    await publish(session, ContactShown(person_id, said, grant_id), actor)


def checked_reason(reason: str) -> str:
    said = " ".join(reason.split())
    if not 5 <= len(said) <= 200:
        raise Invalid(fields={"reason": "Say why you need the number, in 200 letters or fewer"})
    if telephones.is_in(said):
        raise Invalid(fields={"reason": NO_NUMBERS})
    return said


async def change_calling(session: AsyncSession, actor: Actor, pepper: Pepper, *, number: str, withheld: bool,
                         of_trunk: Number | None, now: datetime) -> None:
    """The school's own number, where one is entered, and whether it is shown (policy: CM4). `of_trunk`: the only one that could
    be shown, which the technician sets."""
    if number.strip() and of_trunk is None:
        await numbers.keep(session, pepper, actor.school_id, actor.school_id, numbers.SCHOOL, number, now)
        await publish(session, SchoolNumberChanged(), actor)
    if withheld != await queries.is_withheld(session, actor.school_id):
        await session.merge(Calling(school_id=actor.school_id, withheld=withheld, changed_by=actor.person_id, changed_at=now))
        await publish(session, CallingChanged(withheld), actor)


async def take_number(session: AsyncSession, pepper: Pepper, number: Number, now: datetime) -> None:
    """The trunk's number is the school's: a trunk shows no other. Nothing happens before there is a school."""
    school = await people.only_school(session)
    if school is not None and await shown_number(session, pepper, school.id) != number:
        await numbers.keep(session, pepper, school.id, school.id, numbers.SCHOOL, number, now)
        await publish(session, SchoolNumberChanged(), system(school.id))


async def shown_number(session: AsyncSession, pepper: Pepper, school_id: str) -> Number | None:
    return await numbers.number(session, pepper, school_id, school_id, numbers.SCHOOL)


async def forget_numbers(session: AsyncSession, event: PersonLeft | RosterImported, actor: Actor) -> None:
    """Reaction to people leaving: a number is somebody else's before long."""
    left = event.left if isinstance(event, RosterImported) else (event.person_id,)
    if left:
        await numbers.forget(session, actor.school_id, left)


# -- an emergency -------------------------------------------------------------------------------------------------------------


async def tell_of_emergency(session: AsyncSession, actor: Actor, has_lessons_with: Teaches, *, child_id: str,
                            happened_at: datetime | None, words: str, now: datetime) -> str:
    """“I used my own phone in an emergency”: recorded afterwards, and leaders are told (policy: CM3)."""
    said = " ".join(words.split())
    wrong = {}
    if not 10 <= len(said) <= 1000:
        wrong["words"] = "Say what happened and whom you called, in 1,000 letters or fewer"
    elif telephones.is_in(said):
        wrong["words"] = NO_NUMBERS
    if happened_at is None or happened_at > now:
        wrong["at"] = "Enter when it was, like 5/3/2027 at 10:15, not in the future"
    if not child_id:
        wrong["child"] = "Choose the child"
    if wrong or happened_at is None:
        raise Invalid(fields=wrong)
    await queries.child_of(session, actor, child_id, has_lessons_with)
    row = EmergencyUse(school_id=actor.school_id, person_id=actor.person_id, child_id=child_id, happened_at=happened_at,
                       words=said, told_at=now)
    session.add(row)
    await session.flush()
    await publish(session, OwnPhoneUsedInEmergency(child_id, row.id, actor.person_id), actor)
    return row.id
