"""Who may be called, by whom and when, held to a second, plainer account of the policy (policy: CM1, CM2, CM3, CM6)."""

import itertools
import pickle
from dataclasses import fields, replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.calls import grants, rules
from service.calls.grants import Grant, State
from service.calls.number import HIDDEN, Number
from service.calls.progress import Progress, Stage, Why, why_of
from service.calls.rules import Allowed, Contact, Facts, Limits, Not, decide
from service.calls.way import End, Kind, News, Order
from service.foundation.errors import Invalid, NotAllowed
from service.foundation.events import Actor, Role
from service.people import telephones
from service.people.profile import Profile
from service.people.telephones import Fit

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # a Tuesday in winter: the school's wall shows the same
LIMITS = rules.limits(Profile())
MUM = Contact("mum", "Ms Rahman", "mother", 1, "yes", "no", False, Fit.GOOD)
GRANT = Grant("g", "hall", "My laptop has no microphone", NOON + timedelta(days=1), NOON, "khan", True,
              approver_roles=frozenset({Role.SENIOR_LEADER}), number="a hash", number_now="a hash")
GOOD = Facts("hall", frozenset({Role.TEACHER}), True, True, True, True, MUM, "welfare", False, False, "Europe/London", True, 0, 0,
             False, False, True, is_family=False)


def no(facts: Facts, now: datetime = NOON, **more: bool) -> Not:
    found = decide(facts, LIMITS, now, **more)
    assert isinstance(found, Not)
    return found


# -- the decision ---------------------------------------------------------------------------------------------------------------


def test_a_teacher_calls_the_parent_of_a_child_they_teach() -> None:
    assert decide(GOOD, LIMITS, NOON) == Allowed()


def test_what_nobody_found_out_is_a_refusal() -> None:
    assert no(Facts("hall")) == rules.NOT_YOU
    for one in fields(Facts):  # each fact alone, forgotten: there is none without which a call goes out
        if one.name not in ("caller", "is_demo", "zone", "by_telephone", "own_number", "grant"):
            assert isinstance(decide(replace(GOOD, **{one.name: one.default}), LIMITS, NOON), Not), one.name


@pytest.mark.parametrize(("changes", "refusal"), [
    ({"roles": frozenset(Role) - rules.CALLERS}, rules.NOT_YOU),
    ({"is_signed_in": False}, rules.SIGNED_OUT), ({"is_cleared": False}, rules.NOT_CLEARED),
    ({"is_closed": True}, rules.CLOSED), ({"is_child": False}, rules.DO_NOT_CALL), ({"teaches": False}, rules.NOT_YOURS),
    ({"contact": None}, rules.DO_NOT_CALL), ({"contact": replace(MUM, adult_id="hall")}, rules.DO_NOT_CALL),
    ({"purpose": "a chat"}, rules.NO_PURPOSE), ({"is_school_day": False}, rules.outside(LIMITS)),
    ({"about_child": 6}, rules.TOO_OFTEN_CHILD), ({"to_family": 3}, rules.TOO_OFTEN_FAMILY),
    ({"about_child": None}, rules.TOO_OFTEN_CHILD), ({"to_family": None}, rules.TOO_OFTEN_FAMILY),
    ({"caller_is_busy": True}, rules.YOU_ARE_BUSY), ({"callee_is_busy": True}, rules.THEY_ARE_BUSY),
    ({"has_shown": False}, rules.NO_SCHOOL_NUMBER), ({"by_telephone": True}, rules.NO_GRANT),
    ({"by_telephone": True, "grant": GRANT}, rules.NO_OWN_NUMBER), ({"is_family": True}, rules.OWN_FAMILY),
])
def test_each_reason_alone_refuses_in_words(changes: dict[str, object], refusal: Not) -> None:
    assert no(replace(GOOD, **changes)) == refusal  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [
    {"do_not_contact": True}, {"court_order": "yes"}, {"court_order": "unknown"}, {"responsibility": "no"},
    {"responsibility": "unknown"}, {"number": None}, {"number": Fit.NEVER}, {"number": Fit.DRAMA}, {"shares": True},
    {"is_here": False},
])
def test_whoever_must_not_be_called_is_not_and_no_reason_is_given(changes: dict[str, object]) -> None:
    """One sentence for every reason: whoever reads it learns of no court order (policy: CM1)."""
    assert no(replace(GOOD, contact=replace(MUM, **changes))) == rules.DO_NOT_CALL  # type: ignore[arg-type]
    for role in Role:
        assert isinstance(decide(replace(GOOD, roles=frozenset({role}), contact=replace(MUM, **changes)), LIMITS, NOON), Not)  # type: ignore[arg-type]


