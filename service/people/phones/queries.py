"""Reading phones and invitations: a parent's own, and what the office sees of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import NotFound
from service.foundation.events import Actor
from service.people import queries as people
from service.people.phones.tables import Phone, PhoneInvitation
from service.people.push.tables import PushSubscription
from service.people.tables import GroupMember, Guardianship, Person, SignIn


@dataclass(frozen=True)
class PhoneView:
    """A phone that was not removed. `is_signed_in`: whether it is in now, and not only known."""

    id: str
    name: str
    platform: str
    language: str
    added_at: datetime
    seen_at: datetime
    rests_until: datetime | None
    is_signed_in: bool
    is_this_one: bool


@dataclass(frozen=True)
class InvitationView:
    """`state`: `waiting` (for its code), `open`, `over`, or why it ended."""

    id: str
    person_id: str
    name: str
    made_at: datetime
    made_by: str
    made_by_id: str
    expires_at: datetime
    is_recovery: bool
    state: str


@dataclass(frozen=True)
class ParentPage:
    """What the office sees of one parent's phones. `may_invite`: whether a child stands behind an invitation."""

    person: people.PersonView
    phones: tuple[PhoneView, ...]
    invitations: tuple[InvitationView, ...]
    had_phone: bool
    may_invite: bool


async def phones(session: AsyncSession, person_id: str, now: datetime, *, seen: Mapping[str, datetime] | None = None,
                 here: str = "") -> tuple[PhoneView, ...]:
    """A person's phones, the newest first. `seen`: what was not written down yet; `here`: the sign-in that asks."""
    rows = (await session.exec(select(Phone, SignIn).join(SignIn, col(SignIn.id) == Phone.sign_in_id).where(
        Phone.person_id == person_id, col(Phone.removed_at).is_(None)).order_by(col(Phone.added_at).desc(), col(Phone.id)))).all()
    return tuple(
        PhoneView(
            phone.id, phone.name, phone.platform, phone.language, phone.added_at,
            max(sign_in.seen_at, (seen or {}).get(sign_in.id, sign_in.seen_at)),
            phone.rests_until if phone.rests_until and now < phone.rests_until else None,
            sign_in.ended_at is None and now < sign_in.ends_at, sign_in.id == here,
        ) for phone, sign_in in rows)


async def had_phone(session: AsyncSession, person_id: str) -> bool:
    return (await session.exec(select(Phone.id).where(Phone.person_id == person_id).limit(1))).first() is not None


async def births(session: AsyncSession, person_id: str) -> list[str]:
    """When the children were born whom this adult may be told of, as ISO days (policy: CM1)."""
    rows = await session.exec(select(col(Person.born_on)).join(Guardianship, col(Guardianship.child_id) == Person.id).where(
        Guardianship.guardian_id == person_id, *people.VISIBLE, col(Person.left_on).is_(None)))
    return [born_on.isoformat() for born_on in rows.all() if born_on is not None]


async def parent_page(session: AsyncSession, actor: Actor, person_id: str, now: datetime) -> ParentPage:
    """Raises NotFound for whoever is no parent of this school."""
    person = await people.person(session, actor.school_id, person_id)
    if people.Role.PARENT not in person.roles:
        raise NotFound()
    rows = (await session.exec(select(PhoneInvitation).where(PhoneInvitation.person_id == person_id).order_by(
        col(PhoneInvitation.made_at).desc()).limit(10))).all()
    return ParentPage(
        person, await phones(session, person_id, now), tuple(await _views(session, actor.school_id, list(rows), now)),
        await had_phone(session, person_id), bool(await births(session, person_id)),
    )


async def waiting_for_codes(session: AsyncSession, actor: Actor, now: datetime) -> list[InvitationView]:
    """Letters whose code a second person makes: of this school, and not the reader's own."""
    rows = (await session.exec(select(PhoneInvitation).where(
        PhoneInvitation.school_id == actor.school_id, PhoneInvitation.code_hash == "", col(PhoneInvitation.ended_at).is_(None),
        PhoneInvitation.expires_at > now).order_by(col(PhoneInvitation.made_at)))).all()
    return await _views(session, actor.school_id, list(rows), now)


async def _views(session: AsyncSession, school_id: str, rows: list[PhoneInvitation], now: datetime) -> list[InvitationView]:
    names = await people.people(session, school_id, {each for row in rows for each in (row.person_id, row.made_by)})

    def name(person_id: str) -> str:
        return names[person_id].full_name if person_id in names else "Chaperone"

    def state(row: PhoneInvitation) -> str:
        if row.ended_at is not None:
            return row.ended_why
        return "over" if now >= row.expires_at else "open" if row.code_hash else "waiting"

    return [InvitationView(row.id, row.person_id, name(row.person_id), row.made_at, name(row.made_by), row.made_by,
                           row.expires_at, row.is_recovery, state(row)) for row in rows]


@dataclass(frozen=True)
class ClassParents:
    """The parents of one class: those who have no phone and could get a letter, and how many have one."""

    group: people.GroupView
    without: tuple[people.PersonView, ...]
    with_phone: int


async def class_parents(session: AsyncSession, actor: Actor, group_id: str, now: datetime) -> ClassParents:
    group = await people.group(session, actor.school_id, group_id)
    links = (await session.exec(select(Guardianship.guardian_id).join(
        GroupMember, col(GroupMember.person_id) == Guardianship.child_id).where(
        GroupMember.group_id == group_id, GroupMember.part == "pupil", *people.VISIBLE))).all()
    adults = await people.people(session, actor.school_id, set(links), here_on=now.date())
    parents = [one for one in adults.values() if people.Role.PARENT in one.roles]
    have = set((await session.exec(select(Phone.person_id).where(
        col(Phone.person_id).in_([one.id for one in parents])).group_by(col(Phone.person_id)).having(func.count() > 0))).all())
    without = sorted((one for one in parents if one.id not in have), key=lambda one: one.full_name)
    return ClassParents(group, tuple(without), len(parents) - len(without))


async def takes_notices(session: AsyncSession, actor: Actor, phone_id: str) -> bool:
    return (await session.exec(select(PushSubscription.id).where(
        PushSubscription.person_id == actor.person_id, PushSubscription.phone_id == phone_id))).first() is not None
