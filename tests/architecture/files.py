"""The files of the project, as tests look at them: what is tracked, or, without git, what is not generated."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = {".git", ".venv", ".tools", "node_modules", "vendor", "var", "__pycache__", "test-results"}


def tracked() -> list[Path]:
    """Every file of the project: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False) if (ROOT / ".git").exists() else None
    if listed is not None and listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not GENERATED & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def texts(*suffixes: str) -> dict[Path, str]:
    """The text of every tracked file whose name ends in one of `suffixes` (all that are text when none is given)."""
    chosen = [path for path in tracked() if not suffixes or path.name.endswith(suffixes)]
    contents = {path.relative_to(ROOT): path.read_bytes() for path in chosen}
    return {path: content.decode("utf-8", "replace") for path, content in contents.items() if b"\0" not in content[:4096]}
