"""The hard floors: no profile, setting, route or word in the database lets an adult be alone with a child unapproved,
children be together alone, anything go unrecorded, or anything pass in private; and nothing turns the audit off.

Each part has a negative control: the same harness with one floor taken away notices it.
"""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlmodel import func, select

from lessons import roster as rosters
from lessons.guests.queries import Admission
from lessons.live import reading, room
from lessons.live.effects import Source
from lessons.live.plan import Plan
from lessons.live.supervision import Hold, Kind, Snapshot, Verdict
from lessons.roster import Adult, Pupil, Roster
from service.app import ROUTERS
from service.foundation.audit import AuditLeaf
from service.foundation.events import Role
from service.foundation.settings import Settings
from service.foundation.web import Audience, declared_audience
from service.people.profile import RULES, Profile, lines, profile_from
from service.people.queries import GroupView
from tests.room.stage import START, Stage
from tests.rules.test_profile import JSON, profiles
from tests.school import Running

END = START + timedelta(days=1)
PURPOSES = frozenset({"attend", "be_recorded", "camera", "microphone", "chat"})
PROFILES = (
    profiles() | st.builds(replace, st.just(Profile()), **{name: JSON for name in RULES if name != "lesson_minutes"})
    | st.text().map(profile_from) | JSON.map(json.dumps).map(profile_from)
    | st.fixed_dictionaries({}, optional=dict.fromkeys(RULES, JSON)).map(json.dumps).map(profile_from)
)
"""Every profile that a school may choose, ones that it may not, and whatever somebody wrote into the database by hand."""


def planned(profile: Profile, stage: int = 2) -> Plan:
    """The plan of a lesson with a teacher, a guest and three pupils, under these rules."""
    return reading.plan_of(Roster(
        lesson_id="lesson", school_id="school", version=1, title="Maths", about="", status="planned",
        group=GroupView("group", "5 Oak", stage), starts_at=START, ends_at=START + timedelta(minutes=45), started_at=None,
        ended_at=None, end_reason="", profile=profile,
        adults=(Adult("teacher", "Mr Hall", "teacher", True, True), Adult("guest", "Ms Lind", "guest", False, True,
                                                                                     Admission("guest", True, END, frozenset()))),
        pupils=tuple(Pupil(name, name.title(), PURPOSES) for name in ("ali", "bea", "cal")),
    ), "")


def answers(plan: Plan) -> list[tuple[str, ...]]:
    """What the rule says of the scenes that no rule of a school may open, and of one that may."""
    found = []
    for people, recording in ((("teacher", "ali"), True), (("guest", "ali"), True), (("teacher", "guest", "ali"), True),
                              (("ali", "bea"), True), (("guest", "ali", "bea"), True), (("teacher", "ali", "bea"), False)):
        stage = Stage(plan=plan, recording=recording).join(*people).pass_time(3)
        assert not stage.room.is_open
        found.append(tuple(stage.room.reasons))
    return found


FLOORS = [(Hold.LONE_ADULT,), (Hold.NO_ADULT,), (Hold.LONE_ADULT,), (Hold.NO_ADULT,), (Hold.NO_ADULT,),
          (Hold.NOT_RECORDED,)]


def private(plan: Plan) -> bool:
    """Whether something that a child sends or is sent would not reach all staff in the room."""
    stage = Stage(plan=plan).join("teacher", "guest", "ali", "bea").pass_time(3)
    assert stage.room.is_open, stage.room.reasons
    for seat in stage.room.seats.values():
        seat.microphone = seat.camera = True
    stage.pass_time(0.25)
    sources = [(who, source) for who in ("guest", "ali", "bea") for source in (Source.MICROPHONE, Source.CAMERA)]
    return any("teacher" not in stage.delivers(*source) for source in sources)


@given(PROFILES, st.integers(0, 5))
@settings(deadline=None, max_examples=150)
def test_no_profile_whatsoever_changes_what_the_rule_says(profile: Profile, stage: int) -> None:
    try:
        plan = planned(profile, stage)
    except (TypeError, AttributeError, OverflowError, ValueError):
        return  # a profile that storage never gives makes no plan, so nothing opens
    if isinstance(profile.overrun_minutes, int) and 0 <= profile.overrun_minutes < 10_000:
        assert answers(plan) == FLOORS
        assert not private(plan)
        assert plan.approvals == ()


