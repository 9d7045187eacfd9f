"""The real service with a lesson, its breakout rooms and people, moved step by step on a clock of our own (for
`test_service_machine.py`): what is done is told to the oracle of each room, and every packet that would be delivered is judged.
"""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from lessons.live.host import Host
from lessons.media.keys import SourceKey
from tests.room.family import Family
from tests.room.oracle import World
from tests.room.pages import DOOR, Page, PlayedMedia
from tests.school import running

NAMES = ("teacher", "assistant", "ali", "bea", "cal", "dan")
PUPILS = NAMES[2:]
MAY = frozenset({"attend", "microphone", "camera", "chat", "screen"})
STEP = 0.25
SETTLES = 2.0
"""Seconds after which a room in order must deliver: one of proof for a first opening, and the steps around it."""
COUNTED: Counter[str] = Counter()
Answer = TypeVar("Answer")


class Driven(RuleBasedStateMachine):
    """`worlds`: what the oracle knows of each room, by its lesson's id. `moments`: of each step, to attempt packets at."""

    template: Path
    moments = 4
    seed = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.running = running(Path(self.folder.name) / "data", template=self.template)
        self.school = self.do(self.running.__aenter__())
        self.lesson = Family(self.school)
        self.lesson.assistant_id = self.do(self.lesson.second_adult())
        people = (self.lesson.teacher_id, self.lesson.assistant_id, *self.lesson.pupil_ids[:4])
        self.ids = dict(zip(NAMES, people, strict=True))
        self.names = {id: name for name, id in self.ids.items()}
        self.pages: dict[str, Page] = {}
        self.at: dict[str, str] = {}
        self.permitted: dict[str, set[str]] = {name: set(MAY) for name in NAMES}
        self.removed: set[str] = set()
        self.worlds: dict[str, World] = {}
        self.media: dict[str, PlayedMedia] = {}
        self.begins: dict[str, float] = {}
        self.clear_since: dict[str, float] = {}
        self.people_before: dict[str, frozenset[str]] = {}
        self.not_before = -inf
        """Until when an approval may be taken for one to come, since a clock was set back."""
        self.chance = random.Random(self.seed)
        self._listen()
        self._know_the_lesson()

    def do(self, work: Awaitable[Answer]) -> Answer:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        Host.recorded, Host.confirm = self.real  # type: ignore[method-assign]
        self.do(self.lesson.end())
        self.do(self.running.__aexit__(None, None, None))
        self.loop.close()
        self.folder.cleanup()

    def _listen(self) -> None:
        """The recorder and the database prove themselves in real time as well: the oracle hears of it where it happens."""
        self.real = recorded, confirm = Host.recorded, Host.confirm

        def durable(host: Host, at: float) -> None:
            if (world := self.worlds.get(host.room.plan.lesson_id)) is not None:
                world.recorder = max(world.recorder, at)
            recorded(host, at)

        async def current(host: Host) -> None:
            asked = self.school.clock.boottime()
            await confirm(host)
            if (world := self.worlds.get(host.room.plan.lesson_id)) is not None:
                world.owner = max(world.owner, asked)

        Host.recorded, Host.confirm = durable, current  # type: ignore[method-assign,assignment]

    def _know_the_lesson(self) -> None:
        found = next(one for one in self.school.made["lessons"] if one["id"] == self.lesson.id)
        clock = self.school.clock
        self.starts, self.ends = (clock.boottime() + (datetime.fromisoformat(found[at]) - clock.now()).total_seconds()
                                  for at in ("starts_at", "ends_at"))
        self.closes = self.ends + 300
        self._know(self.lesson.id, self.starts)

    def _know(self, lesson_id: str, opens: float) -> None:
        self.worlds[lesson_id] = World(now=self.school.clock.boottime(), permitted=self.permitted, removed=self.removed,
                                       opens=opens, closes=self.closes)
        self.begins[lesson_id], self.clear_since[lesson_id], self.people_before[lesson_id] = opens, inf, frozenset()

    @property
    def main(self) -> World:
        return self.worlds[self.lesson.id]

    # What people do

    def enter(self, name: str, lesson_id: str) -> None:
        """Through the door, like anybody; also on another device, and when they were sent out."""
        page = self.do(self._enter(name, lesson_id))
        if page is not None:
            self.pages[name], self.at[name] = page, lesson_id
            self._gone(name)
            world = self.worlds[lesson_id]
            world.media[name] = world.page[name] = -inf
        self.look()

    async def _enter(self, name: str, lesson_id: str) -> Page | None:
        page = await self.lesson.page(self.ids[name])
        async with self.school.client(page.cookie) as client:
            answer = await client.post(f"/lessons/{lesson_id}/door", json={**DOOR, "device": f"device of {name}"})
        if answer.status_code != 200:
            return None
        page.connect(lesson_id=lesson_id)
        page.say("hello", ticket=answer.json()["ticket"])
        await page.until(lambda: page.last("welcome") is not None or page.code is not None)
        return page if page.code is None else None

    def say(self, name: str, kind: str, **fields: object) -> None:
        if (page := self.pages.get(name)) is not None:
            page.say(kind, **fields)
            self.do(turns())
            self.look()

    def hosts(self) -> list[Host]:
        return list(self.school.app.state.rooms.hosts())

    def connected(self, lesson_id: str) -> set[str]:
        host = self.school.app.state.rooms.live(lesson_id)
        return {connected.person for connected in host.connections.values()} if host else set()

    def confirm(self) -> None:
        """Every room reads what was decided."""
        for host in self.hosts():
            self.do(host.confirm())
        self.look()

    def until(self, condition: Callable[[], object]) -> None:
        self.do(self._until(condition))

    async def _until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(15):
            while not condition():
                await turns()

    # Time

    def step(self, silent: Iterable[str], recorded: bool, current: bool) -> None:
        self.attempt(STEP)
        self._advance(STEP)
        now = self.school.clock.boottime()
        for host in self.hosts():
            world, media = self.worlds[host.room.plan.lesson_id], self.media_of(host)
            for connected in list(host.connections.values()):
                name = self.names[connected.person]
                if name not in silent:
                    media.heard[connected.person] = connected.page_at = now
                    world.media[name] = world.page[name] = world.now
            if recorded:
                host.recorded(now)
            host.tick()
            if current:
                self.do(host.confirm())
            self.do(host.journal.drained())
        self.look()
        for lesson_id in self.worlds:
            self._nothing_is_held_for_no_reason(lesson_id)

    def stall(self, seconds: float) -> None:
        """Nothing is handled; packets come all the same."""
        self.attempt(seconds)
        self._advance(seconds)

    def _advance(self, seconds: float) -> None:
        self.school.clock.advance(seconds)
        for world in self.worlds.values():
            world.now += seconds
        self._note_wrongs()

    def _note_wrongs(self) -> None:
        """Also what is wrong for no time at all, as when a recorder fails and another begins, makes a room begin anew."""
        for lesson_id, world in self.worlds.items():
            if world.wrongs():
                self.clear_since[lesson_id] = inf

    # Judging

    def look(self) -> None:
        """Who is still on the wire, and in one room only; then every packet at this very moment."""
        self._note_wrongs()
        self.do(turns())
        for name in list(self.pages):
            if self.pages[name].code is not None or self.ids[name] not in self.connected(self.at[name]):
                del self.pages[name], self.at[name]
                self._gone(name)
        for name, id in self.ids.items():
            rooms = [lesson_id for lesson_id in self.worlds if id in self.connected(lesson_id)]
            assert len(rooms) < 2, f"{name} is in {len(rooms)} rooms of one lesson"
        self.attempt(0.0, moments=1)

    def _gone(self, name: str) -> None:
        for world in self.worlds.values():
            world.media.pop(name, None)
            world.page.pop(name, None)

    def media_of(self, host: Host) -> PlayedMedia:
        media: Any = host.media
        self.media[host.room.plan.lesson_id] = media
        return media  # type: ignore[no-any-return]

    def attempt(self, seconds: float, moments: int = 0) -> None:
        """Packets of every source of every room to everybody in it, at random moments of the next `seconds`. Also of a room
        that is over."""
        for host in self.hosts():
            if host.media is not None:
                self.media_of(host)
        for lesson_id, world in self.worlds.items():
            if lesson_id in self.media:
                self._attempt(world, self.media[lesson_id], seconds, moments or self.moments)

    def _attempt(self, world: World, media: PlayedMedia, seconds: float, moments: int) -> None:
        then, base = world.now, self.school.clock.boottime()
        live = [(self.names[key.peer], str(key.kind), frozenset(self.names[p] for p in to)) for key, to in media.routes.items()]
        everybody, alone = max(1, len(world.media) - 1), world.is_one_to_one
        for _ in range(moments):
            later = self.chance.random() * seconds
            world.now = then + later
            if not media.gate.permits(base + later):
                COUNTED["refused"] += len(live) * everybody
                continue
            wrong = world.wrongs()
            for name, source, to in live:
                found = [*wrong, *world.wrong_way(name, source, to)]
                assert not found, (name, source, sorted(to), found)
                COUNTED["made"] += len(to)
                COUNTED["refused"] += max(0, everybody - len(to))
                COUNTED["made one-to-one"] += len(to) if alone else 0
                COUNTED["made in breakout rooms"] += len(to) if world is not self.main else 0
            assert not wrong or not live, wrong
        world.now = then

    def _nothing_is_held_for_no_reason(self, lesson_id: str) -> None:
        """In order for a second and a few steps, with the same people: then the next packet arrives."""
        world, people = self.worlds[lesson_id], frozenset(self.worlds[lesson_id].media)
        if world.wrongs() or people != self.people_before[lesson_id]:
            self.clear_since[lesson_id] = inf
        else:
            self.clear_since[lesson_id] = min(self.clear_since[lesson_id], world.now)
        self.people_before[lesson_id] = people
        if world.now - self.clear_since[lesson_id] <= SETTLES or (world.is_one_to_one and world.now < self.not_before):
            return
        media, host = self.media[lesson_id], self.lesson.host_of(lesson_id)
        assert media.gate.permits(self.school.clock.boottime()), host.room.reasons
        talks = SourceKey(self.ids["teacher"], "microphone")
        if talks in media.routes and "ali" in world.exposed:
            assert self.ids["ali"] in media.delivers(self.ids["teacher"])


async def turns() -> None:
    """Let everything that is ready be done."""
    for _ in range(12):
        await asyncio.sleep(0)
