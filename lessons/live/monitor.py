"""The wire monitor of one room: sees every delivery and derives again, from other evidence, whether it may be (I1 to I8).

It shares nothing with the rule: not its code, its seats, its routes or its gate. What it knows comes from the sockets, the
transports, the recorder, the journal and the school's register, and it decides nothing that the room asks. It prevents a
mistake in the rule, or in a path around it, from going unnoticed for longer than one delivery. It sees no content.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from math import inf

HEARD, STAFF_PAGE, CHILD_PAGE, DURABLE, OWNED = 2.0, 3.0, 10.0, 3.0, 3.0
"""For how many seconds each thing is believed after it was last seen (the deadlines of the threat model, written again)."""
SLACK = 0.01
"""Between two readings of two clocks."""
MOST_REMEMBERED = 256


@dataclass(frozen=True)
class Known:
    """What the register says of one person. `part`: staff, guest or child. `may`: attend, microphone, camera, screen, chat.
    `let_in_by`: who made what they sign in with, a child's badge or an adult's link of the last days."""

    part: str
    cleared: bool
    may: frozenset[str]
    let_in_by: str = ""


@dataclass(frozen=True)
class Facts:
    """What the school decided. Moments are on CLOCK_BOOTTIME; `approvals` are (adult, child, start, end)."""

    people: Mapping[str, Known]
    opens: float
    closes: float
    removed: frozenset[str] = frozenset()
    stopped: bool = False
    needs_approval: bool = False
    approvals: tuple[tuple[str, str, float, float], ...] = ()


@dataclass(frozen=True)
class Delivery:
    """Who to whom, what, when (CLOCK_BOOTTIME) and how many bytes to each. `to`: the whole route; `viewers`: who gets it now."""

    sender: str
    source: str
    to: frozenset[str]
    viewers: tuple[str, ...]
    size: int
    at: float


@dataclass(frozen=True)
class Forbidden:
    """A delivery that should not have been, and which invariants it broke."""

    broken: tuple[str, ...]
    delivery: Delivery


@dataclass
class Watched:
    """What all rooms of one process have in common: counts for its operator, and each person's newest connection."""

    deliveries: int = 0
    forbidden: int = 0
    newest: dict[str, str] = field(default_factory=dict)


