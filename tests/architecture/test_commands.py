"""The commands that people and machines are told to use exist: in the Makefile, the command line, the image."""

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from service.foundation.settings import Settings
from tests.architecture.files import ROOT, texts, tracked

MAKEFILE = (ROOT / "Makefile").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "compose.yaml").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@cache
def subcommands() -> set[str]:
    listed = re.search(r"\{([\w,-]+)\}", python("-m", "service", "--help").stdout)
    assert listed
    return set(listed[1].split(","))


def test_help_explains_every_target_for_people() -> None:
    said = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    private = {"install-app", "install-dev"}
    assert set(re.findall(r"^  make (\S+) +\S", said, re.M)) == TARGETS - private


def test_documents_name_only_commands_that_exist() -> None:
    commands = subcommands()
    for path, text in texts(".md").items():
        code = "\n".join(re.findall(r"`{1,3}[^`]+`{1,3}", text))
        code = re.sub(r"docker compose exec -T chaperone (cat )?", "", code)  # the container's name, not ours
        made = set(re.findall(r"\bmake ([a-z]+)", code))
        told = set(re.findall(r"\b(?:chaperone|python3? -m service) ([a-z]+)", code))
        assert made <= TARGETS, path
        assert told <= commands, path


def test_documents_link_only_to_what_exists() -> None:
    missing = []
    for path, text in texts(".md").items():
        links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
        missing += [(str(path), link) for link in links if not (ROOT / path.parent / link).exists()]
    assert missing == []


def test_the_gate_runs_every_test_and_asks_nothing() -> None:
    gate = ROOT / ".ci" / "run"
    assert os.access(gate, os.X_OK)
    assert "make test </dev/null" in gate.read_text()


def copied_into_the_image() -> list[Path]:
    """What `COPY . .` takes: the files of the project that .dockerignore lets through."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    allowed = [line[1:] for line in lines if line.startswith("!")]
    missing = [name for name in allowed if not (ROOT / name).exists()]
    assert missing == []
    never = [line for line in lines if line.startswith("**/")]
    files = [path.relative_to(ROOT) for path in tracked()]
    return [file for file in files
            if file.parts[0] in allowed and not any(fnmatch.fnmatch(f"/{file}/", f"*/{rule[3:]}/*") for rule in never)]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The image's folder, as far as it can be made without a container engine."""
    for file in copied_into_the_image():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_the_image_holds_what_its_commands_need(image: Path) -> None:
    targets = re.findall(r"\bmake ([a-z]+)", "\n".join(re.findall(r"^RUN (.*)", DOCKERFILE, re.M)))
    assert targets == ["app"]
    for target in targets:
        dry = subprocess.run(["make", "-n", target], cwd=image, capture_output=True, text=True, check=False)
        assert dry.returncode == 0, dry.stderr
        assert "No rule" not in dry.stderr + dry.stdout


def test_the_image_can_fill_and_check_a_school(image: Path, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert not (image / "tests").exists()
    for command in ("migrate", "seed", "verify"):
        run = python("-m", "service", command, "--data", data, cwd=image)
        assert run.returncode == 0, run.stderr


def test_the_command_is_this_checkouts_wherever_it_is_called_and_whatever_lies_there(image: Path, tmp_path: Path) -> None:
    """`.venv/bin/chaperone` is a link to it, and the image's /usr/local/bin has one to that."""
    (image / ".venv/bin").mkdir(parents=True)
    (image / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (image / ".venv/bin/python").chmod(0o755)
    (image / ".venv/bin/chaperone").symlink_to("../../requirements/chaperone")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "service").mkdir(parents=True)
    (elsewhere / "service/__init__.py").write_text("raise SystemExit('somebody else')")
    link = elsewhere / "chaperone"
    link.symlink_to(image / ".venv/bin/chaperone")
    run = subprocess.run([link, "--help"], cwd=elsewhere, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert set(re.findall(r"\{([\w,-]+)\}", run.stdout)[0].split(",")) == subcommands()
    assert "COMMAND := .venv/bin/chaperone\n" in MAKEFILE
    assert "@ln -sf ../../requirements/chaperone $@\n" in MAKEFILE
    assert "ln -s /chaperone/.venv/bin/chaperone /usr/local/bin/chaperone" in DOCKERFILE


def test_the_image_serves_as_nobody_special_and_is_watched() -> None:
    last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER (?!root|0\b)\w+$", last, re.M)
    assert re.search(r"^HEALTHCHECK .*\\\n\s+CMD \[", last, re.M)
    entry = re.search(r"^ENTRYPOINT \[(.*)\]\nCMD \[(.*)\]", last, re.M)
    assert entry
    assert shlex.split(entry[1].replace(",", " ")) == [".venv/bin/python", "-m", "service"]
    assert set(shlex.split(entry[2])) <= subcommands()


def test_the_image_is_watched_at_a_page_that_answers() -> None:
    asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", DOCKERFILE)
    assert asked
    assert asked[1] == str(Settings.model_fields["port"].default)
    assert asked[2] == "/healthz"


def test_the_image_and_its_composition_name_only_settings_that_exist() -> None:
    known = {f"CHAPERONE_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"CHAPERONE_[A-Z_]+", DOCKERFILE + COMPOSE))
    assert named
    assert named <= known


def test_the_composition_builds_this_folder_and_keeps_the_school() -> None:
    assert re.search(r"^    build: \.$", COMPOSE, re.M)
    kept = re.search(r"- (\w+):(/\S+)", COMPOSE)
    assert kept
    assert f"VOLUME {kept[2]}" in DOCKERFILE
    assert f"CHAPERONE_DATA={kept[2]}" in DOCKERFILE
    assert re.search(rf"^volumes:\n  {kept[1]}:", COMPOSE, re.M)
