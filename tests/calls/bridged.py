"""Our end of a hosted provider: the way, and the address at which the provider reaches it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response

from service.calls.number import Number
from service.calls.rest import hooks
from service.calls.rest.account import Account
from service.calls.rest.way import RestWay
from service.calls.way import Order
from service.foundation.errors import NotFound
from tests.calls.people import SCHOOL
from tests.calls.provider import ACCOUNT, TOKEN, Does, Provider, listening

CALLER, FAMILY = "+447700900777", "+447700900123"


def order(**more: Any) -> Order:
    return Order(**{"call_id": secrets.token_hex(16), "callee": Number(FAMILY), "shown": Number(SCHOOL),
                    "telephone": Number(CALLER)} | more)


async def _missing(_request: Request, _error: Exception) -> Response:
    return Response(status_code=404)


@asynccontextmanager
async def ours(provider: Provider, **people: Does) -> AsyncIterator[RestWay]:
    """Opened, and reached by the provider. `caller`, `family`: what they do."""
    provider.people |= {CALLER: people.get("caller", Does()), FAMILY: people.get("family", Does())}
    app = FastAPI(exception_handlers={NotFound: _missing})
    app.router.routes.extend(hooks.router.routes)
    async with listening(app) as origin:
        way = app.state.way = RestWay(Account(provider.url, ACCOUNT, TOKEN, Number(SCHOOL), "Ring us back.", origin))
        await way.open()
        try:
            yield way
        finally:
            await way.close()
