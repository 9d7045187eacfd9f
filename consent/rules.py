"""What a family's answers mean. Pure.

What the answers come to is worked out in `standing` each time it is asked for. Here stand the words, who may answer, and what
holds. In doubt the answer is no: no answer, a conflict, or a person whose responsibility nobody has checked never opens a door
(policy: CO2, CO3).
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum

from service.foundation.errors import Conflict, Invalid, NotAllowed


class AnsweredSince(Conflict):
    """You answered this question again after you read it here. Look at your answer, then answer again."""

    code = "answered-since"


class Purpose(StrEnum):
    """What a family is asked, one answer for each (policy: CO2).

    The last three stand for the school's register: Chaperone itself publishes nothing and shows pictures to nobody outside.
    """

    ATTEND = "attend"
    BE_RECORDED = "be_recorded"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    CHAT = "chat"
    ONE_TO_ONE = "one_to_one"
    PHOTOGRAPHS = "photographs"
    PUBLICATION = "publication"
    TEACHING_PRACTICE = "teaching_practice"


class Answer(StrEnum):
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    ENTERED_IN_ERROR = "entered_in_error"


class Status(StrEnum):
    """What one child's family says about one purpose now. Only `GIVEN` permits anything; `RESTS` is a yes that starts later."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    RESTS = "rests"
    NO_RESPONSE = "no_response"
    CONFLICT = "conflict"


class Route(StrEnum):
    """How an answer reached the school."""

    PAPER = "paper"
    TELEPHONE = "telephone"
    IN_PERSON = "in_person"
    WEB = "web"
    APP = "app"


OFFICE_ROUTES = (Route.PAPER, Route.TELEPHONE, Route.IN_PERSON)
PURPOSES = tuple(Purpose)
IN_LESSONS = PURPOSES[:6]
"""What a lesson asks; the others are the school's register."""
TO_JOIN = frozenset({Purpose.ATTEND, Purpose.BE_RECORDED})
OWN_ROUTES = (Route.WEB, Route.APP)
COMES_OF_AGE = 18
RESTS = timedelta(hours=24)
"""How long a yes rests that comes by a browser or by new contact details (`counts_from`), before it counts; a no counts at once
(threat T19). A new phone says itself how long it rests."""


class MayNotAnswer(NotAllowed):
    """This adult is not recorded as having parental responsibility for this child. Check the record of the family first."""

    code = "may-not-answer"


def held(found: Mapping[Purpose, Status], *, public_task: bool, objection_upheld: bool) -> frozenset[str]:
    """The purposes that hold for one child: what lessons ask before they admit, record or forward.

    Where the school's legal basis for recording is its public task, recording holds without an answer, until a named
    person has upheld an objection to it.
    """
    yes = {purpose for purpose, value in found.items() if value is Status.GIVEN}
    if public_task:
        yes = yes - {Purpose.BE_RECORDED} if objection_upheld else yes | {Purpose.BE_RECORDED}
    return frozenset(yes)


def are_asked(*, public_task: bool) -> tuple[Purpose, ...]:
    """What is a question of permission at all: recording is none where it is the school's public task."""
    return tuple(purpose for purpose in PURPOSES if not (public_task and purpose is Purpose.BE_RECORDED))


def check_respondent(responsible: str, *, says_yes: bool) -> None:
    """Refuse an answer from somebody who may not give it; a No from somebody not yet checked is kept, a Yes is not. A pupil who
    is asked beside the parents may say both: their yes takes back their no, and lets nobody in by itself."""
    if responsible == "no" or (responsible not in ("yes", "pupil") and says_yes):
        raise MayNotAnswer()


def check_own(word: str, route: Route, declared_responsibility: str, *, says_yes: bool) -> None:
    """Refuse an answer that somebody may not give themself. Who says that they have no responsibility, or is not sure, can say
    no; for a yes they ring the office."""
    if route not in OWN_ROUTES:
        raise Invalid("There is a problem", fields={"route": "Only the office writes down paper, calls and talks"})
    check_respondent(word, says_yes=says_yes)
    check_declared(declared_responsibility, says_yes=says_yes, refusal="You cannot answer this here. Ring the office.")


def check_declared(responsibility: str, *, says_yes: bool, refusal: str) -> None:
    """Refuse the yes of somebody who says that they have no parental responsibility, or are not sure; their no is kept. What the
    school's record says does not make up for it. Empty: they were not asked, or left it open on paper."""
    if responsibility not in ("", "yes", "no", "not_sure"):
        raise Invalid("There is a problem", fields={"declared_responsibility": "Choose yes, no or not sure"})
    if says_yes and responsibility in ("no", "not_sure"):
        raise MayNotAnswer(refusal)


def counts_from(route: Route, contacts_changed_at: datetime | None, now: datetime) -> datetime | None:
    """From when a yes counts that came by a browser, or that the office wrote down; None: at once.

    Nobody can tell whose hand it was in a browser. Whom a call reached is known by the number alone: where that, or the address
    at which they would hear of it, is new, whoever had the earlier one has a day to say so. Paper and a talk at the desk need
    neither.
    """
    if route is Route.WEB:
        return now + RESTS
    if route is not Route.TELEPHONE or contacts_changed_at is None:
        return None
    rested = contacts_changed_at + RESTS
    return rested if now < rested else None


def check_still_last(shown_at: datetime | None, last_at: datetime | None, *, says_yes: bool) -> None:
    """A yes that waited, on a telephone without a network, is not to come after a no that was given elsewhere meanwhile.

    `shown_at`: when the answer was recorded that stood beside the question. Raises AnsweredSince; a no is always taken.
    """
    if says_yes and shown_at != last_at:
        raise AnsweredSince()


def check_day(signed_on: date, today: date) -> None:
    if signed_on > today:
        raise Invalid("There is a problem", fields={"signed_on": "The day of signing is today or earlier"})
    if signed_on < today - timedelta(days=3 * 366):
        raise Invalid("There is a problem", fields={"signed_on": "This form is more than three years old. Ask for a new one"})


def day_of(day: str, month: str, year: str) -> date:
    """The day that three boxes of a form say, or Invalid with words for it."""
    try:
        return date(int(year), int(month), int(day))
    except ValueError as error:
        raise Invalid("There is a problem", fields={"signed_on": "Enter the day on the form, such as 27 3 2026"}) from error


def word(parental_responsibility: str, court_order: str) -> str:
    """What an adult's word is worth for a child: where a court order stands against them, at most a no."""
    return "unknown" if parental_responsibility == "yes" and court_order == "yes" else parental_responsibility


def with_own_word(words: Mapping[str, str], child_id: str, age: int, asked_from: int) -> dict[str, str]:
    """With the pupil's own: alone from 18, when parental responsibility ends, and beside the parents from the age that the
    school chose. A pupil's no is not overruled silently: beside a parent's yes it is a conflict."""
    if age >= COMES_OF_AGE:
        return {child_id: "yes"}
    return {**words, child_id: "pupil"} if age >= asked_from else dict(words)


def age_on(born_on: date, day: date) -> int:
    return day.year - born_on.year - ((day.month, day.day) < (born_on.month, born_on.day))
