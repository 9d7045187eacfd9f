"""T5: a teacher approves their own one-to-one, by the commands and by SQL, also as a leader. Each guard holds by itself: the
same attack with that guard removed goes through."""

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy import text as sql
from sqlalchemy.exc import IntegrityError

from service.foundation.db import new_id
from service.safeguarding.approvals import commands as approvals
from service.safeguarding.approvals.commands import MayNotDecide
from service.safeguarding.approvals.tables import Approval
from tests import cluster
from tests.features.test_planning_roster import change, drop_trigger
from tests.one_to_one import THURSDAY, approve, ask, given, lessons, named, pupils, revoke
from tests.school import Running


async def give_role(school: Running, name: str, role: str) -> None:
    who = (await named(school, name)).person_id
    await school.give_role(who, role)


# By the commands


@pytest.mark.parametrize("guarded", [False, True], ids=["without the rule", "with the rule"])
@pytest.mark.parametrize("roles", [("headteacher",), ("chair",), ("senior_leader", "chair")], ids=" ".join)
async def test_a_teacher_given_every_role_does_not_approve_their_own(
    school: Running, monkeypatch: pytest.MonkeyPatch, roles: tuple[str, ...], guarded: bool,
) -> None:
    request_id = await ask(school)
    for role in roles:
        await give_role(school, "Mr Hall", role)
    if not guarded:
        monkeypatch.setattr(approvals.rules, "bar", lambda *_: None)
        await without_the_database(school)
    refused = False
    try:
        await approve(school, request_id, by="Mr Hall")
    except MayNotDecide:
        refused = True
    assert refused is guarded
    assert bool(await given(school)) is not guarded


