"""The end of a recording: destroyed on its day with proof, kept where two people say so, never half (policy: RE2, RE3, RE5)."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import select

from recordings import keycopies, proof, shredlist
from recordings.ending import certificate, commands, destruction, queries, rules
from recordings.ending.queries import Endings
from recordings.ending.rules import Involved, Step, Taken
from recordings.ending.tables import Destruction, HoldStep
from recordings.keystore import EvidenceIsolated, KeyStore
from recordings.preparation.commands import _Making
from recordings.tables import RecordingKey
from service.foundation.audit import AuditLeaf
from service.foundation.events import Actor, Role, system
from service.people import commands as people
from service.people.actions import NotConfirmed
from service.people.step_up import Proof
from service.people.tables import Person
from tests.proofs import with_session
from tests.recordings.ends import Kept, agree, ask, ask_release, recordings, wanted
from tests.school import Running

DAY = 86_400.0


def store(school: Running, kept: Kept) -> KeyStore:
    vault = school.app.state.vault
    return vault.key_store(next(each.name for each in vault.folder_of_keys.iterdir() if (each / "days").exists()
                                or (each / "holds").exists() or (each / shredlist.NAME).exists()))


async def turn(school: Running) -> int:
    """What the service does every minute."""
    state = school.app.state
    return await destruction.reconcile(state.database, state.vault, state.clock)


async def kinds(school: Running, kept: Kept) -> list[str]:
    async with school.database.reading() as session:
        rows = await session.exec(select(AuditLeaf.kind).where(AuditLeaf.subject_id == kept.id).order_by(AuditLeaf.seq))
        return list(rows.all())


async def test_a_recording_is_destroyed_when_its_last_day_has_ended_and_not_before(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=3)
    school.clock.advance(3 * DAY + 13.9 * 3600)
    assert await turn(school) == 0
    assert store(school, kept).open(kept.part) == kept.key
    school.clock.advance(600)
    assert await turn(school) == 1
    assert not store(school, kept).has(kept.part)
    assert not kept.path.parent.exists(), "its data goes, and what was made of it"
    assert await turn(school) == 0
    assert await kinds(school, kept) == ["DestructionBegun", "RecordingKeyDestroyed", "RecordingDestroyed"]


async def test_the_certificate_is_signed_and_the_audit_has_its_hash(school: Running) -> None:
    [kept] = await recordings(school, 1)
    school.clock.advance(5 * DAY)
    await turn(school)
    async with school.database.reading() as session:
        gone = (await session.exec(select(Destruction))).one()
        key = (await session.exec(select(RecordingKey))).one()
        assert await proof.verify(session, school.app.state.vault) == []
    public = school.app.state.vault.keys(gone.school_id).public
    assert certificate.is_genuine(gone.certificate, public)
    assert key.name in gone.certificate
    assert rules.METHOD in gone.certificate
    assert not certificate.is_genuine(gone.certificate.replace(kept.id, "0" * 32), public), "negative control"
    assert not certificate.is_genuine("{}", public)


async def test_two_people_keep_a_recording_past_its_day_and_two_let_it_go(school: Running) -> None:
    kept, other = await recordings(school, 2)
    await ask(school, kept)
    await agree(school, kept)
    school.clock.advance(30 * DAY)
    assert await turn(school) == 1, "the other one is gone"
    assert store(school, kept).open(kept.part) == kept.key
    assert not store(school, other).has(other.part)
    await ask_release(school, kept)
    assert await turn(school) == 0, "one person lets nothing go"
    await agree(school, kept)
    assert await turn(school) == 1
    assert not store(school, kept).has(kept.part)


async def test_what_one_person_asked_for_is_kept_for_seven_days_and_then_lapses(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=1)
    await ask(school, kept)
    school.clock.advance(6 * DAY)
    assert await turn(school) == 0
    school.clock.advance(DAY)
    assert await turn(school) == 1


async def test_nobody_keeps_a_recording_past_its_day_by_asking_again_and_again(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=1)
    await ask(school, kept)
    school.clock.advance(6 * DAY)
    asker = await with_session(school, "dsl")
    async with school.database.writing() as session:
        await commands.refuse(session, asker, kept.lesson_id, words="I ask anew", now=school.clock.now())
    with pytest.raises(rules.AskedInVain):
        await ask(school, kept)
    await ask(school, kept, "deputy_dsl")
    school.clock.advance(6 * DAY)
    assert await turn(school) == 0, "somebody else may ask"
    await agree(school, kept)
    await ask_release(school, kept)
    school.clock.advance(31)
    assert await turn(school) == 0


async def test_a_hold_that_is_kept_from_somebody_is_in_no_number_that_they_read(school: Running) -> None:
    mine, _ = await recordings(school, 1, participant=school.person("dsl")), await recordings(school, 1)
    await ask(school, mine[0], "deputy_dsl")
    async with school.database.reading() as session:
        dsl, deputy = await with_session(school, "dsl"), await with_session(school, "deputy_dsl")
        found = [(await queries.counts(session, who, school.clock.now()))[rules.Item.HOLDS] for who in (dsl, deputy)]
    assert found == [0, 1]


async def test_what_is_let_go_before_its_day_is_back_under_it(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=20)
    await ask(school, kept)
    await agree(school, kept)
    await ask_release(school, kept)
    await agree(school, kept)
    await turn(school)
    assert store(school, kept).held() == []
    assert store(school, kept).open(kept.part) == kept.key


@pytest.mark.parametrize(("asker", "second"), [("dsl", "deputy_dsl"), ("headteacher", "headteacher"), ("dsl", "dsl")])
async def test_the_two_are_different_persons_one_of_them_the_headteacher(school: Running, asker: str, second: str) -> None:
    [kept] = await recordings(school, 1)
    await ask(school, kept, asker)
    with pytest.raises((rules.SamePerson, rules.NotAllowed)):
        await agree(school, kept, second)


@pytest.mark.parametrize("role", ["teacher", "senior_leader", "office", "governor", "technician", "dpo", "chair", "support"])
async def test_to_others_a_hold_does_not_exist(school: Running, role: str) -> None:
    [kept] = await recordings(school, 1)
    with pytest.raises(rules.NotFound):
        await ask(school, kept, role)


async def test_nobody_who_was_in_the_lesson_holds_it_or_learns_that_it_is_held(school: Running) -> None:
    [kept] = await recordings(school, 1, participant=school.person("dsl"))
    with pytest.raises(rules.TookPart):
        await ask(school, kept)
    await ask(school, kept, "deputy_dsl")
    await agree(school, kept)
    async with school.database.reading() as session:
        dsl, deputy = await with_session(school, "dsl"), await with_session(school, "deputy_dsl")
        mine = await queries.endings(session, dsl, school.clock.now(), "Europe/London")
        theirs = await queries.endings(session, deputy, school.clock.now(), "Europe/London")
    assert (mine.first, [each.kept for each in mine.due]) == ([], [None])
    assert theirs.first[0].kept is not None
    assert theirs.first[0].kept.is_agreed
    assert mine.due[0].kept_until == theirs.first[0].kept_until, "the date that they see stays what it was"
    school.clock.advance(10 * DAY)
    async with school.database.reading() as session:
        assert await queries.endings(session, dsl, school.clock.now(), "Europe/London") == Endings([], [], [], False, False)
        assert len((await queries.endings(session, deputy, school.clock.now(), "Europe/London")).first) == 1


async def test_where_the_headteacher_was_in_the_lesson_the_chair_agrees(school: Running) -> None:
    [kept] = await recordings(school, 1, participant=school.person("headteacher"))
    await ask(school, kept)
    with pytest.raises(rules.TookPart):
        await agree(school, kept)
    await agree(school, kept, "chair")
    async with school.database.reading() as session:
        found = await queries.hold(session, await with_session(school, "dsl"), kept.lesson_id, school.clock.now())
    assert found.standing.is_agreed


async def test_a_hold_asked_for_too_late_is_refused_loudly(school: Running) -> None:
    [kept] = await recordings(school, 1)
    async with school.database.writing() as session:
        await destruction.begin(session, system(await _school(session)), recording_id=kept.id, why="x", now=school.clock.now())
    with pytest.raises(rules.BeingDestroyed):
        await ask(school, kept)
    first, *then = await kinds(school, kept)
    assert first == "DestructionBegun"
    assert "HoldStepTaken" not in then, "what the service does of itself goes on"
    async with school.database.reading() as session:
        assert (await session.exec(select(HoldStep))).all() == []


async def _school(session: Any) -> str:
    return (await queries.schools(session))[0]


async def test_what_is_held_is_not_destroyed_early_either(school: Running) -> None:
    [kept] = await recordings(school, 1)
    await ask(school, kept)
    with pytest.raises(rules.Held):
        async with school.database.writing() as session:
            await destruction.begin(session, system(await _school(session)), recording_id=kept.id, why="x",
                                    now=school.clock.now())


async def test_without_a_proof_of_identity_nothing_is_kept(school: Running) -> None:
    [kept] = await recordings(school, 1)
    who = await with_session(school, "dsl")
    with pytest.raises(NotConfirmed):
        async with school.database.writing() as session:
            await commands.ask(session, who, kept.lesson_id, wanted(school), vault=school.app.state.vault, proof=Proof(),
                               now=school.clock.now())
    assert store(school, kept).held() == []


async def test_evidence_is_set_apart_at_once_and_never_lapses(school: Running) -> None:
    [kept] = await recordings(school, 1)
    await ask(school, kept, isolate=True)
    with pytest.raises(EvidenceIsolated):
        store(school, kept).open(kept.part)
    school.clock.advance(100 * DAY)
    assert await turn(school) == 0
    assert store(school, kept).has(kept.part), "it is kept"
    who = await with_session(school, "headteacher")
    async with school.database.writing() as session:
        await commands.refuse(session, who, kept.lesson_id, words="I do not think so", now=school.clock.now())
    assert await turn(school) == 0, "one person cannot let evidence go"
    async with school.database.writing() as session:
        await commands.note_referral(session, who, kept.lesson_id, words="Rang the police", reference="CAD 12",
                                     now=school.clock.now())
        found = await queries.hold(session, who, kept.lesson_id, school.clock.now())
        assert [str(each.step) for each in found.steps] == ["asked", "isolated", "refused", "referral"]


async def leaves(school: Running, role: str) -> None:
    leader = await with_session(school, "senior_leader")
    async with school.database.writing() as session:
        await people.leave(session, leader, school.person(role), school.clock.now())


async def refuse(school: Running, kept: Kept, role: str) -> None:
    who = await with_session(school, role)
    async with school.database.writing() as session:
        await commands.refuse(session, who, kept.lesson_id, words="Who asked has left", now=school.clock.now())


async def test_what_is_kept_is_let_go_by_two_also_when_whoever_asked_for_that_has_left(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=1)
    await ask(school, kept, "deputy_dsl")
    await agree(school, kept)
    await ask_release(school, kept, "deputy_dsl")
    await leaves(school, "deputy_dsl")
    with pytest.raises(rules.NotAllowed):
        await agree(school, kept)
    await is_let_go_by_two_after_a_no(school, kept)


async def is_let_go_by_two_after_a_no(school: Running, kept: Kept) -> None:
    await refuse(school, kept, "dsl")
    school.clock.advance(10 * DAY)
    assert await turn(school) == 0, "a no lets nothing go"
    await ask_release(school, kept)
    await agree(school, kept)
    assert await turn(school) == 1


async def test_evidence_is_let_go_by_two_also_when_whoever_set_it_apart_has_left(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=1)
    await ask(school, kept, "deputy_dsl", isolate=True)
    await leaves(school, "deputy_dsl")
    await is_let_go_by_two_after_a_no(school, kept)


async def test_what_somebody_who_left_wanted_kept_is_asked_for_again_before_it_lapses(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=1)
    await ask(school, kept, "deputy_dsl")
    school.clock.advance(31)
    with pytest.raises(rules.HoldChanged):
        await ask(school, kept)
    school.clock.advance(5 * DAY)
    await leaves(school, "deputy_dsl")
    with pytest.raises(rules.NotAllowed):
        await refuse(school, kept, "dsl")
    await ask(school, kept)
    await agree(school, kept)
    school.clock.advance(30 * DAY)
    assert await turn(school) == 0


async def test_whoever_asks_anew_for_somebody_who_left_takes_back_no_more_than_that(school: Running) -> None:
    [kept], [other] = await recordings(school, 1, days_left=1), await recordings(school, 1, days_left=1)
    for each in (kept, other):
        await ask(school, each, "deputy_dsl")
        school.clock.advance(31)
    await leaves(school, "deputy_dsl")
    school.clock.advance(3 * DAY)
    for each in (kept, other):
        await ask(school, each)
        school.clock.advance(31)
    await refuse(school, kept, "dsl")
    await refuse(school, other, "headteacher")
    assert await turn(school) == 1, "negative control: a second person's no is to all of it"
    async with school.database.reading() as session:
        found = await queries.hold(session, await with_session(school, "dsl"), kept.lesson_id, school.clock.now())
    assert (found.standing.asked_by, found.standing.hold_id) == (school.person("deputy_dsl"), await first_hold(school, kept))
    school.clock.advance(4 * DAY - 600)
    assert await turn(school) == 0
    assert store(school, kept).open(kept.part) == kept.key
    school.clock.advance(600)
    assert await turn(school) == 1, "its own seven days are over"


async def first_hold(school: Running, kept: Kept) -> str:
    async with school.database.reading() as session:
        return (await session.exec(select(HoldStep.hold_id).where(
            HoldStep.recording_id == kept.id, HoldStep.number == 1))).one()


async def test_what_was_asked_first_is_what_the_second_person_agrees_to_once_the_asker_is_back(school: Running) -> None:
    [kept] = await recordings(school, 1, days_left=1)
    await ask(school, kept, "deputy_dsl")
    school.clock.advance(31)
    await leaves(school, "deputy_dsl")
    await ask(school, kept, "headteacher")
    school.clock.advance(31)
    await refuse(school, kept, "headteacher")
    async with school.database.writing() as session:
        (await session.get_one(Person, school.person("deputy_dsl"))).left_on = None
    await agree(school, kept)
    school.clock.advance(30 * DAY)
    assert await turn(school) == 0


DSL, DEPUTY, HEAD = (Actor(each, "s", frozenset({role})) for each, role in (
    ("dsl", Role.DSL), ("deputy", Role.DEPUTY_DSL), ("head", Role.HEADTEACHER)))


@pytest.mark.parametrize(("steps", "may"), [
    ((Step.ASKED,), {"dsl", "head"}), ((Step.ASKED, Step.ISOLATED), {"dsl", "deputy", "head"}),
    ((Step.ASKED, Step.AGREED, Step.RELEASE_ASKED), {"dsl", "deputy", "head"}),
])
def test_a_no_that_lets_a_recording_go_is_the_second_persons_and_any_other_is_the_whole_circles(
    steps: tuple[Step, ...], may: set[str],
) -> None:
    at, involved = datetime(2026, 11, 24, tzinfo=UTC), Involved(frozenset({"hall"}), frozenset({"head"}))
    stands = rules.standing([Taken(step, "dsl", at) for step in steps], at)
    found = set()
    for actor in (DSL, DEPUTY, HEAD):
        with suppress(rules.NotAllowed):
            rules.check_may_refuse(actor, stands, frozenset({Role.DSL}), involved)
            found.add(actor.person_id)
    assert found == may
    with pytest.raises(rules.NotAllowed):
        rules.check_may_refuse(DSL, stands, frozenset({Role.DSL}), replace(involved, participants=frozenset({"dsl"})))


async def test_setting_evidence_apart_ends_what_is_being_made_of_it(school: Running) -> None:
    """Neither a picture nor a word of it is made after that: whoever had its key in memory has it no more (policy: RE5)."""
    [kept] = await recordings(school, 1)
    making, copied = _Making(bytearray(kept.key)), bytearray(kept.key)
    school.app.state.preparations.making[kept.id] = making
    school.app.state.copying.holds(kept.id, copied)
    await ask(school, kept)
    assert any(making.key), "negative control: keeping it takes nothing from the team"
    school.clock.advance(31)
    await ask(school, kept, "deputy_dsl", isolate=True)
    assert making.is_forgotten
    assert not any(making.key)
    assert not any(copied)


async def test_the_database_itself_lets_no_one_person_keep_or_release(school: Running) -> None:
    from sqlalchemy.exc import DatabaseError

    [kept] = await recordings(school, 1)
    await ask(school, kept)
    async with school.database.reading() as session:
        first = (await session.exec(select(HoldStep))).one()
    row = {"school_id": first.school_id, "recording_id": kept.id, "hold_id": first.hold_id, "number": 2, "grant_id": "x",
           "taken_at": school.clock.now()}
    for step, by in (("agreed", first.taken_by), ("released", school.person("headteacher"))):
        with pytest.raises(DatabaseError):
            async with school.database.writing() as session:
                session.add(HoldStep(**row, step=step, taken_by=by))
    with pytest.raises(DatabaseError):
        async with school.database.writing() as session:
            (await session.get_one(HoldStep, first.id)).words = "changed"


# -- crashes ----------------------------------------------------------------------------------------------------------------


STEPS = {
    "after it is written that it begins": (shredlist, "add"),
    "after the line of the list": (KeyStore, "destroy_day"),
    "after the keys": (destruction, "_note_keys"),
    "after the tombstones": (destruction, "remove_data"),
    "after the data": (destruction, "_certify"),
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_service_that_dies_while_it_destroys_leaves_it_destroyed_or_kept(
    school: Running, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    gone, held = await recordings(school, 2)
    await ask(school, held)
    await agree(school, held)
    school.clock.advance(5 * DAY)

    def dies(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(*STEPS[step], dies)
        with pytest.raises(SystemExit):
            await turn(school)
    keycopies.replay(school.app.state.keys)  # as the next start does, before anything is served
    await turn(school)
    assert not store(school, gone).has(gone.part)
    assert not gone.path.parent.exists()
    assert store(school, held).open(held.part) == held.key
    async with school.database.reading() as session:
        [fault] = await proof.verify(session, school.app.state.vault)
    assert fault.startswith(f"recording {held.id}, part 1: not a recording"), "negative control: the held one is looked at"
    assert await kinds(school, gone) == ["DestructionBegun", "RecordingKeyDestroyed", "RecordingDestroyed"], "each once"


async def test_a_hold_whose_transaction_was_lost_keeps_the_recording_until_somebody_decides(
    school: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    [kept] = await recordings(school, 1)
    hold = commands._hold_keys

    def dies(*given: Any) -> None:
        hold(*given)
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(commands, "_hold_keys", dies)
        with pytest.raises(SystemExit):
            await ask(school, kept)
    school.clock.advance(10 * DAY)
    assert await turn(school) == 0
    assert store(school, kept).open(kept.part) == kept.key
    await ask(school, kept)
    who = await with_session(school, "headteacher")
    async with school.database.writing() as session:
        await commands.refuse(session, who, kept.lesson_id, words="No longer needed", now=school.clock.now())
    assert await turn(school) == 1


def bad_sector(school: Running, kept: Kept) -> None:
    [record] = store(school, kept).folder.rglob(kept.part.file)
    record.write_bytes(bytes(record.stat().st_size))


async def test_a_key_that_cannot_be_read_is_not_kept_and_leaves_no_hold_that_nobody_can_decide(school: Running) -> None:
    kept, other = await recordings(school, 2)
    bad_sector(school, kept)
    with pytest.raises(rules.KeyUnreadable):
        await ask(school, kept)
    with pytest.raises(rules.KeyUnreadable):
        await ask(school, kept)
    await ask(school, other)
    story = shredlist.lines(store(school, kept), school.app.state.vault.keys(store(school, kept).school_id).public)
    assert [line.what for line in story if line.recording_id == kept.id][-1] is shredlist.What.RELEASED
    school.clock.advance(5 * DAY)
    assert await turn(school) == 1
    assert await kinds(school, kept) == ["DestructionBegun", "RecordingKeyDestroyed", "RecordingDestroyed"]
    assert store(school, other).open(other.part) == other.key, "negative control: what can be read is kept"


async def test_a_held_key_that_cannot_be_read_any_more_stops_no_other_destruction(school: Running) -> None:
    held, other = await recordings(school, 2)
    [later] = await recordings(school, 1, days_left=4)
    await ask(school, held)
    await agree(school, held)
    keys = store(school, held)
    keys.release(held.id, held.part.kept_until)  # as an older copy of the key store has it
    bad_sector(school, held)
    school.clock.advance(6 * DAY)
    assert await turn(school) == 2
    assert not keys.has(other.part)
    assert not keys.has(later.part)
    assert list(keys.folder.rglob(held.part.file)), "nobody decided that it goes"
    for each in (other, later):
        assert await kinds(school, each) == ["DestructionBegun", "RecordingKeyDestroyed", "RecordingDestroyed"]
    before = len(shredlist.lines(keys, school.app.state.vault.keys(keys.school_id).public))
    await turn(school)
    assert len(shredlist.lines(keys, school.app.state.vault.keys(keys.school_id).public)) == before


async def test_one_recording_that_cannot_be_removed_stops_none_after_it(school: Running) -> None:
    made = await recordings(school, 3)
    stuck = min(made, key=lambda each: each.id)
    by_hand = stuck.path.parent / "a folder made by hand"
    by_hand.mkdir()
    school.clock.advance(5 * DAY)
    assert await turn(school) == 2
    assert not any(store(school, each).has(each.part) for each in made)
    by_hand.rmdir()
    assert await turn(school) == 1, "negative control: then it goes"
