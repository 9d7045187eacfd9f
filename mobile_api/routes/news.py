"""What a family is told, and what worries them (policy: IN2, IN4)."""

from fastapi import Request

from lessons.family import commands, queries
from mobile_api import cursors, schemas
from mobile_api.once import Once
from mobile_api.route import NOT_CHANGED, Parent, Unsigned, router_of
from service.foundation.web import Now, Reading
from service.safeguarding import from_families

router = router_of("News")


@router.get("/messages", operation_id="messages", summary="What one is told, newest first", responses=NOT_CHANGED)
async def messages(request: Request, actor: Parent, session: Reading, cursor: cursors.Cursor = None,
                   limit: cursors.Limit = 20) -> schemas.Messages:
    pepper = request.app.state.pepper
    rows = await queries.messages(session, actor, cursors.after(pepper, actor, "messages", cursor), limit)
    shown, following = cursors.page(pepper, actor, "messages", rows, limit, lambda row: (row.made_at, row.id))
    return schemas.Messages(
        unread=await queries.unread(session, actor), next=following,
        entries=[schemas.Message(id=row.id, kind=row.kind, words=row.words, child_id=row.child_id or None,
                                 lesson_id=row.lesson_id or None, at=row.made_at, read_at=row.read_at) for row in shown])


@router.post("/messages/{message_id}/read", operation_id="read_message", summary="Mark one as read", status_code=204)
async def read(actor: Parent, session: Once, now: Now, message_id: str) -> None:
    await commands.read(session, actor, message_id, now)


@router.post("/concerns", operation_id="raise_concern", summary="Tell the school what worries you", status_code=201)
async def raise_concern(actor: Unsigned, session: Once, now: Now, given: schemas.Concern) -> schemas.Sent:
    """Open before the agreement is signed: a worry never waits."""
    to = await from_families.raise_worry(session, actor, about=given.about, child_id=given.child_id or "", adult=given.adult,
                                         who=given.who, words=given.words, reach=given.reach, now=now)
    return schemas.Sent(to=to)
