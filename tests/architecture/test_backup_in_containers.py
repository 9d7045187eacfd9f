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


DOCKER = """#!/bin/bash -e
export PATH=/usr/bin:/bin CHAPERONE_DATA=MACHINE/volume; cd ROOT
if [ -f MACHINE/.env ]; then set -a; . MACHINE/.env; set +a; fi
case "$*" in
"compose up -d") rm -rf MACHINE/tmp/*;;  # a container that is made anew, and its memory with it
"compose exec -T chaperone chaperone "*) shift 5; exec PYTHON -m service "$@";;
"compose exec -T chaperone cat "*) shift 4; exec "$@";;
"compose run --rm -T chaperone "*) shift 5; exec PYTHON -m service "$@";;
*) echo "nobody wrote: docker $*" >&2; exit 99;;
esac
"""
STUBS = {"docker": DOCKER, "install": "#!/bin/sh\n", "mountpoint": "#!/bin/sh\ntest -d $1\n"}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with the two folders, a stick and a school in its volume, and an engine that runs the service here."""
    for folder in ("mnt/backup", "mnt/backup-keys", "stick", "volume", "tmp", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name, words in STUBS.items():
        for placeholder, here in (("MACHINE", tmp_path), ("ROOT", ROOT), ("PYTHON", sys.executable)):
            words = words.replace(placeholder, str(here))
        (tmp_path / "bin" / name).write_text(words)
        (tmp_path / "bin" / name).chmod(0o755)
    for command in ("migrate", "seed"):
        assert pasted(tmp_path, f"docker compose run --rm -T chaperone {command}").returncode == 0
    return tmp_path


def pasted(machine: Path, block: str) -> subprocess.CompletedProcess[str]:
    """A block of the document as somebody pastes it into a shell, with its places where this machine has them."""
    block = re.sub(r"(?<=[ >])/(tmp|stick)(?=[/ ])", rf"{machine}/\1", block)
    block = re.sub(r"(?<= )/(backup(?:-keys)?)(?=\s)", rf"{machine}/mnt/\1", block).replace(">> .env", f">> {machine}/.env")
    return subprocess.run(["bash"], input=block, cwd=ROOT, capture_output=True, text=True, check=False,
                          env={"PATH": f"{machine}/bin:/usr/bin:/bin"})


def test_each_block_of_the_document_does_what_it_says(machine: Path) -> None:
    once, daily, restore = blocks()
    done = pasted(machine, once)
    assert done.returncode == 0, done.stderr
    assert (machine / "stick/backup-key.txt").read_text().startswith("# public key: age1")
    assert not list((machine / "tmp").iterdir()), "the one in memory is gone"
    said = pasted(machine, daily).stdout
    assert "Restored to try it: the database, the audit log and the recordings are whole." in said
    signer = re.search(r"Signed by ([0-9a-f]{64})", said)
    assert signer
    (machine / "volume").rename(machine / "lost")
    done = pasted(machine, restore.replace("KEY-ON-PAPER", signer[1]))
    assert "Lessons stay closed" in done.stdout, done.stderr
    assert (machine / "volume/chaperone.sqlite3").exists()


def test_no_public_half_is_set_before_the_private_one_is_on_the_stick(machine: Path) -> None:
    """Back-ups would be made, and found whole, that nobody can ever open."""
    once, daily, _ = blocks()
    (machine / "stick").rename(machine / "drawer")
    assert pasted(machine, once).returncode != 0
    assert not (machine / ".env").exists(), "without a stick nothing is begun"
    (machine / "stick/backup-key.txt").mkdir(parents=True)  # one that takes no such file
    assert pasted(machine, once).returncode != 0
    assert "CHAPERONE_BACKUP_RECIPIENTS" not in (machine / ".env").read_text()
    assert "Set CHAPERONE_BACKUP_RECIPIENTS" in pasted(machine, daily).stderr
    (machine / "stick/backup-key.txt").rmdir()
    failed = once.index("docker compose exec -T chaperone cat")
    assert pasted(machine, once[failed:]).returncode == 0, "whoever goes on from that line has what they need"
    assert pasted(machine, daily).returncode == 0
