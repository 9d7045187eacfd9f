"""The school's calls about a child, as a family may know of them (policy: CM6). An app that is open takes calls by `/line`."""

from fastapi import Request

from mobile_api import cursors, schemas
from mobile_api.route import NOT_CHANGED, Parent, router_of
from service.calls import queries
from service.calls.queries import CallView
from service.foundation.web import Reading
from service.people import family

of_a_child = router_of("Calls", "/children/{child_id}")


@of_a_child.get("/calls", operation_id="calls", summary="The school's calls about this child, newest first",
                responses=NOT_CHANGED)
async def calls(request: Request, actor: Parent, session: Reading, child_id: str, cursor: cursors.Cursor = None,
                limit: cursors.Limit = 20) -> schemas.Calls:
    await family.child(session, actor, child_id)
    pepper, of = request.app.state.pepper, f"calls {child_id}"
    rows = await queries.of_family(session, actor, [child_id], cursors.after(pepper, actor, of, cursor), limit + 1)
    shown, following = cursors.page(pepper, actor, of, rows, limit, lambda row: (row.placed_at or row.asked_at, row.id))
    return schemas.Calls(entries=[_told(row) for row in shown], next=following)


def _told(row: CallView) -> schemas.Called:
    by = None if row.connected_at is None else "app" if row.in_app else "telephone"
    return schemas.Called(id=row.id, placed_at=row.placed_at or row.asked_at, caller=row.caller, purpose=row.purpose, by=by,
                          seconds=row.seconds)
