"""Every rule a plan must meet, as sentences of the policy (RL1, RL5, RL8, RL10, AC8, CO1)."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons import rules
from lessons.rules import Clash, Decision, Hours, PlannedAdult, Proposal, Rule
from service.people.profile import Profile

ZONE = "Europe/London"
NOW = datetime(2027, 3, 2, 8, 0, tzinfo=UTC)
TERM = ((date(2027, 1, 4), date(2027, 4, 1)), (date(2027, 4, 19), date(2027, 7, 21)))
HOURS = Hours(ZONE, time(8), time(17), TERM, frozenset({date(2027, 3, 12)}))
HALL = PlannedAdult("hall", "Mr Hall", has_dbs=True, has_signed=True)
COLE = PlannedAdult("cole", "Ms Cole", has_dbs=True, has_signed=True)
GUEST = PlannedAdult("guest", "Ms Lind", has_dbs=True, has_signed=True, is_guest=True)
START = datetime(2027, 3, 3, 10, 15, tzinfo=UTC)


def lesson(minutes: int = 45, **changes: object) -> Proposal:
    starts = changes.pop("starts_at", START)
    assert isinstance(starts, datetime)
    plan = Proposal(group="5 Oak", key_stage=2, starts_at=starts, ends_at=starts + timedelta(minutes=minutes), pupils=24,
                    adults=(HALL,), allowed_links=("bbc.co.uk", "nrich.maths.org/primary"))
    return replace(plan, **changes)  # type: ignore[arg-type]


def refused(plan: Proposal, profile: Profile = Profile()) -> dict[Rule, str]:
    return {refusal.rule: refusal.words for refusal in rules.refusals(plan, profile, HOURS, NOW)}


def test_a_group_lesson_inside_the_profile_is_approved_by_rule() -> None:
    assert refused(lesson()) == {}
    assert rules.decide([], because="") is Decision.PLANNED


@pytest.mark.parametrize(("key_stage", "longest"), [(0, 20), (1, 30), (2, 45), (3, 60), (4, 60), (5, 60)])
def test_a_lesson_is_no_longer_than_the_school_allows_for_the_age(key_stage: int, longest: int) -> None:
    assert refused(lesson(longest, key_stage=key_stage)) == {}
    assert refused(lesson(longest + 5, key_stage=key_stage)) == {Rule.LENGTH: f"Choose {longest} minutes or less for this age"}


@pytest.mark.parametrize("starts_at", [
    datetime(2027, 3, 3, 7, 55, tzinfo=UTC), datetime(2027, 3, 3, 16, 20, tzinfo=UTC),  # before and after school
    datetime(2027, 3, 6, 10, 0, tzinfo=UTC),  # a Saturday
    datetime(2027, 3, 12, 10, 0, tzinfo=UTC),  # an INSET day
    datetime(2027, 4, 6, 10, 0, tzinfo=UTC),  # between terms
])
def test_a_lesson_is_in_school_hours_on_a_school_day(starts_at: datetime) -> None:
    assert refused(lesson(starts_at=starts_at)) == {Rule.HOURS: "Choose a time between 8am and 5pm on a school day"}


def test_school_hours_are_the_clock_on_the_wall_in_summer_and_winter() -> None:
    summer = datetime(2027, 5, 4, 7, 0, tzinfo=UTC)  # 8am on the wall
    assert refused(lesson(starts_at=summer)) == {}
    assert Rule.HOURS in refused(lesson(starts_at=datetime(2027, 3, 3, 7, 0, tzinfo=UTC)))


def test_a_lesson_cannot_be_planned_for_a_time_that_has_passed() -> None:
    assert refused(lesson(starts_at=NOW - timedelta(hours=1, days=1)))[Rule.PASSED] == "Choose a time that has not passed"


def test_a_lesson_that_is_on_now_can_still_be_planned() -> None:
    assert refused(lesson(starts_at=NOW)) == {}


def test_one_pupil_is_no_group() -> None:
    words = "Only 1 pupil in this group can join. Add pupils, add a second member of staff, or ask for an exception"
    assert refused(lesson(pupils=1)) == {Rule.ONE_PUPIL: words}


def test_one_pupil_with_two_cleared_members_of_staff_may_be_planned() -> None:
    assert refused(lesson(pupils=1, adults=(HALL, COLE))) == {}


@pytest.mark.parametrize("second", [GUEST, replace(COLE, has_dbs=False), replace(COLE, has_signed=False)])
def test_a_guest_or_uncleared_adult_is_no_second_member_of_staff(second: PlannedAdult) -> None:
    assert Rule.ONE_PUPIL in refused(lesson(pupils=1, adults=(HALL, second)))


def test_a_lesson_that_no_pupil_may_join_is_refused() -> None:
    assert refused(lesson(pupils=0)) == {Rule.NO_PUPIL: "No pupil in this group can join yet. Ask the office about permissions"}
    assert Rule.NO_PUPIL in refused(lesson(pupils=0, adults=(HALL, COLE)))


def test_fewer_than_four_expected_pupils_ask_for_a_second_cleared_adult() -> None:
    assert refused(lesson(pupils=3)) == {Rule.FEW_PUPILS: "Only 3 pupils can join. Add a second member of staff"}
    assert refused(lesson(pupils=3, adults=(HALL, COLE))) == {}
    assert refused(lesson(pupils=4)) == {}
    assert refused(lesson(pupils=3), Profile(second_adult_below=3)) == {}


def test_an_adult_without_a_dbs_check_teaches_nobody() -> None:
    words = "Mr Hall has no valid DBS check on record. Ask the office before you plan"
    assert refused(lesson(adults=(replace(HALL, has_dbs=False),)))[Rule.DBS] == words


def test_an_adult_who_has_not_signed_the_agreement_teaches_nobody() -> None:
    assert refused(lesson(adults=(replace(HALL, has_signed=False),)))[Rule.AGREEMENT] == (
        "Mr Hall has not signed the current agreement"
    )


def test_a_guest_cannot_be_the_only_adult() -> None:
    assert refused(lesson(adults=(GUEST,)))[Rule.GUEST_ONLY] == "A guest cannot be the only adult"
    assert refused(lesson(adults=(HALL, GUEST))) == {}


def test_a_class_or_a_teacher_has_one_lesson_at_a_time() -> None:
    ten = datetime(2027, 3, 3, 10, 0, tzinfo=UTC)
    english = Clash("5 Oak", "English", "Ms Cole", ten, ten + timedelta(minutes=40))
    assert refused(lesson(clashes=(english,))) == {Rule.CLASH: "5 Oak has English with Ms Cole from 10am to 10:40am"}


def test_only_platforms_that_leaders_approved_can_be_used() -> None:
    assert refused(lesson(is_platform_approved=False)) == {Rule.PLATFORM: "Choose a platform from the approved list"}


def test_a_lesson_uses_only_addresses_on_the_allowed_list() -> None:
    words = "games.example is not on the allowed list. Ask Miss Okafor to allow it, or remove it"
    assert refused(lesson(links=("https://games.example",), dsl="Miss Okafor")) == {Rule.LINK: words}
    assert refused(lesson(links=("https://www.bbc.co.uk/bitesize",))) == {}


def test_no_lesson_without_somebody_on_duty_for_safeguarding() -> None:
    assert Rule.NOBODY_ON_DUTY in refused(lesson(is_somebody_on_duty=False))


def test_everything_to_put_right_is_said_at_once() -> None:
    plan = lesson(90, pupils=1, adults=(replace(HALL, has_dbs=False),), is_somebody_on_duty=False)
    assert set(refused(plan)) == {Rule.LENGTH, Rule.ONE_PUPIL, Rule.DBS, Rule.NOBODY_ON_DUTY}


# What may be asked of a senior leader


def test_a_limit_of_the_profile_may_be_asked_and_waits_with_a_reason() -> None:
    found = rules.refusals(lesson(60, pupils=3), Profile(), HOURS, NOW)
    assert rules.decide(found, because="A practical that needs the hour") is Decision.WAITING
    assert rules.decide(found, because="  ") is Decision.REFUSED


@given(st.sets(st.sampled_from(list(Rule)), min_size=1))
def test_no_reason_gets_a_lesson_past_a_floor(broken: set[Rule]) -> None:
    found = [rules.Refusal(rule, "group", "words") for rule in broken]
    waits = rules.decide(found, because="We need it") is Decision.WAITING
    assert waits == (broken <= {Rule.LENGTH, Rule.HOURS, Rule.FEW_PUPILS})


def test_a_one_to_one_is_never_planned_here_whatever_reason_is_given() -> None:
    found = rules.refusals(lesson(pupils=1), Profile(), HOURS, NOW)
    assert rules.decide(found, because="Please") is Decision.REFUSED


def test_nobody_decides_a_lesson_they_planned_or_teach() -> None:
    assert rules.may_decide("khan", planned_by="hall", adults=["hall"])
    assert not rules.may_decide("khan", planned_by="khan", adults=["hall"])
    assert not rules.may_decide("khan", planned_by="hall", adults=["hall", "khan"])


# The clock


def test_a_weekly_lesson_stays_at_nine_on_the_wall_when_the_clocks_change() -> None:
    days = list(rules.weekly(date(2027, 3, 22), date(2027, 4, 5)))
    starts = [rules.moment(day, time(9), ZONE) for day in days]
    assert [at.hour for at in starts] == [9, 8, 8]  # UTC
    assert {at.astimezone(ZoneInfo(ZONE)).time() for at in starts} == {time(9)}


@given(st.dates(date(2026, 9, 1), date(2028, 9, 1)), st.times(time(8), time(17)), st.integers(0, 20))
def test_every_date_of_a_series_has_the_same_time_on_the_wall(first: date, at: time, weeks: int) -> None:
    days = list(rules.weekly(first, first + timedelta(weeks=weeks)))
    assert len(days) == weeks + 1
    assert {rules.moment(day, at, ZONE).astimezone(ZoneInfo(ZONE)).time() for day in days} == {at}


def test_a_series_is_never_longer_than_twenty_weeks() -> None:
    assert len(list(rules.weekly(date(2027, 1, 4), date(2037, 1, 4)))) == 21


def test_lessons_back_to_back_do_not_clash() -> None:
    nine, ten, eleven = (datetime(2027, 3, 3, hour, tzinfo=UTC) for hour in (9, 10, 11))
    assert not rules.overlaps((nine, ten), (ten, eleven))
    assert rules.overlaps((nine, eleven), (ten, eleven))


@given(st.lists(st.tuples(st.integers(0, 23), st.integers(1, 24)), max_size=5), st.integers(0, 22), st.integers(1, 23))
def test_duty_covers_a_lesson_only_if_no_moment_is_without_somebody(
    slots: list[tuple[int, int]], start: int, length: int
) -> None:
    end = min(start + length, 23)
    given_slots = [(time(a), time(min(b, 23))) for a, b in slots if a < min(b, 23)]
    covered = all(any(a.hour <= hour < b.hour for a, b in given_slots) for hour in range(start, end))
    assert rules.is_covered(given_slots, time(start), time(end)) == covered or start == end


# Addresses


@pytest.mark.parametrize("address", [
    "https://bbc.co.uk", "https://www.bbc.co.uk/bitesize/x?y=1", "https://nrich.maths.org/primary/12",
])
def test_an_allowed_address_is_allowed(address: str) -> None:
    assert rules.is_allowed(address, ("bbc.co.uk", "nrich.maths.org/primary"))


@pytest.mark.parametrize("address", [
    "http://bbc.co.uk", "https://bbc.co.uk.evil.example", "https://notbbc.co.uk", "https://bbc.co.uk@evil.example",
    "https://evil.example/bbc.co.uk", "javascript:alert(1)//bbc.co.uk", "https://nrich.maths.org/secondary",
    "https://nrich.maths.org/primary/../secondary", "https://nrich.maths.org/primaryx", "https://bbc.co.uk:8443/",
    "https://evil.example\\@bbc.co.uk", "https://127.0.0.1/", "data:text/html,bbc.co.uk", "https://bbc.co.uk\n.evil.example",
    "https://[::1]/", "https://bbc.co.uк/", "", "https://", "bbc.co.uk",
])
def test_an_address_that_only_looks_allowed_is_not(address: str) -> None:
    assert not rules.is_allowed(address, ("bbc.co.uk", "nrich.maths.org/primary"))


@given(st.text(max_size=60))
def test_nothing_that_people_type_breaks_the_check(address: str) -> None:
    assert rules.is_allowed(rules.with_scheme(address), ("bbc.co.uk",)) in (True, False)


def test_a_temporary_unblocking_ends_by_itself_and_what_was_before_holds_again() -> None:
    standing = rules.WordList(1, ("bad",))
    temporary = rules.WordList(2, ("bad",), ("video.example",), expires_at=NOW)
    assert rules.in_force([standing, temporary], NOW - timedelta(seconds=1)) == temporary
    assert rules.in_force([standing, temporary], NOW) == standing


# The lesson's day


def test_staff_come_in_a_quarter_of_an_hour_before_and_pupils_after_them() -> None:
    doors = rules.doors(START, START + timedelta(minutes=45), Profile())
    assert (START - doors.staff_from, START - doors.pupils_from) == (timedelta(minutes=15), timedelta(minutes=10))


def test_a_lesson_is_drawn_out_only_to_its_limit_and_inside_its_window() -> None:
    end = START + timedelta(minutes=40)
    assert rules.latest_end(START, end, 2, Profile()) == START + timedelta(minutes=45)
    assert rules.latest_end(START, START + timedelta(minutes=30), 2, Profile()) == START + timedelta(minutes=35)
    assert rules.latest_end(START, START + timedelta(minutes=60), 2, Profile()) == START + timedelta(minutes=60)


@pytest.mark.parametrize(("status", "minutes", "started", "expected"), [
    ("waiting", 0, False, rules.Stage.WAITING), ("refused", 0, False, rules.Stage.REFUSED),
    ("cancelled", 0, False, rules.Stage.CANCELLED), ("planned", -5, False, rules.Stage.PLANNED),
    ("planned", 5, True, rules.Stage.OPEN), ("planned", 49, True, rules.Stage.OPEN), ("planned", 50, True, rules.Stage.ENDED),
])
def test_a_lesson_says_where_it_stands(status: str, minutes: int, started: bool, expected: rules.Stage) -> None:
    times = rules.Times(START, START + timedelta(minutes=45), START if started else None)
    assert rules.stage(status, times, Profile(), START + timedelta(minutes=minutes)) is expected


@pytest.mark.parametrize(("minutes", "expected"), [(1, (10, 5)), (30, (100, 15)), (60, (200, 25))])
def test_a_family_is_told_what_a_lesson_uses_of_its_data(minutes: int, expected: tuple[int, int]) -> None:
    """In megabytes, with pictures and without, never “nothing” (policy: RL11)."""
    assert rules.expected_use(timedelta(minutes=minutes)) == expected


@pytest.mark.parametrize(("purposes", "may"), [
    ({"attend", "be_recorded"}, True), ({"be_recorded"}, False),
    ({"attend", "camera", "microphone", "chat", "one_to_one"}, False)])
def test_no_child_is_in_a_lesson_without_attending_and_being_recorded(purposes: set[str], may: bool) -> None:
    assert rules.may_take_part(frozenset(purposes)) is may
