"""Keeping recordings by two people, setting evidence apart, and the yearly list. Each step is in the audit (policy: RE3, RE5)."""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from recordings import shredlist
from recordings.ending import queries, rules
from recordings.ending.events import HoldStepTaken, HousekeepingDone
from recordings.ending.queries import Hold
from recordings.ending.rules import AskedInVain, BeingDestroyed, HoldChanged, Item, KeyUnreadable, Step
from recordings.ending.tables import HoldStep, HousekeepingReview
from recordings.keystore import KeyGone, KeyMissing
from recordings.shredlist import What
from recordings.tables import Recording
from recordings.vault import Vault
from service.foundation.bus import publish
from service.foundation.db import new_id
from service.foundation.errors import Invalid
from service.foundation.events import Actor, Role
from service.people import queries as people
from service.people import step_up
from service.people.actions import Action
from service.people.step_up import Proof
from service.safeguarding.reopening import queries as reopening

# -- asking ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """What somebody fills in to keep a recording. `isolate`: set it apart as evidence, so that nobody can open it."""

    words: str
    reference: str
    review_on: date | None
    isolate: bool = False


def asking(hold: Hold, wanted: Wanted) -> Action:
    kind = Step.ISOLATED if wanted.isolate else Step.ASKED
    return rules.decided(kind, hold.recording.id, wanted.words.strip(), reference=wanted.reference.strip(),
                         review_on=wanted.review_on)


async def check_ask(session: AsyncSession, actor: Actor, hold: Hold, wanted: Wanted, now: datetime) -> None:
    """Everything that `ask` refuses, before anybody proves who they are in vain."""
    rules.check_may_ask(actor, hold.involved)
    if hold.destruction is not None:
        raise BeingDestroyed()
    is_more = wanted.isolate and not hold.standing.is_isolated
    if hold.standing.in_force and not is_more and not await is_orphaned(session, hold):
        raise HoldChanged("This recording is kept already.")
    zone = (await people.school(session, actor.school_id)).zone
    is_past = hold.recording.kept_until < rules.today(now, zone)
    if is_past and not wanted.isolate and rules.asked_in_vain([(each.step, each.by) for each in hold.steps], actor.person_id):
        raise AskedInVain()
    rules.check_words(wanted.words, wanted.reference, wanted.review_on, rules.today(now, zone))


async def ask(session: AsyncSession, actor: Actor, lesson_id: str, wanted: Wanted, *, vault: Vault, proof: Proof,
              now: datetime) -> None:
    """Keep a recording while a second person decides; evidence is set apart at once, and stays kept if nobody answers.

    Its keys are out of their day when this returns. Raises `BeingDestroyed` where destruction was faster: nothing is changed.
    """
    hold = await queries.hold(session, actor, lesson_id, now, lock=True)
    await check_ask(session, actor, hold, wanted, now)
    grant = await step_up.confirmed(session, actor, asking(hold, wanted), proof, now)
    is_anew = not hold.standing.in_force or await is_orphaned(session, hold)
    hold_id = new_id() if is_anew else hold.standing.hold_id
    steps = [*([Step.ASKED] if is_anew else []), *([Step.ISOLATED] if wanted.isolate else [])]
    taken = [await _add(session, actor, hold.recording, hold_id, step, now, words=wanted.words, reference=wanted.reference,
                        review_on=wanted.review_on, grant_id=grant) for step in steps]
    await asyncio.to_thread(_hold_keys, vault, hold.recording, wanted.isolate, now)
    for event in taken:  # only now: what was opened before is shut by it, and from here on nothing can be opened
        await publish(session, event, actor)


def _hold_keys(vault: Vault, row: Recording, isolate: bool, now: datetime) -> None:
    """Out of the day, durably, before the transaction commits: what is committed as held can no longer be shredded."""
    store, signer = vault.key_store(row.school_id), vault.keys(row.school_id)
    was_held = store.is_held(row.id)
    story = [line for line in shredlist.lines(store, signer.public) if line.recording_id == row.id]
    shredlist.add(store, signer, What.ISOLATED if isolate else What.HELD, row.kept_until, row.id, now=now)
    try:
        store.hold(row.id, row.kept_until, isolate=isolate)
    except KeyMissing as error:
        if not was_held:  # else the list would speak of a hold that nobody knows of, and that nobody could end
            what = What.RECORDING if story and story[-1].what is What.RECORDING else What.RELEASED
            shredlist.add(store, signer, what, row.kept_until, row.id, now=now)
        raise (BeingDestroyed if isinstance(error, KeyGone) else KeyUnreadable)() from error


