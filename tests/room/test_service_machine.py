"""The real service, from its doors and sockets to its database, driven at random on a clock of our own.

What goes over the wire is judged by the oracle, which knows only what was done and shares no code with the rule. Between
two steps packets are attempted at random moments, as they come on a network. At least 30 % must be permitted and made, some of
them in one-to-ones that a leader approved and some in breakout rooms; and a room that has been in order for a second must
deliver the next one.

`CHAPERONE_SEED=…` begins with another seed, and so plays a failure again; `CHAPERONE_DELIVERIES=…` stops after so many.
"""

import itertools
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import get_state_machine_test, initialize, rule

from lessons.live.host import Host
from lessons.one_to_one import now as one_to_ones
from service.foundation.errors import Conflict
from service.foundation.events import Role
from tests import one_to_one
from tests.room.pages import Page
from tests.room.service import COUNTED, NAMES, PUPILS, Driven

FULL = os.environ.get("CHAPERONE_PROOF") == "full"
DELIVERIES = int(os.environ.get("CHAPERONE_DELIVERIES", "10000000" if FULL else "20000"))
SEED = int(os.environ.get("CHAPERONE_SEED", "20261122"))
CLASS = ("teacher", "ali", "bea", "cal")
COVERED = ("chat made", "made one-to-one", "made in breakout rooms", "approved", "revoked", "approver lost the role", "expired",
           "rooms opened", "placed", "brought back")
"""What must have happened in a proof at full size."""


