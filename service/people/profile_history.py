"""Reading how the school's rules came to be: what is asked for, who agreed, and whom a rule is about (policy: IN5)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import NotFound
from service.foundation.events import STAFF, Role
from service.people import queries
from service.people.profile import Affects, Difference, Profile, differences, profile_from
from service.people.tables import GroupMember, Person, PersonRole, ProfileChange, ProfileVersion, TeachingGroup


@dataclass(frozen=True)
class Row:
    """A difference, with how many people it is about (“212 pupils”) and why, where it protects less."""

    difference: Difference
    count: int
    unit: str
    reason: str = ""


@dataclass(frozen=True)
class Request:
    """A change that was asked for, compared with the rules it was made for. `is_stale`: they are others now."""

    id: str
    rows: tuple[Row, ...]
    reason: str
    review_on: date
    asked_by: str
    asked_by_id: str
    asked_at: datetime
    decided_by: str
    decided_at: datetime | None
    agreed: bool | None
    is_stale: bool


@dataclass(frozen=True)
class Version:
    """One version of the rules, as the history shows it. `rows` is empty for the first."""

    number: int
    rows: tuple[Row, ...]
    reason: str
    asked_by: str
    agreed_by: str
    in_force_at: datetime
    review_on: date


@dataclass(frozen=True)
class Counts:
    """How many people each part of the school is, for “who it affects”."""

    pupils: int
    by_stage: dict[int, int]
    staff: int
    families: int

    def of(self, difference: Difference) -> tuple[int, str]:
        match difference.affects:
            case Affects.STAGE:
                return self.by_stage.get(difference.stage or 0, 0), "pupil"
            case Affects.STAFF:
                return self.staff, "member of staff"
            case Affects.FAMILIES:
                return self.families, "parent or carer"
            case Affects.EVERYBODY:
                return self.pupils + self.staff + self.families, "person"
            case _:
                return self.pupils, "pupil"


async def counts(session: AsyncSession, school_id: str) -> Counts:
    """The people of the school today, by part and key stage."""
    today = session.info["clock"].now().date()
    here = (PersonRole.school_id == school_id, col(Person.left_on).is_(None) | (col(Person.left_on) > today))

    async def holding(*roles: Role) -> int:
        return (await session.exec(select(func.count(func.distinct(Person.id))).join(
            PersonRole, col(PersonRole.person_id) == Person.id).where(*here, col(PersonRole.role).in_(roles)))).one()

    stages = (await session.exec(
        select(TeachingGroup.key_stage, func.count(func.distinct(Person.id)))
        .join(GroupMember, col(GroupMember.group_id) == TeachingGroup.id).join(Person, col(Person.id) == GroupMember.person_id)
        .where(TeachingGroup.school_id == school_id, GroupMember.part == "pupil", here[1]).group_by(col(TeachingGroup.key_stage))
    )).all()
    return Counts(await holding(Role.PUPIL), dict(stages), await holding(*STAFF), await holding(Role.PARENT))


async def compared(session: AsyncSession, school_id: str, before: Profile, after: Profile,
                   reasons: dict[str, str] | None = None) -> tuple[Row, ...]:
    """X-Compare: every line that differs, whom it is about, and why where it protects less."""
    people = await counts(session, school_id)
    return tuple(Row(row, *people.of(row), (reasons or {}).get(row.key, "")) for row in differences(before, after))


async def requests(session: AsyncSession, school_id: str) -> list[Request]:
    """What waits for a second person, oldest first."""
    found = (await session.exec(select(ProfileChange).where(
        ProfileChange.school_id == school_id, col(ProfileChange.decided_at).is_(None)).order_by(col(ProfileChange.asked_at))
    )).all()
    return [await _request(session, row) for row in found]


async def request(session: AsyncSession, school_id: str, change_id: str) -> Request:
    row = await session.get(ProfileChange, change_id)
    if row is None or row.school_id != school_id:
        raise NotFound()
    return await _request(session, row)


async def _request(session: AsyncSession, row: ProfileChange) -> Request:
    versions = await _versions(session, row.school_id)
    base = next(version for version in versions if version.version == row.base_version)
    reasons = json.loads(row.reasons)
    names = await _names(session, row.school_id, (row.asked_by, row.decided_by))
    return Request(
        row.id, await compared(session, row.school_id, profile_from(base.profile), profile_from(row.profile), reasons),
        reasons.get("all", ""), row.review_on, names[row.asked_by], row.asked_by, row.asked_at, names[row.decided_by],
        row.decided_at, row.agreed, versions[-1].version != row.base_version,
    )


async def _versions(session: AsyncSession, school_id: str) -> list[ProfileVersion]:
    return list((await session.exec(
        select(ProfileVersion).where(ProfileVersion.school_id == school_id).order_by(col(ProfileVersion.version)))).all())


async def _names(session: AsyncSession, school_id: str, ids: Iterable[str]) -> dict[str, str]:
    known = await queries.people(session, school_id, ids)
    return {person_id: known[person_id].name if person_id in known else "Chaperone" for person_id in ids}


async def history(session: AsyncSession, school_id: str) -> list[Version]:
    """Every version of the rules, newest first, with both names."""
    versions = await _versions(session, school_id)
    changes = {row.id: row for row in (await session.exec(
        select(ProfileChange).where(ProfileChange.school_id == school_id))).all()}
    names = await _names(session, school_id, {who for row in versions for who in (row.asked_by, row.decided_by)})
    found, before = [], None
    for row in versions:
        change, profile = changes.get(row.change_id or ""), profile_from(row.profile)
        reasons = json.loads(change.reasons) if change else {}
        rows = await compared(session, school_id, before, profile, reasons) if before else ()
        found.append(Version(
            row.version, rows, reasons.get("all", "") if change else row.reason, names[row.asked_by] if row.asked_by else "",
            names[row.decided_by], row.in_force_at, row.review_on,
        ))
        before = profile
    return found[::-1]
