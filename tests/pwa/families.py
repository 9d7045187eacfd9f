"""The seeded families as the tests of the phone need them: who answered everything on paper, and who has not said anything."""

from dataclasses import dataclass

from sqlmodel import col, select

from consent.documents import commands
from consent.documents import queries as documents
from consent.rules import Purpose
from consent.tables import ConsentResponse
from service.people import queries as people
from service.people.tables import GroupMember, Guardianship, Person, TeachingGroup
from tests.school import Running

ASKED = ("attend", "be_recorded", "camera", "microphone", "chat", "photographs", "publication", "teaching_practice")


@dataclass(frozen=True)
class Family:
    """One child of a class and their adults in the order in which the school calls them. The first answered on paper."""

    child_id: str
    name: str
    adults: tuple[str, ...]


async def families(school: Running, group: str, adults: int) -> list[Family]:
    """The families of a class with so many adults, by name."""
    async with school.database.reading() as session:
        its = select(TeachingGroup.id).where(TeachingGroup.name == group)
        children = (await session.exec(select(Person).join(GroupMember, col(GroupMember.person_id) == Person.id).where(
            col(GroupMember.group_id).in_(its), GroupMember.part == "pupil").order_by(Person.family_name))).all()
        links = (await session.exec(select(Guardianship).order_by(col(Guardianship.contact_order)))).all()
    found = [Family(child.id, child.given_name, tuple(link.guardian_id for link in links if link.child_id == child.id))
             for child in children]
    return [one for one in found if len(one.adults) == adults]


async def new_version(school: Running, purpose: Purpose, changed: str, *, ends_answers: bool = False) -> None:
    """The school says something else with this question, so that whoever has read it has to read it again."""
    async with school.database.writing() as session:
        office = await people.actor(session, school.person("office"))
        assert office is not None
        newest = (await documents.versions(session, office.school_id, purpose))[0]
        text = newest.languages[0].text
        await commands.publish_version(session, office, purpose=purpose, text=text, changed=changed, ends_answers=ends_answers,
                                       after=newest.version, now=school.clock.now())


async def approve(school: Running, language: str, purpose: Purpose) -> None:
    """The office says who read this text beside the English."""
    async with school.database.writing() as session:
        office = await people.actor(session, school.person("office"))
        assert office is not None
        newest = (await documents.versions(session, office.school_id, purpose))[0]
        text = next(one for one in newest.languages if one.language == language)
        await commands.approve(session, office, text_id=text.id, reviewer="Mrs Pugh", now=school.clock.now())


async def answers(school: Running, family: Family, adult: str) -> dict[str, list[str]]:
    """What this adult said of their child on a phone, by question, oldest first."""
    async with school.database.reading() as session:
        rows = (await session.exec(select(ConsentResponse).where(
            ConsentResponse.child_id == family.child_id, ConsentResponse.respondent_id == adult, ConsentResponse.route == "app",
        ).order_by(col(ConsentResponse.recorded_at)))).all()
    said: dict[str, list[str]] = {}
    for row in rows:
        said.setdefault(row.purpose, []).append(row.answer)
    return said
