"""“My permissions”: a pupil who is asked reads and answers themself; from 18 they alone decide (policy: CO2, CO3).

No address here names a pupil: each finds their own page, or none below the age that the school chose.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from consent import commands, queries, rules
from consent.documents import queries as documents
from consent.documents.rules import DEFAULT, LANGUAGES
from consent.family import FamilyChild, Question
from consent.rules import Route
from service.foundation.db import new_id
from service.foundation.errors import Conflict, NotFound
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Reading, render, see_other
from service.people.pages.forms import saved

router = APIRouter(prefix="/my-permissions")
Pupil = Annotated[Actor, Depends(Audience(Role.PUPIL))]
Text = Annotated[str, Form()]
Seen = Annotated[datetime | None, Form()]


@router.get("")
async def my_permissions(request: Request, actor: Pupil, session: Reading, saved: str = "") -> Response:
    mine = await _mine(session, actor)
    done = next((question for question in mine.questions if question.purpose == saved and question.own), None)
    return await render(request, "consent/own.html", title="My permissions", mine=mine, done=done,
                        holds=await _holding(session, actor))


async def _mine(session: AsyncSession, actor: Actor) -> FamilyChild:
    """What this pupil is asked themself. Raises NotFound for one who is not."""
    found = next((child for child in await queries.for_family(session, actor) if child.id == actor.person_id), None)
    if found is None:
        raise NotFound()
    return found


async def _holding(session: AsyncSession, actor: Actor) -> frozenset[str]:
    held = await queries.permissions(session, actor.school_id, [actor.person_id], purposes=rules.PURPOSES)
    return held[actor.person_id]


@router.get("/{purpose}")
async def question(request: Request, actor: Pupil, session: Reading, purpose: str, language: str = DEFAULT) -> Response:
    return await _page(request, actor, session, purpose, language)


@router.post("/{purpose}")
async def answer(
    request: Request, actor: Pupil, session: Reading, now: Now, purpose: str, said: Text = "", reason: Text = "",
    document_id: Text = "", language: Text = DEFAULT, answered_at: Seen = None, key: Text = "",
) -> Response:
    """Keep what they say. A yes from a browser rests for a day; a no counts at once.

    Sent twice from one page it is one answer; a yes beside an answer that is not the last is refused.
    """
    about = _asked(await _mine(session, actor), purpose)
    if said not in ("yes", "no"):
        return await _page(request, actor, session, purpose, language, reason, {"said-yes": "Choose yes or no"})
    once = hashlib.sha256(f"{actor.person_id} {key} {said}".encode()).hexdigest() if key else ""
    try:
        await saved(request, lambda writing: commands.answer(
            writing, actor, child_id=actor.person_id, purpose=about.purpose, says_yes=said == "yes", document_id=document_id,
            language=language, route=Route.WEB, reason=reason, counts_from=rules.counts_from(Route.WEB, None, now),
            client_id=once, now=now, beside=commands.Beside(answered_at)))
    except Conflict as refusal:
        return await _page(request, actor, session, purpose, language, reason, {"said-yes": refusal.message})
    return see_other(f"/my-permissions?saved={purpose}")


def _asked(mine: FamilyChild, purpose: str) -> Question:
    found = next((question for question in mine.questions if question.purpose == purpose), None)
    if found is None:
        raise NotFound()
    return found


async def _page(request: Request, actor: Actor, session: AsyncSession, purpose: str, language: str, reason: str = "",
                errors: Mapping[str, str] | None = None) -> Response:
    """One question with the words that are asked now, in English where they are not there in the other language."""
    mine = await _mine(session, actor)
    about = _asked(mine, purpose)
    chosen = language if language in about.languages else DEFAULT
    words = await documents.words(session, actor.school_id, about.document_id, chosen, name=mine.name)
    return await render(
        request, "consent/own_question.html", 422 if errors else 200, title=words.text.title, mine=mine, question=about,
        words=words, holds=await _holding(session, actor), key=new_id(), reason=reason, errors=errors,
        others=[(code, LANGUAGES.get(code, code)) for code in about.languages if code != chosen])
