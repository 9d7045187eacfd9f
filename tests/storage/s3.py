"""A small real S3 server on loopback, and a wire to it that a test can cut."""

import asyncio
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER = Path(__file__).parents[2] / ".tools/s3/bin/moto_server"


@contextmanager
def server(bucket: str = "school") -> Iterator[int]:
    """The server's port. It is stopped by its own process, and keeps everything in memory."""
    assert SERVER.exists(), "make setup puts the tests' S3 server at .tools/s3"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([SERVER, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          env={**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": ""}) as running:
        try:
            _make(bucket, port, running)
            yield port
        finally:
            running.terminate()


def _make(bucket: str, port: int, running: subprocess.Popen[bytes]) -> None:
    wanted = urllib.request.Request(f"http://127.0.0.1:{port}/{bucket}", method="PUT")
    for _ in range(600):
        try:
            with urllib.request.urlopen(wanted):
                return
        except OSError:
            assert running.poll() is None, "the S3 server stopped"
            time.sleep(0.1)
    raise AssertionError("the S3 server does not answer")


def access_file(folder: Path, port: int) -> Path:
    """What the technician writes into CHAPERONE_S3_ACCESS_FILE."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"s3-{port}"
    path.touch(mode=0o600)
    path.write_text(f"[default]\nendpoint_url = http://127.0.0.1:{port}\nregion = us-east-1\n"
                    "aws_access_key_id = school\naws_secret_access_key = not-a-secret\n")
    return path


class Wire:
    """Passes bytes on to the server. `cut_after`: so many bytes towards it, then every connection breaks."""

    def __init__(self, to: int):
        self.to, self.port = to, 0
        self.cut_after: int | None = None
        self.passed = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(self._pump(reader, up_writer, True), self._pump(up_reader, writer, False))
        except OSError:
            pass
        finally:
            writer.transport.abort()
            up_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, towards: bool) -> None:
        while piece := await reader.read(65536):
            self.passed += len(piece) if towards else 0
            if self.cut_after is not None and self.passed > self.cut_after:
                raise ConnectionResetError
            writer.write(piece)
            await writer.drain()
        writer.close()


@contextmanager
def wire(to: int) -> Iterator[Wire]:
    """On a loop and thread of its own: whoever waits for the store may hold the test's."""
    found, loop = Wire(to), asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(found._serve, "127.0.0.1", 0))
    found.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(lambda: [each.cancel() for each in asyncio.all_tasks(loop)] and None)
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
