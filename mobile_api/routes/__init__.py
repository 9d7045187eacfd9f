"""`/api/v1`: what a family's phone asks for. Thin: a command or a query, a schema. Errors are RFC 9457, as everywhere under
`/api/`; `docs/mobile-api.md` is for whoever writes an app."""

import json
from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, Response
from fastapi.openapi.utils import get_openapi

from mobile_api import schemas
from mobile_api.route import limited
from mobile_api.routes import calls, entering, lessons, me, news, permissions, phones
from service.foundation.web import COOKIE, Public

ROUTERS = (entering.router, entering.renewing, me.router, phones.router, permissions.router, permissions.of_a_child,
           lessons.router, lessons.of_a_child, calls.of_a_child, news.router)
description = APIRouter(prefix="/api/v1")


@description.get("/openapi.json", dependencies=[Public, Depends(limited)], include_in_schema=False)
async def openapi() -> Response:
    """The description of this API and of nothing else."""
    return Response(_written(), media_type="application/json")


@cache
def _written() -> bytes:
    """Worked out once a process: it takes a tenth of a second, in which no lesson is looked after, and anybody may ask."""
    return json.dumps(described(), separators=(",", ":")).encode()


def described() -> dict[str, Any]:
    """OpenAPI 3.1 for the routes above."""
    made = get_openapi(
        title="Chaperone mobile API", version="1", openapi_version="3.1.0",
        routes=[route for router in ROUTERS for route in router.routes],
        description="What families may see and do. Times are RFC 3339 in UTC; errors are RFC 9457 problem documents.",
    )
    parts = made.setdefault("components", {})
    parts.setdefault("schemas", {})["Problem"] = schemas.Problem.model_json_schema()
    parts["securitySchemes"] = {
        "phone": {"type": "http", "scheme": "DPoP", "description": "RFC 9449: an access token, and a proof in the header DPoP."},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    made["security"] = [{"phone": []}, {"session": []}]
    public = {route.operation_id for route in (*entering.router.routes, *entering.renewing.routes)}  # type: ignore[attr-defined]
    for path in made["paths"].values():
        for operation in path.values():
            if operation["operationId"] in public:
                operation["security"] = []
    return made