class ServiceMachine(Driven):
    """People come, go, fall silent, speak, write and are removed; leaders approve and revoke one-to-ones; the lesson splits into
    breakout rooms and comes together; families change their minds; things break; clocks jump."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms: list[str] = []
        self.approvals: dict[str, str] = {}
        self.leader = "Dr Marsh"

    @initialize(near_its_end=st.sampled_from((False, False, False, True)))
    def a_lesson_begins(self, near_its_end: bool) -> None:
        if near_its_end:
            self._advance(self.ends - 60 - self.school.clock.boottime())
        for name in CLASS:
            self.enter(name, self.lesson.id)
        self.time_passes(8, frozenset(), recorded=True, current=True)
        self.speaks("teacher")

    # People

    @rule(name=st.sampled_from(NAMES), where=st.integers(0, 2))
    def comes(self, name: str, where: int) -> None:
        """To any of the rooms of the lesson; to the main one as long as there are no others."""
        self.enter(name, [self.lesson.id, *self.rooms][where % (len(self.rooms) + 1)])

    @rule(name=st.sampled_from(NAMES))
    def is_lost(self, name: str) -> None:
        if (page := self.pages.get(name)) is not None:
            where = self.at[name]
            page.vanish()
            self.until(lambda: self.ids[name] not in self.connected(where))
            self.look()

    @rule(name=st.sampled_from(NAMES))
    def leaves(self, name: str) -> None:
        if (page := self.pages.get(name)) is not None:
            page.say("leave")
            self.do(page.until(lambda: page.code is not None))
            self.look()

    @rule(name=st.sampled_from(NAMES), kind=st.sampled_from(("microphone", "camera", "share")), on=st.booleans())
    def switches(self, name: str, kind: str, on: bool) -> None:
        self.say(name, kind, on=on)

    @rule(name=st.sampled_from(NAMES))
    def speaks(self, name: str) -> None:
        for kind in ("microphone", "camera"):
            self.say(name, kind, on=True)

    @rule(name=st.sampled_from(NAMES))
    def writes(self, name: str) -> None:
        """A line of chat reaches everybody in the room or nobody, and only while all is in order there."""
        page = self.pages.get(name)
        if page is None:
            return
        before = {other: len(each.all("chat")) for other, each in self.pages.items()}
        refused = len(page.all("chat_held")) + len(page.all("chat_refused"))
        page.say("chat", own=f"line {len(page.told)}", text="seven")
        self.until(lambda: any(len(each.all("chat")) > before[other] for other, each in self.pages.items())
                   or len(page.all("chat_held")) + len(page.all("chat_refused")) > refused or page.code is not None)
        got = {other for other, each in self.pages.items() if len(each.all("chat")) > before[other]}
        if got:
            world = self.worlds[self.at[name]]
            assert not world.wrongs(), (name, got, world.wrongs())
            assert got == world.exposed, (name, got)
            assert "chat" in self.permitted[name]
        COUNTED["chat made" if got else "chat refused"] += 1

    @rule(name=st.sampled_from(PUPILS))
    def is_removed(self, name: str) -> None:
        """By an adult in the same room; out of one room is out of all."""
        by = next((adult for adult in ("teacher", "assistant") if self.at.get(adult) == self.at.get(name, "nowhere")), None)
        if by is not None and not self.removed:
            self.removed.add(name)
            page = self.pages[name]
            self.pages[by].say("remove", person=self.ids[name], reason="test")
            self.do(page.until(lambda: page.code is not None))
            self.look()

    @rule(name=st.sampled_from(PUPILS), what=st.sampled_from(("attend", "camera", "microphone", "chat")), yes=st.booleans())
    def the_family_decides(self, name: str, what: str, yes: bool) -> None:
        """The office writes it down; it holds in the room with the next reading of the plan."""
        self.do(self._decide(name, what, yes))
        (self.permitted[name].add if yes else self.permitted[name].discard)(what)
        self.confirm()

    async def _decide(self, name: str, what: str, yes: bool) -> None:
        child = self.ids[name]
        async with await self.school.signed_in("office") as office:
            asked = await office.get(f"/permissions/children/{child}")
            assert asked.status_code == 200
            by = asked.text.split('name="respondent"')[1].split('value="')[1].split('"')[0]
            today = self.school.clock.now()
            answer = await office.post(f"/permissions/children/{child}", data={
                "respondent": by, "day": str(today.day), "month": str(today.month), "year": str(today.year),
                "route": "in_person", what: "yes" if yes else "no"})
        assert answer.status_code == 303, answer.text

    @rule(name=st.sampled_from(NAMES))
    def is_signed_out(self, name: str) -> None:
        if (page := self.pages.get(name)) is not None:
            where = self.at[name]
            self.do(self._sign_out(page))
            self.confirm()
            assert self.ids[name] not in self.connected(where)

    async def _sign_out(self, page: Page) -> None:
        async with self.school.client(page.cookie) as client:
            await client.post("/sign-out")

    # One-to-ones

    @rule(child=st.sampled_from(PUPILS), agreed=st.sampled_from((True, True, False)))
    def is_left_alone_with(self, child: str, agreed: bool) -> None:
        """The teacher stays with one child, asks a leader for the rest of the lesson, and waits for the answer."""
        for name in [name for name in self.pages if name not in ("teacher", child)]:
            self.leaves(name)
        for name in ("teacher", child):
            if self.at.get(name) != self.lesson.id:
                self.enter(name, self.lesson.id)
        self.time_passes(3, frozenset(), recorded=True, current=True)
        self._ask(child, agreed)
        self.speaks("teacher")
        self.speaks(child)
        self.time_passes(12, frozenset(), recorded=True, current=True)

    def _ask(self, child: str, agreed: bool) -> None:
        try:
            request = self.do(self._asked(child))
        except Conflict:  # the lesson's time is over, the child may not take part, or there was one that ended
            COUNTED["asked in vain"] += 1
            return
        if not agreed:
            self.do(one_to_one.refuse(self.school, request, by=self.leader))
            COUNTED["refused by a leader"] += 1
            return
        self.do(one_to_one.approve(self.school, request, by=self.leader))
        [given] = self.do(one_to_one.given(self.school, request))
        self.approvals[child] = given.id
        self.main.approvals["teacher", child] = self.ends
        COUNTED["approved"] += 1
        self.confirm()

    async def _asked(self, child: str) -> str:
        who = await one_to_one.actor(self.school, self.ids["teacher"])
        async with self.school.database.writing() as session:
            return await one_to_ones.ask_now(session, who, self.lesson.id, self.ids[child], "They have no power.",
                                             self.school.clock.now())

    @rule(child=st.sampled_from(PUPILS))
    def its_approval_is_revoked(self, child: str) -> None:
        if (given := self.approvals.pop(child, "")) and self.school.clock.boottime() < self.ends:
            self.do(one_to_one.revoke(self.school, given, by=self.leader))
            self.main.approvals.pop(("teacher", child), None)
            COUNTED["revoked"] += 1
            self.confirm()

    @rule()
    def who_approved_loses_the_role(self) -> None:
        """Once: from then on another headteacher decides. What was approved by the first has ended for good."""
        if self.leader == "Dr Marsh" and self.approvals:
            head = self.do(one_to_one.named(self.school, self.leader))
            self.do(one_to_one.set_roles(self.school, head.person_id, Role.TEACHER))
            self.leader = "Ms Cole"
            self.approvals.clear()
            self.main.approvals.clear()
            COUNTED["approver lost the role"] += 1
            self.confirm()

    # Breakout rooms

    @rule(into=st.sampled_from((1, 2)))
    def the_lesson_splits(self, into: int) -> None:
        """Into a room of each adult with two pupils, or one of the teacher's with three; everybody goes where they belong."""
        if self.rooms:
            return
        self.do(self._split(into))
        self.look()
        if self.rooms:
            COUNTED["rooms opened"] += 1
        self.everybody_goes_where_they_belong()

    async def _split(self, into: int) -> None:
        pupils = [name for name in PUPILS if "attend" in self.permitted[name] and name not in self.removed]
        groups = [("teacher", *pupils[:2]), ("assistant", *pupils[2:])] if into == 2 else [("teacher", *pupils[:3])]
        body = {"rooms": [{"name": f"Room {n}", "adults": [self.ids[adult]], "pupils": [self.ids[one] for one in pupils]}
                          for n, (adult, *pupils) in enumerate(groups, 1)]}
        answer = await self.lesson.ask(self.ids["teacher"], body=body)
        if answer.status_code != 201:  # somebody may not take part, or the lesson's time is over
            return
        self.rooms = answer.json()["rooms"]
        for room in self.rooms:
            self._know(room, self.school.clock.boottime())
        for room, group in zip(self.rooms, groups, strict=True):
            self._place(group[1:], room)

    def _place(self, pupils: tuple[str, ...], room: str) -> None:
        """A pupil belongs in one room of the lesson; every other is another."""
        for lesson_id, world in self.worlds.items():
            world.away = world.away - set(pupils) if lesson_id == room else world.away | set(pupils)

    @rule()
    def everybody_goes_where_they_belong(self) -> None:
        for name in NAMES if self.rooms else ():
            if name not in self.pages:
                self.enter(name, self._home(name))
        for name in ("teacher", "assistant", "ali"):
            self.speaks(name)
        self.time_passes(10, frozenset(), recorded=True, current=True)

    def _home(self, name: str) -> str:
        if name in PUPILS:
            return next((room for room in self.rooms if name not in self.worlds[room].away), self.lesson.id)
        return self.rooms[0] if name == "teacher" else [self.lesson.id, *self.rooms][len(self.rooms) - 1 and 2]

    @rule(name=st.sampled_from(PUPILS), where=st.integers(0, 2))
    def is_placed(self, name: str, where: int) -> None:
        """By the teacher; an arrangement that would leave an adult with one pupil is refused and changes nothing."""
        if not self.rooms:
            return
        room = ["", *self.rooms][where % (len(self.rooms) + 1)]
        answer = self.do(self.lesson.ask(self.ids["teacher"], "/move", {"person": self.ids[name], "to": room}))
        if answer.status_code < 300:
            self._place((name,), room or self.lesson.id)
            COUNTED["placed"] += 1
        self.look()

    @rule()
    def everybody_is_brought_back(self) -> None:
        if not self.rooms:
            return
        answer = self.do(self.lesson.ask(self.ids["teacher"], "/close"))
        assert answer.status_code < 300, answer.text
        over, self.rooms = self.rooms, []
        for room in over:
            self.worlds[room].ended = True
        self._place(PUPILS, self.lesson.id)
        COUNTED["brought back"] += 1
        self.until(lambda: not any(self.school.app.state.rooms.live(room) for room in over))
        self.look()
        self.the_lesson_goes_on()

    # Time, and what goes wrong

    @rule(steps=st.integers(1, 14), silent=st.frozensets(st.sampled_from(NAMES), max_size=2),
          recorded=st.sampled_from((True, True, True, False)), current=st.sampled_from((True, True, True, False)))
    def time_passes(self, steps: int, silent: frozenset[str], recorded: bool, current: bool) -> None:
        for _ in range(steps):
            self.step(silent, recorded, current)
            if self.approvals and self.school.clock.boottime() >= self.ends:
                COUNTED["expired"] += len(self.approvals)
                self.approvals.clear()

    @rule()
    def the_lesson_goes_on(self) -> None:
        """What a lesson mostly is."""
        for name in CLASS:
            if name not in self.pages:
                self.enter(name, self.lesson.id)
        self.speaks("teacher")
        self.time_passes(24, frozenset(), recorded=True, current=True)
        self.writes("teacher")

    @rule(seconds=st.sampled_from((1.0, 2.0, 2.25, 3.0, 5.0)))
    def the_loop_stalls(self, seconds: float) -> None:
        """Nothing is handled meanwhile; packets come all the same."""
        self.stall(seconds)
        self.step((), recorded=True, current=True)

    @rule()
    def the_recorder_fails(self) -> None:
        for host in self.hosts():
            self.worlds[host.room.plan.lesson_id].recorder = float("-inf")
            host.recorder_failed("test")
        self.look()

    @rule(minutes=st.sampled_from((-5, 5)))
    def somebody_sets_the_clock(self, minutes: float) -> None:
        """Back or forward for a moment, and right again. Of each time the more careful word stands: a start is not sooner,
        an end not later, than any clock has said."""
        clock, right = self.school.clock, self.school.clock.now()
        clock.set(right + timedelta(minutes=minutes))
        for host in self.hosts():
            host.tick()
        clock.set(right)
        for host in self.hosts():
            world = self.worlds[host.room.plan.lesson_id]
            world.opens = max(world.opens, self.begins[host.room.plan.lesson_id] - 60 * minutes)
            world.closes = min(world.closes, self.closes - 60 * minutes)
            for pair in world.approvals:
                world.approvals[pair] = min(world.approvals[pair], self.ends - 60 * minutes)
        if minutes < 0:
            self.not_before = self.school.clock.boottime() - 60 * minutes
        self.look()


