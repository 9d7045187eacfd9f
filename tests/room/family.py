"""A lesson with breakout rooms, over the real application: two adults, four pupils, and time that passes in every room."""

import asyncio
from collections.abc import Sequence
from typing import Any

from lessons import commands
from lessons.live.host import Host
from service.foundation.bus import deliver
from service.people import sessions
from service.wiring import SUBSCRIBERS
from tests.room.pages import DOOR, Lesson, Page, PlayedMedia
from tests.school import Running


class Family(Lesson):
    """The lesson that is on, with an assistant. `rooms`: breakout ids in the order they were asked for."""

    def __init__(self, school: Running):
        super().__init__(school)
        self.assistant_id = ""
        self.rooms: list[str] = []

    async def begin(self, pupils: int = 4) -> "Family":
        """A teacher, an assistant and four pupils in an open main room."""
        self.assistant_id = await self.second_adult()
        self.teacher_page, self.assistant_page = await self.teacher(), await (await self.page(self.assistant_id)).enter()
        self.pupil_pages = [await self.pupil(n) for n in range(pupils)]
        await self.opened()
        return self

    async def second_adult(self) -> str:
        async with self.school.database.writing() as session:
            teacher = await sessions.queries.actor(session, self.teacher_id)
            others = [p["id"] for p in self.school.made["people"] if p["role"] == "teacher" and p["id"] != self.teacher_id]
            for other in others:
                try:
                    await commands.add_second(session, teacher, self.id, person_id=other, now=self.school.clock.now())
                except commands.PlanRefused:
                    continue
                return str(other)
        raise AssertionError("nobody of the seeded staff is free")

    def host_of(self, lesson_id: str) -> Host:
        found = self.school.app.state.rooms.live(lesson_id)
        assert found is not None
        return found  # type: ignore[no-any-return]

    def media_of(self, lesson_id: str) -> PlayedMedia:
        return self.host_of(lesson_id).media  # type: ignore[return-value]

    async def ask(self, person: str, path: str = "", body: Any = None, *, get: bool = False) -> Any:
        """Something about breakout rooms, by anybody; and whoever reacts to it has done so."""
        async with self.school.client(await self.school.cookie(person)) as client:
            address = f"/lessons/{self.id}/breakouts{path}"
            asked = client.get(address, headers={"accept": "application/json"}) if get else client.post(address, json=body or {})
            answer = await asked
        await deliver(self.school.database, self.school.app.state, SUBSCRIBERS)
        await self.decided()
        return answer

    async def decided(self) -> None:
        for host in self.school.app.state.rooms.hosts():
            await host.confirm()

    async def split(self, *rooms: tuple[Sequence[str], Sequence[str]]) -> list[str]:
        """Open rooms of (adults, pupils); by default one for the teacher and one for the assistant."""
        wanted = rooms or (([self.teacher_id], self.pupil_ids[:2]), ([self.assistant_id], self.pupil_ids[2:4]))
        body = {"rooms": [{"name": f"Room {n + 1}", "adults": list(a), "pupils": list(p)} for n, (a, p) in enumerate(wanted)]}
        answer = await self.ask(self.teacher_id, body=body)
        assert answer.status_code == 201, answer.text
        self.rooms = answer.json()["rooms"]
        return self.rooms

    async def follow(self, page: Page) -> Page:
        """What a page does when it is told to move: the other room's door, without any answers, and its socket."""
        await page.until(lambda: page.last("move") is not None)
        return await self.come(page, page.last("move")["lesson"])  # type: ignore[index]

    async def come(self, page: Page, lesson_id: str) -> Page:
        """The same page at another room's door."""
        async with self.school.client(page.cookie) as client:
            answer = await client.post(f"/lessons/{lesson_id}/door", json={})
        assert answer.status_code == 200, answer.text
        after = Page(self, page.person, page.cookie).connect(lesson_id=lesson_id)
        self.pages.append(after)
        after.say("hello", ticket=answer.json()["ticket"])
        await after.until(lambda: after.last("state") is not None)
        return after

    async def separated(self) -> tuple[list[Page], list[Page]]:
        """Everybody in their own breakout room, both open: (teacher and two pupils), (assistant and two pupils)."""
        await self.split()
        first = [await self.follow(page) for page in (self.teacher_page, *self.pupil_pages[:2])]
        second = [await self.follow(page) for page in (self.assistant_page, *self.pupil_pages[2:4])]
        await self.open_in(*self.rooms)
        return first, second

    async def pass_time(self, seconds: float, *, silent: tuple[Page, ...] = ()) -> None:
        """Time passes in every room; everybody but `silent` is heard."""
        gone = {page.person for page in silent}
        for _ in range(round(seconds / 0.25)):
            self.school.clock.advance(0.25)
            now = self.school.clock.boottime()
            for host in self.school.app.state.rooms.hosts():
                for connected in list(host.connections.values()):
                    if connected.person not in gone:
                        host.media.heard[connected.person] = connected.page_at = now
                host.recorded(now)
                host.tick()
                await host.confirm()

    async def open_in(self, *lesson_ids: str) -> None:
        async with asyncio.timeout(20):
            await self.pass_time(1.25)
            while not all(self.host_of(each).room.is_open for each in lesson_ids):
                for each in lesson_ids:
                    await self.host_of(each).journal.drained()
                await self.pass_time(0.25)

    async def at_the_door(self, person: str, lesson_id: str, **answers: str) -> Any:
        async with self.school.client(await self.school.cookie(person)) as client:
            return await client.post(f"/lessons/{lesson_id}/door", json={**DOOR, **answers})
