"""Whoever follows `docs/backup.md` with `compose.yaml` makes a back-up and restores it: each line of it, run without an engine.

policy: AC6
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.files import ROOT

DOCUMENT = (ROOT / "docs/backup.md").read_text()
COMPOSE, DOCKERFILE = (ROOT / "compose.yaml").read_text(), (ROOT / "Dockerfile").read_text()
PLACES = {"BACKUP_FOLDER": ("backup", "/backup"), "BACKUP_KEYS_FOLDER": ("backup-keys", "/backup-keys")}


def blocks() -> list[str]:
    section = re.search(r"^## In containers\n(.*?)^## ", DOCUMENT, re.M | re.S)
    assert section
    return re.findall(r"```\n(.*?)```", section[1], re.S)


def test_the_places_are_there_belong_to_the_containers_user_and_may_be_named() -> None:
    made = re.search(r"install -d -o chaperone -m 700 (.*)", DOCKERFILE)
    assert made
    for name, (volume, place) in PLACES.items():
        assert f"- ${{{name}:-{volume}}}:{place}\n" in COMPOSE
        assert f"\n  {volume}:\n" in COMPOSE
        assert place in made[1].split()
        assert f"{name}=/media" in blocks()[0]
    assert "CHAPERONE_BACKUP_RECIPIENTS: ${CHAPERONE_BACKUP_RECIPIENTS:-}" in COMPOSE
    assert re.search(r"tmpfs:\n +- /tmp\n", COMPOSE), "where the new key is"
    uid = re.search(r"useradd .*--uid (\d+)", DOCKERFILE)
    assert uid
    assert f"install -d -o {uid[1]} " in blocks()[0]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with the two folders, a stick and a school in its volume."""
    for folder in ("mnt/backup", "mnt/backup-keys", "stick", "volume", "tmp"):
        (tmp_path / folder).mkdir(parents=True)
    run(tmp_path, "migrate")
    run(tmp_path, "seed")
    return tmp_path


def run(machine: Path, line: str) -> str:
    """A line of the document, or a command of the service, with the container's places where this machine has them."""
    line = re.sub(r"docker compose (exec -T chaperone chaperone|run --rm -T chaperone) |^(?=\w+$)",
                  lambda found: f"{sys.executable} -m service ", line)
    line = line.replace("docker compose exec -T chaperone cat", "cat")
    if "docker compose up" in line or line.startswith("install "):
        return ""
    line = re.sub(r"(?<=[ >])/(tmp|stick)/", rf"{machine}/\1/", line)
    line = re.sub(r" /(backup(?:-keys)?)(?= |$)", rf" {machine}/mnt/\1", line).replace(">> .env", f">> {machine}/.env")
    known = (machine / ".env").read_text().split() if (machine / ".env").exists() else []
    done = subprocess.run(["bash", "-ec", line], cwd=ROOT, capture_output=True, text=True, check=False, env={
        "PATH": "/usr/bin:/bin", "CHAPERONE_DATA": str(machine / "volume"), **dict(each.split("=", 1) for each in known)})
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


def test_each_line_of_the_document_does_what_it_says(machine: Path) -> None:
    once, daily, restore = blocks()
    for line in once.splitlines():
        run(machine, line)
    assert (machine / "stick/backup-key.txt").read_text().startswith("# public key: age1")
    said = run(machine, daily.strip())
    assert "Restored to try it: the database, the audit log and the recordings are whole." in said
    signer = re.search(r"Signed by ([0-9a-f]{64})", said)
    assert signer
    (machine / "volume").rename(machine / "lost")
    for line in restore.replace("KEY-ON-PAPER", signer[1]).splitlines():
        said = run(machine, line) or said
    assert "Lessons stay closed" in said
    assert (machine / "volume/chaperone.sqlite3").exists()