def test_the_harness_notices_a_profile_that_reaches_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def weakened(snapshot: Snapshot, now: float, lease: Any = room.lease) -> Verdict:
        return replace(lease(snapshot, now), reasons=(), until=now + 1)

    monkeypatch.setattr(room, "lease", weakened)
    with pytest.raises(AssertionError):
        answers(planned(Profile()))


@pytest.mark.parametrize("name", list(RULES))
def test_a_field_of_the_profile_reaches_a_room_only_as_lengths_chat_and_whether_pupils_see_each_other(name: str) -> None:
    rule = RULES[name]
    for value in [choice for choice, _ in rule.choices] or (rule.low, rule.high):
        changed = planned(replace(Profile(), **{name: (value,) * 6 if name == "lesson_minutes" else value}))
        usual = planned(Profile())
        moved = {each.name for each in fields(Plan) if getattr(changed, each.name) != getattr(usual, each.name)}
        assert moved <= {"chat", "pupils_see_each_other", "hard_end_at", "latest_end_at", "late_after"}, name


HANDS = ("", "null", "[]", "{", '{"audit": false, "record": false, "one_to_one": true, "approvals": [["teacher", "ali"]]}',
         json.dumps(dict.fromkeys(RULES, True)), json.dumps(dict.fromkeys(RULES, 10 ** 6)),
         json.dumps(dict.fromkeys(RULES, "off")), json.dumps({"second_adult_below": 0, "overrun_minutes": -10**9}))


@pytest.mark.parametrize("words", HANDS)
async def test_nothing_written_into_the_database_as_a_profile_opens_a_floor(school: Running, words: str) -> None:
    await school.set_profile(words)
    assert await still_shut(school)


async def still_shut(school: Running) -> bool:
    """Whether the seeded lesson, as it is read now, holds for one adult and one child, without an adult, unrecorded."""
    lesson = school.lesson()
    async with school.database.reading() as session:
        plan = await reading.plan(session, await rosters.roster(session, lesson["id"]))
    people = plan.people
    adults = [who for who in lesson["adult_ids"] if who in people and people[who].kind is not Kind.CHILD]
    children = [who for who in lesson["pupil_ids"] if who in people and people[who].may.attend]
    scenes = [((adults[0], children[0]), True), (tuple(children[:3]), True), ((adults[0], *children[:3]), False)]
    opened = []
    for here, recording in scenes:
        stage = Stage(plan=plan, recording=recording, wall=school.clock.now()).join(*here).pass_time(3)
        opened.append(stage.room.is_open)
    return not any(opened) and plan.approvals == ()


# -- settings -------------------------------------------------------------------------------------------------------------

SAY_NOTHING_OF_THE_RULE = {
    "data": "/tmp/x", "database_url": "sqlite+aiosqlite:///x", "host": "0.0.0.0", "port": "1", "public_url": "https://x.example",
    "tls_certificate": "/tmp/c", "tls_key": "/tmp/k", "trusted_proxy": "127.0.0.1", "media_port": "1",
    "media_addresses": "127.0.0.1", "media_public_addresses": "192.0.2.1", "metrics_token": "t", "dev": "1",
    "smtp_host": "127.0.0.1", "smtp_port": "1", "smtp_tls": "none", "smtp_user": "x", "smtp_password_file": "/tmp/p",
    "smtp_sender": "x@school.example", "keys_folder": "/tmp/keys", "recordings": "s3://other/x", "s3_access_file": "/tmp/s3",
    "backup_recipients": "age1x", "push_contact": "x@school.example", "push_hosts": "push.example",
    "trunk_host": "trunk.example", "trunk_port": "1", "trunk_transport": "tcp", "trunk_user": "x",
    "trunk_password_file": "/tmp/p", "trunk_ca_file": "/tmp/ca", "trunk_srtp": "1", "trunk_number": "+441632960001",
    "trunk_asserted": "1", "trunk_office": "sip:office@pbx.example", "trunk_address": "192.0.2.1",
    "trunk_public_address": "192.0.2.9", "trunk_sip_port": "1", "trunk_sound_ports": "2000-2001",
    "trunk_browser_ports": "3000-3001", "trunk_message": "/tmp/m",
    "provider_url": "https://api.provider.example", "provider_account": "x", "provider_token_file": "/tmp/t",
    "provider_number": "+441632960001", "provider_message": "Ring us back.",
}
"""Every setting there is, with another value than its own. A new one fails below until somebody has looked at it here."""


def test_no_setting_is_about_the_rule_the_recording_or_the_audit() -> None:
    assert set(Settings.model_fields) == set(SAY_NOTHING_OF_THE_RULE)


