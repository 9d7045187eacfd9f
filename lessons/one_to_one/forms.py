"""The forms of one-to-ones: what was typed, kept as typed, and what it means."""

from dataclasses import dataclass
from datetime import date, datetime

from starlette.datastructures import FormData

from lessons import rules as planning
from lessons.forms import NO_DAY, Boxes, boxes, clock, read_day
from lessons.one_to_one.commands import Wish
from service.foundation.errors import Invalid
from service.safeguarding.approvals.commands import Verdict
from service.safeguarding.approvals.rules import TRIED


@dataclass(frozen=True)
class AskForm:
    """Every field as the person typed it, so that a refused form comes back whole."""

    pupil: str = ""
    adult: str = ""
    on: Boxes = NO_DAY
    start: str = ""
    length: str = "30"
    repeat: str = "once"
    until: Boxes = NO_DAY
    why: str = ""
    tried: tuple[str, ...] = ()
    safeguards: str = ""
    parent: str = ""
    camera: str = "off"


def typed(form: FormData) -> AskForm:
    def text(name: str) -> str:
        return str(form.get(name, "")).strip()

    return AskForm(
        text("pupil"), text("adult"), boxes(form, "on"), text("start"), text("length"), text("repeat") or "once",
        boxes(form, "until"), text("why"), tuple(str(one) for one in form.getlist("tried")), text("safeguards"), text("parent"),
        text("camera") or "off",
    )


def wish(form: AskForm, actor_id: str, zone: str) -> Wish:
    """What the form asks for. Raises Invalid with words for every field that cannot be read."""
    day, at = read_day(form.on), clock(form.start)
    minutes = int(form.length) if form.length.isdecimal() else 0
    until = read_day(form.until) if form.repeat == "weekly" else None
    problems = (
        ("pupil", "Choose a pupil", not form.pupil), ("on", "Enter a real day, like 3 3 2027", day is None),
        ("start", "Choose when it starts", at is None), ("length", "Choose how long it is", not 5 <= minutes <= 120),
        ("until", "Enter the day of the last lesson, after the first, like 21 7 2027",
         form.repeat == "weekly" and (until is None or day is None or until <= day)),
        ("why", "Say why this cannot be a group", not form.why),
        ("safeguards", "Say what will keep it safe", not form.safeguards),
        ("parent", "Say whether a parent will be in the room", form.parent not in ("yes", "no", "unknown")),
    )
    wrong = {name: words for name, words, is_wrong in problems if is_wrong}
    if wrong or day is None or at is None:
        raise Invalid("There is a problem", fields=wrong)
    days = list(planning.weekly(day, until)) if until else [day]
    return Wish(
        form.pupil, form.adult or actor_id, tuple(planning.moment(one, at, zone) for one in days), minutes, form.why[:1000],
        tuple(one for one in TRIED if one in form.tried), form.safeguards[:1000], form.parent, form.camera == "on", until,
    )


@dataclass(frozen=True)
class DecisionForm:
    answer: str = ""
    reason: str = ""
    conditions: str = ""
    expires: Boxes = NO_DAY
    digest: str = ""


def decision(form: FormData) -> DecisionForm:
    def text(name: str, most: int) -> str:
        return str(form.get(name, "")).strip()[:most]

    return DecisionForm(text("answer", 10), text("reason", 500), text("conditions", 500), boxes(form, "expires"),
                        text("digest", 64))


def verdict(form: DecisionForm, request_id: str) -> Verdict:
    """Raises Invalid with words for what cannot be read."""
    wrong = {}
    if form.answer not in ("approve", "refuse", "more"):
        wrong["answer"] = "Choose what you decide"
    if not form.reason:
        wrong["reason"] = "Give a reason"
    expires: date | None = read_day(form.expires)
    if any(form.expires) and expires is None:
        wrong["expires"] = "Enter a real day, like 3 3 2027"
    if wrong:
        raise Invalid("There is a problem", fields=wrong)
    return Verdict(request_id, form.digest, form.reason, form.conditions, expires)


def next_week(now: datetime) -> Boxes:
    """The boxes of a day a week from now: nothing is asked for tomorrow."""
    day = date.fromordinal(now.date().toordinal() + 7)
    return str(day.day), str(day.month), str(day.year)
