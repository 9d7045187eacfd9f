"""Scripts, styles and drawings: the same for everybody and about nobody, so a browser may keep them.

A page names them under an address that changes with their content (`/static/~1f0c…/`), so what a device has kept is never
old and never asked for again: at nine o'clock three hundred pupils' devices would ask for forty files each.
"""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment
from jinja2.ext import Extension

KEEP = "public, max-age=31536000, immutable"  # RFC 8246


@cache
def edition(folders: tuple[Path, ...]) -> str:
    """A name for the files of `folders` as they are now."""
    found = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        found.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


class Files(StaticFiles):
    """One package's files. `now`: the edition; a page of an earlier one is still served, but keeps nothing."""

    def __init__(self, folder: Path, now: str):
        super().__init__(directory=folder)
        self._now = now

    def file_response(self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Any,
                      status_code: int = 200) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        if scope.get("path_params", {}).get("edition") == self._now:
            answer.headers["cache-control"] = KEEP
        return answer


class Editions(Extension):
    """Templates write `/static/…`; what leaves names the edition."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return source.replace('="/static/', f'="/static/~{self.environment.edition}/')  # type: ignore[attr-defined]


def serve(app: FastAPI, folders: dict[str, Path], templates: Environment) -> None:
    """Mount the folders, by their place under `/static/`, before any route: most requests are for these."""
    now = edition(tuple(folders.values()))
    for place, folder in folders.items():
        for prefix in ("/static/~{edition}", "/static"):
            app.mount(f"{prefix}{place}", Files(folder, now))
    templates.edition = now  # type: ignore[attr-defined]
    templates.add_extension(Editions)
