"""What everybody in a waiting room is told that it waits for: it is what the rule waits for (policy: RL1)."""

import pytest

from lessons.live.messages import Welcome
from tests.room.stage import ALI, ASSISTANT, BEA, TEACHER, Stage, approved, plan_of


@pytest.mark.parametrize(("adults", "needed"), [(("teacher",), 2), (("teacher", "assistant"), 1)])
def test_a_second_adult_takes_the_place_of_a_second_pupil(adults: tuple[str, ...], needed: int) -> None:
    stage = Stage(recording=False).join(*adults, "ali")
    assert stage.state("teacher").waiting.needed == needed
    assert stage.state("ali").waiting.needed == needed


def test_a_lesson_for_one_pupil_and_one_adult_says_so_and_no_other_does() -> None:
    pair = plan_of(TEACHER, ALI, needs_approval=True, approvals=(approved("teacher", "ali"),))
    of_class = plan_of(TEACHER, ASSISTANT, ALI, BEA)
    for plan, one_to_one in ((pair, True), (of_class, False)):
        [welcome] = Stage(plan=plan).join("teacher").told("teacher", Welcome)
        assert isinstance(welcome, Welcome)
        assert welcome.lesson.one_to_one is one_to_one
