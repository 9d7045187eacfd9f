"""The files of the parents' app as phones get them: read once, named by what they hold, compressed once.

All of them are one edition. A phone keeps a whole edition or none of it (its service worker asks for every file, and only files
of the edition that is served exist), so an update is never half an app.
"""

import functools
import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

HERE = Path(__file__).parent / "static"
PASSKEYS = HERE.parents[2] / "service" / "static" / "passkeys.js"
TELEPHONE = HERE.parents[2] / "service" / "calls" / "static" / "telephone.js"
"""How a browser makes passkeys, and how it opens a telephone, is written once, for the school's pages and for this app."""
KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".json": "application/json",
         ".svg": "image/svg+xml", ".png": "image/png"}
SCRIPTS = ("app.js",)
STYLES = ("app.css", "parts.css")
LIBRARY = "vendor/idb/index.js"


@dataclass(frozen=True)
class File:
    body: bytes
    small: bytes
    kind: str


@dataclass(frozen=True)
class Language:
    """One catalogue. `is_draft`: no person has reviewed it."""

    code: str
    name: str
    dir: str
    is_draft: bool


def _file(path: Path) -> File:
    body = path.read_bytes()
    return File(body, _compressed(body), KINDS[path.suffix])


@functools.cache
def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, 9, mtime=0)


def _found(folder: Path) -> Iterable[tuple[str, Path]]:
    """The app's own files and of its library the one that is used; the service worker has an address of its own."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix in KINDS and name != "sw.js" and (not name.startswith("vendor/") or name == LIBRARY):
            yield name, path
    yield "passkeys.js", PASSKEYS
    yield "telephone.js", TELEPHONE


class Shell:
    """The app as this server has it. `edition`: a name for exactly these files."""

    def __init__(self, folder: Path = HERE):
        self.files = {name: _file(path) for name, path in _found(folder)}
        self._worker = (folder / "sw.js").read_text()
        content = b"".join(name.encode() + b"\0" + file.body for name, file in self.files.items()) + self._worker.encode()
        self.edition = hashlib.sha256(content).hexdigest()[:16]

    @cached_property
    def languages(self) -> tuple[Language, ...]:
        """English first: whatever somebody has no words for is said in it."""
        found = [json.loads(file.body)["meta"] for name, file in self.files.items() if name.startswith("words/")]
        return tuple(Language(each["code"], each["name"], each["dir"], each["draft"])
                     for each in sorted(found, key=lambda each: (each["code"] != "en", each["name"])))

    def address(self, name: str) -> str:
        return f"/m/files/{self.edition}/{name}"

    def page(self, languages: Iterable[Language]) -> str:
        """The one page. What it says comes from a catalogue; without scripts it can only say whom to ask."""
        offered = json.dumps([{"code": one.code, "name": one.name, "dir": one.dir} for one in languages]).replace("<", "\\u003c")
        scripts = [name for name in self.files if name.endswith(".js")]
        return "".join((
            f'<!doctype html><html lang="en" dir="ltr" data-edition="{self.edition}"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">',
            '<meta name="theme-color" content="#0b4144"><title>Chaperone</title>',
            '<link rel="manifest" href="/m/manifest.webmanifest">',
            f'<link rel="icon" href="{self.address("mark.svg")}" type="image/svg+xml">',
            f'<link rel="apple-touch-icon" href="{self.address("icon-192.png")}">',
            *(f'<link rel="stylesheet" href="{self.address(name)}">' for name in STYLES),
            *(f'<link rel="modulepreload" href="{self.address(name)}">' for name in scripts),
            *(f'<script type="module" src="{self.address(name)}"></script>' for name in SCRIPTS),
            f'<script type="application/json" id="languages">{offered}</script></head><body>',
            '<a class="skip" id="skip" href="#main">Skip to main content</a><header class="bar" id="bar"></header>',
            '<main id="main" tabindex="-1"><noscript><h1>Chaperone</h1><p>This app needs a newer browser, or JavaScript turned '
            'on. You can also answer on paper: ring the school office.</p></noscript></main><div id="tabs"></div></body></html>',
        ))

    def worker(self) -> str:
        """The service worker, told what to keep."""
        kept = {"edition": self.edition, "shell": "/m/", "files": [self.address(name) for name in self.files]}
        return f"self.shell = {json.dumps(kept)};\n{self._worker}"

    def manifest(self) -> dict[str, object]:
        """What a phone needs to put the app beside its others."""
        icons = [{"src": self.address(f"icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
                 for size in (192, 512) for purpose in ("any", "maskable")]
        return {"id": "/m/", "name": "Chaperone", "short_name": "Chaperone", "start_url": "/m/", "scope": "/m/", "lang": "en",
                "dir": "auto", "display": "standalone", "background_color": "#f3f9f9", "theme_color": "#0b4144", "icons": icons,
                "description": "Live lessons, permissions and news from school, for parents."}
