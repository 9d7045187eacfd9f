"""On which days the school teaches: its terms, its weekdays, without its closures."""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.people.tables import Closure, School, TermDate


@dataclass(frozen=True)
class SchoolDays:
    """`terms`: runs of days of which both ends count. `weekdays`: Monday is 0."""

    terms: tuple[tuple[date, date], ...]
    closures: frozenset[date]
    weekdays: frozenset[int]

    def has(self, day: date) -> bool:
        in_term = any(first <= day <= last for first, last in self.terms)
        return in_term and day.weekday() in self.weekdays and day not in self.closures

    def after(self, day: date, number: int) -> date:
        """The `number`-th school day after `day`. Holidays may lie between; without terms to come plain days count."""
        begins = day
        for later in range(1, 400):
            each = begins + timedelta(later)
            if self.has(each):
                day, number = each, number - 1
            if number == 0:
                return each
        return day + timedelta(number)


async def school_days(session: AsyncSession, school_id: str) -> SchoolDays:
    terms = (await session.exec(select(TermDate).where(TermDate.school_id == school_id))).all()
    closures = (await session.exec(select(Closure).where(Closure.school_id == school_id))).all()
    school = await session.get_one(School, school_id)
    return SchoolDays(tuple((term.starts_on, term.ends_on) for term in terms), frozenset(one.closed_on for one in closures),
                      frozenset(map(int, school.teaches_on)))
