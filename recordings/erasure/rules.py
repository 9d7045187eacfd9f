"""Who decides a request to erase a recording before its day, and what stands against it. Pure. policy: RE2, RE3, RE5, IN4.

Two people, one who answers for data and one who answers for children: neither erases what the other would miss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from recordings.ending.rules import HoldChanged, Involved, SamePerson, TookPart, check_reason
from service.foundation.errors import Conflict, Invalid, NotAllowed, NotFound
from service.foundation.events import SAFEGUARDING, Actor, Role
from service.people.actions import Action

DECIDERS = SAFEGUARDING | {Role.DPO}


class Asker(StrEnum):
    """Who asked the school. Never a name: whom it is about is not needed to destroy it."""

    PARENT = "parent"
    PUPIL = "pupil"
    STAFF = "staff"
    OTHER = "other"


ASKER_WORDS = {
    Asker.PARENT: "A parent", Asker.PUPIL: "A pupil", Asker.STAFF: "A member of staff", Asker.OTHER: "Somebody else",
}


class MayBeNeeded(Conflict):
    """This recording cannot be erased now, because it is or may be needed. It is destroyed on its day, unless it is kept."""

    code = "may-be-needed"


class StillRunning(Conflict):
    """This lesson is still on, or may go on. Decide about its recording when its time is over."""

    code = "still-running"


class Gone(Conflict):
    """This recording is being destroyed, or was."""

    code = "being-destroyed"


@dataclass(frozen=True)
class Wish:
    """What is written down: who asked, why, and what the first person decides."""

    asker: str
    words: str
    erases: bool | None


@dataclass(frozen=True)
class Request:
    """A request and what became of it. `agreed`: what the second person said; None while nobody did, or nobody has to."""

    id: str
    asker: Asker
    words: str
    erases: bool
    decided_by: str
    decided_at: datetime
    agreed: bool | None = None
    second: str = ""
    second_at: datetime | None = None
    second_words: str = ""

    @property
    def waits(self) -> bool:
        """Refusing takes one person, erasing two."""
        return self.erases and self.agreed is None


def check_may_decide(actor: Actor, involved: Involved) -> None:
    """The data protection officer and the safeguarding team; nobody who was in the lesson, or whom anything about it is about."""
    if not actor.is_any(DECIDERS) or actor.person_id in involved.subjects:
        raise NotFound()
    if actor.person_id in involved.participants:
        raise TookPart()


def check_can_be_erased(*, is_gone: bool, is_running: bool, is_needed: bool) -> None:
    """`is_running`: what the lesson goes on with would have nowhere to go. `is_needed`: a hold, an open concern or an open alert
    stands. Which of them is not said: the DPO need not know."""
    if is_gone:
        raise Gone()
    if is_running:
        raise StillRunning()
    if is_needed:
        raise MayBeNeeded()


def checked(wish: Wish, earlier: Sequence[Request]) -> Wish:
    if any(each.waits for each in earlier):
        raise HoldChanged()
    wrong = {}
    if wish.asker not in set(Asker):
        wrong["asker"] = "Choose who asked"
    try:
        check_reason(wish.words)
    except Invalid as refusal:
        wrong |= refusal.fields
    if wish.erases is None:
        wrong["answer"] = "Choose what you decide"
    if wrong:
        raise Invalid(fields=wrong)
    return wish


def check_second(actor: Actor, request: Request, first_roles: frozenset[Role], involved: Involved) -> None:
    """One of the two is the data protection officer, the other of the safeguarding team."""
    check_may_decide(actor, involved)
    if actor.person_id == request.decided_by:
        raise SamePerson()
    is_data, is_team = Role.DPO in actor.roles, actor.is_any(SAFEGUARDING)
    was_data, was_team = Role.DPO in first_roles, bool(first_roles & SAFEGUARDING)
    if not ((is_data and was_team) or (is_team and was_data)):
        raise NotAllowed("One of the two is the Data Protection Officer, the other the DSL or a deputy. Ask the other one.")


def erasing(recording_id: str, wish: Wish) -> Action:
    return Action("erase-recording", "decide that this recording is erased before its day",
                  {"recording_id": recording_id, "asker": wish.asker, "words": wish.words.strip()})


def agreeing(recording_id: str, request: Request) -> Action:
    """What the second person confirms: the words that they read."""
    return Action("agree-to-erase", "agree that this recording is destroyed now",
                  {"recording_id": recording_id, "request_id": request.id, "words": request.words})