def test_the_dsl_calls_at_any_hour_and_as_often_as_it_takes_and_whom_nobody_may_call_neither() -> None:
    night, dsl = datetime(2026, 11, 29, 2, 0, tzinfo=UTC), frozenset({Role.DSL})
    facts = replace(GOOD, roles=dsl, teaches=False, is_school_day=False, about_child=50, to_family=50)
    assert decide(facts, LIMITS, night) == Allowed()
    assert no(replace(facts, contact=replace(MUM, do_not_contact=True)), night) == rules.DO_NOT_CALL
    assert no(replace(facts, roles=frozenset({Role.HEADTEACHER})), night) == rules.outside(LIMITS)


@pytest.mark.parametrize(("at", "opens"), [("07:59", False), ("08:00", True), ("17:59", True), ("18:00", False)])
def test_hours_are_those_of_the_schools_wall_also_after_the_clocks_change(at: str, opens: bool) -> None:
    hour, minute = map(int, at.split(":"))
    for day, offset in (("2026-10-23", 1), ("2026-10-26", 0)):  # summer time ended on the 25th
        wall = datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(hours=hour - offset, minutes=minute)
        assert (decide(GOOD, LIMITS, wall) == Allowed()) is opens, day
    assert rules.outside(LIMITS).words == "Calls are allowed 8am to 6pm."


def test_how_often_others_were_called_meanwhile_ends_no_call_that_is_on() -> None:
    facts = replace(GOOD, about_child=6, to_family=3)
    assert no(facts) == rules.TOO_OFTEN_CHILD
    assert decide(facts, LIMITS, NOON, is_placed=True) == Allowed()
    assert no(replace(facts, contact=replace(MUM, do_not_contact=True)), is_placed=True) == rules.DO_NOT_CALL


def test_the_contacts_stand_in_the_schools_order() -> None:
    gran = replace(MUM, adult_id="gran", name="Mrs Old", order=3)
    dad = replace(MUM, adult_id="dad", name="Mr Rahman", order=2, do_not_contact=True)
    assert [one.adult_id for one in rules.in_order([gran, dad, MUM])] == ["mum", "dad", "gran"]


roles = st.frozensets(st.sampled_from(list(Role)), max_size=3)
contacts = st.none() | st.builds(
    Contact, st.sampled_from(["mum", "hall"]), st.just("x"), st.just("y"), st.integers(1, 3),
    *[st.sampled_from(["yes", "no", "unknown"])] * 2, st.booleans(),
    st.none() | st.sampled_from(list(Fit)), st.just(""), st.booleans(), st.booleans())
grant_values = st.none() | st.builds(
    Grant, st.just("g"), st.sampled_from(["hall", "cole"]), st.just("why"),
    st.sampled_from([NOON - timedelta(hours=1), NOON + timedelta(hours=20)]), st.just(NOON),
    st.sampled_from(["", "khan", "hall"]), st.none() | st.booleans(), st.none() | st.just(NOON), roles)
flags = st.booleans()
mostly = st.sampled_from([True, True, True, False])
counts = st.none() | st.integers(0, 8)
facts = st.builds(Facts, st.just("hall"), roles, mostly, mostly, mostly, mostly, contacts,
                  st.sampled_from(["welfare", "welfare", "other", ""]), flags, st.sampled_from([False, False, True]),
                  st.just("Europe/London"), mostly, counts, counts, st.sampled_from([False, False, True]),
                  st.sampled_from([False, False, True]), mostly, flags, st.none() | st.sampled_from(list(Fit)), grant_values,
                  st.sampled_from([False, False, False, True]))


