"""The demo school's timetable: lessons earlier, now, later and on other days, one of every state a page can show.

Each obeys the rules it would be planned under; the one that does not waits for a senior leader, as it would.
"""

import json
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import rules
from lessons.tables import Lesson, LessonAdult, LessonLink, Series, WordListVersion
from service.people.tables import GroupMember, Person, School, TeachingGroup
from service.safeguarding.tables import ApprovedPlatform

HELD_WORDS = ("dumb", "hate you", "idiot", "kill yourself", "phone number", "shut up", "snapchat", "stupid", "ugly", "whatsapp")
ALLOWED_LINKS = (
    "bbc.co.uk/bitesize", "britishmuseum.org", "natgeokids.com", "nhm.ac.uk", "nrich.maths.org", "phet.colorado.edu",
    "poetryfoundation.org", "thenational.academy",
)


def hours_around(now: datetime, zone: str) -> tuple[str, str]:
    """School hours from 8am to 5pm, drawn out where needed, so that a lesson can be planned whenever the demo is tried."""
    local = now.astimezone(ZoneInfo(zone))
    opens = min(time(8), time(max(local.hour - 1, 0)))
    closes = max(time(17), time(local.hour + 3) if local.hour < 21 else time(23, 59))
    return f"{opens:%H:%M}", f"{closes:%H:%M}"


class Timetable:
    """Writes lessons of one school around `now`. `staff` by family name."""

    def __init__(self, session: AsyncSession, school: School, staff: dict[str, Person], now: datetime):
        self.session, self.school, self.staff, self.now = session, school, staff, now
        self.today = now.astimezone(ZoneInfo(school.zone)).date()

    async def write(self, oak: TeachingGroup, elm: TeachingGroup, maths: TeachingGroup) -> None:
        await self._classes(oak, elm, maths)
        self._lists()
        await self._of_today(oak, elm)
        await self._of_other_days(oak, elm, maths)

    async def _classes(self, oak: TeachingGroup, elm: TeachingGroup, maths: TeachingGroup) -> None:
        """Mr Hall teaches every class; a colleague or two teach some of them as well."""
        teaches = {"Hall": (oak, elm, maths), "Cole": (oak, elm), "Khan": (maths,)}
        self.session.add_all(
            GroupMember(group_id=group.id, person_id=self.staff[name].id, school_id=self.school.id, part="teacher")
            for name, groups in teaches.items() for group in groups
        )
        await self.session.flush()

    def _lists(self) -> None:
        dsl = self.staff["Okafor"].id
        self.session.add(WordListVersion(
            school_id=self.school.id, version=1, words=json.dumps(HELD_WORDS), allowed_links=json.dumps(ALLOWED_LINKS),
            reason="The lists we start with, agreed with the subject leads", changed_by=dsl, changed_at=self.now - timedelta(40),
        ))
        self.session.add(ApprovedPlatform(
            school_id=self.school.id, name="Chaperone", host="", approved_by=self.staff["Marsh"].id,
            approved_on=self.today - timedelta(40), review_on=self.today + timedelta(325),
        ))

    async def _of_today(self, oak: TeachingGroup, elm: TeachingGroup) -> None:
        earlier = await self.lesson(oak, "English: war poems", self.now - timedelta(minutes=170), 40, "Cole",
                                    links=("https://www.poetryfoundation.org/",), about="Two poems, read aloud and compared.")
        earlier.started_at, earlier.ended_at, earlier.end_reason = earlier.starts_at, earlier.ends_at, "time"
        await self.lesson(oak, "Maths: fractions", self.now - timedelta(minutes=2), 40, "Hall",
                          links=("https://nrich.maths.org/fractions",), about="Halves, thirds and quarters on a number line.")
        await self.lesson(elm, "Story time", self._soon(90), 25, "Hall", second="Bello", about="The next chapter, then drawing.",
                          links=("https://www.natgeokids.com/uk/discover/animals/",), previewed=False)

    async def _of_other_days(self, oak: TeachingGroup, elm: TeachingGroup, maths: TeachingGroup) -> None:
        await self.lesson(maths, "Algebra: brackets", self._at(1, 11), 55, "Hall", links=("https://nrich.maths.org/algebra",))
        phonics = await self.lesson(elm, "Phonics", self._at(1, 9), 25, "Cole")
        phonics.status, phonics.cancelled_because = "cancelled", "Training day for the team"
        history = await self.lesson(oak, "History: the Romans", self._at(2, 10), 40, "Cole",
                                    links=("https://www.britishmuseum.org/learn",), previewed=False)
        history.moved_from = self._at(2, 9)
        await self.lesson(maths, "Graphs", self._at(3, 13, 30), 50, "Khan", part="cover")
        await self._waiting(maths)
        series = Series(school_id=self.school.id, until=self.today + timedelta(weeks=4))
        self.session.add(series)
        await self.session.flush()
        for week in range(4):
            await self.lesson(oak, "Science: forces", self._at(4 + 7 * week, 14), 45, "Hall", series=series)

    async def _waiting(self, group: TeachingGroup) -> None:
        lesson = await self.lesson(group, "Maths challenge", self._at(5, 10), 75, "Hall")
        lesson.status, lesson.outside = "waiting", rules.Rule.LENGTH
        lesson.asked_because = "The challenge paper takes 70 minutes. There is a break in the middle."

    async def lesson(self, group: TeachingGroup, title: str, starts_at: datetime, minutes: int, teacher: str, *,
                     second: str = "", part: str = "teacher", links: Sequence[str] = (), previewed: bool = True, about: str = "",
                     series: Series | None = None) -> Lesson:
        planner = self.staff["Hall"] if part == "cover" else self.staff[teacher]
        lesson = Lesson(
            school_id=self.school.id, group_id=group.id, series_id=series.id if series else None, title=title, about=about,
            starts_at=starts_at, ends_at=starts_at + timedelta(minutes=minutes), planned_by=planner.id,
            planned_at=self.now - timedelta(days=3),
        )
        self.session.add(lesson)
        for name, its_part in ((teacher, part), (second, "second")):
            if name:
                self.session.add(LessonAdult(lesson_id=lesson.id, person_id=self.staff[name].id, school_id=self.school.id,
                                             part=its_part))
        self.session.add_all(LessonLink(
            school_id=self.school.id, lesson_id=lesson.id, url=url, previewed_by=planner.id if previewed else "",
            previewed_at=self.now - timedelta(hours=4) if previewed else None,
        ) for url in links)
        await self.session.flush()
        return lesson

    def _soon(self, minutes: int) -> datetime:
        """About so many minutes from now, on a five-minute mark."""
        at = self.now + timedelta(minutes=minutes)
        return at.replace(minute=at.minute // 5 * 5, second=0, microsecond=0)

    def _at(self, days: int, hour: int, minute: int = 0) -> datetime:
        return rules.moment(self.today + timedelta(days), time(hour, minute), self.school.zone)
