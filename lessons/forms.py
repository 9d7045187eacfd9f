"""The form that plans a lesson: what was typed, kept as typed, and what it means."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from starlette.datastructures import FormData

from lessons import rules
from lessons.proposals import Prefill, Wanted
from service.foundation.errors import Invalid

Boxes = tuple[str, str, str]
NO_DAY: Boxes = ("", "", "")
LINKS = 3


@dataclass(frozen=True)
class TypedLink:
    url: str = ""
    looked: bool = False


@dataclass(frozen=True)
class PlanForm:
    """Every field as the person typed it, so that a refused form comes back whole."""

    group: str = ""
    title: str = ""
    about: str = ""
    day: str = "today"
    on: Boxes = NO_DAY
    start: str = ""
    length: str = ""
    repeat: str = "once"
    until: Boxes = NO_DAY
    second: str = ""
    platform: str = ""
    because: str = ""
    links: tuple[TypedLink, ...] = field(default=(TypedLink(),) * LINKS)
    left_out: frozenset[str] = frozenset()


def typed(form: FormData) -> PlanForm:
    def text(name: str) -> str:
        return str(form.get(name, "")).strip()

    return PlanForm(
        group=text("group"), title=text("title"), about=text("about"), day=text("day"), on=boxes(form, "on"),
        start=text("start"), length=text("length"), repeat=text("repeat"), until=boxes(form, "until"), second=text("second"),
        platform=text("platform"), because=text("because"),
        links=tuple(TypedLink(text(f"link-{n}"), bool(form.get(f"looked-{n}"))) for n in range(LINKS)),
        left_out=frozenset(str(day) for day in form.getlist("left-out")),
    )


def boxes(form: FormData, name: str) -> Boxes:
    day, month, year = (str(form.get(f"{name}-{part}", "")).strip() for part in ("day", "month", "year"))
    return day, month, year


def fresh(group: str, prefill: Prefill | None, longest: int, now: datetime, hours: rules.Hours) -> PlanForm:
    """The last lesson with this class again, on the next school day at its time. `now` is the clock on the wall."""
    if prefill is None:
        day, on = _next_day(now, time(23, 59), hours)
        return PlanForm(group=group, day=day, on=on, start=next_step(now), length=str(longest))
    links = [TypedLink(rules.shown_address(url)) for url in prefill.links[:LINKS]]
    links += [TypedLink()] * (LINKS - len(links))
    day, on = _next_day(now, prefill.at, hours)
    return PlanForm(
        group=group, title=prefill.title, about=prefill.about, day=day, on=on, start=f"{prefill.at:%H:%M}",
        length=str(min(prefill.minutes, longest)), second=prefill.second, links=tuple(links),
    )


def _next_day(now: datetime, at: time, hours: rules.Hours) -> tuple[str, Boxes]:
    """The radio, and the boxes of another day, of the next school day on which `at` is still to come."""
    today = now.date()
    days = (today + timedelta(days=ahead) for ahead in range(100))
    day = next((day for day in days if hours.is_school_day(day) and (day > today or at > now.time())), today)
    if day - today <= timedelta(days=1):
        return ("today", "tomorrow")[(day - today).days], NO_DAY
    return "other", (str(day.day), str(day.month), str(day.year))


def next_step(now: datetime) -> str:
    minutes = -(-(now.hour * 60 + now.minute) // 5) * 5
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def start_times(hours: rules.Hours, also: str, now: datetime) -> list[tuple[str, str]]:
    """The starts offered: each quarter of an hour the school is open, the next few minutes, and what the form has."""
    first, last = _minutes(hours.opens), _minutes(hours.closes)
    offered = {f"{at // 60:02}:{at % 60:02}" for at in range(-(-first // 15) * 15, last, 15)} | {next_step(now)}
    if clock(also):
        offered.add(also)
    return [(at, rules.say_clock(time.fromisoformat(at))) for at in sorted(offered)]


def lengths(longest: int, chosen: str) -> list[int]:
    """The lengths offered for an age; a longer one that was chosen before stays visible."""
    offered = {minutes for minutes in (20, 30, 40, longest) if minutes <= longest}
    return sorted(offered | ({int(chosen)} if chosen.isdecimal() and 5 <= int(chosen) <= 120 else set()))


def wanted(form: PlanForm, teacher: str, now: datetime, zone: str) -> Wanted:
    """What the form asks for. Raises Invalid with words for every field that cannot be read."""
    wrong: dict[str, str] = {}
    first = _first_day(form, now.date(), wrong)
    until = _until(form, first, wrong)
    at = clock(form.start)
    if not form.group:
        wrong["group"] = "Choose a class"
    if not form.title:
        wrong["title"] = "Give the lesson a title"
    if at is None:
        wrong["start"] = "Choose when it starts"
    minutes = int(form.length) if form.length.isdecimal() else 0
    if not 5 <= minutes <= 120:
        wrong["length"] = "Choose how long it is"
    addresses = _addresses(form, wrong)
    if wrong or first is None or at is None:
        raise Invalid("There is a problem", fields=in_form_order(wrong))
    days = [day for day in (rules.weekly(first, until) if until else [first]) if day.isoformat() not in form.left_out]
    if not days:
        raise Invalid("There is a problem", fields={"until": "Keep at least one date"})
    return Wanted(
        group_id=form.group, title=form.title[:120], starts=tuple(rules.moment(day, at, zone) for day in days), minutes=minutes,
        adults=(teacher, form.second) if form.second and form.second != teacher else (teacher,), about=form.about[:1000],
        links=tuple(address for address, _ in addresses),
        previewed=frozenset(address for address, looked in addresses if looked),
        platform_id=form.platform, until=until, because=form.because,
    )


def move(form: FormData) -> tuple[date, time, int]:
    """The new day, start and length of a lesson. Raises Invalid with words for each that cannot be read."""
    day, at, length = read_day(boxes(form, "on")), clock(str(form.get("start", ""))), str(form.get("length", ""))
    minutes = int(length) if length.isdecimal() else 0
    problems = (("on", "Enter a real day, like 3 3 2027", day is None), ("start", "Choose when it starts", at is None),
                ("length", "Choose how long it is", not 5 <= minutes <= 120))
    wrong = {name: words for name, words, is_wrong in problems if is_wrong}
    if wrong or day is None or at is None:
        raise Invalid("There is a problem", fields=wrong)
    return day, at, minutes


ORDER = ("group", "title", "day", "start", "length", "until", "second", "platform", *(f"link-{n}" for n in range(LINKS)))


def in_form_order(fields: dict[str, str]) -> dict[str, str]:
    """Problems in the order in which the form has the fields, as its readers go through it."""
    return dict(sorted(fields.items(), key=lambda item: ORDER.index(item[0]) if item[0] in ORDER else len(ORDER)))


def place_links(form: PlanForm, fields: dict[str, str]) -> dict[str, str]:
    """A refused address stands beside the box it was typed in."""
    words = fields.get("links")
    if words is None:
        return fields
    boxes = (f"link-{n}" for n, link in enumerate(form.links) if link.url and words.startswith(shown(link.url)))
    return in_form_order({next(boxes, "link-0") if name == "links" else name: text for name, text in fields.items()})


def shown(url: str) -> str:
    return rules.shown_address(rules.with_scheme(url))


def read_day(typed_day: Boxes) -> date | None:
    try:
        day, month, year = map(int, typed_day)
        return date(year, month, day)
    except ValueError:
        return None


def iso(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _first_day(form: PlanForm, today: date, wrong: dict[str, str]) -> date | None:
    known = {"today": today, "tomorrow": today + timedelta(days=1), "other": read_day(form.on)}
    if form.day not in known:
        wrong["day"] = "Choose a day"
    elif known[form.day] is None:
        wrong["day"] = "Enter a real day, like 3 3 2027"
    return known.get(form.day)


def _until(form: PlanForm, first: date | None, wrong: dict[str, str]) -> date | None:
    if form.repeat != "weekly":
        return None
    until = read_day(form.until)
    if until is None:
        wrong["until"] = "Enter the day of the last lesson, like 21 7 2027"
    elif first is not None and not first < until <= first + rules.LONGEST_SERIES:
        wrong["until"] = "Choose a last day after the first lesson, within 20 weeks"
    return until


def _addresses(form: PlanForm, wrong: dict[str, str]) -> list[tuple[str, bool]]:
    found = {}
    for number, link in enumerate(form.links):
        address = rules.with_scheme(link.url)
        if link.url and not (rules.is_web_address(address) and len(address) <= 500):
            wrong[f"link-{number}"] = "Enter a web address, like bbc.co.uk/bitesize"
        elif link.url:
            found[address] = link.looked
    return list(found.items())


def clock(text: str) -> time | None:
    try:
        return time.fromisoformat(text) if len(text) == 5 else None
    except ValueError:
        return None


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute


