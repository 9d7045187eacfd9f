"""The technician's health page (policy: AC6), and in the demo the mails that would have been sent."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlmodel import col, select

from service.foundation import mail
from service.foundation.errors import NotFound
from service.foundation.events import Actor, Role
from service.foundation.web import Audience, Now, Public, Reading, render
from service.people import queries

router = APIRouter()
Technician = Annotated[Actor, Depends(Audience(Role.TECHNICIAN))]
STATES = {
    "off": ("Off", "grey", "No mail server is set. People are told on their screens only."),
    "wrong": ("Off", "red", "The settings are not complete."),
    "demo": ("Demo", "yellow", "Mails are listed on a page and go nowhere."),
    "working": ("Working", "green", ""),
    "failing": ("Failing", "red", "It is tried again until a mail is a day old."),
}


@router.get("/health")
async def health(request: Request, actor: Technician, session: Reading, now: Now) -> Response:
    found = await mail.health(session, request.app.state.post, now)
    word, colour, words = STATES[found.state]
    tiles = [tile for source in request.app.state.health for tile in await source(request, session, actor, now)]
    return await render(request, "people/health.html", title="Health", mail=found, word=word, colour=colour, words=words,
                        tiles=tiles)


@router.get("/demo/mail", dependencies=[Public])
async def demo_mail(request: Request, session: Reading) -> Response:
    """Only where everybody is invented."""
    if not request.app.state.post.demo:
        raise NotFound()
    rows = (await session.exec(select(mail.Mail).order_by(col(mail.Mail.made_at).desc()).limit(100))).all()
    sent = [(row, await queries.address(session, row.person_id)) for row in rows]
    return await render(request, "people/demo_mail.html", title="Mails of the demo", mails=sent, texts=mail.TEXTS,
                        closing=mail.CLOSING)
