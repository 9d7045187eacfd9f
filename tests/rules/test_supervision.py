"""The supervision rule against an oracle that says it the long way round and shares no code with it.

A world is people, approvals, recorder, ownership and window, each proof running out now, soon or later. `make test`
takes a seeded sample; CHAPERONE_PROOF=full takes every world.
"""

import itertools
import os
import random
from collections.abc import Iterator
from math import inf, prod

import pytest

from lessons.live import supervision
from lessons.live.supervision import Approval, Exposed, Hold, Kind, Snapshot, lease

NOW = 0.5
GRID = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25)
SAMPLE = 6_000


def oracle_open(s: Snapshot, t: float) -> bool:
    """May anything be delivered at this one moment? Said from the sentences of the policy, not from the code."""
    if s.stopped or not (t < s.owner_until and t < s.recorder_until and s.opens_at <= NOW and t < s.closes_at):
        return False
    if s.needs_approval and not any(a.start <= NOW and t < a.end for a in s.approvals):
        return False
    heard = [p for p in s.people if t < p.alive_until]
    staff = {p.id for p in heard if p.kind is Kind.STAFF and p.counts}
    if not staff:
        return False
    if not any(p.kind is Kind.CHILD for p in s.people):
        return len(heard) >= 2 and not s.barred
    pupils = {p.id for p in heard if p.kind is Kind.CHILD and p.counts}
    if len(pupils) >= 2 or len(staff) >= 2:
        return True
    exposed = sorted(p.id for p in s.people)
    return any(
        exposed == sorted([a.adult, a.child]) and a.start <= NOW and t < a.end and a.child in {p.id for p in heard}
        for a in s.approvals
        if a.adult in staff and all(p.kind is Kind.CHILD for p in s.people if p.id == a.child)
    )


def oracle_reasons(s: Snapshot) -> list[str]:
    """The words of the rule, each decided alone."""
    heard = [p for p in s.people if p.alive_until > NOW]
    adult_here = any(p.kind is Kind.STAFF and p.counts for p in heard)
    pair = {p.id for p in s.people}
    alone = adult_here and not oracle_open(
        Snapshot(s.people, s.approvals, inf, inf, -inf, inf), NOW,
    )
    unapproved = s.needs_approval and not any(a.start <= NOW < a.end for a in s.approvals)
    to_come = unapproved and any(NOW < a.start < a.end for a in s.approvals)
    said = {
        "stopped-by-school": s.stopped,
        "approval-ended": (alone and any({a.adult, a.child} == pair and a.end <= NOW for a in s.approvals))
        or (unapproved and not to_come),
        "not-recorded": s.recorder_until <= NOW,
        "no-adult": not adult_here,
        "lone-adult": alone,
        "not-permitted": s.barred and all(p.kind is not Kind.CHILD for p in s.people),
        "outside-window": to_come or not s.opens_at <= NOW < s.closes_at,
        "starting": s.owner_until <= NOW,
    }
    return [reason for reason, applies in said.items() if applies]


_STATES = [None, *itertools.product((True, False), (0.5, 1.0, 2.0))]
_PEOPLE = (_STATES, _STATES, [None, (False, 2.0)], _STATES, _STATES, [None, (True, 1.0), (True, 2.0)])
_SEATS = (("a1", Kind.STAFF), ("a2", Kind.STAFF), ("g", Kind.GUEST), ("c1", Kind.CHILD), ("c2", Kind.CHILD), ("c3", Kind.CHILD))
_APPROVALS = (
    (), (Approval("a1", "c1", 0.0, 1.5),), (Approval("a1", "c1", 1.0, 2.0),), (Approval("a1", "c1", 0.0, 0.5),),
    (Approval("a2", "c1", 0.0, 1.75), Approval("a1", "c1", 0.0, 0.5)),
    (Approval("a1", "c1", 0.5, 1.25),), (Approval("a1", "c1", 0.0, 0.5), Approval("a1", "c1", 1.0, 2.0)),
    (Approval("a1", "c1", 1.0, 1.0),),
)
_REST = (
    {"recorder_until": 2.0, "owner_until": 2.0, "opens_at": 0.0, "closes_at": 9.0},
    {"recorder_until": 1.0, "owner_until": 2.0, "opens_at": 0.0, "closes_at": 1.5},
    {"recorder_until": 0.2, "owner_until": 2.0, "opens_at": 0.0, "closes_at": 9.0, "barred": True},
    {"recorder_until": 2.0, "owner_until": 1.0, "opens_at": 0.6, "closes_at": 9.0},
    {"recorder_until": 2.0, "owner_until": 2.0, "opens_at": 0.0, "closes_at": 0.5, "stopped": True},
    {"recorder_until": 2.0, "owner_until": 0.5, "opens_at": 0.5, "closes_at": 9.0, "barred": True},
    {"recorder_until": 2.0, "owner_until": 2.0, "opens_at": 0.0, "closes_at": 9.0, "barred": True},
    {"recorder_until": 2.0, "owner_until": 2.0, "opens_at": 0.0, "closes_at": 9.0, "needs_approval": True},
    {"recorder_until": 2.0, "owner_until": 2.0, "opens_at": 0.5, "closes_at": 1.5, "needs_approval": True},
)
_DIMENSIONS = (*_PEOPLE, _APPROVALS, _REST)
WORLDS = prod(map(len, _DIMENSIONS))


