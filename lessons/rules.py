"""What the school's rules say of a lesson that somebody wants to plan (policy: RL1, RL5, RL8, RL10, AC8, CO1). Pure.

A plan is measured against every rule at once, so that one look shows everything to put right. Inside the profile it is
approved by rule; outside, only where the profile and not the law of the house is the limit, it may wait for a leader.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from consent.rules import TO_JOIN
from service.people.profile import Profile

PUPILS_NEEDED = 2
LONGEST_SERIES = timedelta(weeks=20)
"""Longer than any term; and a series is written in one transaction, which must not keep others waiting."""


def may_take_part(purposes: frozenset[str]) -> bool:
    """Whether a child with these purposes is admitted: every lesson is recorded (policy: RL4, CO2)."""
    return purposes >= TO_JOIN


# The school's time


@dataclass(frozen=True)
class Hours:
    """When the school teaches. Times are local to `zone`; `terms` are runs of days of which both ends count."""

    zone: str
    opens: time
    closes: time
    terms: tuple[tuple[date, date], ...] = ()
    closures: frozenset[date] = frozenset()
    weekdays: frozenset[int] = frozenset(range(5))

    def teaches(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether the whole of a lesson lies in school hours of one school day."""
        start, end = (moment.astimezone(ZoneInfo(self.zone)) for moment in (starts_at, ends_at))
        inside = start.date() == end.date() and self.opens <= start.time() and end.time() <= self.closes
        return inside and self.is_school_day(start.date())

    def is_school_day(self, day: date) -> bool:
        in_term = any(first <= day <= last for first, last in self.terms)
        return in_term and day.weekday() in self.weekdays and day not in self.closures


def moment(day: date, at: time, zone: str) -> datetime:
    """`at` on the school's wall on `day`, in UTC. A time that the spring change skips is read as the hour after it."""
    local = datetime.combine(day, at, ZoneInfo(zone))
    return local.astimezone(UTC)


def weekly(first: date, until: date) -> Iterator[date]:
    """The same weekday from `first` to `until`, which may count; at most the longest series."""
    day = first
    while day <= min(until, first + LONGEST_SERIES):
        yield day
        day += timedelta(weeks=1)


def is_covered(slots: Iterable[tuple[time, time]], start: time, end: time) -> bool:
    """Whether the slots of a day, one after the other, leave no moment from `start` to `end` without anybody."""
    reached = start
    for begins, ends in sorted(slots):
        if begins > reached:
            break
        reached = max(reached, ends)
    return reached >= end


# A plan against the rules


class Rule(StrEnum):
    """The rule that a refusal comes from. Its value is the form's field that the words belong to, with the rule."""

    PASSED = "passed"
    LENGTH = "length"
    HOURS = "hours"
    ONE_PUPIL = "one-pupil"
    NO_PUPIL = "no-pupil"
    FEW_PUPILS = "few-pupils"
    DBS = "dbs"
    AGREEMENT = "agreement"
    GUEST_ONLY = "guest-only"
    CLASH = "clash"
    PLATFORM = "platform"
    LINK = "link"
    NOBODY_ON_DUTY = "nobody-on-duty"


MAY_BE_ASKED = frozenset({Rule.LENGTH, Rule.HOURS, Rule.FEW_PUPILS})
"""The limits that are the school's own choice, so that a senior leader may approve one lesson beyond them. Everything else
is a floor: a lesson that breaks it cannot take place, whoever asks (docs/decisions: 40)."""


@dataclass(frozen=True)
class Refusal:
    """One rule that a plan does not meet, in words that say what to do, for the form field `field`."""

    rule: Rule
    field: str
    words: str

    @property
    def may_be_asked(self) -> bool:
        return self.rule in MAY_BE_ASKED


@dataclass(frozen=True)
class PlannedAdult:
    id: str
    name: str
    has_dbs: bool
    has_signed: bool
    is_guest: bool = False

    @property
    def supervises(self) -> bool:
        return self.has_dbs and self.has_signed and not self.is_guest


@dataclass(frozen=True)
class Clash:
    """A lesson that takes the class or an adult at the same time. `whom` is the class or adult that is taken."""

    whom: str
    title: str
    with_whom: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Proposal:
    """A lesson that somebody wants, with everything the rules need to know about it. `links`: addresses as given."""

    group: str
    key_stage: int
    starts_at: datetime
    ends_at: datetime
    pupils: int
    adults: tuple[PlannedAdult, ...]
    clashes: tuple[Clash, ...] = ()
    links: tuple[str, ...] = ()
    allowed_links: tuple[str, ...] = ()
    is_platform_approved: bool = True
    is_somebody_on_duty: bool = True
    one_to_one: bool = False
    """For one pupil, who is counted in `pupils` when they may take part: then no rule about numbers applies (policy: RL1)."""
    dsl: str = "the DSL"

    @property
    def length(self) -> timedelta:
        return self.ends_at - self.starts_at

    @property
    def supervising(self) -> int:
        """How many adults could hold the lesson: cleared, and not guests (policy: AC7)."""
        return sum(adult.supervises for adult in self.adults)


