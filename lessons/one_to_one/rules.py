"""What the school's rules say of a one-to-one beyond what they say of any lesson (policy: RL1, RL5). Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from lessons.rules import Hours
from service.people.profile import Profile

TITLE = "One-to-one"
OUTSIDE = "one-to-one"
LONGEST = timedelta(weeks=7)
"""Half a term: one decision never reaches further."""


def problems(starts: Sequence[datetime], hours: Hours, profile: Profile, now: datetime) -> dict[str, str]:
    """Words by form field: notice enough for somebody to decide, and every date in one run of term dates."""
    wrong = {}
    if min(starts) - now < timedelta(hours=profile.one_to_one_notice_hours):
        wrong["start"] = f"Choose a time at least {profile.one_to_one_notice_hours} hours away"
    days = {start.astimezone(ZoneInfo(hours.zone)).date() for start in starts}
    in_one_run = any(first <= min(days) and max(days) <= last for first, last in hours.terms)
    if len(days) > 1 and (not in_one_run or max(days) - min(days) > LONGEST):
        wrong["until"] = "Choose a last day in the same half term, within 7 weeks"
    return wrong


def run_of_days(starts_at: datetime, hours: Hours) -> datetime | None:
    """When the run of term dates began that a lesson lies in."""
    day = starts_at.astimezone(ZoneInfo(hours.zone)).date()
    first = next((first for first, last in hours.terms if first <= day <= last), None)
    return datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(hours.zone)) if first else None


def say_usual(counts: Collection[int]) -> str:
    """How many one-to-ones most staff have: “Most staff: 1 or none.”"""
    usual = int(median(counts)) if counts else 0
    return "Most staff: none." if usual == 0 else "Most staff: 1 or none." if usual == 1 else f"Most staff: {usual} or fewer."


def say_ordinal(number: int) -> str:
    """“1st”, “2nd”, “4th”, “11th”"""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def say_pattern(adult: str, pupil: str, of_adult: int, with_pupil: int, usual: str) -> str:
    """“This would be Mr Hall's 4th one-to-one this half term, 3 of the earlier ones with Ali. Most staff: 1 or none.”"""
    before = f", {with_pupil or 'none'} of the earlier ones with {pupil}" if of_adult else ""
    return f"This would be {adult}’s {say_ordinal(of_adult + 1)} one-to-one this half term{before}. {usual}"