@dataclass
class Monitor:
    """`heard(person)`: when the transport last had sound of them, and when their page last spoke. `on_forbidden` is told at
    every forbidden delivery, in the same turn."""

    heard: Callable[[str], tuple[float, float]]
    on_forbidden: Callable[[Forbidden], None]
    watched: Watched = field(default_factory=Watched)
    facts: Facts = field(default_factory=lambda: Facts({}, inf, -inf))
    _sockets: dict[str, tuple[str, str]] = field(default_factory=dict)
    _staff_devices: set[str] = field(default_factory=set)
    _removed: set[str] = field(default_factory=set)
    _durable_at: float = -inf
    _owned_at: float = -inf
    _open: bool = False
    _last_opening: int = 0
    _certain_until: float = -inf
    _fine: dict[int, tuple[tuple[str, ...], frozenset[str]]] = field(default_factory=dict)

    # What is seen beside the rule

    def came(self, connection: str, person: str, device: str) -> None:
        self._sockets[connection] = person, device
        self.watched.newest[person] = connection
        known = self.facts.people.get(person)
        if device and known is not None and known.part != "child":
            self._staff_devices.add(device)
        self._doubt()

    def went(self, connection: str) -> None:
        person, _ = self._sockets.pop(connection, ("", ""))
        if self.watched.newest.get(person) == connection:
            del self.watched.newest[person]
        self._doubt()

    def planned(self, facts: Facts) -> None:
        self.facts = facts
        self._doubt()

    def durable(self, at: float) -> None:
        """The recorder's last durable write; -inf when it failed."""
        self._durable_at = at
        if at == -inf:
            self._doubt()

    def owned(self, at: float) -> None:
        """When it was last certain that this process owns the lesson and that the plan is current."""
        self._owned_at = at

    def opened(self, opening: int) -> None:
        """An opening is durable in the journal."""
        if opening > self._last_opening:
            self._open, self._last_opening = True, opening

    def wrote(self, kind: str, person: str, opening: int = 0) -> None:
        """The journal was given an entry."""
        if kind in ("held", "stopped", "ended"):
            self._open, self._last_opening = False, max(self._last_opening, opening)
        elif kind == "removed":
            self._removed.add(person)
        self._doubt()

    def _doubt(self) -> None:
        self._certain_until = -inf

    # Deliveries

    def media(self, sender: str, source: str, to: frozenset[str], viewers: tuple[str, ...], size: int, at: float) -> None:
        """One frame, or one packet again. What was found right is not derived again until something changed or ran out."""
        self.watched.deliveries += len(viewers)
        if at < self._certain_until:
            fine = self._fine.get(id(viewers))
            if fine is not None and fine[0] is viewers and fine[1] is to:
                return
        self._examine(Delivery(sender, source, to, viewers, size, at))

    def chat(self, sender: str, to: frozenset[str], size: int, at: float) -> None:
        self.watched.deliveries += len(to - {sender})
        self._examine(Delivery(sender, "chat", to, tuple(to - {sender}), size, at))

    def _examine(self, one: Delivery) -> None:
        now = one.at
        if now >= self._certain_until or len(self._fine) > MOST_REMEMBERED:
            self._fine.clear()
        broken = [*self._broken_by_the_room(now), *self._broken_by_the_way(one)]
        if not broken:
            self._certain_until = self._next_expiry(now)
            self._fine[id(one.viewers)] = one.viewers, one.to
            return
        self.watched.forbidden += 1
        self._doubt()
        self.on_forbidden(Forbidden(tuple(broken), one))

    # The invariants

    def _here(self) -> dict[str, str]:
        """Everybody who could receive something: person and device. In doubt they are here."""
        return {person: device for person, device in self._sockets.values()
                if (known := self.facts.people.get(person)) is not None and "attend" in known.may}

    def _in_no_newer_room(self) -> set[str]:
        """Who came nowhere else since: a person protects in one room at a time."""
        return {person for connection, (person, _) in self._sockets.items() if self.watched.newest.get(person) == connection}

    def _is(self, part: str, people: Iterable[str]) -> set[str]:
        return {person for person in people if self.facts.people[person].part == part}

    def _proofs(self, person: str) -> tuple[float, float]:
        media, page = self.heard(person)
        limit = STAFF_PAGE if self.facts.people[person].part == "staff" else CHILD_PAGE
        return media + HEARD, page + limit

    def _broken_by_the_room(self, now: float) -> list[str]:
        here = self._here()
        alive = {person for person in here.keys() & self._in_no_newer_room() if now < min(self._proofs(person))}
        staff = {person for person in self._is("staff", alive) if self.facts.people[person].cleared}
        children = self._is("child", alive)
        pair = self._approved(here, now) and bool(children)
        broken = []
        if self._is("child", here):
            if not staff:
                broken.append("I4 supervised")
            if not (pair or self._are_two(self._strangers(children, here, staff), here) or self._are_two(staff, here)):
                broken.append("I1 never alone")
        elif not staff or len(alive) < 2:
            broken.append("I4 supervised")
        if self.facts.needs_approval and not any(start - SLACK <= now < end + SLACK for _, _, start, end in self.facts.approvals):
            broken.append("I1 approved")
        if now >= self._durable_at + DURABLE:
            broken.append("I2 recorded")
        if not self.facts.opens - SLACK <= now < self.facts.closes + SLACK or self.facts.stopped:
            broken.append("I3 scheduled")
        if not self._open:
            broken.append("I7 journalled")
        if now >= self._owned_at + OWNED:
            broken.append("I8 owned")
        return broken

    def _are_two(self, people: set[str], here: Mapping[str, str]) -> bool:
        """Two persons on two devices; a child on a device that an adult used here is nobody's company (threat T3). Two adults
        are one where one let the other in, or somebody let both in (threat T5)."""
        return any(
            one != other and not (here[one] and here[one] == here[other]) and not self._may_be_one(one, other)
            for one, other in combinations(sorted(p for p in people if not self._is_on_a_staff_device(p, here)), 2)
        )

    def _strangers(self, children: set[str], here: Mapping[str, str], staff: set[str]) -> set[str]:
        """Without those who could be the only adult: whose badge somebody made who is here with no other staff (threat T3)."""
        makers = {child: self.facts.people[child].let_in_by for child in children}
        return {child for child, maker in makers.items() if maker not in here
                or any(maker not in (adult, self.facts.people[adult].let_in_by) for adult in staff)}

    def _may_be_one(self, one: str, other: str) -> bool:
        first, second = self.facts.people[one], self.facts.people[other]
        if "child" in (first.part, second.part):
            return False
        return one == second.let_in_by or other == first.let_in_by or first.let_in_by == second.let_in_by != ""

    def _is_on_a_staff_device(self, person: str, here: Mapping[str, str]) -> bool:
        return self.facts.people[person].part == "child" and here[person] in self._staff_devices

    def _approved(self, here: Iterable[str], now: float) -> bool:
        """An approval names exactly those who are here."""
        adults = sorted(self._is("staff", here) | self._is("guest", here))
        children = sorted(self._is("child", here))
        return any(
            (adults, children) == ([adult], [child]) and start - SLACK <= now < end + SLACK
            for adult, child, start, end in self.facts.approvals
        )

    def _broken_by_the_way(self, one: Delivery) -> list[str]:
        here = self._here()
        reached = set(one.viewers) | {one.sender}
        broken = []
        if not reached <= here.keys() or reached & (self._removed | self.facts.removed):
            broken.append("I3 on the roster and in the room")
            return broken
        if one.source not in self.facts.people[one.sender].may:
            broken.append("I6 permitted")
        staff = self._is("staff", here) - {one.sender}
        whole = here.keys() - {one.sender}
        beyond_staff = set(one.viewers) - staff
        if not set(one.viewers) <= one.to or not staff <= one.to or (
                one.source == "chat" and beyond_staff and not whole <= one.to):
            broken.append("I5 no private channel")
        return broken

    def _next_expiry(self, now: float) -> float:
        """When the first of all that is believed now runs out, needed or not: then everything is derived again."""
        proofs = [self._durable_at + DURABLE, self._owned_at + OWNED, self.facts.closes]
        proofs += [end for *_, end in self.facts.approvals]
        proofs += [proof for person in self._here() for proof in self._proofs(person)]
        return min((proof for proof in proofs if proof > now), default=-inf)
