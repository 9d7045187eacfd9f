"""The register of incidents as a file for the school's own leaders: no cell of it is ever run as a formula (policy: IN1)."""

from collections.abc import Iterable

from service.foundation import sheets
from service.safeguarding.incidents import rules
from service.safeguarding.incidents.queries import Listed

HEADINGS = ("Number", "Happened", "Recorded", "About", "Pupils and their part", "Sanctions", "Status", "Escalated to",
            "Families answered for", "Late")


def to_csv(found: Iterable[Listed]) -> str:
    return sheets.written(HEADINGS, ([sheets.plain(cell) for cell in _cells(one)] for one in found))


def _cells(one: Listed) -> tuple[str, ...]:
    given = "; ".join(f"{name}: {', '.join(rules.SANCTIONS[each].words for each in sanctions)}"
                      for name, _, sanctions in one.children if sanctions)
    told, involved = one.families
    return (
        one.number, one.happened_on.isoformat(), one.recorded_on.isoformat(),
        ", ".join(rules.CATEGORIES[each] for each in one.categories),
        "; ".join(f"{name}: {rules.PART_WORDS[rules.Part(part)]}" for name, part, _ in one.children), given,
        rules.STATE_WORDS[one.state], ", ".join(rules.TO_WHOM[role] for role in one.escalated_to), f"{told} of {involved}",
        "Late" if one.is_late else "",
    )
