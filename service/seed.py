"""A believable school, made of invented people: what `chaperone dev` serves and what tests are built on.

Every e-mail address is at example.org and every certificate number is an obvious invention. The same seed makes the same
school; lesson times are around the moment of seeding.
"""

import json
import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.agreements.rules import Audience, audience, text_hash
from consent.agreements.tables import Agreement, AgreementSignature
from consent.agreements.texts import DEFAULTS
from consent.documents import commands as documents
from consent.tables import ConsentResponse
from lessons.tables import Lesson, LessonAdult
from service import seed_one_to_one
from service.calls import numbers
from service.foundation.db import new_id
from service.foundation.events import Role
from service.people import one_time_codes
from service.people.hashing import Pepper
from service.people.profile import Profile
from service.people.rules import PROVERS
from service.people.tables import (
    DbsCheck,
    DutySlot,
    GroupMember,
    Guardianship,
    OneTimeCodes,
    Password,
    Person,
    PersonRole,
    ProfileVersion,
    School,
    TeachingGroup,
    TermDate,
)
from service.safeguarding.impact import rules as impact
from service.safeguarding.impact.inventory import inventory
from service.safeguarding.impact.tables import ImpactReview
from service.seed_timetable import Timetable, hours_around

STAFF_PEOPLE = (
    ("Mr", "Daniel", "Hall", (Role.TEACHER,)),
    ("Ms", "Priya", "Cole", (Role.TEACHER,)),
    ("Mrs", "Ngozi", "Bello", (Role.SUPPORT,)),
    ("Mrs", "Samira", "Khan", (Role.SENIOR_LEADER, Role.TEACHER)),
    ("Dr", "Helen", "Marsh", (Role.HEADTEACHER,)),
    ("Miss", "Ruth", "Okafor", (Role.DSL,)),
    ("Mr", "Tomasz", "Nowak", (Role.DEPUTY_DSL,)),
    ("Ms", "Grace", "Lin", (Role.OFFICE,)),
    ("Mr", "Alan", "Pike", (Role.GOVERNOR,)),
    ("Mrs", "Joan", "Frost", (Role.CHAIR,)),
    ("Ms", "Wendy", "Shaw", (Role.DPO,)),
    ("Mr", "Lee", "Grant", (Role.TECHNICIAN,)),
)
GIVEN = (
    "Ali", "Maya", "Zofia", "Jayden", "Aisha", "Oliver", "Chloé", "Kwame", "Isla", "Yusuf", "Niamh", "Leo", "Fatima", "Arlo",
    "Hana", "Noah", "Siân", "Ibrahim", "Ella-Mae", "Mateusz", "Ivy", "Dev", "Amara", "Finn",
)
FAMILY = (
    "Rahman", "O'Neill", "Kowalska", "Clarke", "Hussain", "Smith-Jones", "Dubois", "Mensah", "Fraser", "Demir", "Byrne", "Webb",
    "Begum", "Hughes", "Sato", "Taylor", "Price", "Diallo", "Green", "Zając", "Moss", "Patel", "Obi", "Murray",
)
MOTHERS = ("Amina", "Bea", "Carys", "Divya", "Ewa", "Grace", "Kezia", "Leila", "Megan", "Nadia", "Rosa", "Yewande")
FATHERS = ("Adam", "Bilal", "Callum", "Emeka", "Gareth", "Jakub", "Karim", "Luca", "Marcus", "Owen", "Ravi", "Sami")
PURPOSES = ("attend", "be_recorded", "camera", "microphone", "chat", "one_to_one")


@dataclass
class Seeded:
    """Who and what was made: ids for the table of sign-in links."""

    school_id: str
    people: list[Person] = field(default_factory=list)
    roles: dict[str, tuple[Role, ...]] = field(default_factory=dict)


async def existing(session: AsyncSession) -> dict[str, Any] | None:
    """The demo school that an earlier run left in this database, or None."""
    school = (await session.exec(select(School).where(School.is_demo))).first()
    if school is None:
        return None
    people = (await session.exec(select(Person).where(Person.school_id == school.id))).all()
    roles = (await session.exec(select(PersonRole).where(PersonRole.school_id == school.id))).all()
    lessons = (await session.exec(select(Lesson).where(
        Lesson.school_id == school.id, col(Lesson.breakout_of).is_(None)
    ))).all()
    adults = (await session.exec(select(LessonAdult).where(LessonAdult.school_id == school.id))).all()
    members = (await session.exec(select(GroupMember).where(GroupMember.school_id == school.id))).all()
    # Of several roles, the narrower one says who somebody is: a leader who also teaches is listed as a leader.
    held = {row.person_id: row.role for row in sorted(roles, key=lambda row: row.role != Role.TEACHER)}
    return {
        "people": [{"id": row.id, "name": f"{row.title} {row.given_name} {row.family_name}".strip(), "role": held[row.id]}
                   for row in people if held.get(row.id)],
        "lessons": [{
            "id": row.id, "title": row.title, "starts_at": row.starts_at.isoformat(), "ends_at": row.ends_at.isoformat(),
            "adult_ids": [a.person_id for a in adults if a.lesson_id == row.id],
            "pupil_ids": [m.person_id for m in members if m.group_id == row.group_id and m.part == "pupil"
                          and row.pupil_id in (None, m.person_id)],
        } for row in lessons],
    }


