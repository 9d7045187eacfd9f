"""Every short history of events, and long random ones, against an oracle that derives the invariants again.

At each step a packet of every source and a chat line are attempted; what the gate and the routes let through must break
no invariant, and enough must get through: a gate that never opens fails here too.
"""

import itertools
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from lessons.live import effects as fx
from lessons.live import events as ev
from lessons.live import messages as m
from lessons.live.plan import Place
from lessons.live.room import Room
from tests.room.oracle import ADULTS, CHILDREN, GUESTS, World
from tests.room.stage import ALI, ASSISTANT, BEA, CAL, DAN, SIGNER, START, TEACHER, Stage, approved, plan_of

FULL = os.environ.get("CHAPERONE_PROOF") == "full"
PEOPLE = sorted(ADULTS | GUESTS | CHILDREN)
KINDS = ("attend", "microphone", "camera", "chat", "screen")
QUORUM = ("teacher", "ali", "bea")
MAIN, ANOTHER = Place("main", "Main room"), Place("another", "Room 2")
ROOMS = {"main": MAIN, "rooms": (Place("lesson", "Room 1"), ANOTHER)}
"""Makes the room of a plan a breakout room; its neighbours' acts reach it as events."""


class Wrong(AssertionError):
    """A delivery that an invariant forbids, or one that nothing forbids and that was not made."""


