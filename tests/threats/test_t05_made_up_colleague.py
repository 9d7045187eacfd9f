"""T5: somebody makes up a colleague, clears them and lets them in, or takes a colleague's place by a link, so that with one
child they are two adults by the numbers (policy: RL2, AC8)."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, delete

from lessons.live.room import Room
from lessons.live.supervision import Hold
from lessons.tables import LessonAdult
from service.foundation.errors import NotAllowed
from service.foundation.events import Actor, Role
from service.people import commands, factors, queries, rules
from service.people.factors import SecondPerson
from service.people.step_up import Proof
from service.people.tables import Person
from tests.proofs import PASSWORD
from tests.room.pages import Lesson
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm


async def actor_of(school: Running, role: str) -> Actor:
    async with school.database.reading() as session:
        found = await queries.actor(session, school.person(role))
    assert found is not None
    return found


async def made_up(school: Running, by: Actor) -> str:
    """A teacher whom nobody has met."""
    async with school.database.writing() as session:
        return await commands.add_person(session, by, rules.PersonFields(
            "adult", "Max", "Made", email="max@example.org"), frozenset({Role.TEACHER}), Proof())


async def cleared(school: Running, by: Actor, whom: str) -> None:
    async with school.database.writing() as session:
        today = school.clock.now().date()
        await commands.record_dbs(session, by, whom, number="001234567890", checked_on=today, recheck_on=None,
                                  now=school.clock.now())


async def let_in(school: Running, by: Actor, whom: str) -> str:
    async with school.database.writing() as session:
        return await commands.make_reset(session, by, whom, school.clock.now())


async def nobody_refused(*_: Any) -> None: ...


@pytest.mark.parametrize("order", [(cleared, let_in), (let_in, cleared)])
@guarded_by(Guard("two people clear and let in", lambda patch: [
    patch.setattr(factors, name, nobody_refused) for name in ("refuse_who_cleared", "refuse_who_let_in")]))
async def test_nobody_alone_clears_and_lets_in_an_adult(school: Running, attempt: Any, order: Any) -> None:
    office = await actor_of(school, "office")
    puppet = await made_up(school, office)
    first, second = order
    await first(school, office, puppet)
    with attempt, suppress(SecondPerson):
        await second(school, office, puppet)
        harm(True, "an adult of one person's making")


async def test_two_people_clear_and_let_in_an_adult_and_either_does_what_comes_later(school: Running) -> None:
    office, head = await actor_of(school, "office"), await actor_of(school, "headteacher")
    new = await made_up(school, office)
    await cleared(school, office, new)
    await let_in(school, head, new)
    await let_in(school, office, new)  # a password is forgotten
    await cleared(school, head, new)  # a re-check


async def test_who_names_the_founders_of_a_school_has_let_nobody_in_alone(school: Running) -> None:
    """A founder's first link comes from the set-up, which is nobody's hands."""
    office = await actor_of(school, "office")
    new = await made_up(school, office)
    async with school.database.writing() as session:
        await commands.first_link(session, queries.system(office.school_id), new, school.clock.now())
    await cleared(school, office, new)


async def leaves_and_is_brought_back(school: Running, by: Actor, whom: str) -> None:
    async with school.database.writing() as session:
        await commands.leave(session, by, whom, school.clock.now())
    async with school.database.writing() as session:
        await commands.come_back(session, by, whom)


@guarded_by(Guard("who brings back makes no link", lambda patch: patch.setattr(factors, "refuse_who_cleared", nobody_refused)))
async def test_nobody_alone_brings_back_a_colleague_and_lets_them_in(school: Running, attempt: Any) -> None:
    """A leaver has a check that somebody else recorded, and a link that somebody else made once."""
    office, gone = await actor_of(school, "office"), school.person("support")
    await let_in(school, await actor_of(school, "headteacher"), gone)
    await leaves_and_is_brought_back(school, office, gone)
    with attempt, suppress(SecondPerson):
        await let_in(school, office, gone)
        harm(True, "somebody who has left, in one person's hands")
    await let_in(school, await actor_of(school, "technician"), gone)
    await let_in(school, office, gone)


async def test_leaving_and_coming_back_do_not_wash_a_link_of_its_maker(school: Running) -> None:
    """Who took a colleague's place marks them as left, brings them back, and still is that colleague."""
    office, whom = await actor_of(school, "office"), school.person("support")
    link = await let_in(school, office, whom)
    assert (await school.client().post(f"/reset/{link}", data={"password": PASSWORD})).status_code == 303
    await leaves_and_is_brought_back(school, office, whom)
    async with school.database.reading() as session:
        assert await queries.let_in(session, office.school_id, [whom], school.clock.now().date()) == {whom: office.person_id}
        with pytest.raises(SecondPerson):
            await factors.checked_reset(session, office, whom, school.clock.now())


