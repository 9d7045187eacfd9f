"""The demo school shows every part of the product, without a single real person in it."""

from recordings import proof
from service import seed_recording
from tests.school import Running

ROLES = {"teacher", "pupil", "parent", "senior_leader", "headteacher", "dsl", "office", "governor", "technician"}


async def test_the_demo_school_has_people_of_every_role_and_a_lesson_to_start(school: Running) -> None:
    assert {person["role"] for person in school.made["people"]} >= ROLES
    now = school.clock.now().isoformat()
    on_now = [one for one in school.made["lessons"] if one["starts_at"] <= now < one["ends_at"]]
    assert [len(one["adult_ids"]) >= 1 and len(one["pupil_ids"]) >= 4 for one in on_now] == [True]


async def test_its_finished_lesson_has_a_recording_that_proves_itself(school: Running) -> None:
    state = school.app.state
    await seed_recording.finished_lesson(state.database, state.vault, state.clock)
    async with school.database.reading() as session:
        assert await proof.verify(session, state.vault) == []
    client = await school.signed_in("dsl")
    page = (await client.get("/recordings")).text
    assert "English: war poems" in page
    assert "Incomplete" not in page


async def test_the_finished_lesson_is_recorded_only_once(school: Running) -> None:
    state = school.app.state
    for _ in range(2):
        await seed_recording.finished_lesson(state.database, state.vault, state.clock)
    client = await school.signed_in("dsl")
    assert (await client.get("/recordings")).text.count("English: war poems") == 1
