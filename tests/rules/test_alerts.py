"""Who is told, and who must never know (policy: RC1, RC4, IN4)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service.foundation.events import Role
from service.safeguarding import rules
from service.safeguarding.rules import About, Alert, Viewer

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
HOLDERS = {
    "dsl": frozenset({Role.DSL}), "deputy": frozenset({Role.DEPUTY_DSL}), "head": frozenset({Role.HEADTEACHER}),
    "chair": frozenset({Role.CHAIR}),
}
TEAM = frozenset({"dsl", "deputy"})


def viewer(name: str) -> Viewer:
    return Viewer(name, HOLDERS[name])


def test_a_worry_goes_to_the_safeguarding_team() -> None:
    assert rules.route("", HOLDERS, ()) is Role.DSL


def test_with_the_dsl_in_the_lesson_the_deputies_get_it_else_the_headteacher_else_the_chair() -> None:
    assert rules.route("", HOLDERS, {"dsl"}) is Role.DSL
    assert not rules.may_open(Alert(Role.DSL, NOW, barred=frozenset({"dsl"})), viewer("dsl"), NOW, 5)
    assert rules.may_open(Alert(Role.DSL, NOW, barred=frozenset({"dsl"})), viewer("deputy"), NOW, 5)
    assert rules.route("", HOLDERS, TEAM) is Role.HEADTEACHER
    assert rules.route("", HOLDERS, TEAM | {"head"}) is Role.CHAIR
    assert rules.route("", {}, ()) is Role.CHAIR


def test_about_a_grown_up_at_school_it_goes_to_the_headteacher_and_out_of_the_dsls_queue() -> None:
    assert rules.route(About.STAFF, HOLDERS, ()) is Role.HEADTEACHER
    for name in TEAM:
        assert not rules.may_open(Alert(Role.HEADTEACHER, NOW), viewer(name), NOW + timedelta(days=9), 5)


def test_about_the_headteacher_it_goes_to_the_chair_and_the_headteacher_never_learns_of_it() -> None:
    assert rules.route(About.HEADTEACHER, HOLDERS, ()) is Role.CHAIR
    assert rules.barred_by(About.HEADTEACHER, HOLDERS) == {"head"}
    assert rules.about_person("", HOLDERS["head"]) == About.HEADTEACHER
    assert rules.about_person("", HOLDERS["dsl"]) == About.STAFF
    assert rules.about_person("", frozenset({Role.PUPIL})) == ""


def test_the_dsl_is_called_at_once_a_deputy_off_duty_after_five_minutes_the_headteacher_after_fifteen() -> None:
    alert = Alert(Role.DSL, NOW, goes_on_to=Role.HEADTEACHER)

    def called(name: str, minutes: float, duty: frozenset[str] = frozenset({"dsl"})) -> bool:
        return rules.calls(alert, viewer(name), duty, NOW + timedelta(minutes=minutes), 5)

    assert called("dsl", 0)
    assert [called("deputy", m) for m in (0, 4.9, 5)] == [False, False, True]
    assert [called("head", m) for m in (5, 14.9, 15)] == [False, False, True]
    assert called("deputy", 0, frozenset({"deputy"}))
    assert called("deputy", 0, frozenset()), "nobody on duty: everybody of the team at once"
    assert not called("chair", 600)


def test_once_somebody_has_it_nobody_else_is_called() -> None:
    taken = Alert(Role.DSL, NOW, taken_by="dsl", goes_on_to=Role.HEADTEACHER)
    later = NOW + timedelta(hours=1)
    assert not any(rules.calls(taken, viewer(name), frozenset(), later, 5) for name in HOLDERS)
    assert not rules.may_open(taken, viewer("head"), later, 5)
    assert rules.may_open(taken, viewer("deputy"), later, 5)


@given(st.sampled_from(["", *About]), st.sets(st.sampled_from(sorted(HOLDERS))), st.integers(0, 10**5))
def test_who_is_barred_sees_nothing_ever_and_somebody_else_always_does_while_anybody_is_left(
    about: str, left_out: set[str], minutes: int,
) -> None:
    barred = frozenset(left_out) | rules.barred_by(about, HOLDERS)
    queue = rules.route(about, HOLDERS, barred)
    alert = Alert(queue, NOW, barred=barred, goes_on_to=rules.next_after(queue, HOLDERS, barred))
    later = NOW + timedelta(minutes=minutes)
    opens = {name for name in HOLDERS if rules.may_open(alert, viewer(name), later, 5)}
    calls = {name for name in HOLDERS if rules.calls(alert, viewer(name), TEAM - barred, later, 5)}
    assert not opens & barred
    assert calls <= opens
    if "chair" not in barred:
        assert calls, "it reaches somebody who can act"


def test_about_a_grown_up_nobody_took_in_time_the_chair_is_called_too_and_never_the_team() -> None:
    alert = Alert(Role.HEADTEACHER, NOW, goes_on_to=rules.next_after(Role.HEADTEACHER, HOLDERS, ()))

    def called(name: str, minutes: float) -> bool:
        return rules.calls(alert, viewer(name), frozenset(), NOW + timedelta(minutes=minutes), 5)

    assert [called("head", m) for m in (0, 15)] == [True, True]
    assert [called("chair", m) for m in (0, 14.9, 15)] == [False, False, True]
    assert not any(called(name, 600) for name in TEAM)
    assert [rules.steps_passed(alert, NOW + timedelta(minutes=m), 5) for m in (5, 14.9, 15)] == [0, 0, 2]


def test_what_the_headteacher_may_not_read_goes_on_from_the_team_to_the_chair() -> None:
    assert rules.next_after(Role.DSL, HOLDERS, ()) is Role.HEADTEACHER
    assert rules.next_after(Role.DSL, HOLDERS, {"head"}) is Role.CHAIR
    assert rules.next_after(Role.HEADTEACHER, HOLDERS, {"chair"}) is None
    assert rules.next_after(Role.CHAIR, HOLDERS, ()) is None


SCHOOLS = st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from(sorted(rules.INBOX)), min_size=1).map(frozenset))


@given(SCHOOLS, st.sampled_from(["", *About]), st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_in_any_school_what_nobody_takes_calls_somebody_who_may_open_it_unless_nobody_is_left(
    school: dict[str, frozenset[Role]], about: str, left_out: set[str], duty: set[str],
) -> None:
    """And whoever is called may open it at that moment, is never one it is kept from, and a later queue was asked in its turn."""
    barred = frozenset(left_out) | rules.barred_by(about, school)
    queue = rules.route(about, school, barred)
    alert = Alert(queue, NOW, barred=barred, goes_on_to=rules.next_after(queue, school, barred))
    team = frozenset(one for one in duty if one in school and school[one] & rules.circle(Role.DSL)) - barred
    times = rules.call_times(alert, school, team, 5)
    last = NOW + rules.step_after(rules.LAST_STEP, 5)
    assert not set(times) & barred
    for person in times:
        assert rules.may_open(alert, Viewer(person, school[person]), last, 5)
    may = {one for one, roles in school.items() if one not in barred and roles & rules.circle(queue)}
    assert bool(times) == bool(may), "nobody is called where nobody of its queue and of no later one is left"
    if alert.goes_on_to:
        assert {one for one, roles in school.items() if alert.goes_on_to in roles} - barred <= set(times)
    elif queue is not Role.CHAIR:
        assert not {one for one, roles in school.items() if Role.CHAIR in roles} - barred


def test_the_rota_is_read_in_the_schools_own_time() -> None:
    slots = [("dsl", 1, "08:00", "17:00")]
    assert rules.on_duty(slots, datetime(2026, 11, 24, 8, 0)) == {"dsl"}  # noqa: DTZ001 local wall time
    assert rules.on_duty(slots, datetime(2026, 11, 24, 17, 0)) == frozenset()  # noqa: DTZ001
    assert rules.on_duty(slots, datetime(2026, 11, 25, 9, 0)) == frozenset()  # noqa: DTZ001
