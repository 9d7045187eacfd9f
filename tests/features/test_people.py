"""People, their roles, guardians and registers (policy: AC3, AC8, CM1)."""

import re

import httpx
import pytest
from sqlmodel import select

from service.app import ROUTERS
from service.foundation.audit import AuditLeaf
from service.foundation.errors import NotAllowed
from service.foundation.events import Role
from service.people import frame, rules
from service.people.tables import Guardianship, Person, PersonRole
from tests.proofs import confirmed_post
from tests.school import Running

ROLES = sorted({"teacher", "support", "senior_leader", "headteacher", "dsl", "deputy_dsl", "chair", "office", "governor", "dpo",
                "technician", "pupil", "parent"})
LINK = re.compile(r'x-navigation__link" href="([^"]+)"|govuk-service-navigation__link" href="([^"]+)"')


async def kinds(school: Running) -> list[str]:
    async with school.database.reading() as session:
        return list((await session.exec(select(AuditLeaf.kind).order_by(AuditLeaf.seq))).all())


async def added(client: httpx.AsyncClient, **given: str | list[str]) -> str:
    answer = await client.post("/people/add", data=given)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].rpartition("/")[2]


# -- what each role may open ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
async def test_every_page_in_a_roles_navigation_opens_and_no_other_does(school: Running, role: str) -> None:
    client = await school.signed_in(role)
    page = await client.get("/", follow_redirects=True)
    assert page.status_code == 200
    linked = {first or second for first, second in LINK.findall(page.text)}
    every = {path for path, _ in frame.NAVIGATION if path in frame.audiences(ROUTERS)}
    assert {path: (await client.get(path)).status_code for path in every} == {
        path: 200 if path in linked else 404 for path in every}


async def test_pages_about_people_say_the_same_to_the_wrong_role_as_about_a_page_that_is_not_there(school: Running) -> None:
    client = await school.signed_in("teacher")
    refused = await client.get(f"/people/{school.person('pupil')}")
    missing = await client.get("/nothing-here")
    assert refused.status_code == missing.status_code == 404
    assert "Page not found" in refused.text
    assert "Page not found" in missing.text


async def test_a_technician_sees_colleagues_and_no_families(school: Running) -> None:
    client = await school.signed_in("technician")
    page = await client.get("/people")
    assert "Daniel Hall" in page.text
    assert "Rahman" not in page.text
    assert (await client.get(f"/people/{school.person('pupil')}")).status_code == 404
    assert (await client.get(f"/people/{school.person('parent')}")).status_code == 404
    assert (await client.get(f"/people/{school.person('teacher')}")).status_code == 200


async def test_no_page_shows_a_familys_address(school: Running) -> None:
    async with school.database.reading() as session:
        email = (await session.get_one(Person, school.person("parent"))).email
    client = await school.signed_in("office")
    for path in ("", "/change"):
        assert email not in (await client.get(f"/people/{school.person('parent')}{path}")).text


# -- adding and changing ----------------------------------------------------------------------------------------------


async def test_the_office_adds_a_child_to_a_class_and_finds_them_without_accents(school: Running) -> None:
    client = await school.signed_in("office")
    group = re.findall(r'value="([0-9a-f]{32})">5 Oak', (await client.get("/people/add")).text)[0]
    person = await added(client, kind="child", given_name="Zoë", family_name="Núñez", born_on="27/3/2016", year_group="5",
                         group=group)
    page = (await client.get(f"/people/{person}")).text
    assert "Sunday 27 March 2016" in page
    assert "5 Oak" in page
    assert "Zoë Núñez" in (await client.get("/people", params={"q": "zoe nunez"})).text
    assert {"PersonAdded", "RolesChanged", "GroupChanged"} <= set(await kinds(school))


@pytest.mark.parametrize(("given", "words"), [
    ({"kind": "child", "given_name": ""}, "Enter a first name"),
    ({"kind": "child", "given_name": "A", "born_on": "31/02/2016"}, "Enter a date like 27/3/2016"),
    ({"kind": "child", "given_name": "A", "email": "a@example.org"}, "Pupils sign in with a badge"),
    ({"kind": "adult", "given_name": "A", "email": "not an address"}, "Enter an e-mail address"),
    ({"kind": "adult", "given_name": "A", "roles": ["headteacher"]}, "A headteacher or senior leader gives this role"),
    ({"kind": "dog", "given_name": "A"}, "Choose child or adult"),
])
async def test_a_form_that_cannot_be_so_says_why_beside_the_field_and_saves_nothing(
        school: Running, given: dict[str, str], words: str) -> None:
    client = await school.signed_in("office")
    answer = await client.post("/people/add", data=given)
    assert answer.status_code == 422
    assert words in answer.text
    assert "<title>Error: " in answer.text
    assert "PersonAdded" not in await kinds(school)


