"""What a family's answers come to. Pure.

A status is worked out from every answer each time it is asked for, never stored, so that no forgotten update can leave a child
in a lesson against a parent's word. The order in which answers are read and how often each is read change nothing. A yes is only
as good as the text it was given to, the year it was given in and the responsibility of who gave it; a no needs none of these
(policy: CO2, CO3, CO5). docs/decisions: 30, 100.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from consent.rules import OFFICE_ROUTES, OWN_ROUTES, PURPOSES, Answer, Purpose, Route, Status

DECIDES, UNCHECKED, PUPIL, NONE = "yes", "unknown", "pupil", "no"
"""What somebody's word is worth for one child: both ways; only a no, because nobody has checked; only a no, because a pupil is
asked beside the parents; nothing."""
Responsible = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer as somebody gave it. `signed_on` is the day on the form, `recorded_at` when the school wrote it down.

    `counts_from`: before it a yes counts for nothing. `is_outdated`: the text has been replaced by one that ended old answers.
    """

    id: str
    child_id: str
    purpose: Purpose
    answer: Answer
    respondent_id: str
    route: Route
    signed_on: date
    recorded_at: datetime
    corrects_id: str | None = None
    counts_from: datetime | None = None
    is_outdated: bool = False

    @property
    def said_yes(self) -> bool:
        return self.answer is Answer.GIVEN


@dataclass(frozen=True)
class Resolution:
    """A named person closed a conflict as it stood at `resolved_at`. `follows_id`: the adult whose answer a court says to follow;
    empty where the adults agree by now."""

    child_id: str
    purpose: Purpose
    resolved_at: datetime
    follows_id: str = ""


@dataclass(frozen=True)
class Terms:
    """The moment that is asked about, and for how many days a yes stands."""

    now: datetime
    days: int

    def stands(self, response: Response, on: date) -> bool:
        """Whether a yes still is one on that day (policy: CO5)."""
        return response.said_yes and not response.is_outdated and on < self.ends_on(response)

    def ends_on(self, response: Response) -> date:
        return response.signed_on + timedelta(days=self.days)


def standing(responses: Iterable[Response]) -> list[Response]:
    """The answers that were really given, once each: without those entered in error, and without the notes that say so."""
    given = {response.id: response for response in responses}.values()
    wrong = {response.corrects_id for response in given if response.answer is Answer.ENTERED_IN_ERROR}
    return [r for r in given if r.answer is not Answer.ENTERED_IN_ERROR and r.id not in wrong]


def order(response: Response) -> tuple[date, bool, datetime, bool, str]:
    """When an answer was given. Where only its day is known, a yes counts from the start of that day, so that a form that waited
    in a tray never overrides what came after it; a no from when it was written down, the latest that it can have been. Of two
    at one instant the no is the later one. docs/decisions: 217."""
    from_the_morning = response.said_yes and _has_no_hour(response)
    return response.signed_on, not from_the_morning, response.recorded_at, not response.said_yes, response.id


def _has_no_hour(response: Response) -> bool:
    """Paper carries a day and no hour; so does whatever the office writes down on another day than it was said."""
    return response.route is Route.PAPER or (
        response.route in OFFICE_ROUTES and response.recorded_at.date() > response.signed_on)


def told(responses: Iterable[Response], now: datetime) -> list[Response]:
    """What counts by now, oldest first: a yes that still rests does not, nor does one that was taken back while it rested."""
    given = sorted(standing(responses), key=order)
    return [r for n, r in enumerate(given) if r.counts_from is None or not r.said_yes or not _rests(r, given[n + 1:], now)]


def _rests(yes: Response, later: Sequence[Response], now: datetime) -> bool:
    starts = yes.counts_from or yes.recorded_at
    return starts > now or any(r.respondent_id == yes.respondent_id and r.recorded_at < starts for r in later)


def resting(responses: Iterable[Response], now: datetime) -> dict[str, Response]:
    """Of each respondent whose last word is a yes that does not count yet, that yes; for one child and purpose."""
    last = {response.respondent_id: response for response in sorted(standing(responses), key=order)}
    return {who: r for who, r in last.items() if r.said_yes and r.counts_from is not None and r.counts_from > now}


def latest(responses: Iterable[Response], now: datetime) -> dict[str, Response]:
    """The answer that each respondent stands by, for the responses of one child and purpose."""
    return {response.respondent_id: response for response in told(responses, now)}


def status(responses: Iterable[Response], responsible: Responsible, terms: Terms,
           resolutions: Iterable[Resolution] = ()) -> Status:
    """What the family says, for the responses of one child and one purpose (policy: CO2).

    `responsible`: for each respondent, what their word is worth today. A conflict that once was there stays until a named person
    closed it, also when everybody has come to agree: somebody should have asked why.
    """
    responses = list(responses)
    given = told(responses, terms.now)
    closed = sorted(resolutions, key=lambda resolution: resolution.resolved_at)
    now = {response.respondent_id: response for response in given}
    covered = _covered(given, closed)
    may_differ = len(now) > 1 and not all(response.said_yes for response in given)
    if may_differ and _was_never_closed(given, responsible, terms, covered):
        return Status.CONFLICT
    found = _agreed(now, responsible, terms, closed[-1].follows_id if closed else "", covered)
    if found in (Status.EXPIRED, Status.NO_RESPONSE) and any(
            responsible.get(who) == DECIDES and terms.stands(response, terms.now.date())
            for who, response in resting(responses, terms.now).items()):
        return Status.RESTS
    return found


