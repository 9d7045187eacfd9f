"""Everything that was said about children, as the database has it. It decides at nine o'clock, so the looks are few and lean."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import rules, standing
from consent.documents.tables import ConsentDocument
from consent.rules import Purpose
from consent.tables import ConsentResolution, ConsentResponse
from service.people import queries as people
from service.people.profile import Profile, RecordingBasis
from service.people.tables import Guardianship, Person

_CHILDREN: Any = bindparam("children", expanding=True)
_FLOOR = (  # the version of each purpose whose answers are the oldest that stand
    select(ConsentDocument.purpose, func.max(ConsentDocument.version).label("version")).where(
        ConsentDocument.school_id == bindparam("school"), col(ConsentDocument.ends_answers_at) <= bindparam("now"),
    ).group_by(col(ConsentDocument.purpose)).subquery()
)
_RESPONSES: Any = select(  # type: ignore[call-overload]  # built once, and only what is asked of it: a class has hundreds
    ConsentResponse.id, ConsentResponse.child_id, ConsentResponse.purpose, ConsentResponse.answer,
    ConsentResponse.respondent_id, ConsentResponse.route, ConsentResponse.signed_on, ConsentResponse.recorded_at,
    ConsentResponse.corrects_id, ConsentResponse.counts_from,
    (ConsentResponse.document_version < func.coalesce(_FLOOR.c.version, 0)).label("is_outdated"),
).outerjoin(_FLOOR, _FLOOR.c.purpose == ConsentResponse.purpose).where(
    ConsentResponse.school_id == bindparam("school"), col(ConsentResponse.child_id).in_(_CHILDREN),
    col(ConsentResponse.purpose).in_(bindparam("purposes", expanding=True)))
_RESPONSIBLE = select(  # without the school: for its links SQLite would look at all of them, and `_KNOWN` says whose they are
    Guardianship.child_id, Guardianship.guardian_id, Guardianship.parental_responsibility, Guardianship.court_order,
).where(col(Guardianship.child_id).in_(_CHILDREN))
_KNOWN: Any = select(Person.id, col(Person.born_on)).where(
    Person.school_id == bindparam("school"), Person.kind == "child", col(Person.id).in_(_CHILDREN))
_CLOSED = select(ConsentResolution).where(
    ConsentResolution.school_id == bindparam("school"), col(ConsentResolution.child_id).in_(_CHILDREN),
    (col(ConsentResolution.kind) == "agreed") | col(ConsentResolution.agreed_at).is_not(None))


@dataclass(frozen=True)
class Told:
    """All that was said about one child, what each person's word is worth, and which conflicts were closed."""

    responses: tuple[standing.Response, ...]
    responsible: Mapping[str, str]
    closed: tuple[standing.Resolution, ...]


def is_public_task(profile: Profile) -> bool:
    """Whether lessons are recorded as the school's public task, and not with each family's permission."""
    return profile.recording_basis == RecordingBasis.PUBLIC_TASK


def terms(session: AsyncSession, profile: Profile) -> standing.Terms:
    return standing.Terms(session.info["clock"].now(), profile.consent_days)


async def told(session: AsyncSession, school_id: str, children: Collection[str], profile: Profile,
               purposes: Collection[Purpose] = rules.PURPOSES) -> dict[str, Told]:
    """Everything that decides, for those who are children of this school: four looks, however many they are."""
    wanted = {"school": school_id, "children": list(children)}
    now = session.info["clock"].now()
    rows = (await session.exec(_RESPONSES, params=wanted | {"now": now, "purposes": list(purposes)})).all()
    born = dict((await session.exec(_KNOWN, params=wanted)).all())
    links = (await session.exec(_RESPONSIBLE, params=wanted)).all()
    closed = (await session.exec(_CLOSED, params=wanted)).all()
    responsible = _responsible(born, links, profile, now.date())
    said: dict[str, list[standing.Response]] = {child: [] for child in born}
    for row in rows:
        if row[1] in said:
            said[row[1]].append(_response(*row))
    return {
        child: Told(tuple(said[child]), responsible[child], tuple(
            standing.Resolution(child, Purpose(row.purpose), row.resolved_at, row.follows_id)
            for row in closed if row.child_id == child))
        for child in born
    }


def _responsible(born: Mapping[str, date | None], links: Iterable[Any], profile: Profile,
                 today: date) -> dict[str, dict[str, str]]:
    """What each person's word is worth for each child. A pupil of age answers alone; a younger one may be asked as well."""
    found: dict[str, dict[str, str]] = {child: {} for child in born}
    for child, guardian, responsibility, court_order in links:
        if child in found:
            found[child][guardian] = rules.word(responsibility, court_order)
    for child, born_on in born.items():
        if born_on is not None:
            found[child] = rules.with_own_word(found[child], child, rules.age_on(born_on, today), profile.pupils_asked_from)
    return found


async def responsibility(session: AsyncSession, school_id: str, child_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """For each child, what the word of each person around it is worth (`standing.DECIDES` and the like)."""
    wanted, today = {"school": school_id, "children": list(child_ids)}, session.info["clock"].now().date()
    born = dict((await session.exec(_KNOWN, params=wanted)).all())
    links = (await session.exec(_RESPONSIBLE, params=wanted)).all()
    found = _responsible(born, links, await people.profile(session, school_id), today)
    return {child: found.get(child, {}) for child in child_ids}


_PURPOSE = {str(each): each for each in Purpose}
_ANSWER = {str(each): each for each in rules.Answer}
_ROUTE = {str(each): each for each in rules.Route}


def _response(response_id: str, child: str, purpose: str, answer: str, respondent: str, route: str,
              *more: Any) -> standing.Response:
    """Of the columns that `_RESPONSES` asks for, in its order."""
    return standing.Response(response_id, child, _PURPOSE[purpose], _ANSWER[answer], respondent, _ROUTE[route], *more)


def response_of(row: ConsentResponse) -> standing.Response:
    return _response(row.id, row.child_id, row.purpose, row.answer, row.respondent_id, row.route, row.signed_on,
                     row.recorded_at, row.corrects_id, row.counts_from)
