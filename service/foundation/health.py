"""What a supervisor of the process asks: is it alive, and may it be given work. Neither says anything about the school."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from service.foundation import errors
from service.foundation.web import Public


@dataclass(frozen=True)
class Tile:
    """A line of the technician's page Health: what it is about, one word, its colour, and what to do. Nothing about a person."""

    label: str
    word: str
    colour: str
    words: str


router = APIRouter(dependencies=[Public])


class DatabaseSilent(errors.Unavailable):
    """The database does not answer."""


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers. A failing database is no reason to kill a process that records lessons."""
    return {"status": "alive"}


@router.get("/readyz")
async def ready(request: Request) -> dict[str, str]:
    """The database answers as well."""
    try:
        async with request.app.state.database.reading() as session:
            await session.exec(select(1))
    except SQLAlchemyError as error:
        raise DatabaseSilent() from error
    return {"status": "ready"}