def refusals(plan: Proposal, profile: Profile, hours: Hours, now: datetime) -> list[Refusal]:
    """Every rule that `plan` does not meet, in the order of the form; empty when it is approved by rule."""
    return [
        *_about_time(plan, profile, hours, now), *_about_pupils(plan, profile), *_about_adults(plan),
        *(Refusal(Rule.CLASH, "start", say_clash(clash, hours.zone)) for clash in plan.clashes), *_about_reach(plan),
    ]


def _about_time(plan: Proposal, profile: Profile, hours: Hours, now: datetime) -> Iterator[Refusal]:
    longest = profile.longest(plan.key_stage)
    if plan.ends_at <= now:
        yield Refusal(Rule.PASSED, "start", "Choose a time that has not passed")
    if plan.length > longest:
        yield Refusal(Rule.LENGTH, "length", f"Choose {_minutes(longest)} minutes or less for this age")
    if not hours.teaches(plan.starts_at, plan.ends_at):
        yield Refusal(
            Rule.HOURS, "start",
            f"Choose a time between {say_clock(hours.opens)} and {say_clock(hours.closes)} on a school day",
        )


def _about_pupils(plan: Proposal, profile: Profile) -> Iterator[Refusal]:
    if plan.one_to_one:
        if plan.pupils == 0:
            yield Refusal(Rule.NO_PUPIL, "pupil", "This pupil cannot join yet. Ask the office about permissions")
    elif plan.pupils == 0:
        yield Refusal(Rule.NO_PUPIL, "group", "No pupil in this group can join yet. Ask the office about permissions")
    elif plan.supervising >= 2:
        return
    elif plan.pupils < PUPILS_NEEDED:
        yield Refusal(
            Rule.ONE_PUPIL, "group", "Only 1 pupil in this group can join. Add pupils, add a second member of staff, "
            "or ask for an exception",
        )
    elif plan.pupils < profile.second_adult_below:
        yield Refusal(Rule.FEW_PUPILS, "second", f"Only {plan.pupils} pupils can join. Add a second member of staff")


def _about_adults(plan: Proposal) -> Iterator[Refusal]:
    for position, adult in enumerate(plan.adults):
        where = "group" if position == 0 else "second"
        if not adult.has_dbs:
            yield Refusal(Rule.DBS, where, f"{adult.name} has no valid DBS check on record. Ask the office before you plan")
        if not adult.has_signed:
            yield Refusal(Rule.AGREEMENT, where, f"{adult.name} has not signed the current agreement")
    if all(adult.is_guest for adult in plan.adults):
        yield Refusal(Rule.GUEST_ONLY, "second", "A guest cannot be the only adult")


def _about_reach(plan: Proposal) -> Iterator[Refusal]:
    if not plan.is_platform_approved:
        yield Refusal(Rule.PLATFORM, "platform", "Choose a platform from the approved list")
    for address in plan.links:
        if not is_allowed(address, plan.allowed_links):
            yield Refusal(
                Rule.LINK, "links", f"{shown_address(address)} is not on the allowed list. Ask {plan.dsl} to allow it, or "
                "remove it",
            )
    if not plan.is_somebody_on_duty:
        yield Refusal(
            Rule.NOBODY_ON_DUTY, "start",
            "Nobody is on duty for safeguarding at that time. Choose another time, or ask the office about the rota",
        )


LEAVES_NOBODY_ON_DUTY = Refusal(
    Rule.NOBODY_ON_DUTY, "person",
    "Nobody else would be on duty for safeguarding during this lesson. Choose somebody else, or ask the office about the rota",
)
"""An adult is added to a lesson who is all that its rota has: a worry in it may be about its adults."""


class Decision(StrEnum):
    PLANNED = "planned"
    WAITING = "waiting"
    REFUSED = "refused"


def decide(found: Iterable[Refusal], *, because: str) -> Decision:
    """By rule when nothing is refused; waiting when everything refused may be asked and somebody said why; else refused."""
    rules = list(found)
    if not rules:
        return Decision.PLANNED
    return Decision.WAITING if because.strip() and all(refusal.may_be_asked for refusal in rules) else Decision.REFUSED


def may_decide(decider_id: str, *, planned_by: str, adults: Iterable[str]) -> bool:
    """Nobody decides what they asked for or take part in: persons are compared, not roles (policy: RL1)."""
    return decider_id != planned_by and decider_id not in set(adults)


