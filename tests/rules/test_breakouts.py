"""Into which breakout rooms a lesson may be split, and who may ask (policy: RL1, RL7, AC7, AC8)."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons.breakouts.rules import LONGEST_NAME, MOST_ROOMS, Adult, Main, Rule, Wanted, may_arrange, moved, propose, refusals

HALL, COLE, KHAN = (Adult(name.lower(), name, part, is_cleared=True)
                    for name, part in (("Hall", "teacher"), ("Cole", "second"), ("Khan", "leader")))
BELL, UNCHECKED = Adult("bell", "Bell", "colleague", is_cleared=True), Adult("new", "New", "second", is_cleared=False)
SPEAKER = Adult("speaker", "Speaker", "guest", is_cleared=True)
ADULTS = {adult.id: adult for adult in (HALL, COLE, KHAN, BELL, UNCHECKED, SPEAKER)}
MAIN = Main(is_on=True, adults=ADULTS, pupils={"ali": "Ali", "bea": "Bea", "cal": "Cal", "dee": "Dee"})


def rules_of(*rooms: Wanted, main: Main = MAIN, may_be_empty: bool = False) -> set[Rule]:
    return {refusal.rule for refusal in refusals(rooms, main, may_be_empty=may_be_empty)}


def room(adults: str = "hall", pupils: str = "ali bea", name: str = "Red") -> Wanted:
    return Wanted(name, tuple(adults.split()), tuple(pupils.split()))


BLUE = room("cole", "cal dee", "Blue")


def test_two_rooms_each_with_an_adult_and_two_pupils_may_open() -> None:
    assert rules_of(room(), BLUE) == set()


def test_any_cleared_colleague_may_be_the_adult_of_a_room() -> None:
    assert rules_of(room(), room("bell", "cal dee", "Blue")) == set()


def test_one_pupil_may_have_a_room_with_two_cleared_adults() -> None:
    assert rules_of(room("hall cole", "ali")) == set()


@pytest.mark.parametrize(("wrong", "rule"), [
    (room(""), Rule.NO_ADULT),
    (room("stranger"), Rule.NOT_OURS),
    (room("new"), Rule.NOT_CLEARED),
    (room("speaker"), Rule.GUEST_ONLY),
    (room("khan"), Rule.LEADER_ONLY),
    (room("speaker khan"), Rule.LEADER_ONLY),
    (room("hall cole", "cal"), Rule.ADULT_TWICE),
    (room(pupils="ali cal"), Rule.PUPIL_TWICE),
    (room(pupils="ali bea stranger"), Rule.NOT_A_PUPIL),
    (room(pupils=""), Rule.NO_PUPIL),
    (room(pupils="ali"), Rule.ONE_PUPIL),
    (room(pupils="ali ali"), Rule.ONE_PUPIL),
    (room("hall speaker", "ali"), Rule.ONE_PUPIL),
    (room("hall khan", "ali"), Rule.ONE_PUPIL),
    (room("hall new", "ali"), Rule.ONE_PUPIL),
    (room("hall hall", "ali"), Rule.ONE_PUPIL),
    (room(name=" "), Rule.NAME),
    (room(name="blue"), Rule.NAME),
    (room(name="x" * (LONGEST_NAME + 1)), Rule.NAME),
])
def test_a_room_that_could_never_be_right_is_refused_in_words(wrong: Wanted, rule: Rule) -> None:
    assert rule in rules_of(wrong, BLUE)
    assert all(refusal.words for refusal in refusals([wrong, BLUE], MAIN))


def test_nothing_opens_before_the_lesson_is_on_or_without_a_room_or_with_too_many() -> None:
    assert rules_of(room(), main=Main(False, MAIN.adults, MAIN.pupils)) == {Rule.NOT_ON}
    assert rules_of() == {Rule.NO_ROOM}
    assert Rule.TOO_MANY in rules_of(*(room(name=f"Room {n}") for n in range(MOST_ROOMS + 1)))


@pytest.mark.parametrize(("part", "cleared", "may"), [
    ("teacher", True, True), ("cover", True, True), ("second", True, True), ("teacher", False, False), ("guest", True, False),
    ("leader", True, False), ("colleague", True, False), ("pupil", True, False), ("", True, False),
])
def test_only_the_lesson_s_own_cleared_staff_may_ask(part: str, cleared: bool, may: bool) -> None:
    assert may_arrange(part, cleared) is may


def test_a_pupil_is_moved_between_rooms_and_back() -> None:
    rooms = (room(pupils="ali bea cal"), room("cole", "dee", "Blue"))
    assert [r.pupils for r in moved(rooms, "cal", "Blue")] == [("ali", "bea"), ("dee", "cal")]
    assert [r.pupils for r in moved(rooms, "cal", "")] == [("ali", "bea"), ("dee",)]
    assert Rule.ONE_PUPIL in rules_of(*moved((room(), BLUE), "bea", "Blue"))


def test_a_room_that_is_open_may_become_empty_but_not_be_left_with_one_pupil() -> None:
    assert rules_of(room(pupils=""), BLUE, may_be_empty=True) == set()
    assert rules_of(room(pupils="ali"), BLUE, may_be_empty=True) == {Rule.ONE_PUPIL}


@given(st.integers(0, 5), st.integers(0, 31))
def test_what_is_proposed_may_always_be_opened_and_uses_everybody_once(adults: int, pupils: int) -> None:
    staff = {f"a{n}": Adult(f"a{n}", f"A{n}", "second", is_cleared=True) for n in range(adults)}
    children = {f"p{n}": f"P{n}" for n in range(pupils)}
    proposed = propose(list(staff), list(children))
    assert bool(proposed) is (adults >= 2 and pupils >= 4)
    if proposed:
        assert refusals(proposed, Main(True, staff, children)) == []
        assert sorted(p for r in proposed for p in r.pupils) == sorted(children)
        assert sorted(a for r in proposed for a in r.adults) == sorted(staff)
        assert max(len(r.pupils) for r in proposed) - min(len(r.pupils) for r in proposed) <= 1


def test_no_arrangement_that_passes_puts_a_lone_adult_with_one_pupil_or_pupils_with_nobody() -> None:
    """Every arrangement of three adults of different kinds and four pupils over two rooms, against its own oracle."""
    staff, children = ("hall", "cole", "khan"), ("ali", "bea", "cal", "dee")
    passed = 0
    for places in product((0, 1, None), repeat=7):
        rooms = tuple(
            Wanted(f"Room {n}", tuple(a for a, at in zip(staff, places, strict=False) if at == n),
                   tuple(p for p, at in zip(children, places[3:], strict=True) if at == n))
            for n in (0, 1)
        )
        own = [[a for a in r.adults if a != "khan"] for r in rooms]
        right = all(adults and (len(r.pupils) >= 2 or (len(r.pupils) == 1 and len(adults) == 2))
                    for adults, r in zip(own, rooms, strict=True))
        assert (refusals(rooms, MAIN) == []) is right
        passed += right
    assert passed == 2 * 6 * 3, "six ways to deal four pupils to two adults, either way round, wherever the leader is"
