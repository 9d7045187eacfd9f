"""The texts that the product brings: one file a language, read once. A school's own are in its database."""

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from consent.documents.rules import DEFAULT, Text, parts_of, text_of
from consent.rules import Purpose

HERE = Path(__file__).parent


@lru_cache
def _file(language: str) -> dict[str, Any]:
    path = HERE / f"{language}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def languages() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.toml"))


def default(purpose: Purpose, language: str) -> Text | None:
    """Version 1 of one purpose; None where the language has none yet."""
    found = _file(language).get(purpose)
    return text_of(found) if found else None


def under_public_task(language: str) -> Text:
    """What the text about recording says where that is the school's public task; in English where the language has no words."""
    return parts_of(_file(language).get("public_task") or _file(DEFAULT)["public_task"])


def others(language: str, *, seen: bool) -> str:
    """Who else sees a camera, in words; empty where the language has none."""
    return str(_file(language).get("words", {}).get("others_yes" if seen else "others_no", ""))