async def test_without_the_rule_the_database_still_refuses(school: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = await ask(school)
    await give_role(school, "Mr Hall", "chair")
    monkeypatch.setattr(approvals.rules, "bar", lambda *_: None)
    with pytest.raises(IntegrityError):
        await approve(school, request_id, by="Mr Hall")
    assert await given(school) == []


async def without_triggers(school: Running) -> None:
    """What the database asks of a new approval is taken away."""
    listed = (
        "SELECT trigger_name FROM information_schema.triggers WHERE event_object_table = 'approval' "
        "AND event_manipulation = 'INSERT'" if cluster.used else
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'approval' AND sql LIKE '%BEFORE INSERT%'")
    async with school.database.reading() as session:
        names = (await session.exec(sql(listed))).scalars().all()  # type: ignore[call-overload]
    assert len(names) == 8
    for name in names:
        await drop_trigger(school, name, "approval")


async def without_the_database(school: Running) -> None:
    """Take away what the database itself checks: its trigger, and the checks of the tables."""
    await without_triggers(school)
    if cluster.used:
        async with school.database.reading() as session:
            checks = (await session.exec(sql(  # type: ignore[call-overload]
                "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = 'approval'::regclass"))).scalars().all()
        assert checks
        for check in checks:
            await change(school, f'ALTER TABLE approval DROP CONSTRAINT "{check}"')
        return

    @event.listens_for(school.database.engine.sync_engine, "begin")
    def unchecked(connection: Any) -> None:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")


# By SQL


async def row(school: Running, **changes: Any) -> dict[str, Any]:
    """A row that the database takes: what the headteacher approves."""
    request_id = await ask(school)
    [lesson], hall, head = await lessons(school, request_id), await named(school, "Mr Hall"), await named(school, "Dr Marsh")
    fields = {
        "id": new_id(), "school_id": head.school_id, "request_id": request_id, "lesson_id": lesson.id,
        "adult_id": hall.person_id, "child_id": (await pupils(school))[0], "requested_by": hall.person_id,
        "approved_by": head.person_id, "starts_at": lesson.starts_at, "ends_at": lesson.ends_at, "reason": "So",
        "confirmed_by": "x", "approved_at": school.clock.now(),
    }
    return {**fields, **changes}


async def insert(school: Running, fields: dict[str, Any]) -> None:
    """As an attacker with the database would: columns and values, no rule asked."""
    async with school.database.writing() as session:
        await session.exec(Approval.__table__.insert().values(  # type: ignore[attr-defined]
            **{"camera_on": False, "conditions": "", "revoked_by": "", "revoked_because": "", **fields}))


async def test_the_database_takes_what_is_allowed(school: Running) -> None:
    """The probe works: without this, everything below could be refused for another reason."""
    await insert(school, await row(school))
    assert len(await given(school)) == 1


SAME = ("approved_by <> adult_id", "approved_by <> requested_by", "approved_by <> child_id", "adult_id <> child_id")


@pytest.mark.parametrize(("one", "other"), [check.split(" <> ") for check in SAME], ids=SAME)
async def test_no_two_of_the_persons_are_one(school: Running, one: str, other: str) -> None:
    fields = await row(school)
    fields[one] = fields[other]
    await give_role(school, "Mr Hall", "chair")
    await without_triggers(school)  # so that it is the check which refuses
    with pytest.raises(IntegrityError, match=r"(?i)check constraint"):
        await insert(school, fields)
    assert await given(school) == []


BROKEN: list[tuple[str, dict[str, str], str]] = [
    ("an approver without a role", {"approved_by": "Ms Cole"}, "holds no approving role"),
    ("a leader where the profile names the headteacher", {"approved_by": "Mrs Khan"}, "holds no approving role"),
    ("an adult who is a child", {"adult_id": "a child"}, "the adult is no adult"),
    ("a child who is an adult", {"child_id": "Ms Cole"}, "the child is no child"),
    ("an approver who is a child", {"approved_by": "a child"}, "the approver is no adult|no approving role"),
    ("another lesson", {"lesson_id": "another lesson"}, "does not fit the lesson"),
    ("another child of the class", {"child_id": "a child"}, "does not fit the lesson"),
    ("another adult", {"adult_id": "Ms Cole"}, "does not fit the lesson"),
]


@pytest.mark.parametrize("guarded", [False, True], ids=["without the trigger", "with the trigger"])
@pytest.mark.parametrize(("swaps", "words"), [(swaps, words) for _, swaps, words in BROKEN], ids=[name for name, _, _ in BROKEN])
async def test_sql_cannot_write_an_approval_that_the_rules_would_not(
    school: Running, swaps: dict[str, str], words: str, guarded: bool,
) -> None:
    fields = await row(school)
    for column, value in swaps.items():
        if value == "a child":
            fields[column] = (await pupils(school))[1]
        elif value == "another lesson":
            fields[column] = school.lesson()["id"]
        else:
            fields[column] = (await named(school, value)).person_id
    if not guarded:
        await without_triggers(school)
        await insert(school, fields)
    else:
        with pytest.raises(IntegrityError, match=f"{words}|not fit the lesson|not what was asked"):
            await insert(school, fields)
    assert bool(await given(school)) is not guarded


@pytest.mark.parametrize(("name", "role", "refused"), [
    ("Mrs Khan", "headteacher", False), ("Mrs Frost", "chair", False), ("Ms Cole", "dsl", True),
])
async def test_the_role_counts_at_that_moment(school: Running, name: str, role: str, refused: bool) -> None:
    fields = await row(school)
    fields["approved_by"] = (await named(school, name)).person_id
    if role != "chair":
        await give_role(school, name, role)
    if refused:
        with pytest.raises(IntegrityError, match="holds no approving role"):
            await insert(school, fields)
    else:
        await insert(school, fields)


async def test_any_senior_leader_counts_where_the_profile_says_so(school: Running) -> None:
    fields = await row(school)
    fields["approved_by"] = (await named(school, "Mrs Khan")).person_id
    await school.set_profile(one_to_one_by_any_leader=True)
    await insert(school, fields)


async def test_where_the_adult_is_a_headteacher_only_the_chair_s_row_is_taken(school: Running) -> None:
    fields = await row(school)
    await give_role(school, "Mr Hall", "headteacher")
    with pytest.raises(IntegrityError, match="only the chair"):
        await insert(school, fields)
    fields["approved_by"] = (await named(school, "Mrs Frost")).person_id
    await insert(school, fields)


@pytest.mark.parametrize("changes", [
    {"starts_at": THURSDAY.replace(hour=11)}, {"ends_at": THURSDAY.replace(hour=13)},
])
async def test_it_never_reaches_beyond_the_lesson(school: Running, changes: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match=r"not fit the lesson|not what was asked"):
        await insert(school, await row(school, **changes))


async def test_one_who_left_approves_nothing(school: Running) -> None:
    fields = await row(school)
    await change(school, "UPDATE person SET left_on = '2026-11-01' WHERE id = :who", who=fields["approved_by"])
    with pytest.raises(IntegrityError, match="the approver is no adult"):
        await insert(school, fields)


# What was decided stays


TAMPERED = [
    "UPDATE approval SET adult_id = :other", "UPDATE approval SET child_id = :other",
    "UPDATE approval SET ends_at = '2027-01-01'",
    "UPDATE approval SET approved_by = :other", "UPDATE approval SET conditions = ''", "UPDATE approval SET revoked_at = NULL",
    "UPDATE approval SET camera_on = true, revoked_at = approved_at, revoked_by = 'x'", "DELETE FROM approval",
    "UPDATE approval_request SET reason = 'another'", "UPDATE approval_request SET why = 'another'",
    "UPDATE approval_request SET status = 'waiting'", "DELETE FROM approval_request", "DELETE FROM requested_lesson",
    "UPDATE requested_lesson SET ends_at = '2027-01-01'",
]


@pytest.mark.parametrize("statement", TAMPERED)
async def test_what_was_decided_is_never_changed(school: Running, statement: str) -> None:
    request_id = await ask(school)
    await approve(school, request_id)
    other = await named(school, "Mr Pike")
    values = {"other": other.person_id} if ":other" in statement else {}
    with pytest.raises(IntegrityError, match=r"nothing else changes|append-only|stays"):
        await change(school, statement, **values)


async def test_it_ends_once_and_is_never_given_again(school: Running) -> None:
    fields = await row(school)
    await insert(school, fields)
    await revoke(school, fields["id"])
    for statement in ("UPDATE approval SET revoked_at = NULL, revoked_by = ''", "UPDATE approval SET revoked_because = 'x'"):
        with pytest.raises(IntegrityError, match="ends once"):
            await change(school, statement)
    await without_triggers(school)
    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        await insert(school, {**fields, "id": new_id()})


async def test_an_approval_does_not_begin_revoked(school: Running) -> None:
    fields = await row(school)
    with pytest.raises(IntegrityError, match="begins revoked"):
        await insert(school, {**fields, "revoked_at": school.clock.now(), "revoked_by": "x"})


async def test_the_probe_would_notice_a_database_without_triggers(school: Running) -> None:
    """The negative control of tampering: with the trigger gone the same statement goes through."""
    request_id = await ask(school)
    await approve(school, request_id)
    await drop_trigger(school, "approval_ends_once", "approval")
    await change(school, "UPDATE approval SET conditions = 'any'")
    async with school.database.reading() as session:
        assert (await session.exec(sql("SELECT conditions FROM approval"))).all()[0][0] == "any"  # type: ignore[call-overload]