async def test_the_floors_hold_whatever_is_in_the_environment(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SAY_NOTHING_OF_THE_RULE.items():
        monkeypatch.setenv(f"CHAPERONE_{name.upper()}", value)
    for name in ("AUDIT", "RECORD", "RECORDING", "SUPERVISION", "ONE_TO_ONE", "ALLOW_PRIVATE", "DEBUG"):
        monkeypatch.setenv(f"CHAPERONE_{name}", "off")
    assert answers(planned(Profile())) == FLOORS
    assert await still_shut(school)


# -- routes ---------------------------------------------------------------------------------------------------------------

FLOOR_WORDS = {
    "audit": "off", "recording": "off", "record": "no", "supervision": "off", "one_to_one": "yes", "unapproved": "yes",
    "approvals": "all", "private": "yes", "protects": "yes", "cleared": "yes", "children_alone": "yes", "answer": "agree",
    "approve": "yes", "agree": "yes", "reason": "because", "confirm": "yes", "until": "2030-01-01",
}


def writing_routes() -> Iterator[APIRoute]:
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and (route.methods or set()) - {"GET", "HEAD"} and route.path != "/sign-out":
                yield route


def addressed(path: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        path = path.replace("{" + name + "}", value)
    return path.replace("{", "").replace("}", "")


async def test_no_route_given_any_words_opens_a_floor_or_stops_the_audit(school: Running) -> None:
    """Everything that can be sent to every route by every powerful role: the lesson stays shut and the audit grows."""
    everything = {line.key: str(line.rule.options[-1][0] if line.rule.choices else line.rule.high)
                  for line in lines(Profile())} | FLOOR_WORDS
    ids = {"lesson_id": school.lesson()["id"], "person_id": school.person("teacher"), "child_id": school.lesson()["pupil_ids"][0],
           "what": "rota", "version": "2"}
    routes = list(writing_routes())
    assert len(routes) > 40
    kept = await leaves(school)
    for role in ("headteacher", "chair", "dsl", "office", "technician", "teacher"):
        async with school.client(await school.cookie(school.person(role))) as client:
            for route in routes:
                for method in (route.methods or set()) - {"GET", "HEAD"}:
                    await client.request(method, addressed(route.path, ids), data=everything)
        now = await leaves(school)
        assert now >= kept
        kept = now
    assert await still_shut_or_stopped(school)


async def still_shut_or_stopped(school: Running) -> bool:
    async with school.database.reading() as session:
        plan = await reading.plan(session, await rosters.roster(session, school.lesson()["id"]))
    return plan.stopped or await still_shut(school)


# -- the audit ------------------------------------------------------------------------------------------------------------


async def leaves(school: Running) -> int:
    async with school.database.reading() as session:
        return (await session.exec(select(func.count()).select_from(AuditLeaf))).one()


@pytest.mark.parametrize("words", [*HANDS[:5]])
async def test_no_profile_turns_the_audit_off(school: Running, words: str) -> None:
    await school.set_profile(words)
    before = await leaves(school)
    client = await school.signed_in("office")
    assert (await client.post("/school/closures", data={"day": "1/12/2026", "closure_name": "INSET day"})).status_code == 303
    assert await leaves(school) >= before + 2  # the sign-in and the closure


@pytest.mark.parametrize("statement", ["DELETE FROM audit_leaf", "UPDATE audit_leaf SET kind = 'Nothing'"])
async def test_nothing_in_the_database_changes_what_the_audit_has(school: Running, statement: str) -> None:
    await school.cookie(school.person("teacher"))
    assert await refused(school, statement)


async def refused(school: Running, statement: str) -> bool:
    try:
        async with school.database.writing() as session:
            await session.exec(text(statement))
    except DatabaseError:
        return True
    return False


async def test_the_harness_notices_an_audit_that_can_be_changed(school: Running) -> None:
    await school.cookie(school.person("teacher"))
    assert not await refused(school, "DROP TRIGGER audit_leaf_no_update")
    assert not await refused(school, "UPDATE audit_leaf SET kind = 'Nothing'")


def test_who_could_change_the_rules_are_the_roles_that_answer_for_the_school() -> None:
    audiences = {route.path: declared_audience(route) for route in writing_routes() if route.path.startswith("/school/rules")}
    assert audiences
    for path, audience in audiences.items():
        assert isinstance(audience, Audience), path
        assert audience.roles <= {Role.SENIOR_LEADER, Role.HEADTEACHER, Role.CHAIR}, path