# -- the second person ------------------------------------------------------------------------------------------------------


def agreeing(hold: Hold) -> Action:
    """What the second person confirms: the words that they read."""
    step = Step.RELEASED if hold.standing.waits_for is Step.RELEASED else Step.AGREED
    asked = next(each for each in reversed(hold.steps) if each.step in (Step.ASKED, Step.RELEASE_ASKED)
                 and each.at == hold.standing.waiting_since)
    return rules.decided(step, hold.recording.id, asked.words, hold_id=hold.standing.hold_id, asked_by=asked.by,
                         reference=asked.reference)


async def check_answer(session: AsyncSession, actor: Actor, hold: Hold) -> None:
    """Whether this person may say yes to what is asked."""
    if hold.standing.waits_for is None:
        raise HoldChanged()
    rules.check_may_agree(actor, hold.standing.asked_by, await _asked_roles(session, hold), hold.involved)


async def check_refuse(session: AsyncSession, actor: Actor, hold: Hold) -> None:
    """Whether this person may say no to it."""
    if hold.standing.waits_for is None:
        raise HoldChanged()
    rules.check_may_refuse(actor, hold.standing, await _asked_roles(session, hold), hold.involved)


async def is_orphaned(session: AsyncSession, hold: Hold) -> bool:
    return rules.is_orphaned(hold.standing, await _asked_roles(session, hold))


async def _asked_roles(session: AsyncSession, hold: Hold) -> frozenset[Role]:
    """As what whoever asked could ask now; nothing once they have left."""
    asker = await people.actor(session, hold.standing.asked_by) if hold.standing.asked_by else None
    return asker.roles if asker else frozenset()


async def agree(session: AsyncSession, actor: Actor, lesson_id: str, *, vault: Vault, proof: Proof, now: datetime) -> Step:
    """The second person agrees to what is asked: the recording is kept, or released. Returns which."""
    hold = await queries.hold(session, actor, lesson_id, now, lock=True)
    await check_answer(session, actor, hold)
    await _check_since_restore(session, actor, hold)
    grant = await step_up.confirmed(session, actor, agreeing(hold), proof, now)
    step = hold.standing.waits_for or Step.AGREED
    await _take(session, actor, hold.recording, hold.standing.hold_id, step, now, grant_id=grant)
    return step


async def _check_since_restore(session: AsyncSession, actor: Actor, hold: Hold) -> None:
    """A release that was asked for before a restore may have been taken back after the back-up."""
    restored, since = await reopening.last_restored(session, actor.school_id), hold.standing.waiting_since
    if hold.standing.waits_for is Step.RELEASED and restored and since and since <= restored:
        raise HoldChanged("This was asked before Chaperone was restored from a back-up. Say no to it, and ask again.")


async def refuse(session: AsyncSession, actor: Actor, lesson_id: str, *, words: str, now: datetime) -> None:
    """Somebody does not agree, or who asked takes it back, with a reason."""
    hold = await queries.hold(session, actor, lesson_id, now, lock=True)
    await check_refuse(session, actor, hold)
    step = Step.REFUSED if hold.standing.waits_for is Step.AGREED else Step.RELEASE_REFUSED
    await _take(session, actor, hold.recording, hold.standing.hold_id, step, now, words=rules.check_reason(words))


# -- while it is kept -------------------------------------------------------------------------------------------------------


def releasing(hold: Hold, words: str) -> Action:
    return rules.decided(Step.RELEASE_ASKED, hold.recording.id, words.strip(), hold_id=hold.standing.hold_id)


async def check_release(session: AsyncSession, actor: Actor, hold: Hold) -> None:
    rules.check_may_ask(actor, hold.involved)
    if not hold.standing.in_force or hold.standing.waits_for is not None:
        raise HoldChanged()