class Trial:
    """A stage and the oracle's world, told the same things."""

    def __init__(self, make: Callable[..., Room] = Room, *, is_breakout: bool = False) -> None:
        plan = plan_of(
            TEACHER, ASSISTANT, SIGNER, ALI, BEA, CAL, DAN, starts_at=START, ends_at=START + timedelta(seconds=540),
            hard_end_at=START + timedelta(seconds=600), **(ROOMS if is_breakout else {}),
        )
        self.stage = Stage(plan=plan, boot=0.0, wall=START, make=make)
        self.world = World(permitted={p: set(KINDS) for p in PEOPLE})
        self.attempted: Counter[str] = Counter()
        self.clear_since = inf
        self.before = frozenset[str]()

    # Doing the same to both

    def join(self, person: str) -> None:
        if person not in self.stage.plan.places:
            self.world.away.discard(person)
        self.stage.join(person)
        if person in self.stage.connections:
            self.world.media[person] = self.world.page[person] = -inf

    def drop(self, person: str) -> None:
        if person in self.stage.connections:
            self.stage.drop(person)
        self._gone()

    def send(self, person: str, message: m.ClientMessage) -> None:
        if person in self.stage.connections:
            self.stage.send(person, message)

    def remove(self, person: str) -> None:
        if "teacher" in self.world.exposed and person in self.world.exposed:
            self.world.removed.add(person)
        self.send("teacher", m.Remove(person, "test"))
        self._gone()

    def permit(self, person: str, what: str, yes: bool) -> None:
        changed = self.stage.plan.people[person]
        (self.world.permitted[person].add if yes else self.world.permitted[person].discard)(what)
        self.stage.change(changed, **{what: yes})
        self.world.owner = self.world.now  # a plan that was read anew proves whose lesson it is, as in `approve`

    # The other rooms of a lesson with breakout rooms, this being one of them

    def place(self, person: str, *, here: bool) -> None:
        """A pupil belongs here, or in another room."""
        places = {who: room for who, room in self.stage.plan.places.items() if who != person}
        if not here:
            self.world.away.add(person)
            places[person] = ANOTHER.lesson_id
        self.stage.replan(replace(self.stage.plan, places=places))
        self.world.owner = self.world.now
        self._gone()

    def come_elsewhere(self, person: str) -> None:
        if person in self.world.media:
            self.world.away.add(person)
            self.stage.say(ev.CameElsewhere(person))
            self._gone()

    def remove_elsewhere(self, person: str) -> None:
        self.world.removed.add(person)
        self.stage.say(ev.RemovedElsewhere(person))
        self._gone()

    def stop_main(self) -> None:
        self.world.stopped = True
        self.stage.say(ev.MainStopped())

    def end(self, over: str = "") -> None:
        """The lesson ends: its main room says so, or the plan is read, with why the room is over."""
        self.world.ended = True
        if over:
            self.stage.replan(replace(self.stage.plan, over=over))
        else:
            self.stage.say(ev.MainEnded("ended-by-staff"))
        self._gone()

    def approve(self, child: str, seconds: float) -> None:
        if seconds:
            self.world.approvals = {("teacher", child): self.world.now + seconds}
            end = self.stage.wall + timedelta(seconds=seconds)
            pairs = (replace(approved("teacher", child), start=self.stage.wall, end=end),)
        else:
            self.world.approvals, pairs = {}, ()
        self.stage.replan(replace(self.stage.plan, approvals=pairs))
        self.world.owner = self.world.now

    def tick(
        self, silent: frozenset[str] = frozenset(), *, step: float = 0.25, recorded: bool = True, owned: bool = True
    ) -> None:
        """Time passes; everybody but `silent` is heard."""
        w, s = self.world, self.stage
        w.now += step
        s.boot, s.wall = w.now, s.wall + timedelta(seconds=step)
        if w.wrongs():
            self.clear_since = inf  # a proof ran out before it was renewed
        heard = {p: w.now for p in w.media if p not in silent}
        w.media.update(heard)
        w.page.update(heard)
        w.recorder, w.owner = w.now if recorded else w.recorder, w.now if owned else w.owner
        s.say(ev.Proved(heard, heard, w.recorder if recorded else -inf, w.now if owned else -inf))
        self._gone()

    def fail_recorder(self) -> None:
        self.world.recorder = -inf
        self.stage.say(ev.RecorderFailed("test"))

    def _gone(self) -> None:
        gone = self.world.media.keys() - self.stage.connections.keys()
        for person in gone:
            del self.world.media[person], self.world.page[person]

    # Judging

    def judge(self, later: float = 0.0) -> None:
        """Attempt a packet of every source, and a line of chat, `later` seconds after the last event was handled."""
        self._gone()
        self.world.now += later
        self.stage.boot += later
        try:
            self._packets()
            self._nothing_is_held_for_no_reason()
        finally:
            self.world.now -= later
            self.stage.boot -= later
        if not later:
            self._chat()

    def _packets(self) -> None:
        for person in self.stage.connections:
            for source in fx.Source:
                to = self.stage.delivers(person, source)
                recorded = self.stage.boot < self.stage.until and (person, source) in self.stage.routes
                if recorded and (wrong := self.world.wrong_delivery(person, str(source), to)):
                    raise Wrong(f"{person} {source} to {sorted(to)}: {wrong}")
        self.attempted["made" if self.stage.boot < self.stage.until else "refused"] += 1

    def _chat(self) -> None:
        before, judged = len(self.stage.wire), self.world.wrongs()
        for person in list(self.stage.connections):
            if (seat := self.stage.room.seats.get(person)) is not None:
                seat.said_at.clear()
            self.stage.send(person, m.Chat("x", "seven"))
        said = [(to, msg) for _, to, msg in self.stage.wire[before:] if isinstance(msg, m.ChatMessage)]
        for to, message in said:
            everyone = {who for who, other in said if other.id == message.id}
            if judged or "chat" not in self.world.permitted[message.person] or everyone != self.world.exposed:
                raise Wrong(f"chat of {message.person} to {to}: {judged}, {everyone}")

    def _nothing_is_held_for_no_reason(self) -> None:
        """Clear without a break for over a second and a few ticks, with the same people: then it is open."""
        people = frozenset(self.world.media)
        if self.world.wrongs() or people != self.before:
            self.clear_since = inf
        else:
            self.clear_since = min(self.clear_since, self.world.now)
        self.before = people
        if self.world.now - self.clear_since > 2.0 and self.stage.boot >= self.stage.until:
            raise Wrong(f"held without a reason: {self.stage.room.reasons}")


# Every short history

