"""What a lesson's own staff may know to arrange its breakout rooms. For everybody else there is nothing to read."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from lessons import roster as rosters
from lessons.breakouts.rules import RUNS, Adult, Main, Wanted, may_arrange
from lessons.proposals import TEACHING
from lessons.roster import Roster
from lessons.rules import hard_end
from service.foundation.errors import NotAllowed, NotFound
from service.foundation.events import Actor
from service.people import queries as people


class NotYours(NotAllowed):
    """Only the staff of this lesson can arrange its breakout rooms."""

    code = "not-your-lesson"


@dataclass(frozen=True)
class Room:
    """A breakout room that is open now."""

    lesson_id: str
    name: str
    adults: tuple[str, ...]
    pupils: tuple[str, ...]


@dataclass(frozen=True)
class Arrangement:
    """A lesson, whom its rooms may draw on, and the rooms that are open."""

    roster: Roster
    main: Main
    rooms: tuple[Room, ...]

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        return tuple(Wanted(room.name, room.adults, room.pupils) for room in self.rooms)


async def arrangement(session: AsyncSession, actor: Actor, main_id: str) -> Arrangement:
    """For somebody who runs the lesson. Raises NotYours for others in it, NotFound for everybody else and for a breakout
    room: no room has rooms of its own."""
    roster = await rosters.roster(session, main_id)
    if roster.school_id != actor.school_id or roster.is_breakout:
        raise NotFound()
    asking = roster.adult(actor.person_id)
    if asking is None and roster.pupil(actor.person_id) is None:
        raise NotFound()
    if asking is None or not may_arrange(asking.part, asking.is_cleared):
        raise NotYours()
    rooms = tuple(
        Room(room.lesson_id, room.name, room.adults, tuple(sorted(roster.family.pupils_of(room.lesson_id))))
        for room in roster.family.rooms
    )
    return Arrangement(roster, await _main(session, roster), rooms)


async def _main(session: AsyncSession, roster: Roster) -> Main:
    """Its own adults, leaders who may look in, and cleared colleagues; the pupils who may take part and were not removed."""
    now: datetime = session.info["clock"].now()
    own = {adult.id: Adult(adult.id, adult.name, adult.part, adult.is_cleared) for adult in roster.adults}
    staff = {person.id: "second" for person in await people.holders(session, roster.school_id, TEACHING) if person.id not in own}
    leaders = {adult.id for adult in roster.leaders}
    others = {
        adult.id: Adult(adult.id, adult.name, "leader" if adult.id in leaders else "colleague", adult.is_cleared)
        for adult in await rosters.adults_of(session, roster.school_id, staff, now.date()) if not adult.is_guest
    }
    is_on = roster.started_at is not None and roster.ended_at is None and roster.status == "planned"
    pupils = {pupil.id: pupil.name for pupil in roster.expected if pupil.id not in roster.removed}
    return Main(is_on and now < hard_end(roster.ends_at, roster.profile), {**others, **own}, pupils)


def own_staff(found: Arrangement) -> list[Adult]:
    """Those a proposal is made of: the cleared adults who run the lesson, the teacher first."""
    known = [found.main.adults[adult.id] for adult in found.roster.adults]
    return [adult for adult in known if adult.part in RUNS and adult.supervises]
