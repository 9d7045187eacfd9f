"""Whose words beside a recording are read by whom: a flag's are in its alert too, and whoever may not open that reads in the
player only that a moment was flagged (policy: IN4)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from recordings.timeline import Facts, Flagged
from service.safeguarding.rules import About

ABOUT_AN_ADULT = frozenset({About.STAFF, About.HEADTEACHER})
NEAR = timedelta(seconds=5)
"""A flag and its alert are of one moment, by two clocks. Where they differ by more, any alert of who raised it could be its."""


class Alerted(Protocol):
    """What is known of a flag's alert (`service.safeguarding.queries.FlagView`)."""

    @property
    def raised_by(self) -> str: ...
    @property
    def raised_at(self) -> datetime: ...
    @property
    def may_open(self) -> bool: ...


@dataclass(frozen=True)
class At:
    """A flag of the recording and the time of day of its moment."""

    flag: Flagged
    moment: datetime


def read(flags: Iterable[At], alerts: Sequence[Alerted]) -> frozenset[Flagged]:
    """The flags that somebody reads: those whose alert they may open. Which alert is whose is told by who raised it and when;
    where several could be it they open all of them. Of one about an adult every alert of whoever raised it could be: it may
    have been said later what it is about. Where there is none, nobody reads it."""
    return frozenset(each.flag for each in flags if _is_read(each, alerts))


def _is_read(each: At, alerts: Sequence[Alerted]) -> bool:
    theirs = [alert for alert in alerts if alert.raised_by == each.flag.person_id]
    near = [alert for alert in theirs if abs(alert.raised_at - each.moment) <= NEAR]
    could_be = theirs if each.flag.about in ABOUT_AN_ADULT else near or theirs
    return bool(could_be) and all(alert.may_open for alert in could_be)


def without_words(facts: Facts, but: Collection[Flagged] = ()) -> Facts:
    """The facts with nothing of a flag but its moment, except of those in `but`."""
    return replace(facts, flags=tuple(flag if flag in but else Flagged(flag.at_ms, "", "", "") for flag in facts.flags))
