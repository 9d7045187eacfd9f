"""The service's end of a decoder: pieces in, answers out, and its death is an answer too."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from recordings.preparation import decoder
from service.foundation.errors import Unavailable

What = Literal["speech", "pictures"]
ROOT = Path(__file__).parents[2]
LONGEST_ANSWER = 4 * 1024 * 1024
WHEN = "idle"
"""Decode when nobody else wants the processor. Tests say "now": the machines that run them are never idle."""


class DecoderDied(Unavailable):
    """This part of the recording could not be prepared. It can be watched all the same."""

    code = "decoder-died"


class Decoder:
    """One decoding process, one piece at a time."""

    def __init__(self, process: asyncio.subprocess.Process):
        assert process.stdin
        assert process.stdout
        self.pid, self._in, self._out = process.pid, process.stdin, process.stdout

    async def decode(self, piece: bytes) -> decoder.Answer:
        """What was found in a piece; `DecoderDied` when it took the process with it, or answers nonsense."""
        try:
            self._in.write(len(piece).to_bytes(4, "big") + piece)
            await self._in.drain()
            at_ms, length = decoder.FRAME.unpack(await self._out.readexactly(decoder.FRAME.size))
            if length > LONGEST_ANSWER:
                raise DecoderDied()
            return at_ms, await self._out.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise DecoderDied() from error


@asynccontextmanager
async def decoding(what: What, seconds: int) -> AsyncIterator[Decoder]:
    """A decoder for one track, with so many seconds of the processor and nothing of this process but two pipes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-B", "-m", decoder.__name__, what, str(seconds), str(os.getpid()), WHEN, cwd=ROOT,
        env={"LANG": "C.UTF-8"}, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Decoder(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
