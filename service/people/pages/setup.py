"""First-run set-up: open only while there is no school, and only to whoever reads the code on the service's own console."""

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.foundation.errors import Invalid, NotFound
from service.foundation.web import Now, Public, Reading, render, status_of
from service.people import queries, school
from service.people.pages.forms import saved, words
from service.people.sign_in import TooManyTries

router = APIRouter()
WORDS = {
    "headteacher": "Headteacher", "dsl": "Designated safeguarding lead (DSL)", "deputy": "Deputy DSL",
    "deputy2": "Another deputy DSL", "chair": "Chair of governors, who may approve too",
    "office": "Office, who keeps people and badges", "technician": "Technician",
    "dpo": "Data Protection Officer, who approves the impact assessment before real pupils are added",
}
PARTS = ("title", "given_name", "family_name", "email")


async def _only_before(session: Reading) -> None:
    if await queries.has_school(session):
        raise NotFound()


@router.get("/setup", dependencies=[Public])
async def show(request: Request, session: Reading) -> Response:
    await _only_before(session)
    return await _form(request, {"opens_at": "08:00", "closes_at": "17:00", "country": "england-and-wales"})


async def _form(request: Request, given: dict[str, str], refusal: Invalid | TooManyTries | None = None) -> Response:
    fields = ("code", "name", "office", "country", "opens_at", "closes_at",
              *(f"{who}_{part}" for who, _, _ in school.FOUNDERS for part in PARTS))
    return await render(
        request, "people/school/setup.html", status_of(refusal) if refusal else 200, title="Set up your school",
        given=dict.fromkeys(fields, "") | given, errors=words(refusal) if refusal else None,
        founders=[(who, WORDS[who], needed) for who, _, needed in school.FOUNDERS],
    )


@router.post("/setup", dependencies=[Public])
async def found(request: Request, session: Reading, now: Now) -> Response:
    await _only_before(session)
    sent = await request.form()
    given = {name: " ".join(str(value).split()) for name, value in sent.items()}
    try:
        _checked_code(request, given.get("code", ""))
        made = await saved(request, lambda writing: school.found(writing, _founding(given), now))
    except (Invalid, TooManyTries) as refusal:
        return await _form(request, given, refusal)
    origin = request.app.state.settings.origin
    links = [(name, role, f"{origin}/reset/{token}") for name, role, token in made.links]
    return await render(request, "people/school/founded.html", title="Your school is here", links=links)


def _checked_code(request: Request, code: str) -> None:
    """The code that the console printed. Without one, nothing is ever right."""
    address = request.client.host if request.client else ""
    request.app.state.tries.refuse(address)
    expected = getattr(request.app.state, "setup_code", "")
    if not expected or not hmac.compare_digest(expected.encode(), code.strip().encode()):
        request.app.state.tries.note(address)
        raise Invalid(fields={"code": "This is not the code on the console"})


def _founding(given: dict[str, str]) -> school.Founding:
    def named(who: str) -> school.Named:
        title, given_name, family_name, email = (given.get(f"{who}_{part}", "") for part in PARTS)
        return school.Named(title, given_name, family_name, email.lower())

    plain = {name: given.get(name, "") for name in ("name", "office", "country", "opens_at", "closes_at")}
    return school.Founding(**plain, people={who: named(who) for who, _, _ in school.FOUNDERS})


