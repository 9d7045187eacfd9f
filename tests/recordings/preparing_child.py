"""A service that is preparing a recording, to be killed in the middle of it.

    python -m tests.recordings.preparing_child DATA
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from recordings.preparation import commands, sandbox
from tests.school import running


async def main(data: Path) -> None:
    def did(work: commands._Work, milliseconds: int) -> None:
        sys.stdout.write(f"{os.getpid()} in the middle\n")
        sys.stdout.flush()
        signal.pause()  # the decoder waits for its next piece, the file aside is half written

    sandbox.WHEN = "now"
    commands._Work.did = did  # type: ignore[method-assign]
    async with running(data) as school:
        state = school.app.state
        await commands.prepare_all(state.database, state.vault, state.clock, state.preparations)
        await asyncio.Event().wait()  # whatever happens, it does not end by itself


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
