"""What every page shows around its content: the school, the navigation of the role, and who is signed in."""

from typing import Any

from starlette.requests import Request

from service.foundation.events import LEADERS, SAFEGUARDING, STAFF, Actor, Role
from service.people import queries

NAVIGATION = (
    ("/today", "Today", frozenset({Role.TEACHER, Role.SUPPORT, Role.PUPIL}) | LEADERS | SAFEGUARDING),
    ("/lessons/plan", "Plan a lesson", frozenset({Role.TEACHER}) | LEADERS),
    ("/live", "Live now", LEADERS | SAFEGUARDING),
    ("/safeguarding", "Alerts", SAFEGUARDING | {Role.HEADTEACHER, Role.CHAIR}),
    ("/recordings", "Recordings", SAFEGUARDING),
    ("/people", "People", frozenset({Role.OFFICE, Role.TECHNICIAN}) | LEADERS | SAFEGUARDING),
    ("/permissions", "Permissions", frozenset({Role.OFFICE}) | SAFEGUARDING),
    ("/attendance", "Attendance", STAFF - {Role.TECHNICIAN}),
    ("/school", "School", LEADERS | {Role.DSL, Role.OFFICE, Role.TECHNICIAN}),
    ("/family", "Family", frozenset({Role.PARENT})),
)


async def frame(request: Request, actor: Actor | None) -> dict[str, Any]:
    """The context that `base.html` needs beside a page's own. `app.state.notices` lets features above add theirs."""
    async with request.app.state.database.glance() as session:
        school = await queries.only_school(session) if actor is None else await queries.school(session, actor.school_id)
    navigation = [(path, name) for path, name, roles in NAVIGATION if actor and actor.is_any(roles)]
    shown = {"school": school, "navigation": navigation, "is_dev": request.app.state.settings.dev}
    for notice in request.app.state.notices:
        shown |= await notice(request, actor)
    return shown
