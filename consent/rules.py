"""What a family's answers mean. Pure.

A status is worked out from the answers each time it is asked for, never stored, so that no forgotten update can leave a
child in a lesson against a parent's word. In doubt the answer is no: no answer, a conflict, or a person whose
responsibility nobody has checked never opens a door (policy: CO2, CO3).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from service.foundation.errors import Invalid, NotAllowed


class Purpose(StrEnum):
    """What a family is asked, one answer for each (policy: CO2)."""

    ATTEND = "attend"
    BE_RECORDED = "be_recorded"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    CHAT = "chat"
    ONE_TO_ONE = "one_to_one"


class Answer(StrEnum):
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    ENTERED_IN_ERROR = "entered_in_error"


class Status(StrEnum):
    """What one child's family says about one purpose now. Only `GIVEN` permits anything."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
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
TO_JOIN = frozenset({Purpose.ATTEND, Purpose.BE_RECORDED})
COMES_OF_AGE = 18


class MayNotAnswer(NotAllowed):
    """This adult is not recorded as having parental responsibility for this child. Check the record of the family first."""

    code = "may-not-answer"


@dataclass(frozen=True)
class Response:
    """One answer as somebody gave it. `signed_on` is the day on the form, `recorded_at` when the school wrote it down."""

    id: str
    child_id: str
    purpose: Purpose
    answer: Answer
    respondent_id: str
    route: Route
    signed_on: date
    recorded_at: datetime
    corrects_id: str | None = None

    @property
    def said_yes(self) -> bool:
        return self.answer is Answer.GIVEN


def standing(responses: Iterable[Response]) -> list[Response]:
    """The answers that were really given: without those entered in error, and without the notes that say so."""
    given = list(responses)
    wrong = {response.corrects_id for response in given if response.answer is Answer.ENTERED_IN_ERROR}
    return [r for r in given if r.answer is not Answer.ENTERED_IN_ERROR and r.id not in wrong]


def order(response: Response) -> tuple[date, bool, datetime]:
    """When an answer was given. Paper carries a day and no hour, so it counts from the start of that day: a form that waited
    in a tray never overrides the telephone call that came after it."""
    return response.signed_on, response.route is not Route.PAPER, response.recorded_at


def latest(responses: Iterable[Response]) -> dict[str, Response]:
    """The answer that each respondent stands by now, for the responses of one child and purpose."""
    return {response.respondent_id: response for response in sorted(standing(responses), key=order)}


def status(responses: Iterable[Response], responsible: Mapping[str, str] | None = None) -> Status:
    """What the family says, for the responses of one child and one purpose (policy: CO2).

    `responsible` says for each respondent whether they have parental responsibility now (`yes`, `no`, `unknown`); without
    it everybody counts. A yes counts only from those who have it, a no from anybody who is not known to lack it.
    """
    answers = [answer for who, answer in latest(responses).items() if _counts(answer, who, responsible)]
    if not answers:
        return Status.NO_RESPONSE
    said_no = [answer for answer in answers if not answer.said_yes]
    if not said_no:
        return Status.GIVEN
    if len(said_no) < len(answers):
        return Status.CONFLICT
    withdrawn = any(answer.answer is Answer.WITHDRAWN for answer in said_no)
    return Status.WITHDRAWN if withdrawn else Status.REFUSED


def _counts(answer: Response, who: str, responsible: Mapping[str, str] | None) -> bool:
    if responsible is None:
        return True
    known = responsible.get(who, "no")
    return known == "yes" or (known == "unknown" and not answer.said_yes)


def statuses(responses: Iterable[Response], responsible: Mapping[str, str] | None = None) -> dict[Purpose, Status]:
    """The status of every purpose, for the responses of one child."""
    given = list(responses)
    return {purpose: status((r for r in given if r.purpose is purpose), responsible) for purpose in PURPOSES}


def held(found: Mapping[Purpose, Status], *, public_task: bool, objection_upheld: bool) -> frozenset[str]:
    """The purposes that hold for one child: what lessons ask before they admit, record or forward.

    Where the school's legal basis for recording is its public task, recording holds without an answer, until a named
    person has upheld an objection to it.
    """
    yes = {purpose for purpose, value in found.items() if value is Status.GIVEN}
    if public_task:
        yes = yes - {Purpose.BE_RECORDED} if objection_upheld else yes | {Purpose.BE_RECORDED}
    return frozenset(yes)


def may_join(purposes: Collection[str]) -> bool:
    """Whether a child with these purposes may be in a lesson at all: every lesson is recorded (policy: RL4)."""
    return set(purposes) >= TO_JOIN


def answer_for(said_yes: bool, earlier: Response | None) -> Answer:
    """What a Yes or a No is called: a No after that person's own Yes takes it back."""
    if said_yes:
        return Answer.GIVEN
    return Answer.WITHDRAWN if earlier and earlier.answer in (Answer.GIVEN, Answer.WITHDRAWN) else Answer.REFUSED


def check_respondent(responsible: str, *, says_yes: bool) -> None:
    """Refuse an answer from somebody who may not give it; a No from somebody not yet checked is kept, a Yes is not."""
    if responsible == "no" or (responsible != "yes" and says_yes):
        raise MayNotAnswer()


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


def age_on(born_on: date, day: date) -> int:
    return day.year - born_on.year - ((day.month, day.day) < (born_on.month, born_on.day))