def oracle(f: Facts, now: datetime, placed: bool) -> bool:
    """The same policy, written once more as one sentence and by another hand: no function of the rule is used."""
    if f.contact is None:
        return False
    held = {str(role) for role in f.roles}
    team = "dsl" in held or "deputy_dsl" in held
    whole_school = team or bool(held & {"senior_leader", "headteacher", "office"})
    dialable = {Fit.GOOD, Fit.DRAMA} if f.is_demo else {Fit.GOOD}
    parent = f.contact
    adult_ok = (parent.responsibility == "yes" and parent.court_order == "no" and not parent.do_not_contact and parent.is_here
                and not parent.shares and parent.number in dialable and parent.adult_id != f.caller)
    caller_ok = (whole_school or (bool(held & {"teacher", "support"}) and f.teaches)) and f.is_signed_in and f.is_cleared
    in_hours = team or (f.is_school_day and 8 <= now.hour < 18)
    seldom = team or placed or (f.about_child is not None and f.to_family is not None and f.about_child < 6 and f.to_family < 3)
    free = not f.caller_is_busy and not f.callee_is_busy
    phone_ok = True
    if f.by_telephone:
        g = f.grant
        phone_ok = (g is not None and g.person_id == f.caller and g.approved is True and g.revoked_at is None and now < g.until
                    and g.decided_by == "khan" and bool({str(r) for r in g.approver_roles} & {"senior_leader", "headteacher"})
                    and f.own_number in dialable)
    return (adult_ok and caller_ok and in_hours and seldom and free and phone_ok and f.is_child and f.has_shown
            and not f.is_closed and not f.is_family and f.purpose in ("welfare", "absence", "incident", "consent", "other"))


@given(facts, st.integers(0, 23), st.booleans())
def test_the_rule_says_what_the_policy_says(one: Facts, hour: int, placed: bool) -> None:
    now = NOON.replace(hour=hour)
    assert (decide(one, LIMITS, now, is_placed=placed) == Allowed()) is oracle(one, now, placed)


def test_the_oracle_notices_a_rule_with_a_hole() -> None:
    """Negative control: were the court order forgotten, the two accounts would differ."""
    barred = replace(GOOD, contact=replace(MUM, court_order="yes"))
    forgetful = replace(barred, contact=MUM)
    assert (decide(forgetful, LIMITS, NOON) == Allowed()) is not oracle(barred, NOON, False)


# -- a personal telephone -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "state"), [
    ({}, State.IN_FORCE), ({"revoked_at": NOON}, State.ENDED), ({"approved": False}, State.REFUSED),
    ({"approved": None, "decided_by": ""}, State.WAITING), ({"until": NOON}, State.OVER),
    ({"approver_roles": frozenset({Role.TEACHER})}, State.LAPSED), ({"decided_by": "hall"}, State.LAPSED),
    ({"number_now": "another"}, State.LAPSED), ({"number_now": ""}, State.LAPSED),
    ({"number": "", "number_now": ""}, State.LAPSED),
    ({"approved": None, "decided_by": "", "number_now": "another"}, State.OVER),
])
def test_a_grant_stands_only_while_everything_it_rests_on_does(changes: dict[str, object], state: State) -> None:
    one = replace(GRANT, **changes)  # type: ignore[arg-type]
    assert one.state(NOON) is state
    assert one.stands("hall", NOON) is (state is State.IN_FORCE)
    assert not one.stands("cole", NOON), "nobody calls on another's grant"


def test_nobody_approves_their_own_telephone() -> None:
    def actor(person: str, *roles: Role) -> Actor:
        return Actor(person, "school", frozenset(roles))

    with pytest.raises(NotAllowed, match="You asked for it"):
        grants.checked_decider(actor("hall", Role.HEADTEACHER), "hall")
    for role in set(Role) - {Role.HEADTEACHER, Role.SENIOR_LEADER}:
        with pytest.raises(NotAllowed):
            grants.checked_decider(actor("other", role), "hall")
    grants.checked_decider(actor("khan", Role.SENIOR_LEADER), "hall")


def test_a_request_says_why_and_until_when() -> None:
    today = date(2026, 11, 24)
    assert set(grants.asking_problems("", None, today)) == {"why", "until"}
    assert set(grants.asking_problems("No microphone here", today - timedelta(1), today)) == {"until"}
    assert set(grants.asking_problems("No microphone here", today + timedelta(93), today)) == {"until"}
    assert grants.asking_problems("No microphone here", today, today) == {}
    with pytest.raises(Invalid):
        grants.checked_reason(" ")


# -- how far a call is ------------------------------------------------------------------------------------------------------


def test_a_call_only_moves_forward_and_its_end_is_final() -> None:
    for news in itertools.permutations(list(Stage)[1:]):
        at = Progress()
        for stage in news:
            before = at
            at = at.to(stage, Why.BUSY if stage is Stage.ENDED else None)
            assert at.stage >= before.stage
            assert before.stage is not Stage.ENDED or at == before
            assert at.stage is not Stage.CONNECTED or before.stage in (Stage.ANSWERED, Stage.CONNECTED), "nobody answered"
        assert at == Progress(Stage.ENDED, Why.BUSY)


