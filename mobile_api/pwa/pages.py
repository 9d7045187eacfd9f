"""Where the parents' app is got: one page for every address below `/m/`, its files, its service worker. All of it is public and
about nobody; what a person may see comes from `/api/v1` alone."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from consent.documents import queries as documents
from mobile_api.pwa.shell import Language, Shell
from service.foundation.errors import NotFound
from service.foundation.web import Public, Reading
from service.people import queries as people

router = APIRouter(prefix="/m", dependencies=[Public])
KEEP = "public, max-age=31536000, immutable"
"""A file of an edition never changes (RFC 8246)."""
CSP = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'", "worker-src 'self'",
    "manifest-src 'self'", "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'", "trusted-types chaperone",
    "require-trusted-types-for 'script'",
))
STRICT = {"Content-Security-Policy": CSP,
          "Permissions-Policy": "camera=(), microphone=(self), geolocation=(), display-capture=(), payment=(), usb=()",
          "Referrer-Policy": "no-referrer"}


def _shell(request: Request) -> Shell:
    shell: Shell = request.app.state.parents_app
    return shell


@router.get("/files/{edition}/{name:path}")
async def file(request: Request, edition: str, name: str) -> Response:
    """A file of the edition that is served now; of any other there is none."""
    shell = _shell(request)
    found = shell.files.get(name) if edition == shell.edition else None
    if found is None:
        raise NotFound()
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    headers = {"cache-control": KEEP, "vary": "accept-encoding"} | ({"content-encoding": "gzip"} if zipped else {})
    return Response(found.small if zipped else found.body, media_type=found.kind, headers=headers)


@router.get("/sw.js")
async def worker(request: Request) -> Response:
    return Response(_shell(request).worker(), media_type="text/javascript; charset=utf-8", headers={
        **STRICT, "cache-control": "no-cache"})


@router.get("/manifest.webmanifest")
async def manifest(request: Request) -> JSONResponse:
    return JSONResponse(_shell(request).manifest(), media_type="application/manifest+json", headers={"cache-control": "no-cache"})


@router.get("/{page:path}")
async def page(request: Request, session: Reading, page: str) -> Response:
    """The app, whatever the address below: which page that is the app knows."""
    shell = _shell(request)
    return Response(shell.page(await _offered(session, shell)), media_type="text/html; charset=utf-8", headers=STRICT)


async def _offered(session: Reading, shell: Shell) -> list[Language]:
    """English, and what somebody answers for: a draft is there once the school approved a text in that language."""
    school = await people.only_school(session)
    approved = await documents.languages(session, school.id) if school else frozenset()
    return [one for one in shell.languages if not one.is_draft or one.code in approved]
