"""What must not lie about in clear after a lesson: looked for in every file, the log and the names of files (goals G19, G20)."""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path


def files(*folders: Path) -> Iterator[Path]:
    return (path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def found(canaries: Mapping[str, bytes], *folders: Path) -> list[tuple[str, str]]:
    """(canary, file) wherever one of them is: in a file's bytes as they are or in UTF-16, or in its name."""
    hits = []
    for path in files(*folders):
        hits += [(name, str(path)) for name, canary in canaries.items() if canary in path.name.encode()]
        if not path.stat().st_size:
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as inside:
            hits += [(name, str(path)) for name, canary in canaries.items()
                     if inside.find(canary) >= 0 or inside.find(_wide(canary)) >= 0]
    return hits


def _wide(canary: bytes) -> bytes:
    try:
        return canary.decode().encode("utf-16-le")
    except UnicodeDecodeError:
        return canary