def test_the_first_reason_of_an_end_is_the_reason() -> None:
    over = Progress(Stage.CONNECTED).to(Stage.ENDED, Why.RULE)
    assert over.to(Stage.ENDED, Why.HUNG_UP) == over
    assert Progress().to(Stage.ENDED).why is Why.NOT_KNOWN
    assert [why_of(end) for end in End] == [Why(end.value) for end in End]
    assert why_of(None) is Why.FAULT


# -- numbers ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["07700 900123", "+44 7700 900123", "+44 (0)7700 900123", "0044 7700 900123", "07700-900-123"])
def test_one_number_however_it_is_written(text: str) -> None:
    assert telephones.read(text) == "+447700900123"


@pytest.mark.parametrize("text", [
    "999", "112", "101", "111", "105", "119", "18000", "116 123", "116 000", "0800 1111", "0808 800 5000", "0808 2000 247",
    "070 1234 5678", "076 1234 5678", "0909 8790000", "0901 123 4567", "0845 123 4567", "0870 123 4567", "0871 123 4567",
    "118 500", "0843 123 4567", "0800 123 4567", "08081 570000", "1234", "07700 9001", "+1 900 123 4567", "+44 7700 900123 ext 4",
    "Ring mum", "07700 900123 or 01632 960123", "", "+", "+447700900123\n;isub=1", "sip:+447700900123@evil.example",
])
def test_what_is_nobodys_ordinary_telephone_is_never_called(text: str) -> None:
    read = telephones.read(text)
    assert read is None or telephones.fit(read) is Fit.NEVER


@pytest.mark.parametrize("text", ["01632 960123", "07700 900123", "020 7946 0123", "0115 496 0123", "029 2018 0123",
                                  "028 9649 6123", "0191 498 0123", "03069 990123"])
def test_numbers_of_dramas_are_called_by_no_real_school(text: str) -> None:
    read = telephones.read(text)
    assert read is not None
    assert telephones.fit(read) is Fit.DRAMA
    real = replace(GOOD, contact=replace(MUM, number=Fit.DRAMA))
    assert no(real) == rules.DO_NOT_CALL
    assert decide(replace(real, is_demo=True), LIMITS, NOON) == Allowed()


@pytest.mark.parametrize("text", ["07911 123456", "020 7123 4567", "07624 423456", "+48 601 234 567", "+353 85 123 4567"])
def test_ordinary_telephones_are_called_also_abroad(text: str) -> None:
    read = telephones.read(text)
    assert read is not None
    assert telephones.fit(read) is Fit.GOOD


def test_a_number_cannot_be_shown_by_accident() -> None:
    one = Number("+447700900123")
    order = Order("0" * 32, one, one, telephone=one, offer="a=candidate 10.1.2.3")
    news = News("0" * 32, Kind.ENDED, answer="a=candidate 10.1.2.3")
    for said in (str(one), repr(one), f"{one}", f"{one!r:>40}", repr(order), repr(news), repr([one]), f"{order}"):
        assert "900123" not in said
        assert "10.1.2.3" not in said
    assert HIDDEN in repr(order)
    with pytest.raises(TypeError):
        pickle.dumps(one)
    assert one.e164 == "+447700900123", "and by its one name it can be read"


def test_the_limits_are_the_schools_rules() -> None:
    assert rules.limits(Profile(calls_from=9, calls_until=16, calls_a_child_a_day=2, calls_a_family_an_hour=1)) == Limits(
        time(9), time(16), 2, 1)


@pytest.mark.parametrize("words", [
    "Ring 07700 900123", "07700-900-123", "07700, 900, 123", "07700–900—123", "07700\u200b900\u2011123", "+44 (0)7700 / 900 123",
    "0 7 7 0 0 9 0 0 1 2 3", "٠٧٧٠٠٩٠٠١٢٣", "07700_900_123", "07700 - 900 - 123",
])
def test_a_number_is_found_in_words_however_it_is_parted(words: str) -> None:
    assert telephones.is_in(words)
    assert telephones.without(f"{words} please").endswith("(a number) please")


@pytest.mark.parametrize("words", [
    "Back on 12/03/2027, 10:15", "12.3.2027 - 13.3.2027", "Room 12, seat 7, at 10:15", "Years 7, 8, 9 and 10", "20 of 25, 80%",
])
def test_days_times_and_few_figures_are_no_number(words: str) -> None:
    assert not telephones.is_in(words)
