"""What the invariants say of one delivery, derived again from what was done to the room and from the wire.

Shares nothing with `lessons.live`: neither its rule nor its routes. Facts are kept as plain numbers and strings.
"""

from dataclasses import dataclass, field
from math import inf

ADULTS, GUESTS = {"teacher", "assistant"}, {"signer"}
CHILDREN = {"ali", "bea", "cal", "dan"}
OPENS, CLOSES = 0.0, 600.0
"""The window, in seconds since the stage's `boot` zero."""


@dataclass
class World:
    """`media` and `page`: when each connected person was last heard; `may`: what each may do now."""

    now: float = 0.0
    media: dict[str, float] = field(default_factory=dict)
    page: dict[str, float] = field(default_factory=dict)
    recorder: float = -inf
    owner: float = -inf
    permitted: dict[str, set[str]] = field(default_factory=dict)
    approvals: dict[tuple[str, str], float] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    """In, or belonging in, another room of the same lesson."""
    let_in: dict[str, str] = field(default_factory=dict)
    """Child or adult to who made their badge or link, and so could be them."""
    stopped: bool = False
    ended: bool = False
    opens: float = OPENS
    closes: float = CLOSES

    @property
    def exposed(self) -> set[str]:
        return {p for p in self.media if "attend" in self.permitted[p] and p not in self.away}

    @property
    def is_one_to_one(self) -> bool:
        here = self.exposed
        return len(here) == 2 and len(here & ADULTS) == len(here & CHILDREN) == 1

    def alive(self, person: str) -> bool:
        page = 3.0 if person in ADULTS else 10.0
        return self.now - self.media[person] < 2.0 and self.now - self.page[person] < page

    def wrongs(self) -> list[str]:
        """Which invariants forbid any delivery at this moment."""
        alive = {p for p in self.exposed if self.alive(p)}
        adults, children = alive & ADULTS, alive & CHILDREN
        wrong = []
        if self.exposed & CHILDREN:
            pair = self.is_one_to_one and len(adults) == 1 and len(children) == 1
            excepted = pair and self.now < self.approvals.get((*adults, *children), -inf)
            if not adults:
                wrong.append("I4 supervised")
            known = {c for c in children if self.let_in.get(c) not in self.exposed
                     or any(self.let_in[c] not in (a, self.let_in.get(a)) for a in adults)}
            are_two = any(not self._may_be_one(a, b) for a in adults for b in adults - {a})
            if len(known) < 2 and not are_two and not excepted:
                wrong.append("I1 never alone")
        elif not adults or len(alive) < 2:
            wrong.append("nobody to meet")
        elif self.media.keys() - self.exposed - self.away:
            wrong.append("I6 somebody may not take part, and nobody else is here whom the lesson is for")
        if self.now - self.recorder >= 3.0:
            wrong.append("I2 recorded")
        if not self.opens <= self.now < self.closes:
            wrong.append("I3 scheduled")
        if self.now - self.owner >= 3.0:
            wrong.append("I8 owned")
        if self.stopped or self.ended:
            wrong.append("stopped")
        return wrong

    def _may_be_one(self, one: str, other: str) -> bool:
        """Whether two adults may be one person: one let the other in, or somebody let both in."""
        makers = {self.let_in.get(one), self.let_in.get(other)}
        return bool({one, other} & makers) or (None not in makers and len(makers) == 1)

    def wrong_delivery(self, sender: str, source: str, recipients: frozenset[str]) -> list[str]:
        """Which invariants one delivery breaks."""
        return [*self.wrongs(), *self.wrong_way(sender, source, recipients)]

    def wrong_way(self, sender: str, source: str, recipients: frozenset[str]) -> list[str]:
        """Which invariants one delivery breaks by who sends what to whom, whatever the moment."""
        wrong = []
        if not {sender, *recipients} <= self.exposed - self.removed:
            wrong.append("I3 not in the room")
        if source not in self.permitted[sender]:
            wrong.append("I6 consent")
        if not (self.exposed & ADULTS) - {sender} <= recipients:
            wrong.append("I5 staff left out")
        if source == "camera" and sender in CHILDREN and recipients & CHILDREN:
            wrong.append("a pupil's picture reaches a pupil")
        return wrong
