"""Who hears and sees whom: whatever people are in a room, each source reaches exactly those whom the school's rules name."""

from hypothesis import given
from hypothesis import strategies as st

from lessons.live.effects import Source
from lessons.live.plan import Person
from lessons.live.routes import Live, routes
from lessons.live.supervision import Kind
from tests.room.stage import guest, pupil, staff

PUPILS = [pupil(f"p{n}") for n in range(4)]
EVERYBODY = [*PUPILS, staff("s0"), staff("s1"), guest("speaker"), guest("signer", "p0", "p2"), guest("other", "p1")]
SOURCES = st.builds(Live, st.sampled_from(EVERYBODY), st.sampled_from(list(Source)), st.booleans())


def _reaches(one: Live, to: Person, pupils_see_each_other: bool) -> bool:
    """The table of docs/policy.md, pair by pair."""
    sender = one.person
    if to.id == sender.id:
        return False
    if Kind.STAFF in (sender.kind, to.kind):
        return True
    if sender.kind is Kind.GUEST:
        return not sender.serves or to.id in sender.serves
    if one.source is Source.SCREEN:
        return one.shown
    if one.source is Source.CAMERA:
        return pupils_see_each_other if to.kind is Kind.CHILD else sender.id in to.serves
    return True


@given(st.lists(SOURCES, unique_by=lambda one: (one.person.id, one.source)), st.sets(st.sampled_from(range(len(EVERYBODY)))),
       st.booleans())
def test_each_source_reaches_exactly_those_whom_the_rules_name(live: list[Live], here: set[int], see: bool) -> None:
    present = [EVERYBODY[at] for at in sorted(here)]
    expected = {(one.person.id, one.source): {to.id for to in present if _reaches(one, to, see)} for one in live}
    assert routes(live, present, pupils_see_each_other=see) == expected
