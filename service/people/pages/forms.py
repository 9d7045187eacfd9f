"""What forms of these pages share: a write that is committed before the answer, and the form again when it is refused."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.errors import Conflict, Invalid, NotAllowed, TooMany
from service.foundation.web import render

T = TypeVar("T")


async def saved(request: Request, write: Callable[[AsyncSession], Awaitable[T]], *, closes: bool = False) -> T:
    """Run `write` in one transaction. What it raises rolls everything back and reaches the caller. `closes`: before others."""
    request.state.view = None  # what was read before is not what the page's frame shows after
    async with request.app.state.database.writing(closes=closes) as session:
        return await write(session)


def words(refusal: Invalid | NotAllowed | Conflict | TooMany) -> Mapping[str, str]:
    """What is wrong, by field; under no field when it is about the whole form."""
    return refusal.fields or {"": refusal.message}


async def form_again(request: Request, template: str, refusal: Invalid | NotAllowed | Conflict, **context: Any) -> Response:
    return await render(request, template, 422, errors=words(refusal), **context)