async def demo_school(session: AsyncSession, now: datetime, seed: int = 7) -> dict[str, Any]:
    """Write the demo school into an empty database, and describe it as `existing` does."""
    pick = random.Random(seed)
    opens, closes = hours_around(now, "Europe/London")
    school = School(name="Ashgrove School", office="the office on 01632 960123", opens_at=opens, closes_at=closes,
                    teaches_on="0123456", is_demo=True, live_at=now)
    made = Seeded(school.id)
    session.add(school)
    await session.flush()
    today = now.date()
    session.add(TermDate(school_id=school.id, name="This term", starts_on=today - timedelta(60), ends_on=today + timedelta(60)))
    session.add(ProfileVersion(
        school_id=school.id, version=1, profile=Profile().to_json(), reason="The default profile", decided_by="system",
        review_on=today + timedelta(365), in_force_at=now - timedelta(1),
    ))
    await documents.seed(session, school.id, now - timedelta(60))
    for title, given, family, roles in STAFF_PEOPLE:
        _adult(session, made, title, given, family, roles)
    await session.flush()
    _clear_staff(session, made, now)
    _on_duty(session, made)
    groups = [TeachingGroup(school_id=school.id, name=name, key_stage=stage, year_group=year)
              for name, stage, year in (("5 Oak", 2, "5"), ("2 Elm", 1, "2"), ("8 Maths B", 3, "8"))]
    session.add_all(groups)
    await session.flush()
    names = list(zip(GIVEN, FAMILY, strict=True))
    for position, (given, family) in enumerate(names):
        await _pupil(session, made, groups[position % 3], given, family, now, pick)
    await _everybody_agrees(session, made, now)
    _impact_is_approved(session, made, now)
    await _some_families_differ(session, made, groups[1], now)
    staff = {person.family_name: person for person in made.people[:len(STAFF_PEOPLE)]}
    await Timetable(session, school, staff, now).write(*groups)
    await seed_one_to_one.write(session, school, staff, groups[2], now)
    described = await existing(session)
    assert described is not None
    return described


async def give_proofs(session: AsyncSession, pepper: Pepper, now: datetime, *, password_hash: str, secret: str) -> list[str]:
    """Give this password and these one-time codes to everybody in the demo school who confirms things. Returns their ids."""
    school = (await session.exec(select(School).where(School.is_demo))).one()
    staff = sorted(set((await session.exec(select(PersonRole.person_id).where(
        PersonRole.school_id == school.id, col(PersonRole.role).in_(PROVERS)))).all()))
    for person_id in staff:
        await session.merge(Password(person_id=person_id, school_id=school.id, hash=password_hash, set_at=now))
        await session.merge(OneTimeCodes(
            person_id=person_id, school_id=school.id, begun_at=now, confirmed_at=now,
            secret=pepper.seal(one_time_codes.PURPOSE, person_id, secret),
        ))
    return staff


async def give_numbers(session: AsyncSession, pepper: Pepper, now: datetime) -> None:
    """Telephone numbers that nobody has (Ofcom, drama numbers), for every parent of the demo school and for the school itself."""
    school = (await session.exec(select(School).where(School.is_demo))).one()
    parents = (await session.exec(select(PersonRole.person_id).where(
        PersonRole.school_id == school.id, PersonRole.role == Role.PARENT).order_by(col(PersonRole.person_id)))).all()
    for number, parent in enumerate(parents):
        await numbers.keep(session, pepper, school.id, parent, numbers.FAMILY, f"07700 900{number:03}", now)
    await numbers.keep(session, pepper, school.id, school.id, numbers.SCHOOL, "01632 960123", now)


def _adult(session: AsyncSession, made: Seeded, title: str, given: str, family: str, roles: tuple[Role, ...]) -> Person:
    person = Person(school_id=made.school_id, kind="adult", title=title, given_name=given, family_name=family,
                    email=f"{given}.{family}.{new_id()[:4]}@example.org".lower().replace("'", ""))
    _keep(session, made, person, roles)
    return person


def _keep(session: AsyncSession, made: Seeded, person: Person, roles: tuple[Role, ...]) -> None:
    session.add(person)
    session.add_all(PersonRole(person_id=person.id, role=role, school_id=made.school_id) for role in roles)
    made.people.append(person)
    made.roles[person.id] = roles


def _clear_staff(session: AsyncSession, made: Seeded, now: datetime) -> None:
    agreement = Agreement(school_id=made.school_id, audience="staff", version=1, text=DEFAULTS[Audience.STAFF],
                          in_force_at=now - timedelta(60))
    session.add(agreement)
    for number, person in enumerate(made.people):
        session.add(DbsCheck(
            school_id=made.school_id, person_id=person.id, certificate_number=f"{number + 1:012}", recorded_by="system",
            checked_on=now.date() - timedelta(200), recheck_on=now.date() + timedelta(800),
        ))
        session.add(AgreementSignature(
            school_id=made.school_id, agreement_id=agreement.id, text_hash=text_hash(agreement.text),
            person_id=person.id, route="app", recorded_by=person.id,
            signed_at=now - timedelta(30), renew_on=now.date() + timedelta(335),
        ))


