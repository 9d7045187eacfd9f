"""A PostgreSQL server of the tests' own, in a temporary folder and on a socket there; one for a run, a database for each test.

What is marked `postgresql` runs on both databases; `CHAPERONE_TESTS_ON=postgresql` has every test run on this one. PostgreSQL
refuses to run as root, so that root lends it to the user that Debian made for it.
"""

import atexit
import functools
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

EVERYWHERE = os.environ.get("CHAPERONE_TESTS_ON") == "postgresql"
used = EVERYWHERE
"""Whether the test that runs now is on PostgreSQL (`tests/conftest.py`)."""
SERVER = {
    "listen_addresses": "", "fsync": "off", "full_page_writes": "off", "autovacuum": "off", "shared_buffers": "64MB",
    "max_connections": "200", "max_wal_size": "4GB", "timezone": "Asia/Tokyo",  # what we rely on, we ask for ourselves
}


class Cluster:
    """Ends with the process that made it, however that ends."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chaperone-pg-"))
        self._as = {"user": _lent_to(), "group": pwd.getpwnam(_lent_to()).pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
        if self._as:
            os.chown(self.folder, pwd.getpwnam(_lent_to()).pw_uid, -1)
        subprocess.run([_program("initdb"), "-D", self.folder / "data", "-U", "chaperone", "--auth=trust", "--no-sync",
                        "--encoding=UTF8", "--locale=C.UTF-8"], check=True, capture_output=True, cwd="/", **self._as)
        words = [word for name, value in SERVER.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("wb") as log:
            self._server = subprocess.Popen(
                ["setpriv", "--pdeathsig", "INT", _program("postgres"), "-D", self.folder / "data", "-k", self.folder, *words],
                stdout=log, stderr=log, cwd="/", start_new_session=True, **self._as)
        atexit.register(self.stop)
        self._wait()

    def _wait(self) -> None:
        subprocess.run([_program("pg_ctl"), "-D", self.folder / "data", "-w", "-t", "60", "status"], check=False,
                       capture_output=True, cwd="/", **self._as)
        while True:
            assert self._server.poll() is None, (self.folder / "log").read_text()
            if "ready to accept connections" in (self.folder / "log").read_text():
                return

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://chaperone@/{name}?host={self.folder}"

    def has(self, name: str) -> bool:
        with self.connect("postgres") as connection:
            return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None

    def create(self, name: str, template: str = "template0") -> str:
        """The URL of a database: a new one, a copy, or the one that has this name already."""
        if not self.has(name):
            with self.connect("postgres") as connection:  # nobody may be in what is copied, not even who is just leaving
                connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [template])
                connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(name)

    def connect(self, name: str) -> psycopg.Connection:
        """For what only a test asks."""
        return psycopg.connect(dbname=name, user="chaperone", host=str(self.folder), autocommit=True)

    def dump(self, name: str) -> bytes:
        """As a technician makes one."""
        return subprocess.run([_program("pg_dump"), "-Fc", "-h", self.folder, "-U", "chaperone", name], check=True,
                              capture_output=True).stdout

    def bring_back(self, name: str, dump: bytes) -> None:
        """Into a new database of this name."""
        self.drop(name)
        self.create(name)
        self.fill(name, dump)

    def fill(self, name: str, dump: bytes, *options: str) -> None:
        """A database that is there."""
        subprocess.run([_program("pg_restore"), "--no-owner", *options, "-h", self.folder, "-U", "chaperone", "-d", name],
                       check=True, input=dump, capture_output=True)

    def drop(self, name: str) -> None:
        with self.connect("postgres") as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def stop(self) -> None:
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def cluster() -> Cluster:
    return Cluster()


def name_of(folder: Path) -> str:
    """The database that stands for the one in this data folder."""
    return "t" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def is_there(folder: Path) -> bool:
    return cluster().has(name_of(folder))


def url_for(folder: Path, template: Path | None = None) -> str:
    """A database for a data folder: the one it had before, a copy of its template's, or a new one."""
    return cluster().create(name_of(folder), name_of(template) if template else "template0")


def _lent_to() -> str:
    return next(name for name in ("postgres", "nobody") if name in {user.pw_name for user in pwd.getpwall()})


@functools.cache
def _program(name: str) -> str:
    """Debian keeps them beside each other by version, outside the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    found = shutil.which(name, path=":".join(map(str, folders))) or shutil.which(name)
    assert found, "PostgreSQL is not installed: `make browsers`"
    return found
