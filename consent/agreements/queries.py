"""Reading agreements: SQL in, frozen dataclasses out, always within one school.

`signed` is what lessons ask before an adult is admitted. It answers no for whoever it does not know.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.agreements import rules
from consent.agreements.tables import Agreement, AgreementSignature
from service.foundation import mail
from service.foundation.events import Actor
from service.foundation.web import Standing
from service.people import queries as people
from service.people.rules import may_be_told, sort_key
from service.people.tables import Guardianship, Person, PersonRole


@dataclass(frozen=True)
class SignerView:
    """One line of the register of agreements (policy: CO1)."""

    id: str
    name: str
    audience: rules.Audience
    signing: rules.Signing
    renew_on: date | None
    by_parent: bool


@dataclass(frozen=True)
class ChildToSignFor:
    """A pupil so young that this parent may sign for them."""

    id: str
    name: str
    signing: rules.Signing


async def signed(
    session: AsyncSession, school_id: str, roles: Mapping[str, Collection[people.Role]], on: date
) -> frozenset[str]:
    """Those of `roles` (person to roles, of people of this school who are here) for whom the current agreement of their audience
    stands signed on that day (policy: CO1)."""
    versions = await _versions(session, school_id)
    signatures = await _signatures(session, school_id, roles.keys())
    parts = {person: part for person, held in roles.items() if (part := rules.audience(held)) is not None}
    return frozenset(
        person for person, part in parts.items()
        if rules.signing(signatures.get((person, part), []), versions.get(part), on) is not rules.Signing.NOT_SIGNED
    )


async def register(session: AsyncSession, school_id: str, person_ids: Collection[str] | None, on: date) -> list[SignerView]:
    """Who has and has not signed, by name; everybody of the school who needs to when `person_ids` is None."""
    only = [] if person_ids is None else [col(Person.id).in_(person_ids)]
    rows = (await session.exec(select(Person).where(Person.school_id == school_id, *only))).all()
    here = {row.id: row for row in rows if people.is_here(row, on)}
    roles = await _roles(session, school_id, person_ids)
    versions = await _versions(session, school_id)
    signatures = await _signatures(session, school_id, person_ids)
    lines = []
    for row in here.values():
        part = rules.audience(roles.get(row.id, frozenset()))
        if part is not None:
            own = signatures.get((row.id, part), [])
            renew = max((s.renew_on for s in own if s.version == versions.get(part)), default=None)
            lines.append(SignerView(
                row.id, people.view_of(row, frozenset()).full_name, part, rules.signing(own, versions.get(part), on), renew,
                part is rules.Audience.PUPILS and rules.parent_signs(row.year_group),
            ))
    return sorted(lines, key=lambda line: sort_key(line.name))


_OWN: Any = select(  # type: ignore[call-overload]  # built once: every request asks
    Agreement.version, AgreementSignature.signed_at, AgreementSignature.renew_on,
).join(AgreementSignature, (col(AgreementSignature.agreement_id) == Agreement.id)
       & (col(AgreementSignature.person_id) == bindparam("person")), isouter=True).where(
    Agreement.school_id == bindparam("school"), Agreement.audience == bindparam("audience"),
    col(Agreement.in_force_at) <= bindparam("now"),
).order_by(col(Agreement.version).desc())


async def own_signing(session: AsyncSession, actor: Actor) -> rules.Signing:
    """Whether the actor has signed what they need to, in one look. Who is nobody here has signed nothing, and so has everybody of
    an audience for which the school has no agreement (policy: CO1)."""
    part = rules.audience(actor.roles)
    if part is None:
        return rules.Signing.NOT_SIGNED
    now: datetime = session.info["clock"].now()
    rows = (await session.exec(_OWN, params={
        "school": actor.school_id, "person": actor.person_id, "audience": part, "now": now})).all()
    signatures = [rules.Signature(*row) for row in rows if row.renew_on is not None]
    return rules.signing(signatures, rows[0].version if rows else None, now.date())


async def standing(session: AsyncSession, actor: Actor) -> Standing:
    """What the door of the service asks of everybody at every request."""
    signing = await own_signing(session, actor)
    return Standing(signing is not rules.Signing.NOT_SIGNED, signing is rules.Signing.DUE)


_IN_FORCE = select(Agreement).where(
    Agreement.school_id == bindparam("school"), col(Agreement.in_force_at) <= bindparam("now")
).order_by(col(Agreement.version))


async def current_agreements(session: AsyncSession, school_id: str) -> dict[rules.Audience, Agreement]:
    """The version of each agreement that is in force, by audience."""
    rows = (await session.exec(_IN_FORCE, params={"school": school_id, "now": session.info["clock"].now()})).all()
    return {rules.Audience(row.audience): row for row in rows}


async def young_children(session: AsyncSession, actor: Actor) -> list[ChildToSignFor]:
    """The pupils for whom this parent signs: only where the school knows that they have responsibility and nothing stands
    against it (policy: CO1, CM1)."""
    links = (await session.exec(select(Guardianship).where(
        Guardianship.school_id == actor.school_id, Guardianship.guardian_id == actor.person_id))).all()
    theirs = [link.child_id for link in links if may_be_told(people.flags_of(link))]
    if not theirs:
        return []
    lines = await register(session, actor.school_id, theirs, session.info["clock"].now().date())
    names = await people.people(session, actor.school_id, theirs)
    return [ChildToSignFor(line.id, names[line.id].name, line.signing) for line in lines if line.by_parent]


@dataclass(frozen=True)
class Reminding:
    """Of one audience: who has to sign and may be written to, and when they were last written to."""

    text: mail.Text
    people: frozenset[str]
    last: datetime | None


def reminded(part: rules.Audience) -> str:
    """What such a mail is about: mails of one audience are the same matter."""
    return f"agreement of {part}"


async def reminding(session: AsyncSession, school_id: str, part: rules.Audience, on: date) -> Reminding:
    """Staff and governors by their own mail, families by theirs; for the youngest it is the parents who are asked. Pupils and
    guests have no mail from the school, and who must not be contacted gets none (policy: CM1)."""
    lines = [line for line in await register(session, school_id, None, on)
             if line.audience is part and line.signing is not rules.Signing.SIGNED]
    last = (await session.exec(select(func.max(mail.Mail.made_at)).where(
        mail.Mail.school_id == school_id, mail.Mail.about == reminded(part)))).one()
    if part in (rules.Audience.STAFF, rules.Audience.GOVERNORS):
        return Reminding("S5", frozenset(line.id for line in lines), last)
    if part is rules.Audience.PUPILS:
        children = [line.id for line in lines if line.by_parent]
        return Reminding("N2", await people.families_to_tell(session, school_id, children), last)
    if part is rules.Audience.PARENTS:
        return Reminding("N2", await told_parents(session, school_id, {line.id for line in lines}), last)
    return Reminding("N2", frozenset(), last)


async def told_parents(session: AsyncSession, school_id: str, parents: Collection[str]) -> frozenset[str]:
    """Those of `parents` who may be written to unasked (policy: CM1)."""
    children = (await session.exec(select(Guardianship.child_id).where(
        Guardianship.school_id == school_id, col(Guardianship.guardian_id).in_(list(parents))))).all()
    return await people.families_to_tell(session, school_id, set(children)) & frozenset(parents)


async def newest(session: AsyncSession, school_id: str, part: rules.Audience) -> Agreement | None:
    """The newest version for one audience, in force or to come."""
    return (await session.exec(select(Agreement).where(
        Agreement.school_id == school_id, Agreement.audience == part).order_by(col(Agreement.version).desc()).limit(1))).first()


async def _versions(session: AsyncSession, school_id: str) -> dict[rules.Audience, int]:
    return {part: row.version for part, row in (await current_agreements(session, school_id)).items()}


async def _roles(
    session: AsyncSession, school_id: str, person_ids: Collection[str] | None,
) -> dict[str, frozenset[people.Role]]:
    only = [] if person_ids is None else [col(PersonRole.person_id).in_(person_ids)]
    rows = (await session.exec(select(PersonRole).where(PersonRole.school_id == school_id, *only))).all()
    found: dict[str, set[people.Role]] = {}
    for row in rows:
        found.setdefault(row.person_id, set()).add(people.Role(row.role))
    return {person: frozenset(held) for person, held in found.items()}


_SIGNATURES: Any = select(  # type: ignore[call-overload]
    AgreementSignature.person_id, Agreement.audience, Agreement.version, AgreementSignature.signed_at,
    AgreementSignature.renew_on,
).join(Agreement, col(Agreement.id) == AgreementSignature.agreement_id)


async def _signatures(
    session: AsyncSession, school_id: str, person_ids: Collection[str] | None,
) -> dict[tuple[str, rules.Audience], list[rules.Signature]]:
    only = [] if person_ids is None else [col(AgreementSignature.person_id).in_(person_ids)]
    rows = (await session.exec(_SIGNATURES.where(AgreementSignature.school_id == school_id, *only))).all()
    found: dict[tuple[str, rules.Audience], list[rules.Signature]] = {}
    for person_id, audience, version, signed_at, renew_on in rows:
        found.setdefault((person_id, rules.Audience(audience)), []).append(rules.Signature(version, signed_at, renew_on))
    return found