def _on_duty(session: AsyncSession, made: Seeded) -> None:
    for person_id, roles in made.roles.items():
        if roles[0] in (Role.DSL, Role.DEPUTY_DSL, Role.SENIOR_LEADER):
            session.add_all(
                DutySlot(school_id=made.school_id, person_id=person_id, weekday=day, starts_at="00:00", ends_at="23:59")
                for day in range(7)
            )


async def _pupil(session: AsyncSession, made: Seeded, group: TeachingGroup, given: str, family: str, now: datetime,
                 pick: random.Random) -> None:
    born = date(now.year - int(group.year_group) - 5, pick.randrange(1, 13), pick.randrange(1, 28))
    child = Person(school_id=made.school_id, kind="child", given_name=given, family_name=family, born_on=born,
                   year_group=group.year_group)
    _keep(session, made, child, (Role.PUPIL,))
    session.add(GroupMember(group_id=group.id, person_id=child.id, school_id=made.school_id, part="pupil"))
    parents = [_adult(session, made, title, first, family, (Role.PARENT,))
               for title, first in zip(("Ms", "Mr"), (pick.choice(MOTHERS), pick.choice(FATHERS))[:pick.choice((1, 1, 2))],
                                       strict=False)]
    await session.flush()
    for order, parent in enumerate(parents, start=1):
        session.add(Guardianship(
            school_id=made.school_id, guardian_id=parent.id, child_id=child.id, relationship="mother" if order == 1 else "father",
            contact_order=order, parental_responsibility="yes", court_order="no", lives_with=order == 1,
        ))
    session.add_all(
        ConsentResponse(
            school_id=made.school_id, child_id=child.id, purpose=purpose, answer="given", respondent_id=parents[0].id,
            relationship="mother", route="paper", signed_on=now.date() - timedelta(20), recorded_by="system",
            recorded_at=now - timedelta(20),
        )
        for purpose in PURPOSES
    )


async def _everybody_agrees(session: AsyncSession, made: Seeded, now: datetime) -> None:
    """Governors, pupils and parents have signed as well; a parent signed for the youngest. One parent has not, yet."""
    since = now - timedelta(60)
    texts = {part: Agreement(school_id=made.school_id, audience=part, version=1, text=text, in_force_at=since)
             for part, text in DEFAULTS.items() if part is not Audience.STAFF}
    session.add_all(texts.values())
    await session.flush()
    unsigned = [person_id for person_id, roles in made.roles.items() if Role.PARENT in roles][-1]
    for person_id, roles in made.roles.items():
        part = audience(roles)
        if part in texts and person_id != unsigned:
            session.add(AgreementSignature(
                school_id=made.school_id, agreement_id=texts[part].id, text_hash=text_hash(texts[part].text),
                person_id=person_id, route="paper", signed_at=now - timedelta(25),
                renew_on=now.date() + timedelta(340), recorded_by="system",
            ))


def _impact_is_approved(session: AsyncSession, made: Seeded, now: datetime) -> None:
    """The invented Data Protection Officer has approved the impact assessment of the default rules."""
    document = impact.document(Profile(), inventory())
    officer = next(person_id for person_id, roles in made.roles.items() if Role.DPO in roles)
    session.add(ImpactReview(
        school_id=made.school_id, document=document.text, document_hash=document.hash, approved=True, reviewed_by=officer,
        answers=json.dumps({section.key: ("yes", "") for section in document.sections}), reviewed_at=now - timedelta(30),
    ))


async def _some_families_differ(session: AsyncSession, made: Seeded, group: TeachingGroup, now: datetime) -> None:
    """In one class not every answer is yes: no camera, a yes taken back, two parents who differ, and a form still out."""
    children = (await session.exec(select(Person).join(GroupMember, col(GroupMember.person_id) == Person.id).where(
        GroupMember.group_id == group.id, GroupMember.part == "pupil"
    ).order_by(Person.family_name))).all()
    links = (await session.exec(select(Guardianship).where(col(Guardianship.child_id).in_([c.id for c in children])))).all()
    adults = {child.id: sorted((link for link in links if link.child_id == child.id), key=lambda link: link.contact_order)
              for child in children}
    together = next(child for child in children if len(adults[child.id]) > 1)
    alone = [child for child in children if child is not together]
    for child, purpose, answer, adult in ((alone[0], "camera", "withdrawn", 0), (alone[1], "chat", "withdrawn", 0),
                                          (together, "be_recorded", "refused", 1)):
        link = adults[child.id][adult]
        session.add(ConsentResponse(
            school_id=made.school_id, child_id=child.id, purpose=purpose, answer=answer, respondent_id=link.guardian_id,
            relationship=link.relationship, route="telephone", signed_on=now.date() - timedelta(3), recorded_by="system",
            recorded_at=now - timedelta(3),
        ))