def world_of(number: int) -> Snapshot:
    """The world of this number, of WORLDS."""
    chosen = []
    for dimension in _DIMENSIONS:
        number, position = divmod(number, len(dimension))
        chosen.append(dimension[position])
    *states, approvals, rest = chosen
    people = tuple(Exposed(*seat, *state) for seat, state in zip(_SEATS, states, strict=True) if state)  # type: ignore[misc]
    return Snapshot(people, approvals, **rest)  # type: ignore[arg-type]


def sampled(count: int, seed: int) -> Iterator[Snapshot]:
    return map(world_of, random.Random(seed).sample(range(WORLDS), count))


def agrees(s: Snapshot, rule=lease) -> bool:
    """The lease permits exactly the moments up to the first at which the oracle shuts; the reasons are the oracle's."""
    verdict = rule(s, NOW)
    still_open = True
    for t in GRID:
        still_open = still_open and oracle_open(s, t)
        if verdict.permits(t) != still_open:
            return False
    return [r.value for r in verdict.reasons] == oracle_reasons(s)


@pytest.mark.proof
def test_the_lease_and_the_oracle_agree_at_every_moment_of_every_world(record_property):
    seen = list(map(world_of, range(WORLDS)) if os.environ.get("CHAPERONE_PROOF") == "full" else sampled(SAMPLE, seed=7))
    assert [s for s in seen if not agrees(s)][:1] == []
    opened = sum(lease(s, NOW).permits(NOW) for s in seen)
    record_property("covered", f"{len(seen):,} worlds, {opened:,} of them open")
    assert opened > len(seen) / 20, "a rule that never opens proves nothing"


def world(*people: Exposed, **more) -> Snapshot:
    proofs = {"recorder_until": 9.0, "owner_until": 9.0, "opens_at": 0.0, "closes_at": 9.0}
    return Snapshot(people, **{**proofs, **more})


TEACHER = Exposed("t", Kind.STAFF, True, 3.0)
ASSISTANT = Exposed("a", Kind.STAFF, True, 2.5)
GUEST = Exposed("g", Kind.GUEST, False, 8.0)
ALI, BEA = Exposed("ali", Kind.CHILD, True, 2.0), Exposed("bea", Kind.CHILD, True, 1.5)


def test_an_adult_is_never_alone_with_a_child():
    assert lease(world(TEACHER, ALI), 1.0).reasons == (Hold.LONE_ADULT,)


def test_the_lease_ends_when_the_second_child_can_no_longer_be_proved():
    assert lease(world(TEACHER, ALI, BEA), 1.0).until == BEA.alive_until


def test_children_are_never_together_without_an_adult():
    assert lease(world(ALI, BEA), 1.0).reasons == (Hold.NO_ADULT,)


def test_a_guest_protects_nobody():
    assert lease(world(GUEST, ALI, BEA), 1.0).reasons == (Hold.NO_ADULT,)
    assert lease(world(TEACHER, GUEST, ALI), 1.0).reasons == (Hold.LONE_ADULT,)


