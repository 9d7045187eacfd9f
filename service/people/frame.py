"""What every page shows around its content: the school, the navigation of the role, and who is signed in."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute

from service.foundation.events import Actor, Role
from service.foundation.web import Audience, declared_audience, glance
from service.people import queries
from service.people.rules import start_pages

NAVIGATION = (
    ("/today", "Today"), ("/lessons/plan", "Plan a lesson"), ("/one-to-one", "One-to-one"), ("/practice", "Teaching practice"),
    ("/lessons/waiting", "Approvals"), ("/live", "Live now"),
    ("/safeguarding", "Review"), ("/concerns", "Concerns"), ("/concerns/new", "Record a concern"),
    ("/incidents", "Incidents"),
    ("/safeguarding/one-to-ones", "One-to-ones"), ("/recordings", "Recordings"),
    ("/grants", "Requests to watch"), ("/endings", "Destroyed and due"),
    ("/views", "Who watched"), ("/views/families", "Hidden views"),
    ("/people", "People"), ("/classes", "Classes"), ("/phones/codes", "Phone codes"), ("/dbs", "DBS register"),
    ("/permissions", "Permissions"), ("/attendance", "Attendance"),
    ("/calls", "Calls"), ("/governors", "Governors’ report"), ("/proof", "Proof"), ("/school", "School"),
    ("/health", "Health"), ("/keys", "Keys"),
    ("/impact", "Impact assessment"), ("/breaches", "Data breaches"),
    ("/school/words", "Words and links"), ("/family", "Family"), ("/guest", "Your visit"),
)


def audiences(routers: Iterable[APIRouter]) -> dict[str, frozenset[Role]]:
    """Which roles each page is for, by path: what the navigation shows and where people land come from here."""
    found = {}
    for router in routers:
        for route in router.routes:
            audience = declared_audience(route) if isinstance(route, APIRoute) and "GET" in (route.methods or ()) else None
            if isinstance(route, APIRoute) and isinstance(audience, Audience):
                found[route.path] = audience.roles
    return found


def landing(app: FastAPI, actor: Actor) -> str:
    """The start page of a person: the best that exists and is for them."""
    paths = (path for path in start_pages(actor) if actor.is_any(app.state.audiences.get(path, frozenset())))
    return next(paths, "/account")


async def frame(request: Request, actor: Actor | None) -> dict[str, Any]:
    """The context that `base.html` needs beside a page's own. `app.state.notices` lets features above add theirs."""
    audiences = request.app.state.audiences
    navigation = [(path, name) for path, name in NAVIGATION if actor and actor.is_any(audiences.get(path, frozenset()))]
    async with glance(request) as session:
        school = await queries.only_school(session) if actor is None else await queries.school(session, actor.school_id)
        shown = {"school": school, "navigation": navigation, "is_dev": request.app.state.settings.dev}
        for notice in request.app.state.notices:
            shown |= await notice(session, request, actor)
    return shown