Step = Callable[[Trial], object]
ALPHABET: dict[str, Step] = {
    "teacher joins": lambda t: t.join("teacher"),
    "teacher drops": lambda t: t.drop("teacher"),
    "ali joins": lambda t: t.join("ali"),
    "ali drops": lambda t: t.drop("ali"),
    "bea joins": lambda t: t.join("bea"),
    "bea is removed": lambda t: t.remove("bea"),
    "assistant joins": lambda t: t.join("assistant"),
    "all speak": lambda t: [t.send(p, m.Microphone(True)) for p in PEOPLE],
    "time": lambda t: [(t.tick(), t.judge()) for _ in range(6)],
    "bea is silent": lambda t: [(t.tick(frozenset({"bea"})), t.judge()) for _ in range(9)],
    "unrecorded": lambda t: [(t.tick(recorded=False), t.judge()) for _ in range(13)],
    "recorder fails": lambda t: t.fail_recorder(),
    "ali may not attend": lambda t: t.permit("ali", "attend", False),
    "approved": lambda t: t.approve("ali", 20.0),
}
MORE: dict[str, Step] = {
    "all stall": lambda t: [t.judge(later=2.5), t.tick(step=2.5), t.judge()],
    "all film": lambda t: [t.send(p, m.Camera(True)) for p in PEOPLE],
    "ali loses the camera": lambda t: t.permit("ali", "camera", False),
    "bea comes back elsewhere": lambda t: t.join("bea"),
}
"""Too many for every history; for chosen ones."""
ROOMS_ALPHABET: dict[str, Step] = {
    **{name: ALPHABET[name] for name in ("teacher drops", "ali joins", "bea joins", "assistant joins", "all speak", "time")},
    "bea belongs elsewhere": lambda t: t.place("bea", here=False),
    "bea belongs here": lambda t: t.place("bea", here=True),
    "bea comes elsewhere": lambda t: t.come_elsewhere("bea"),
    "the teacher comes elsewhere": lambda t: t.come_elsewhere("teacher"),
    "bea is removed elsewhere": lambda t: t.remove_elsewhere("bea"),
    "the main room is stopped": lambda t: t.stop_main(),
    "the main room ends": lambda t: t.end(),
    "everybody is brought back": lambda t: t.end("brought-back"),
    "the room is over": lambda t: t.end("ended-by-staff"),
}
"""What may happen to a breakout room."""
DEPTH = 4


def play(history: tuple[str, ...], make: Callable[..., Room] = Room, *, is_breakout: bool = False) -> Trial:
    """From an open lesson of a teacher and two pupils, so that the interesting states are near."""
    trial = Trial(make, is_breakout=is_breakout)
    for person in QUORUM:
        trial.join(person)
    for _ in range(6):
        trial.tick()
        trial.judge()
    for step in history:
        (ALPHABET | MORE | ROOMS_ALPHABET)[step](trial)
        trial.judge()
    trial.tick()
    trial.judge()
    trial.judge(later=1.0)  # nothing more was heard: the lease alone has to be right
    trial.judge(later=2.5)
    return trial


def histories(depth: int, share: float = 1.0, alphabet: dict[str, Step] = ALPHABET) -> list[tuple[str, ...]]:
    every = list(itertools.product(alphabet, repeat=depth))
    return every if share >= 1 else random.Random(11).sample(every, int(len(every) * share))


@pytest.mark.proof
def test_no_history_of_events_ever_breaks_an_invariant(record_property):
    total: Counter[str] = Counter()
    every = histories(DEPTH, 1.0 if FULL else 0.004) + histories(2)
    for history in every:
        total += play(history).attempted
    record_property("covered", f"{len(every):,} histories, {total.total():,} deliveries attempted, {total['made']:,} made")
    assert total["made"] > 0.1 * total.total(), "a gate that never opens proves nothing"


@pytest.mark.proof
def test_no_history_of_a_breakout_room_ever_breaks_an_invariant(record_property):
    total: Counter[str] = Counter()
    every = histories(3, 1.0 if FULL else 0.05, ROOMS_ALPHABET) + histories(1, 1.0, ROOMS_ALPHABET)
    for history in every:
        total += play(history, is_breakout=True).attempted
    record_property("covered", f"{len(every):,} histories, {total.total():,} deliveries attempted, {total['made']:,} made")
    assert total["made"] > 0.1 * total.total(), "a gate that never opens proves nothing"