def test_two_cleared_adults_may_be_with_one_child():
    assert lease(world(TEACHER, ASSISTANT, ALI), 1.0).until == ASSISTANT.alive_until


def test_a_pupil_who_does_not_count_is_exposed_and_protects_nobody():
    ghost = Exposed("bea", Kind.CHILD, False, 9.0)
    assert lease(world(TEACHER, ALI, ghost), 1.0).reasons == (Hold.LONE_ADULT,)


def test_adults_among_themselves_are_open_when_recorded():
    assert lease(world(TEACHER, GUEST), 1.0).permits(1.0)
    assert lease(world(TEACHER, GUEST, recorder_until=1.0), 1.0).reasons == (Hold.NOT_RECORDED,)


def test_an_approval_opens_for_exactly_its_pair_and_its_time():
    yes = Approval("t", "ali", 0.0, 1.8)
    assert lease(world(TEACHER, ALI, approvals=(yes,)), 1.0).until == 1.8
    assert lease(world(TEACHER, ALI, approvals=(yes,)), 1.8).reasons == (Hold.APPROVAL_ENDED, Hold.LONE_ADULT)
    assert lease(world(TEACHER, BEA, approvals=(yes,)), 1.0).reasons == (Hold.LONE_ADULT,)
    assert lease(world(TEACHER, GUEST, ALI, approvals=(yes,)), 1.0).reasons == (Hold.LONE_ADULT,)


def test_a_lesson_for_one_pupil_is_held_without_its_approval_whoever_else_is_there():
    yes = Approval("t", "ali", 1.0, 1.8)
    everybody = {"needs_approval": True, "approvals": (yes,)}
    assert lease(world(TEACHER, ASSISTANT, ALI, BEA, needs_approval=True), 1.0).reasons == (Hold.APPROVAL_ENDED,)
    assert lease(world(TEACHER, ASSISTANT, ALI, **everybody), 0.9).reasons == (Hold.OUTSIDE_WINDOW,), "it is still to come"
    assert lease(world(TEACHER, ASSISTANT, ALI, **everybody), 1.0).until == 1.8
    assert lease(world(TEACHER, ALI, **everybody), 1.0).until == 1.8
    assert lease(world(TEACHER, ASSISTANT, ALI, **everybody), 1.8).reasons == (Hold.APPROVAL_ENDED,)
    later = Approval("t", "ali", 2.0, 2.4)
    again = {"needs_approval": True, "approvals": (yes, later)}
    assert lease(world(TEACHER, ASSISTANT, ALI, **again), 1.0).until == 1.8, "this one has begun, whatever is to come"
    assert lease(world(TEACHER, ASSISTANT, BEA, **again), 1.9).reasons == (Hold.OUTSIDE_WINDOW,), "the next one is to come"
    never = {"needs_approval": True, "approvals": (Approval("t", "ali", 2.0, 2.0),)}
    assert lease(world(TEACHER, ASSISTANT, ALI, **never), 1.0).reasons == (Hold.APPROVAL_ENDED,)


def test_who_says_nothing_is_given_nothing():
    assert Snapshot() == Snapshot((), (), -inf, -inf, inf, -inf, stopped=False, barred=False, needs_approval=False)
    assert lease(Snapshot(), 1.0).reasons == (Hold.NOT_RECORDED, Hold.NO_ADULT, Hold.OUTSIDE_WINDOW, Hold.STARTING)
    assert Hold.OUTSIDE_WINDOW in lease(Snapshot(opens_at=-inf), 1.0).reasons


def test_how_long_each_proof_lasts_is_what_the_page_on_supervision_gives_reasons_for():
    lasting = (supervision.MEDIA_PROOF, supervision.ADULT_PAGE_PROOF, supervision.CHILD_PAGE_PROOF, supervision.RECORDER_PROOF,
               supervision.OWNER_PROOF, supervision.FIRST_STEADY, supervision.AGAIN_STEADY)
    assert lasting == (2.0, 3.0, 10.0, 3.0, 3.0, 1.0, 0.3)


def test_every_reason_has_its_place():
    nothing = Snapshot((TEACHER,), stopped=True, barred=True)
    assert [r.value for r in lease(nothing, 4.0).reasons] == [
        "stopped-by-school", "not-recorded", "no-adult", "not-permitted", "outside-window", "starting",
    ]
