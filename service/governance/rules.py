"""What a governor's report says of a number, and which days it is about. Pure. policy: IN3"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from service.foundation.errors import NotFound
from service.foundation.events import LEADERS, SAFEGUARDING, Role

READ = LEADERS | SAFEGUARDING | {Role.GOVERNOR, Role.CHAIR, Role.DPO}
FEW = 5
"""What happened to fewer people than this could name them in a small school."""
ROUNDED = 5
WITHOUT_TERMS = timedelta(weeks=12)


@dataclass(frozen=True)
class Period:
    """Some days of the school, both ends included."""

    name: str
    first: date
    last: date

    @property
    def key(self) -> str:
        return self.first.isoformat()

    def instants(self, zone: str) -> tuple[datetime, datetime]:
        """From its first moment up to its last, in UTC."""
        here = ZoneInfo(zone)
        return (datetime.combine(self.first, time(), here).astimezone(UTC),
                datetime.combine(self.last + timedelta(1), time(), here).astimezone(UTC))


def periods(terms: Iterable[Period], today: date) -> tuple[Period, ...]:
    """The terms that have begun, the newest first; without any, the last weeks."""
    begun = sorted((term for term in terms if term.first <= today), key=lambda term: term.first, reverse=True)
    return tuple(begun) or (Period("The last 12 weeks", today - WITHOUT_TERMS, today),)


def chosen(found: tuple[Period, ...], key: str) -> Period:
    """The period that was asked for, or the newest. Raises NotFound."""
    period = next((each for each in found if key in ("", each.key)), None)
    if period is None:
        raise NotFound()
    return period


@dataclass(frozen=True)
class Line:
    """One number. `of_people`: it counts what happened to or was done by people, so a small one is not said, and nothing about
    it; `more` is said beside it."""

    what: str
    number: int
    more: str = ""
    of_people: bool = True

    @property
    def is_said(self) -> bool:
        return self.number == 0 or self.number >= FEW or not self.of_people

    @property
    def said(self) -> str:
        if not self.is_said:
            return f"fewer than {FEW}"
        return f"{self.number:,}" if self.number else "none"

    @property
    def beside(self) -> str:
        return self.more if self.is_said and self.number else ""


@dataclass(frozen=True)
class Table:
    """Numbers that belong together. No sum stands beside them: with it a small number could be worked out."""

    title: str
    lines: tuple[Line, ...]
    more: str = ""
    note: str = ""
    is_drawn: bool = True

    def share(self, line: Line) -> int:
        """How long its bar is, in hundredths of the longest; none where the number is not said."""
        longest = max((each.number for each in self.lines if each.is_said), default=0)
        return round(100 * line.number / longest) if self.is_drawn and longest and line.is_said else 0


def in_a_hundred(some: int, of: int) -> str:
    """A share, rounded so that it is nobody's: “about 95 in 100”. Nothing where it is of too few."""
    if of < 100 // ROUNDED:
        return ""
    return f"about {ROUNDED * round(100 * some / of / ROUNDED)} in 100"