async def ask_release(session: AsyncSession, actor: Actor, lesson_id: str, *, words: str, proof: Proof, now: datetime) -> None:
    """Ask a second person to let a recording go. Until they agree it is kept."""
    hold = await queries.hold(session, actor, lesson_id, now, lock=True)
    await check_release(session, actor, hold)
    rules.check_reason(words)
    grant = await step_up.confirmed(session, actor, releasing(hold, words), proof, now)
    await _take(session, actor, hold.recording, hold.standing.hold_id, Step.RELEASE_ASKED, now, words=words, grant_id=grant)


async def review(session: AsyncSession, actor: Actor, lesson_id: str, *, words: str, review_on: date | None,
                 now: datetime) -> None:
    """Somebody looked again: it is still needed, and who looks next does so by another day."""
    hold = await queries.hold(session, actor, lesson_id, now, lock=True)
    rules.check_may_ask(actor, hold.involved)
    if not hold.standing.in_force:
        raise HoldChanged()
    zone = (await people.school(session, actor.school_id)).zone
    rules.check_words(words, "-", review_on, rules.today(now, zone))
    await _take(session, actor, hold.recording, hold.standing.hold_id, Step.REVIEWED, now, words=words, review_on=review_on)


async def note_referral(session: AsyncSession, actor: Actor, lesson_id: str, *, words: str, reference: str,
                        now: datetime) -> None:
    """Who was told of the evidence and when, in words that nobody can change (policy: RE5, RC3)."""
    hold = await queries.hold(session, actor, lesson_id, now, lock=True)
    rules.check_may_ask(actor, hold.involved)
    if not hold.standing.is_isolated:
        raise HoldChanged()
    kept = rules.check_reason(words, "referral")
    if len(reference.strip()) > 60:
        raise Invalid(fields={"reference": "Enter the reference as it was given, up to 60 letters"})
    await _take(session, actor, hold.recording, hold.standing.hold_id, Step.REFERRAL, now, words=kept, reference=reference)


async def _add(session: AsyncSession, actor: Actor, row: Recording, hold_id: str, step: Step, now: datetime, *,
               words: str = "", reference: str = "", review_on: date | None = None, grant_id: str = "") -> HoldStepTaken:
    """Write a step down. Returns what is to be published of it."""
    last = (await session.exec(select(func.max(HoldStep.number)).where(col(HoldStep.recording_id) == row.id))).one() or 0
    session.add(HoldStep(
        school_id=actor.school_id, recording_id=row.id, hold_id=hold_id, number=last + 1, step=str(step), words=words.strip(),
        reference=reference.strip(), review_on=review_on, taken_by=actor.person_id, taken_at=now, grant_id=grant_id,
    ))
    await session.flush()
    return HoldStepTaken(recording_id=row.id, lesson_id=row.lesson_id, hold_id=hold_id, step=str(step), grant_id=grant_id)


async def _take(session: AsyncSession, actor: Actor, row: Recording, hold_id: str, step: Step, now: datetime, *,
                words: str = "", reference: str = "", review_on: date | None = None, grant_id: str = "") -> None:
    await publish(session, await _add(session, actor, row, hold_id, step, now, words=words, reference=reference,
                                      review_on=review_on, grant_id=grant_id), actor)


# -- the yearly list ---------------------------------------------------------------------------------------------------------


async def done(session: AsyncSession, actor: Actor, item: str, now: datetime) -> None:
    """Somebody looked through one part of this school year's list (policy: RE3)."""
    if item not in set(Item):
        raise Invalid("Choose a part of the list")
    zone = (await people.school(session, actor.school_id)).zone
    year = rules.school_year(rules.today(now, zone))
    earlier = (await session.exec(select(HousekeepingReview.id).where(
        HousekeepingReview.school_id == actor.school_id, HousekeepingReview.year == year, HousekeepingReview.item == item
    ))).first()
    if earlier:
        return
    found = (await queries.counts(session, actor, now))[Item(item)] or 0
    session.add(HousekeepingReview(
        school_id=actor.school_id, year=year, item=item, found=found, done_by=actor.person_id, done_at=now))
    await publish(session, HousekeepingDone(item=item, year=year, found=found), actor)