def play(histories: int, steps: int, first_seed: int) -> None:
    ServiceMachine.seed = first_seed
    run = seed(first_seed)(get_state_machine_test(ServiceMachine, settings=settings(
        max_examples=histories, stateful_step_count=steps, deadline=None, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck), phases=(Stage.generate,), report_multiple_bugs=False,
    )))
    try:
        run()
    except BaseException as error:
        error.add_note(f"To play this again: CHAPERONE_SEED={first_seed}")
        raise


@pytest.mark.proof
def test_the_real_service_delivers_nothing_forbidden_and_a_third_of_what_is_attempted(
    template: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setattr(ServiceMachine, "template", template, raising=False)
    monkeypatch.setattr(ServiceMachine, "moments", 150 if FULL else 4)
    COUNTED.clear()
    began = time.process_time()
    for number in itertools.count(SEED):
        play(*((25, 60) if FULL else (4, 30)), number)
        attempted = COUNTED["made"] + COUNTED["refused"]
        if attempted >= DELIVERIES and (not FULL or all(COUNTED[what] for what in COVERED) or attempted >= 4 * DELIVERIES):
            break
    record_property("covered", f"{attempted:,} deliveries attempted, {COUNTED['made'] / attempted:.0%} made, none forbidden; "
                               f"{time.process_time() - began:.0f} s of processor; seeds {SEED} to {number}; {dict(COUNTED)}")
    assert COUNTED["made"] >= 0.3 * attempted, COUNTED
    missing = [what for what in COVERED if not COUNTED[what]]
    assert not (FULL and missing), missing


def test_a_service_whose_gate_outlives_its_lease_is_found_out(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the gate is told an hour more than the rule said."""
    monkeypatch.setattr(ServiceMachine, "template", template, raising=False)
    told = Host._set_gate
    monkeypatch.setattr(Host, "_set_gate", lambda host, until: told(host, until + 3600))
    with pytest.raises(BaseException, match=r"I1 never alone|I2 recorded|I4 supervised|I8 owned"):
        play(3, 30, SEED)