def _was_never_closed(given: list[Response], responsible: Responsible, terms: Terms, covered: frozenset[str]) -> bool:
    """Whether at any time a yes stood against a no, and nobody has closed that since both were known."""
    now: dict[str, Response] = {}
    for response in given:
        now[response.respondent_id] = response
        if _differ(now.values(), responsible, terms, response.signed_on) and not covered.issuperset(r.id for r in now.values()):
            return True
    return False


def _agreed(now: Mapping[str, Response], responsible: Responsible, terms: Terms, court: str, covered: frozenset[str]) -> Status:
    """`court`: whose answer it says to follow, where it covers all of them."""
    today = terms.now.date()
    answers = [answer for who, answer in now.items() if _counts(answer, responsible.get(who, NONE))]
    if _differ(now.values(), responsible, terms, today):
        is_covered = covered.issuperset(answer.id for answer in now.values())
        answers = [answer for answer in answers if is_covered and answer.respondent_id == court]
        if not answers:
            return Status.CONFLICT
    said_no = [answer for answer in answers if not answer.said_yes]
    if said_no:
        return Status.WITHDRAWN if any(answer.answer is Answer.WITHDRAWN for answer in said_no) else Status.REFUSED
    if any(terms.stands(answer, today) for answer in answers):
        return Status.GIVEN
    return Status.EXPIRED if answers else Status.NO_RESPONSE


def _differ(answers: Iterable[Response], responsible: Responsible, terms: Terms, on: date) -> bool:
    """Whether a yes that stands and a no that counts are both there."""
    counting = [a for a in answers if _counts(a, responsible.get(a.respondent_id, NONE))]
    return any(not a.said_yes for a in counting) and any(terms.stands(a, on) for a in counting)


def _covered(given: list[Response], closed: list[Resolution]) -> frozenset[str]:
    """What the last closing covers, of answers in their order: those that were known when it was made. Under a court order also
    whatever says the same again, for as long as that person said nothing else: a renewal or a repeated no is no new difference.
    docs/decisions: 233."""
    if not closed:
        return frozenset()
    by = closed[-1]
    known = [response for response in given if response.recorded_at <= by.resolved_at]
    found = {response.id for response in known}
    words = {response.respondent_id: response for response in known} if by.follows_id else {}
    for response in given:
        if response.recorded_at > by.resolved_at and (word := words.get(response.respondent_id)) is not None:
            if _says_again(response, word):
                found.add(response.id)
            else:
                del words[response.respondent_id]
    return frozenset(found)


def _says_again(response: Response, word: Response) -> bool:
    """A yes to words that ended the earlier one is another yes: whoever saw the order had not read them."""
    return response.said_yes == word.said_yes and not (response.said_yes and word.is_outdated and not response.is_outdated)


def _counts(answer: Response, word: str) -> bool:
    """A yes counts only from those who decide, a no from anybody who is not known to have no say."""
    return word == DECIDES or (word in (UNCHECKED, PUPIL) and not answer.said_yes)


def statuses(responses: Iterable[Response], responsible: Responsible, terms: Terms,
             resolutions: Iterable[Resolution] = (), purposes: Iterable[Purpose] = PURPOSES) -> dict[Purpose, Status]:
    """The status of these purposes, for the responses of one child."""
    asked: dict[Purpose, list[Response]] = {purpose: [] for purpose in purposes}
    closed: dict[Purpose, list[Resolution]] = {purpose: [] for purpose in asked}
    for response in responses:
        if response.purpose in asked:
            asked[response.purpose].append(response)
    for resolution in resolutions:
        if resolution.purpose in closed:
            closed[resolution.purpose].append(resolution)
    return {purpose: status(given, responsible, terms, closed[purpose]) for purpose, given in asked.items()}


def answer_for(said_yes: bool, earlier: Response | None) -> Answer:
    """What a Yes or a No is called: a No after that person's own Yes takes it back."""
    if said_yes:
        return Answer.GIVEN
    return Answer.WITHDRAWN if earlier and earlier.answer in (Answer.GIVEN, Answer.WITHDRAWN) else Answer.REFUSED


def undone_by(yes_of: date, own: Sequence[Response]) -> Response | None:
    """The no that a respondent said themself on the day of a yes that the office writes down, or after it, and has not taken
    back: nobody who hears of that yes late can tell that it came after. `own`: all that they said about this purpose."""
    said = sorted(standing(own), key=order)
    if not said or said[-1].said_yes:
        return None
    return next((r for r in reversed(said) if r.route in OWN_ROUTES and not r.said_yes and r.recorded_at.date() >= yes_of), None)


def may_close(responses: Iterable[Response], responsible: Responsible, terms: Terms) -> bool:
    """Whether the latest answers agree, so that one named person may close a conflict with a reason."""
    return not _differ(latest(responses, terms.now).values(), responsible, terms, terms.now.date())


def asks_again(own: Response | None, terms: Terms, notice: timedelta) -> str:
    """Why somebody is asked (again): `never`, `words` (a text that ended old answers), `expired`, `renewal` (it soon ends), or
    empty. A no is never asked again: nobody is worn down to a yes."""
    if own is None:
        return "never"
    if not own.said_yes:
        return ""
    if own.is_outdated:
        return "words"
    today = terms.now.date()
    if today >= terms.ends_on(own):
        return "expired"
    return "renewal" if today >= terms.ends_on(own) - notice else ""
