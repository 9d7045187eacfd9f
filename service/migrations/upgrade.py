"""Bring a database up to the newest revision; `chaperone migrate`, and every start of `dev`."""

import functools
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData
from sqlmodel import SQLModel

from service.foundation.db import Database


def configuration(connection: Connection, keys: Path | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    if keys:
        config.attributes["keys"] = keys
    return config


async def to_newest(database: Database, keys: Path | None = None) -> None:
    """Run every revision the database has not seen, in one transaction. `keys`: the folder of keys, into which old ones move."""
    async with database.engine.connect() as connection:
        await connection.run_sync(_to_newest, keys)
        await connection.commit()


def _to_newest(connection: Connection, keys: Path | None) -> None:
    if MigrationContext.configure(connection).get_current_revision() != _newest():
        command.upgrade(configuration(connection, keys), "head")


@functools.cache
def _newest() -> str | None:
    """Every revision's file is read for this."""
    return ScriptDirectory(str(Path(__file__).parent)).get_current_head()


async def differences(database: Database) -> list[Any]:
    """What the tables say that no revision does; a test keeps it empty."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda sync: compare_metadata(MigrationContext.configure(sync), _tables(sync)))


def _tables(connection: Connection) -> MetaData:
    """As the revisions make them: PostgreSQL is told with the table that references are checked at the commit."""
    tables = MetaData()
    for table in SQLModel.metadata.sorted_tables:
        table.to_metadata(tables)
    if connection.dialect.name == "postgresql":
        for reference in (each for table in tables.sorted_tables for each in table.foreign_key_constraints):
            reference.deferrable, reference.initially = True, "DEFERRED"
    return tables
