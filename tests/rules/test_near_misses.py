"""What of a lesson somebody must review is worked out from its journal alone (policy: RL1, RL6)."""

from hypothesis import given
from hypothesis import strategies as st

from lessons.attention.near_misses import Entry, of_journal
from service.safeguarding.rules import Kind

OPENED, ENDED = Entry("opened"), Entry("ended")


def held(*reasons: str) -> Entry:
    return Entry("held", reasons)


def kinds(*entries: Entry) -> dict[Kind, int]:
    return {one.kind: one.times for one in of_journal(entries)}


def test_a_pause_because_an_adult_would_have_been_alone_is_a_near_miss() -> None:
    assert kinds(OPENED, held("lone-adult"), OPENED, held("lone-adult"), ENDED) == {Kind.NEARLY_ALONE: 2}


def test_an_adult_who_comes_back_to_one_pupil_in_a_pause_is_a_near_miss_too() -> None:
    assert kinds(OPENED, held("no-adult"), held("lone-adult"), OPENED) == {Kind.NEARLY_ALONE: 1}


def test_other_pauses_of_the_rule_are_one_item_that_says_why() -> None:
    [found] = of_journal([OPENED, held("no-adult"), OPENED, held("not-recorded"), OPENED])
    assert (found.kind, found.times) == (Kind.PAUSED, 2)
    assert found.words == "The lesson was paused twice: no adult was in it; recording had stopped. Nothing passed."


def test_the_waiting_room_and_the_end_of_time_are_no_near_misses() -> None:
    assert kinds(held("lone-adult"), held("lone-adult")) == {}
    assert kinds(OPENED, held("outside-window"), ENDED, held("lone-adult")) == {}
    assert kinds(OPENED, held("stopped-by-school")) == {}


def test_chat_that_was_held_back_is_one_item_with_a_number() -> None:
    assert kinds(OPENED, Entry("chat-held"), Entry("chat-held")) == {Kind.CHAT: 2}


ENTRIES = st.lists(st.one_of(
    st.builds(Entry, st.sampled_from(["opened", "ended", "chat-held", "joined"])),
    st.builds(held, st.sampled_from(["lone-adult", "no-adult", "not-recorded", "outside-window", "starting"])),
), max_size=30)


@given(ENTRIES, ENTRIES)
def test_more_of_a_journal_never_takes_an_item_away_nor_makes_it_smaller(before: list[Entry], after: list[Entry]) -> None:
    first, then = kinds(*before), kinds(*before, *after)
    # A pause that goes on may turn out to be the more serious kind; together nothing is lost.
    pauses = {Kind.NEARLY_ALONE, Kind.PAUSED}
    assert sum(then.get(kind, 0) for kind in pauses) >= sum(first.get(kind, 0) for kind in pauses)
    assert then.get(Kind.NEARLY_ALONE, 0) >= first.get(Kind.NEARLY_ALONE, 0)
    assert then.get(Kind.CHAT, 0) >= first.get(Kind.CHAT, 0)