# Long random ones

MADE: Counter[str] = Counter()


class RoomMachine(RuleBasedStateMachine):
    """Anybody may come, go, fall silent, speak, moderate; clocks, consents, approvals and the recorder change."""

    def __init__(self) -> None:
        super().__init__()
        self.trial = Trial(is_breakout=True)

    @initialize(people=st.sets(st.sampled_from(PEOPLE), max_size=3))
    def begin(self, people):
        for person in sorted({*QUORUM, *people}):
            self.trial.join(person)
        self.passes(6, frozenset(), True, True)

    @rule(person=st.sampled_from(PEOPLE))
    def joins(self, person):
        self.trial.join(person)

    @rule(person=st.sampled_from(PEOPLE))
    def drops(self, person):
        self.trial.drop(person)

    @rule(person=st.sampled_from(PEOPLE), kind=st.sampled_from((m.Microphone, m.Camera, m.Share)), on=st.booleans())
    def switches(self, person, kind, on):
        self.trial.send(person, kind(on))

    @rule(
        by=st.sampled_from(PEOPLE), whom=st.sampled_from(PEOPLE),
        kind=st.sampled_from((m.StopCamera, m.AllowCamera, m.AllowShare, m.ShowShare, m.StopShare, m.AskToUnmute, m.Mute)),
    )
    def moderates(self, by, whom, kind):
        if by in ADULTS:
            self.trial.send(by, kind(whom))

    @rule(person=st.sampled_from(sorted(CHILDREN)), what=st.sampled_from(KINDS[:4]), yes=st.booleans())
    def consent_changes(self, person, what, yes):
        self.trial.permit(person, what, yes)

    @rule(child=st.sampled_from(sorted(CHILDREN)), seconds=st.sampled_from((0.0, 1.0, 30.0)))
    def approval_changes(self, child, seconds):
        self.trial.approve(child, seconds)

    @rule(
        ticks=st.integers(1, 14), silent=st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(PEOPLE), max_size=2)),
        recorded=st.sampled_from((True, True, True, False)), owned=st.sampled_from((True, True, True, False)),
    )
    def passes(self, ticks, silent, recorded, owned):
        for _ in range(ticks):
            self.trial.tick(silent, recorded=recorded, owned=owned)
            self.trial.judge()

    @rule()
    def settles(self):
        """What a lesson mostly is: everybody who should be there is, and time passes."""
        for person in QUORUM:
            if person not in self.trial.world.media:
                self.trial.join(person)
        self.passes(12, frozenset(), True, True)

    @rule(gap=st.sampled_from((0.25, 0.5, 1.75, 2.0, 2.25, 3.0, 5.0)))
    def the_loop_stalls(self, gap):
        self.trial.judge(later=gap)
        self.trial.tick(step=gap)

    @rule()
    def the_recorder_fails(self):
        self.trial.fail_recorder()

    @precondition(lambda self: "cal" in self.trial.world.media)
    @rule()
    def cal_is_removed(self):
        self.trial.remove("cal")

    @rule(person=st.sampled_from(("ali", "bea", "cal")), here=st.booleans())
    def belongs_in_another_room(self, person, here):
        self.trial.place(person, here=here)

    @rule(person=st.sampled_from(PEOPLE))
    def comes_into_another_room(self, person):
        self.trial.come_elsewhere(person)

    @invariant()
    def nothing_forbidden_is_delivered(self):
        self.trial.judge()

    def teardown(self):
        MADE.update(self.trial.attempted)


@pytest.mark.proof
def test_long_random_histories_break_no_invariant_and_a_third_of_what_is_attempted_is_delivered(record_property):
    MADE.clear()
    examples = 1500 if FULL else 40
    run_state_machine_as_test(
        RoomMachine,
        settings=settings(
            max_examples=examples, stateful_step_count=30, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate,), report_multiple_bugs=False,
        ),
    )
    record_property("covered", f"{examples:,} histories, {MADE.total():,} deliveries attempted, {MADE['made']:,} made")
    assert MADE["made"] >= 0.3 * MADE.total(), MADE
