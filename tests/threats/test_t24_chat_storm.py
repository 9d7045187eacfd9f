"""T24: one pupil's messages that are dear to screen. The loop they would take is the loop that keeps every room open."""

from lessons.live import messages as m
from lessons.live.chat import BURST, LONGEST, Lists, Outcome, Screening, Why, phrase_matcher, screen
from tests.room.stage import opened

LISTS = Lists("1", phrase_matcher(["bad"]))


def test_a_message_is_measured_by_the_letters_that_its_signs_stand_for() -> None:
    assert screen("㏂" * LONGEST, LISTS) == Screening(Outcome.REFUSED, Why.TOO_LONG)
    assert screen("½ of it…", LISTS).outcome is Outcome.DELIVERED


def test_messages_that_come_too_fast_are_refused_before_they_are_screened() -> None:
    stage, screened = opened(), []

    def counted(text: str) -> Screening:
        screened.append(text)
        return screen(text, LISTS)

    stage.room.screen = counted
    for number in range(40):
        stage.send("ali", m.Chat(str(number), "hello"))
    assert len(screened) == BURST
    stage.pass_time(11)
    stage.send("ali", m.Chat("later", "hello"))
    assert len(screened) == BURST + 1