def overlaps(one: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> bool:
    """Whether two lessons share a moment; one that begins as the other ends does not clash."""
    return one[0] < other[1] and other[0] < one[1]


# Addresses


def is_allowed(address: str, allowed: Iterable[str]) -> bool:
    """Is a web address on the list, by its whole host and the start of its path (policy: RL8, IN6)?

    `bbc.co.uk` allows `www.bbc.co.uk/bitesize` and `bbc.co.uk.example` never; `site.example/maths` allows only below it.
    """
    if not is_web_address(address):
        return False
    host, path = _host_and_path(address)
    return any(_covers(entry, host, path) for entry in allowed)


def is_web_address(address: str) -> bool:
    """An https address of a plain host: no other scheme, no name and password, no port, no spaces, no numbers for a host."""
    try:
        parts = urlsplit(address)
        plain = parts.scheme == "https" and parts.port is None and "@" not in parts.netloc
    except ValueError:
        return False
    host = parts.hostname or ""
    letters = set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") and any(c.isalpha() for c in host.rpartition(".")[2])
    return plain and letters and "." in host.strip(".") and "\\" not in address and not any(c.isspace() for c in address)


def with_scheme(address: str) -> str:
    """What a person typed, as an https address: `bbc.co.uk/bitesize` is one too."""
    typed = address.strip()
    if typed.lower().startswith("http://"):
        typed = typed[len("http://"):]
    return typed if "://" in typed else f"https://{typed}"


def shown_address(address: str) -> str:
    """An address as people read it: without scheme and final slash, cut when it is long."""
    bare = address.partition("://")[2].rstrip("/") or address
    return bare if len(bare) <= 60 else f"{bare[:59]}…"


def _host_and_path(address: str) -> tuple[str, list[str]]:
    parts = urlsplit(address)
    return (parts.hostname or "").removeprefix("www."), [step for step in parts.path.split("/") if step]


def _covers(entry: str, host: str, path: list[str]) -> bool:
    its_host, its_path = _host_and_path(with_scheme(entry))
    below = ".." not in path and path[: len(its_path)] == its_path
    return below and (host == its_host or host.endswith(f".{its_host}"))


# The school's lists of words and addresses


@dataclass(frozen=True)
class WordList:
    """One version of what the chat holds back and which addresses lessons may use (policy: IN6)."""

    version: int = 0
    words: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    expires_at: datetime | None = None


def in_force(versions: Iterable[WordList], now: datetime) -> WordList:
    """The newest version that has not expired: when a temporary change ends, what was before it holds again."""
    current = [version for version in versions if version.expires_at is None or now < version.expires_at]
    return max(current, key=lambda version: version.version, default=WordList())


# Words


def say_clash(clash: Clash, zone: str) -> str:
    start, end = (say_clock(at.astimezone(ZoneInfo(zone)).time()) for at in (clash.starts_at, clash.ends_at))
    return f"{clash.whom} has {clash.title} with {clash.with_whom} from {start} to {end}"


def say_clock(at: time) -> str:
    """“8am”, “10:40am”"""
    minutes = f":{at.minute:02}" if at.minute else ""
    return f"{(at.hour - 1) % 12 + 1}{minutes}{'am' if at.hour < 12 else 'pm'}"


def _minutes(length: timedelta) -> int:
    return int(length.total_seconds() // 60)


# What a lesson uses of a family's data allowance

PICTURE_MB_A_MINUTE, SOUND_MB_A_MINUTE = 3.4, 0.45
"""A pupil's share at the usual rates: about 450 kbit/s with pictures, 60 kbit/s of sound alone (policy: RL11)."""


def expected_use(length: timedelta) -> tuple[int, int]:
    """Megabytes for pictures and sound, and for sound alone, rounded to what can honestly be promised."""
    minutes = length.total_seconds() / 60
    return max(10, 10 * round(minutes * PICTURE_MB_A_MINUTE / 10)), max(5, 5 * round(minutes * SOUND_MB_A_MINUTE / 5))


# When people may come in


@dataclass(frozen=True)
class Doors:
    """When a lesson lets people in."""

    staff_from: datetime
    pupils_from: datetime
    until: datetime


def doors(starts_at: datetime, ends_at: datetime, profile: Profile) -> Doors:
    return Doors(
        starts_at - timedelta(minutes=profile.staff_early_minutes), starts_at - timedelta(minutes=profile.pupil_early_minutes),
        ends_at + timedelta(minutes=profile.overrun_minutes),
    )


def hard_end(ends_at: datetime, profile: Profile) -> datetime:
    return ends_at + timedelta(minutes=profile.overrun_minutes)


def latest_end(starts_at: datetime, ends_at: datetime, key_stage: int, profile: Profile) -> datetime:
    """How far a lesson may be drawn out: to the limit for its age, never beyond its window (policy: RL5)."""
    return max(ends_at, min(starts_at + profile.longest(key_stage), hard_end(ends_at, profile)))


class Stage(StrEnum):
    """Where a lesson stands, as a word on a tag. Whether its room is paused is for the room to say."""

    WAITING = "Waiting for approval"
    REFUSED = "Not approved"
    CANCELLED = "Cancelled"
    ENDED = "Ended"
    OPEN = "Open"
    PLANNED = "Planned"


@dataclass(frozen=True)
class Times:
    starts_at: datetime
    ends_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = field(default=None)


def stage(status: str, times: Times, profile: Profile, now: datetime) -> Stage:
    """The lesson's stage at `now`, from what was decided and what happened."""
    decided = {"waiting": Stage.WAITING, "refused": Stage.REFUSED, "cancelled": Stage.CANCELLED}
    if status in decided:
        return decided[status]
    if times.ended_at is not None or now >= hard_end(times.ends_at, profile):
        return Stage.ENDED
    return Stage.OPEN if times.started_at is not None else Stage.PLANNED
