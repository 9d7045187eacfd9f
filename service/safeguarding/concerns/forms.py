"""The forms of concerns: what was typed, and what it means."""

import re
from collections.abc import Mapping
from datetime import date

from starlette.datastructures import FormData

from service.foundation.errors import Invalid
from service.safeguarding.chronology import Entry, Kind
from service.safeguarding.concerns.rules import Child, New

CHILD_ROWS = 3
"""How many pupils the first form has room for; more are added on the concern's own page."""


def text(form: FormData, name: str) -> str:
    return str(form.get(name, "")).strip()


def day(form: FormData) -> tuple[str, str, str]:
    return text(form, "day"), text(form, "month"), text(form, "year")


def read_day(boxes: tuple[str, str, str]) -> date | None:
    """The day that three boxes say; None when it is none."""
    try:
        return date(int(boxes[2]), int(boxes[1]), int(boxes[0]))
    except ValueError:
        return None


def new(form: FormData, place: str) -> New:
    """What the first form says. A pupil without a part, or a part without a pupil, is refused by the rule."""
    pairs = [(text(form, f"child-{number}"), text(form, f"part-{number}")) for number in range(1, CHILD_ROWS + 1)]
    return New(
        said=text(form, "said"), done=text(form, "done"), on=read_day(day(form)), at=text(form, "at"),
        categories=tuple(str(one) for one in form.getlist("categories")),
        children=tuple(Child(child, part) for child, part in pairs if child), by_name=text(form, "by_name"),
        about_adult=text(form, "about_adult"), about_id=text(form, "about_id"), alert_id=text(form, "alert"),
        lesson_id=text(form, "lesson"), place=place,
    )


def entry(form: FormData) -> Entry:
    """One entry as its form says it."""
    try:
        kind = Kind(text(form, "kind"))
    except ValueError as error:
        raise Invalid() from error
    return Entry(
        kind, text(form, "words"), text(form, "child_id"), text(form, "part"), text(form, "person_id"), read_day(day(form)),
        text(form, "agency"), text(form, "reference"), text(form, "of_entry"),
    )


def typed(form: FormData) -> dict[str, str]:
    """Everything as it was typed, so that a refused form comes back whole."""
    return {name: value for name, value in form.multi_items() if isinstance(value, str) and re.fullmatch(r"[a-z_0-9-]+", name)}


def within(kind: str, errors: Mapping[str, str]) -> dict[str, str]:
    """Errors by the id of their field: every form of the page has its own."""
    return {f"{kind}-{field}": words for field, words in errors.items()}
