"""T14: what the lesson's page gives away before anybody is admitted."""

from dataclasses import replace

from lessons import queries
from lessons.pages.lesson import room
from service.people import queries as people
from tests.school import Running


async def test_a_guest_and_an_adult_who_is_not_cleared_are_not_given_the_names_of_the_class(school: Running) -> None:
    lesson = school.lesson()
    async with school.database.reading() as session:
        actor = await people.actor(session, lesson["adult_ids"][0])
        assert actor is not None
        view = await queries.lesson_view(session, actor, lesson["id"])
        shown = {
            who: (await room(session, actor, each))["pupils"]["names"] for who, each in (
                ("teacher", view), ("guest", replace(view, part="guest")), ("not cleared", replace(view, may_take_part=False)),
            )
        }
    assert shown["teacher"], "who teaches them sees whom to expect"
    assert shown["guest"] == shown["not cleared"] == []