async def test_who_let_somebody_in_does_not_clear_them_after_they_left_and_came_back(school: Running) -> None:
    """However long ago: they may still know the password, and then would be the only one who ever looked at this person."""
    office, head = await actor_of(school, "office"), await actor_of(school, "headteacher")
    new = await made_up(school, office)
    link = await let_in(school, office, new)
    assert (await school.client().post(f"/reset/{link}", data={"password": PASSWORD})).status_code == 303
    school.clock.advance(30 * 24 * 3600)
    await leaves_and_is_brought_back(school, office, new)
    with pytest.raises(SecondPerson):
        await cleared(school, office, new)
    await cleared(school, head, new)


async def test_who_brought_somebody_back_is_the_second_person_for_nobody_else(school: Running) -> None:
    """Somebody new is brought back by one, and cleared and let in by another alone: that is still one person's work."""
    head, office = await actor_of(school, "headteacher"), await actor_of(school, "office")
    new = await made_up(school, office)
    await leaves_and_is_brought_back(school, head, new)
    await cleared(school, office, new)
    with pytest.raises(SecondPerson):
        await let_in(school, office, new)


@pytest.mark.parametrize("whose", ["technician", "office"])
async def test_only_a_leader_or_the_dsl_makes_a_link_for_whoever_lets_others_in(school: Running, whose: str) -> None:
    """Else the office would be the technician for a minute, and so the second person."""
    by = await actor_of(school, "office" if whose == "technician" else "technician")
    with pytest.raises(NotAllowed, match="Only a leader or the safeguarding team"):
        await let_in(school, by, school.person(whose))
    await let_in(school, await actor_of(school, "headteacher"), school.person(whose))


async def test_a_link_that_was_replaced_lets_nobody_in(school: Running) -> None:
    office, technician, whom = await actor_of(school, "office"), await actor_of(school, "technician"), school.person("support")
    used = await let_in(school, office, whom)
    assert (await school.client().post(f"/reset/{used}", data={"password": PASSWORD})).status_code == 303
    for maker in (technician, office):
        await let_in(school, maker, whom)
    async with school.database.reading() as session:
        found = await queries.let_in(session, office.school_id, [whom], school.clock.now().date())
    assert found == {whom: office.person_id}


def count_all_adults(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Room, "_distinct", lambda room, here: frozenset(seat.person.id for seat in here if seat.person.protects))


@pytest.mark.parametrize("maker", ["teacher", "headteacher"])
@guarded_by(Guard("who made a colleague's link may be that colleague", count_all_adults))
async def test_a_colleague_s_place_is_taken_by_a_link_and_is_no_company(played: Lesson, attempt: Any, maker: str) -> None:
    """Nobody made anybody up: the colleague is ill, and has a new password. Both adults may be whoever made the links."""
    school = played.school
    other = school.person("support")
    async with school.database.writing() as session:
        await session.exec(delete(LessonAdult).where(col(LessonAdult.lesson_id) == played.id, col(LessonAdult.part) == "second"))
        row = await session.get_one(Person, other)
        session.add(LessonAdult(school_id=row.school_id, lesson_id=played.id, person_id=other, part="second"))
        by = Actor(school.person(maker), row.school_id, frozenset({Role.HEADTEACHER}))
        links = [await commands.make_reset(session, by, whom, school.clock.now())
                 for whom in {other, played.teacher_id} - {by.person_id}]
    for link in links:
        assert (await school.client().post(f"/reset/{link}", data={"password": PASSWORD})).status_code == 303
    await played.teacher()
    await (await played.page(other)).enter()
    await played.pupil(0)
    with attempt:
        for _ in range(12):
            await played.settle(0.25)
            await played.host.journal.drained()
            harm(played.host.room.is_open, "the room opened for one adult and one child")
        assert played.host.room.reasons == (Hold.LONE_ADULT,)
    if maker == "headteacher":
        school.clock.advance((rules.TWO_PEOPLE_FOR + timedelta(days=1)).total_seconds())
        async with school.database.reading() as session:
            assert await queries.let_in(session, by.school_id, [other], school.clock.now().date()) == {}


async def test_the_office_made_up_by_one_leader_lets_nobody_in(school: Running) -> None:
    """Else a leader would be both of the two people, one of them as an office of their own making."""
    head = await actor_of(school, "headteacher")
    assert {Role.OFFICE, Role.TECHNICIAN} <= rules.BY_TWO
    with pytest.raises(NotAllowed):
        rules.checked_role_second(head, "puppet", Role.OFFICE, head.person_id, head)
