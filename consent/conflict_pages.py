"""“Two answers for Ali”: for the headteacher and the safeguarding team, who speak to each adult alone."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import family, queries, resolutions, standing
from service.foundation.errors import Invalid
from service.foundation.events import Actor
from service.foundation.web import Audience, Now, Reading, Writing, render, see_other

router = APIRouter(prefix="/permissions")
Resolver = Annotated[Actor, Depends(Audience(resolutions.RESOLVERS))]
Text = Annotated[str, Form()]


@router.get("/children/{child_id}/differ")
async def differ(request: Request, child_id: str, actor: Resolver, session: Reading, saved: str = "") -> Response:
    return await _page(request, actor, session, child_id, saved=saved)


@router.post("/children/{child_id}/differ")
async def close(
    request: Request, child_id: str, actor: Resolver, session: Writing, now: Now, purpose: Text = "", how: Text = "",
    follows: Text = "", reason: Text = "",
) -> Response:
    which = resolutions.purpose_of(purpose)
    try:
        if how == "court_order":
            await resolutions.record_court_order(session, actor, child_id=child_id, purpose=which, follows_id=follows,
                                                 reason=reason, now=now)
        else:
            await resolutions.close(session, actor, child_id=child_id, purpose=which, reason=reason, now=now)
    except Invalid as error:
        given = {f"follows-{which}": follows, f"reason-{which}": reason}
        return await _page(request, actor, session, child_id, errors=error.fields, given=given)
    return see_other(f"/permissions/children/{child_id}/differ?saved={'waits' if how == 'court_order' else 'closed'}")


@router.post("/resolutions/{resolution_id}")
async def agree(resolution_id: str, actor: Resolver, session: Writing, now: Now) -> Response:
    child_id = await resolutions.agree(session, actor, resolution_id=resolution_id, now=now)
    return see_other(f"/permissions/children/{child_id}/differ?saved=closed")


async def _page(request: Request, actor: Actor, session: AsyncSession, child_id: str, *, errors: dict[str, str] | None = None,
                saved: str = "", given: dict[str, str] | None = None) -> Response:
    who = await queries.child(session, actor.school_id, child_id)
    await family.not_of_the_family(session, actor, who.id)
    words = {"closed": "It is closed. The latest answers count.", "waits": "A second person has to see the order. They have been "
             "told that a decision waits."}.get(saved, "")
    return await render(
        request, "consent/differ.html", 422 if errors else 200, title=f"Two answers for {who.full_name}", child=who,
        conflicts=await resolutions.conflicts(session, actor.school_id, child_id), errors=errors, saved=words,
        given=given or {},
        adults=[one for one in await queries.respondents(session, actor.school_id, child_id)
                if one.responsible == standing.DECIDES], me=actor.person_id,
    )