async def test_two_people_never_share_a_sign_in_name(school: Running) -> None:
    async with school.database.reading() as session:
        email = (await session.get_one(Person, school.person("teacher"))).email
    client = await school.signed_in("office")
    answer = await client.post("/people/add", data={"kind": "adult", "given_name": "A", "email": email.upper()})
    assert "Somebody else has this already" in answer.text


async def test_a_change_made_meanwhile_is_not_overwritten(school: Running) -> None:
    client = await school.signed_in("office")
    person = await added(client, kind="child", given_name="Ada", family_name="Bell")
    first = {"kind": "child", "given_name": "Ada", "family_name": "Ball", "version": "1"}
    assert (await client.post(f"/people/{person}/change", data=first)).status_code == 303
    assert (await client.post(f"/people/{person}/change", data=first | {"family_name": "Bill"})).status_code == 409
    assert "Ada Ball" in (await client.get(f"/people/{person}")).text


async def test_markup_in_a_name_is_only_words(school: Running) -> None:
    client = await school.signed_in("office")
    person = await added(client, kind="child", given_name="<script>alert(1)</script>", family_name='"><img src=x>')
    for path in (f"/people/{person}", f"/people/{person}/change", "/people?q=script"):
        page = (await client.get(path)).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page


async def test_who_left_is_in_the_list_of_those_who_left_and_can_come_back(school: Running) -> None:
    client = await school.signed_in("office")
    person = await added(client, kind="child", given_name="Gone", family_name="Away")
    await client.post(f"/people/{person}/leave")
    assert "Gone Away" not in (await client.get("/people")).text
    assert "Gone Away" in (await client.get("/people?left=yes")).text
    await client.post(f"/people/{person}/return")
    assert "Gone Away" in (await client.get("/people?q=gone")).text
    assert [kind for kind in await kinds(school) if kind in (
        "PersonLeft", "SessionsEnded", "PersonReturned")] == ["PersonLeft", "SessionsEnded", "PersonReturned"]


# -- roles ------------------------------------------------------------------------------------------------------------


def actor(*roles: Role, person: str = "me") -> rules.Actor:
    return rules.Actor(person, "school", frozenset(roles))


@pytest.mark.parametrize(("who", "role", "may"), [
    (Role.OFFICE, Role.TEACHER, True), (Role.OFFICE, Role.DSL, False), (Role.OFFICE, Role.SENIOR_LEADER, False),
    (Role.OFFICE, Role.OFFICE, False), (Role.OFFICE, Role.TECHNICIAN, False), (Role.SENIOR_LEADER, Role.OFFICE, True),
    (Role.SENIOR_LEADER, Role.DSL, False), (Role.SENIOR_LEADER, Role.HEADTEACHER, False), (Role.HEADTEACHER, Role.DSL, True),
    (Role.TEACHER, Role.TEACHER, False), (Role.TECHNICIAN, Role.TEACHER, False), (Role.DSL, Role.TEACHER, False),
])
def test_power_is_given_by_leaders_and_never_by_the_office(who: Role, role: Role, may: bool) -> None:
    assert (role in rules.grantable(actor(who), "somebody")) == may


@pytest.mark.parametrize("who", list(Role))
def test_without_a_headteacher_a_senior_leader_or_the_chair_asks_for_the_next_and_nobody_else_gains_anything(who: Role) -> None:
    more = rules.grantable(actor(who), "somebody", has_head=False) - rules.grantable(actor(who), "somebody")
    assert more == ({Role.HEADTEACHER} if who in (Role.SENIOR_LEADER, Role.CHAIR) else set())


def test_a_headteacher_who_left_by_mistake_comes_back_by_a_senior_leader_only_while_there_is_no_other() -> None:
    leader, roles = actor(Role.SENIOR_LEADER), frozenset({Role.HEADTEACHER})
    rules.checked_return(leader, "somebody", roles, has_head=False)
    for who, has_head in ((leader, True), (actor(Role.OFFICE), False)):
        with pytest.raises(NotAllowed):
            rules.checked_return(who, "somebody", roles, has_head=has_head)


@pytest.mark.parametrize("role", list(Role))
def test_nobody_changes_their_own_roles(role: Role) -> None:
    with pytest.raises(rules.OwnRoles):
        rules.checked_roles(actor(role), "me", "adult", frozenset({role}), frozenset({role, Role.GOVERNOR, Role.DSL}))


