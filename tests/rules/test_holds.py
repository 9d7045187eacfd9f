"""No one person lets go what another asked to keep, in any order of steps that the rules allow (policy: RE5)."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from recordings.ending import rules
from recordings.ending.rules import ANSWER_WITHIN, Step, Taken
from service.foundation.events import Actor, Role

START = datetime(2026, 11, 24, tzinfo=UTC)
WHO = {"deputy": Role.DEPUTY_DSL, "dsl": Role.DSL, "head": Role.HEADTEACHER}
DOES = ("ask", "refuse", "agree", "isolate", "review", "ask release", "leave")


class Story:
    """What three people do about one recording, each step only where the rules let them take it, as commands do."""

    def __init__(self) -> None:
        self.now, self.steps, self.here, self.second = START, list[Taken](), set(WHO), set[str]()

    @property
    def stands(self) -> rules.Standing:
        return rules.standing(self.steps, self.now)

    def roles(self, who: str) -> frozenset[Role]:
        return frozenset({WHO[who]}) if who in self.here else frozenset()

    def does(self, who: str, what: str) -> None:
        if who not in self.here:
            return
        actor, stands = Actor(who, "s", self.roles(who)), self.stands
        asked, nobody = self.roles(stands.asked_by) if stands.asked_by else frozenset(), rules.Involved(frozenset())
        try:
            match what:
                case "leave":
                    self.here.discard(who)
                case "ask" if not stands.in_force or rules.is_orphaned(stands, asked):
                    self.take(Step.ASKED, who)
                case "refuse" if stands.waits_for is not None:
                    rules.check_may_refuse(actor, stands, asked, nobody)
                    self.second |= {who} if who != stands.asked_by and not stands.stays_kept else set()
                    self.take(Step.REFUSED if stands.waits_for is Step.AGREED else Step.RELEASE_REFUSED, who)
                case "agree" if stands.waits_for is not None:
                    rules.check_may_agree(actor, stands.asked_by, asked, nobody)
                    self.take(Step.RELEASED if stands.waits_for is Step.RELEASED else Step.AGREED, who)
                case "isolate" if stands.in_force and not stands.is_isolated:
                    self.take(Step.ISOLATED, who)
                case "review" if stands.in_force:
                    self.take(Step.REVIEWED, who)
                case "ask release" if stands.in_force and stands.waits_for is None:
                    self.take(Step.RELEASE_ASKED, who)
        except rules.NotAllowed:
            pass

    def take(self, step: Step, who: str) -> None:
        self.steps.append(Taken(step, who, self.now, hold_id=str(len(self.steps))))


PAIRS = [(first, alone) for first in WHO for alone in WHO if first != alone]


@pytest.mark.parametrize(("first", "alone"), PAIRS)
def test_one_person_alone_lets_nothing_go_that_another_asked_to_keep(first: str, alone: str) -> None:
    """One asks, and may leave; the other does whatever the rules let them do alone, in every order of four."""
    told = 0
    for then in product(DOES, repeat=4):
        story = Story()
        story.does(first, "ask")
        for what in then:
            story.now += timedelta(hours=20)
            story.does(first if what == "leave" else alone, what)
            if alone in story.second:
                told += 1
                break  # they were the second person, and said no
            assert story.now < START + ANSWER_WITHIN
            assert story.stands.in_force, then
    assert bool(told) == ("head" in (first, alone)), "negative control: a second person's no lets it go"
