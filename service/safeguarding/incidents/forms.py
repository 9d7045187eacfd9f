"""The form that records an incident: what was typed, and what it means. Entries are read as a concern's are."""

from starlette.datastructures import FormData

from service.safeguarding.concerns.forms import CHILD_ROWS, day, read_day, text
from service.safeguarding.incidents.rules import New


def new(form: FormData, place: str) -> New:
    pairs = [(text(form, f"child-{number}"), text(form, f"part-{number}")) for number in range(1, CHILD_ROWS + 1)]
    return New(
        said=text(form, "said"), done=text(form, "done"), on=read_day(day(form)), at=text(form, "at"),
        category=text(form, "category"), children=tuple((child, part) for child, part in pairs if child),
        by_name=text(form, "by_name"), about_adult=text(form, "about_adult"), about_id=text(form, "about_id"),
        lesson_id=text(form, "lesson"), place=place,
    )