def test_a_child_is_never_given_an_adults_role() -> None:
    with pytest.raises(rules.Invalid):
        rules.checked_roles(actor(Role.HEADTEACHER), "child", "child", frozenset({Role.PUPIL}),
                            frozenset({Role.PUPIL, Role.TEACHER}))


async def test_losing_a_role_signs_out_and_the_page_is_gone(school: Running) -> None:
    office = await school.signed_in("office")
    head = await school.signed_in("headteacher")
    person = school.person("office")
    assert (await office.get("/people")).status_code == 200
    given = await confirmed_post(school, head, school.person("headteacher"), f"/people/{person}/roles", {"roles": ["teacher"]})
    assert given.status_code == 303
    assert (await office.get("/people")).status_code == 303
    again = await school.signed_in("office")
    assert (await again.get("/people")).status_code == 404


async def test_the_office_cannot_take_away_what_it_cannot_give(school: Running) -> None:
    office = await school.signed_in("office")
    await confirmed_post(school, office, school.person("office"), f"/people/{school.person('dsl')}/roles", {"roles": ["teacher"]})
    async with school.database.reading() as session:
        held = (await session.exec(select(PersonRole.role).where(PersonRole.person_id == school.person("dsl")))).all()
    assert set(held) == {"dsl", "teacher"}


# -- guardians (policy: CM1) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after", "less"), [
    (("yes", "no", False), ("yes", "yes", False), False), (("yes", "yes", False), ("yes", "no", False), True),
    (("yes", "unknown", False), ("yes", "no", False), True), (("no", "no", False), ("yes", "no", False), True),
    (("yes", "no", False), ("no", "no", False), False), (("yes", "no", True), ("yes", "no", False), True),
    (("yes", "no", False), ("yes", "no", True), False), (("yes", "no", True), ("no", "yes", True), False),
    (("yes", "no", False), ("no", "yes", True), False), (("no", "no", False), ("unknown", "yes", True), True),
])
def test_what_lessens_a_childs_protection_is_seen_as_such(before: tuple[str, str, bool], after: tuple[str, str, bool],
                                                         less: bool) -> None:
    assert rules.lessens(rules.Flags(*before), rules.Flags(*after)) == less


async def link_of(school: Running) -> Guardianship:
    async with school.database.reading() as session:
        found = (await session.exec(select(Guardianship).where(Guardianship.child_id == school.person("pupil")))).first()
    assert found
    return found


FLAGS = {"relationship": "father", "contact_order": "1", "lives_with": "no", "parental_responsibility": "yes",
         "court_order": "no", "do_not_contact": "no"}


async def test_protection_is_added_by_one_and_taken_away_by_two(school: Running) -> None:
    link = await link_of(school)
    office, dsl = await school.signed_in("office"), await school.signed_in("dsl")
    assert (await office.post(f"/guardians/{link.id}", data=FLAGS | {"do_not_contact": "yes"})).status_code == 303
    assert (await link_of(school)).do_not_contact
    refused = await office.post(f"/guardians/{link.id}", data=FLAGS)
    assert "Say why, for the second person" in refused.text
    assert (await office.post(f"/guardians/{link.id}", data=FLAGS | {"reason": "Order lifted"})).status_code == 303
    assert (await link_of(school)).do_not_contact
    page = (await dsl.get("/guardians/changes")).text
    assert "Order lifted" in page
    change = re.findall(r"/guardians/changes/([0-9a-f]{32})", page)[0]
    assert (await office.post(f"/guardians/changes/{change}", data={"answer": "agree"})).status_code == 403
    assert (await link_of(school)).do_not_contact
    assert (await dsl.post(f"/guardians/changes/{change}", data={"answer": "agree"})).status_code == 303
    assert not (await link_of(school)).do_not_contact
    assert (await dsl.post(f"/guardians/changes/{change}", data={"answer": "agree"})).status_code == 409
    assert [kind for kind in await kinds(school) if kind.startswith("Guardianship")] == [
        "GuardianshipChanged", "GuardianshipChangeAsked", "GuardianshipChanged"]


def test_two_people_of_the_office_are_not_enough() -> None:
    with pytest.raises(NotAllowed, match="A leader or the safeguarding team"):
        rules.checked_second(actor(Role.OFFICE), "another", frozenset({Role.OFFICE}))
    rules.checked_second(actor(Role.OFFICE), "another", frozenset({Role.DSL}))


