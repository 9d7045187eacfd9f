"""The text of what a family is asked: its sections, what fills its gaps, and the hash by which an answer names it. Pure.

What is kept with an answer is the hash of the text with its gaps open, and what filled them: so every family that read the same
words has the same hash, and what one person read can be put together again, letter for letter (docs/decisions: 101).
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from consent.requests.rules import LONGEST as REQUEST_RUNS
from consent.rules import Purpose
from service.foundation.errors import Conflict, Invalid

SECTIONS = ("what", "safe", "who", "no", "change", "legal")
"""What it is, how it is kept safe, who sees it, what happens instead after a no, how to change one's mind, the legal reason."""
GAPS = ("name", "days", "office", "others")
LANGUAGES: dict[str, str] = {
    "en": "English", "cy": "Cymraeg", "pl": "Polski", "ur": "اردو", "ro": "Română", "ar": "العربية", "so": "Soomaali",
    "uk": "Українська",
}
RIGHT_TO_LEFT = frozenset({"ur", "ar"})
DEFAULT = "en"
LONGEST = 1_500
_GAP = re.compile(r"\{([^{}]*)\}")


class WordsChanged(Conflict):
    """The words have changed since you read them. Read them again before you say yes."""

    code = "words-changed"


@dataclass(frozen=True)
class Section:
    key: str
    heading: str
    words: str


@dataclass(frozen=True)
class Text:
    """One version in one language, with its gaps open."""

    title: str
    sections: tuple[Section, ...]

    def to_json(self) -> str:
        return json.dumps({"title": self.title, "sections": [[s.key, s.heading, s.words] for s in self.sections]},
                          ensure_ascii=False)

    def filled(self, values: Mapping[str, str]) -> "Text":
        """With its gaps closed, as one family reads it."""
        def close(words: str) -> str:
            return _GAP.sub(lambda gap: values.get(gap[1], gap[0]), words)

        return Text(close(self.title), tuple(Section(s.key, close(s.heading), close(s.words)) for s in self.sections))

    def with_parts(self, other: "Text") -> "Text":
        """With the parts of the other in the place of its own of the same name."""
        parts = {section.key: section for section in other.sections}
        return Text(self.title, tuple(parts.get(section.key, section) for section in self.sections))


def text_from(kept: str) -> Text:
    read = json.loads(kept)
    return Text(read["title"], tuple(Section(*each) for each in read["sections"]))


def text_of(table: Mapping[str, object]) -> Text:
    """Of one purpose in a file of `texts/`."""
    return _parts(table, SECTIONS)


def parts_of(table: Mapping[str, object]) -> Text:
    """Of a file of `texts/`, the parts that take the place of others."""
    return _parts(table, tuple(key for key in SECTIONS if key in table))


def _parts(table: Mapping[str, object], keys: tuple[str, ...]) -> Text:
    pairs = {key: table[key] for key in keys}
    return Text(str(table.get("title", "")), tuple(Section(key, *pair) for key, pair in pairs.items()))  # type: ignore[misc]


def tidy(words: str) -> str:
    """One form for the same words, however a browser or an editor sent them."""
    lines = unicodedata.normalize("NFC", words).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(" ".join(line.split()) for line in lines).strip()


def tidied(text: Text) -> Text:
    return Text(tidy(text.title), tuple(Section(s.key, tidy(s.heading), tidy(s.words)) for s in text.sections))


def text_hash(purpose: Purpose, version: int, language: str, text: Text) -> str:
    """SHA-256 of the canonical text: JSON in UTF-8, keys sorted, no spaces, NFC."""
    clean = tidied(text)
    canonical = json.dumps(
        {"format": "chaperone-consent-text/1", "purpose": str(purpose), "version": version, "language": language,
         "title": clean.title, "sections": [[s.key, s.heading, s.words] for s in clean.sections]},
        ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def checked(text: Text, *, knows_others: bool) -> Text:
    """The text tidied, or Invalid with words for each box. `knows_others`: the language has words for who else sees a camera."""
    clean = tidied(text)
    wrong = {"title": "Enter a title"} if not 0 < len(clean.title) <= 120 else {}
    gaps = [gap for gap in GAPS if knows_others or gap != "others"]
    for key in SECTIONS:
        found = next((section for section in clean.sections if section.key == key), None)
        if found is None or not found.words or not found.heading:
            wrong[key] = "Every part is needed: families decide by it"
        elif len(found.words) > LONGEST or len(found.heading) > 60:
            wrong[key] = f"Keep it under {LONGEST} letters"
        elif unknown := [gap for gap in _GAP.findall(found.words + found.heading) if gap not in gaps]:
            wrong[key] = f"Nothing fills {{{unknown[0]}}}. Use {', '.join('{' + gap + '}' for gap in gaps)}"
    if wrong:
        raise Invalid("There is a problem", fields=wrong)
    return clean


def checked_change(changed: str, language: str) -> str:
    """What is different, for families: a version that does not say so is none."""
    if not changed.strip():
        raise Invalid("There is a problem", fields={"changed": "Say what changed, in words for families"})
    if language != DEFAULT:
        raise Invalid("There is a problem", fields={"language": "A version begins in English; add languages to it after that"})
    return tidy(changed)[:500]


def on_form(published: Mapping[int, date], signed_on: date, *, hour_known: bool) -> int:
    """The version that somebody read who answered on that day; 0 where none was kept yet (docs/decisions: 231).

    `published`: the day of each version. What carries a day and no hour was in nobody's hand before it was printed: it counts as
    read before a version of the same day, unless that is the first there is.
    """
    before = [version for version, day in published.items() if day < signed_on or (hour_known and day == signed_on)]
    return max(before, default=min((version for version, day in published.items() if day == signed_on), default=0))


def may_be_older(ended_on: Mapping[int, date], of_day: int, signed_on: date) -> bool:
    """Whether a form that was signed on that day may show older words than `of_day`, which no longer count: it was printed for a
    request, and one of those can run for `REQUEST_RUNS`.

    `ended_on`: the day of each version that ended the answers to earlier ones.
    """
    return any(1 < version <= of_day and signed_on - day <= REQUEST_RUNS for version, day in ended_on.items())
