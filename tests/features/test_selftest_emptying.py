"""The self-test's own school is emptied before each run, and no other school can be."""

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, func, select

from consent.tables import ConsentResponse
from lessons.tables import JournalEntry
from service.foundation.audit import AuditLeaf
from service.people.tables import Person, School
from service.selftest.emptying import emptied
from service.selftest.school import synthetic_school
from tests.school import Running


async def test_earlier_people_lessons_and_answers_go_and_the_audit_stays(school: Running) -> None:
    its = await synthetic_school(school.database, school.clock, school.app.state.vault)
    await its.open()
    await its.lesson("alone")
    async with school.database.reading() as session:
        others = (await session.exec(select(func.count()).select_from(Person).where(Person.school_id != its.id))).one()
        leaves = (await session.exec(select(func.count()).select_from(AuditLeaf).where(AuditLeaf.school_id == its.id))).one()
    assert await emptied(school.database)
    async with school.database.reading() as session:
        assert (await session.exec(select(Person.id).where(Person.school_id == its.id))).all() == []
        assert (await session.exec(select(ConsentResponse.id).where(ConsentResponse.school_id == its.id))).all() == []
        assert (await session.exec(select(func.count()).select_from(Person).where(Person.school_id != its.id))).one() == others
        now = (await session.exec(select(func.count()).select_from(AuditLeaf).where(AuditLeaf.school_id == its.id))).one()
    assert now == leaves + 1
    again = await synthetic_school(school.database, school.clock, school.app.state.vault)
    await again.open()  # and the school can be used again
    assert again.id == its.id


@pytest.mark.parametrize("table", [ConsentResponse, JournalEntry])
async def test_what_is_append_only_stays_in_every_real_school(school: Running, table: Any) -> None:
    async with school.database.writing() as session:
        school_id = await school._school(session)
        if table is JournalEntry:
            lesson, now = school.lesson()["id"], school.clock.now()
            session.add(JournalEntry(school_id=school_id, lesson_id=lesson, seq=1, at=now, kind="stopped"))
    removing = delete(table).where(col(table.school_id) == school_id)
    with pytest.raises(IntegrityError, match="append-only"):
        await _run(school, removing)


async def _run(school: Running, statement: object) -> None:
    async with school.database.writing() as session:
        await session.exec(statement)


async def test_no_school_becomes_the_self_test_s(school: Running) -> None:
    with pytest.raises(IntegrityError, match="whose school it is stays"):
        await _declare(school)


async def _declare(school: Running) -> None:
    async with school.database.writing() as session:
        (await session.get_one(School, await school._school(session))).is_self_test = True
