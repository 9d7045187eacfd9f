"""Write the first revision again from the tables. Only until the first release; afterwards revisions are added."""

import asyncio
import tempfile
from pathlib import Path

from alembic import command

from service.foundation.db import Database
from service.migrations.upgrade import configuration

VERSIONS = Path(__file__).parent / "versions"


async def main() -> None:
    first = VERSIONS / "0001_first.py"
    before = first.read_text() if first.exists() else ""
    later = {path: path.read_text() for path in VERSIONS.glob("0*.py") if path != first}
    for path in (first, *later):
        path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite+aiosqlite:///{folder}/empty.sqlite3", {})
        async with database.engine.connect() as connection:
            await connection.run_sync(lambda sync: command.revision(
                configuration(sync), message="Every table of the first release.", autogenerate=True, rev_id="0001"
            ))
        await database.close()
    made = next(VERSIONS.glob("0001_*.py"))
    text = made.read_text().rstrip() + "\n"
    made.unlink()
    first.write_text(text if text != before else before)
    for path, kept in later.items():
        path.write_text(kept)


asyncio.run(main())
