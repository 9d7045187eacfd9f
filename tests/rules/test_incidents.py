"""What belongs in an incident, who may read it, which sanction fits whom, and when it may be closed (policy: IN1, IN2, RC3)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from service.foundation.errors import Conflict, Invalid
from service.foundation.events import STAFF, Role
from service.safeguarding.chronology import Entry, Kind
from service.safeguarding.incidents import rules
from service.safeguarding.incidents.rules import ForOverseers, Incident, New, NotYet, Part, TheTeamsToTell
from service.safeguarding.rules import Viewer

TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
TEACHER, LEADER, DSL = (frozenset({role}) for role in (Role.TEACHER, Role.SENIOR_LEADER, Role.DSL))
NEW = New("Ali called Ben names", "I spoke to both", TODAY, category="bullying", children=(("ali", "did"), ("ben", "affected")),
          about_adult="no")
BEGUN = [replace(one, id=str(number), at=NOW, by="hall") for number, one in enumerate(rules.first_entries(NEW))]
TALK = Entry(Kind.SANCTION, "First time", "ali", reference="talk")
TOLD = [Entry(Kind.PARENTS_TOLD, "By telephone", child) for child in ("ali", "ben")]


def check(entry: Entry, so_far: list[Entry] | None = None, roles: frozenset[Role] = LEADER, to: Role = Role.DSL) -> None:
    rules.check_entry(entry, BEGUN if so_far is None else so_far, roles, routed_to=to, readers={"hall"}, today=TODAY)


def wrong(entry: Entry, **how: frozenset[Role]) -> set[str]:
    with pytest.raises(Invalid) as refused:
        check(entry, **how)  # type: ignore[arg-type]
    return set(refused.value.fields)


# Who may read it


@pytest.mark.parametrize("role", sorted(STAFF | {Role.CHAIR, Role.GOVERNOR, Role.PARENT, Role.PUPIL, Role.DPO}))
def test_an_incident_of_pupils_exists_for_leaders_and_the_safeguarding_team(role: Role) -> None:
    overseen = role in (Role.SENIOR_LEADER, Role.HEADTEACHER, Role.DSL, Role.DEPUTY_DSL)
    assert rules.may_open(Incident(Role.DSL, "hall"), Viewer("somebody", frozenset({role}))) == overseen


def test_who_recorded_one_follows_it_unless_it_is_about_an_adult() -> None:
    assert rules.may_open(Incident(Role.DSL, "hall"), Viewer("hall", TEACHER))
    assert not rules.may_open(Incident(Role.HEADTEACHER, "hall", about_staff=True), Viewer("hall", TEACHER))


@pytest.mark.parametrize("role", sorted(Role))
def test_one_about_an_adult_exists_for_the_headteacher_alone_and_one_about_the_headteacher_for_the_chair(role: Role) -> None:
    viewer = Viewer("somebody", frozenset({role}))
    assert rules.may_open(Incident(Role.HEADTEACHER, "hall", True), viewer) == (role is Role.HEADTEACHER)
    assert rules.may_open(Incident(Role.CHAIR, "hall", True), viewer) == (role is Role.CHAIR)


def test_whom_it_is_kept_from_finds_nothing_with_every_role() -> None:
    for to in (Role.DSL, Role.HEADTEACHER, Role.CHAIR):
        one = Incident(to, "marsh", to is not Role.DSL, barred=frozenset({"marsh"}))
        assert not rules.may_open(one, Viewer("marsh", frozenset(Role)))


# Recording


@pytest.mark.parametrize(("change", "field"), [
    ({"said": " "}, "said"), ({"category": ""}, "category"), ({"category": "sexting"}, "category"), ({"on": None}, "on"),
    ({"on": TODAY + timedelta(days=1)}, "on"), ({"children": ()}, "children"), ({"children": (("ali", ""),)}, "children"),
    ({"about_adult": ""}, "about_adult"), ({"about_adult": "yes", "about_id": "nobody"}, "about_id"),
])
def test_an_incident_says_what_when_who_and_whether_it_is_about_an_adult(change: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_new(replace(NEW, **change), TODAY, adults={"hall"})  # type: ignore[arg-type]
    assert set(refused.value.fields) == {field}


def test_a_pupil_can_be_named_in_words_and_one_about_an_adult_needs_no_pupil() -> None:
    rules.check_new(replace(NEW, children=(), by_name="Cy, 2 Elm"), TODAY, adults=())
    rules.check_new(replace(NEW, children=(), about_adult="yes", about_id="hall"), TODAY, adults={"hall"})
    assert "Pupils named: Cy, 2 Elm" in rules.first_entries(replace(NEW, by_name="Cy, 2 Elm"))[0].words


@pytest.mark.parametrize("category", sorted(rules.CATEGORIES))
def test_a_stranger_or_the_law_goes_to_the_safeguarding_team_at_once(category: str) -> None:
    now = rules.stands(rules.first_entries(replace(NEW, category=category)))
    assert (now.escalated_to == {Role.DSL}) == (category in ("contact", "illegal"))
    assert not rules.stands(rules.first_entries(replace(NEW, category=category, about_adult="yes"))).escalated_to


# Sanctions


def test_a_sanction_is_for_one_pupil_who_took_part_and_says_why_it_fits() -> None:
    check(TALK)
    assert wrong(replace(TALK, child_id="ben")) == {"child_id"}, "whom it was done to is not punished"
    assert wrong(replace(TALK, child_id="cy")) == {"child_id"}
    assert wrong(replace(TALK, words=" ")) == {"words"}
    assert wrong(replace(TALK, reference="detention")) == {"reference"}


def test_each_sanction_has_what_it_needs() -> None:
    access, referral = replace(TALK, reference="access"), replace(TALK, reference="referral")
    assert wrong(access) == wrong(replace(access, on=TODAY - timedelta(days=1))) == {"on"}
    assert wrong(referral) == {"agency"}
    check(replace(access, on=TODAY + timedelta(days=7)))
    check(replace(referral, agency="Police"))


@pytest.mark.parametrize("kind", sorted(rules.SANCTIONS))
def test_a_teacher_gives_the_mildest_sanctions_and_leaders_give_the_others(kind: str) -> None:
    entry = replace(TALK, reference=kind, on=TODAY, agency="Police")
    check(entry, roles=LEADER)
    if kind in ("none", "talk"):
        check(entry, roles=TEACHER)
    else:
        with pytest.raises(ForOverseers):
            check(entry, roles=TEACHER)


# Families


def test_once_the_safeguarding_team_has_it_nobody_else_tells_the_family() -> None:
    with_team = [*BEGUN, Entry(Kind.ESCALATED, "Worrying", reference=Role.DSL)]
    check(TOLD[0], roles=TEACHER)
    check(TOLD[0], with_team, DSL)
    for roles in (TEACHER, LEADER):
        with pytest.raises(TheTeamsToTell):
            check(TOLD[0], with_team, roles)
    check(TOLD[0], with_team, frozenset({Role.HEADTEACHER}), Role.HEADTEACHER)


def test_a_family_is_that_of_a_pupil_who_is_named() -> None:
    assert wrong(replace(TOLD[0], child_id="cy")) == {"child_id"}


def test_not_telling_a_family_is_for_those_who_oversee_and_has_a_reason() -> None:
    not_told = Entry(Kind.PARENTS_NOT_TOLD, "It may add risk", "ali")
    check(not_told)
    assert wrong(replace(not_told, words="")) == {"words"}
    with pytest.raises(ForOverseers):
        check(not_told, roles=TEACHER)


# Closing


def test_it_closes_when_each_part_has_its_sanction_and_each_family_its_answer() -> None:
    closing = Entry(Kind.CLOSED, "They made up")
    for so_far in (BEGUN, [*BEGUN, TALK], [*BEGUN, *TOLD], [*BEGUN, TALK, TOLD[0]]):
        with pytest.raises(NotYet):
            check(closing, so_far)
    check(closing, [*BEGUN, TALK, *TOLD])
    with pytest.raises(NotYet):
        check(closing, [*BEGUN, TALK, *TOLD, Entry(Kind.ACTION, "Ring again", id="a")])
    with pytest.raises(ForOverseers):
        check(closing, [*BEGUN, TALK, *TOLD], TEACHER)


def test_what_is_closed_takes_notes_and_corrections_only_until_it_is_opened_again() -> None:
    closed = [*BEGUN, Entry(Kind.CLOSED, "Over")]
    check(Entry(Kind.NOTE, "Later"), closed)
    check(Entry(Kind.CORRECTION, "It was Tuesday", of_entry="0"), closed)
    with pytest.raises(Conflict):
        check(TALK, closed)
    check(Entry(Kind.REOPENED, "It went on"), closed)
    assert rules.stands(closed).state == "closed"


@pytest.mark.parametrize("kind", sorted({Kind.SAID, Kind.CONCERN, Kind.MOVED, Kind.EXPORTED, Kind.WATCHER}))
def test_nobody_adds_by_hand_what_the_service_writes(kind: Kind) -> None:
    with pytest.raises(Conflict):
        check(Entry(kind, "x", reference="x"))


# Kept up to date


def test_an_open_incident_is_late_after_the_days_that_the_school_allows_and_a_closed_one_never() -> None:
    assert not rules.is_late(TODAY, TODAY + timedelta(days=14), 14, is_closed=False)
    assert rules.is_late(TODAY, TODAY + timedelta(days=15), 14, is_closed=False)
    assert not rules.is_late(TODAY, TODAY + timedelta(days=99), 14, is_closed=True)


def test_one_that_is_opened_again_is_counted_from_then() -> None:
    again = Entry(Kind.REOPENED, "It went on", at=NOW + timedelta(days=20))
    assert rules.opened_on(TODAY, BEGUN) == TODAY
    assert rules.opened_on(TODAY, [*BEGUN, again]) == TODAY + timedelta(days=20)


def test_the_state_says_who_was_asked_to_take_it_on() -> None:
    assert rules.stands(BEGUN).state == "open"
    assert rules.stands([*BEGUN, Entry(Kind.ESCALATED, "Again", reference=Role.HEADTEACHER)]).state == "escalated"


def test_a_concern_begins_with_the_same_words_and_each_part_has_its_own_in_it() -> None:
    said, done = rules.for_concern("I-2026-0001", BEGUN)
    assert said.startswith("From incident I-2026-0001.")
    assert NEW.said in said
    assert done == NEW.done
    assert set(rules.IN_A_CONCERN) == set(Part)