async def test_a_change_that_is_refused_changes_nothing(school: Running) -> None:
    link = await link_of(school)
    office, dsl = await school.signed_in("office"), await school.signed_in("dsl")
    await office.post(f"/guardians/{link.id}", data=FLAGS | {"parental_responsibility": "no"})
    await office.post(f"/guardians/{link.id}", data=FLAGS | {"reason": "A mistake"})
    change = re.findall(r"/guardians/changes/([0-9a-f]{32})", (await dsl.get("/guardians/changes")).text)[0]
    await dsl.post(f"/guardians/changes/{change}", data={"answer": "refuse"})
    assert (await link_of(school)).parental_responsibility == "no"


async def test_a_new_adult_is_linked_with_no_power_until_somebody_says_so(school: Running) -> None:
    office = await school.signed_in("office")
    child = school.person("pupil")
    answer = await office.post("/people/add", data={
        "kind": "adult", "given_name": "New", "family_name": "Carer", "roles": ["parent"], "guardian_of": child})
    link_id = answer.headers["location"].rpartition("/")[2]
    async with school.database.reading() as session:
        link = await session.get_one(Guardianship, link_id)
    assert (link.child_id, link.parental_responsibility, link.court_order) == (child, "unknown", "unknown")
    assert "New Carer" in (await office.get(f"/people/{child}")).text


# -- the DBS register (policy: AC8) -----------------------------------------------------------------------------------


async def test_a_check_is_recorded_and_withdrawn_with_a_reason(school: Running) -> None:
    office = await school.signed_in("office")
    teacher = school.person("teacher")
    for number, checked_on, words in (("123", "1/9/2025", "12 digits"), ("001234567890", "1/9/2027", "not in the future")):
        assert words in (await office.post(f"/dbs/{teacher}/add", data={"number": number, "checked_on": checked_on})).text
    seen = {"number": "0012 3456 7890", "checked_on": "1/9/2025"}
    assert (await office.post(f"/dbs/{teacher}/add", data=seen)).status_code == 303
    register = (await office.get("/dbs")).text
    assert "001234567890" in register
    assert "1/9/2028" in register
    check = re.findall(r"/dbs/checks/([0-9a-f]{32})/withdraw", register)[0]
    assert "Say why" in (await office.post(f"/dbs/checks/{check}/withdraw", data={"reason": " "})).text
    assert (await office.post(f"/dbs/checks/{check}/withdraw", data={"reason": "Wrong certificate"})).status_code == 303
    assert "Withdrawn" in (await office.get("/dbs")).text
    assert {"DbsRecorded", "DbsWithdrawn"} <= set(await kinds(school))


async def test_nobody_records_their_own_check(school: Running) -> None:
    office = await school.signed_in("office")
    answer = await office.post(f"/dbs/{school.person('office')}/add", data={"number": "001234567890", "checked_on": "1/9/2025"})
    assert "You cannot record your own DBS check" in answer.text


# -- classes and badges -----------------------------------------------------------------------------------------------


async def test_a_class_is_named_once_and_its_members_are_chosen(school: Running) -> None:
    office = await school.signed_in("office")
    assert "There is a class with this name already" in (await office.post("/classes/add", data={"name": "5  Oak"})).text
    made = (await office.post("/classes/add", data={"name": "3 Ash", "key_stage": "2"})).headers["location"]
    pupils = [school.person("pupil", position) for position in (0, 1)]
    chosen = {"name": "3 Ash", "key_stage": "2", "pupils": pupils, "teachers": [school.person("teacher")]}
    assert (await office.post(f"{made}/change", data=chosen)).status_code == 303
    assert "2 pupils" in (await office.get(made)).text
    swapped = {"name": "3 Ash", "key_stage": "2", "pupils": [school.person("teacher")]}
    assert (await office.post(f"{made}/change", data=swapped)).status_code == 404  # an adult is never a pupil of a class
    assert "2 pupils" in (await office.get(made)).text


async def test_badges_of_a_class_show_first_names_codes_and_pins_once(school: Running) -> None:
    office = await school.signed_in("office")
    group = re.findall(r"/classes/([0-9a-f]{32})", (await office.get("/classes")).text)[0]
    listed = (await office.get(f"/classes/{group}")).text.split("pupils</h2>")[1]
    pupils = re.findall(r'/people/[0-9a-f]{32}">([^<]+)</a>', listed)
    printed = (await office.post(f"/classes/{group}/badges", data={"who": "missing"})).text
    assert printed.count('class="x-badge"') == len(pupils) == 8
    assert printed.count('class="x-slip"') == 8
    badges = printed.split('<ul class="x-badges">')[1]
    for pupil in pupils:
        assert pupil.partition(" ")[0] in badges
        assert pupil.partition(" ")[2] not in badges
    assert "Everybody has a badge already" in (await office.post(f"/classes/{group}/badges", data={"who": "missing"})).text
