"""Is a chat message delivered, held for staff, or refused? A pure screening by the school's versioned lists
(policy: RL6, RL8, RL10, IN6).

A phrase matches whole words only, after the spellings that hide a word are undone, so that Scunthorpe may be written and
"s.h.i t" may not. Finding phrases is injected (`Matcher`), since the fast automaton is not the standard library's.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

LONGEST = 300
BURST, BURST_SECONDS = 5, 10.0

Matcher = Callable[[str], Iterable[tuple[int, int]]]
"""All spans (start, end) in a text at which a listed phrase occurs, overlapping ones too."""


class Outcome(StrEnum):
    DELIVERED = "delivered"
    HELD = "held"
    REFUSED = "refused"


class Why(StrEnum):
    FINE = ""
    WORD = "word"
    LINK = "link"
    EMPTY = "empty"
    TOO_LONG = "too-long"


@dataclass(frozen=True)
class Screening:
    """`is_urgent`: somebody may not be safe, so more people than the staff in the room must know."""

    outcome: Outcome
    why: Why = Why.FINE
    is_urgent: bool = False


@dataclass(frozen=True)
class Lists:
    """One version of a school's lists. `phrases` are already in `plain` form; `links` are the lesson's previewed ones."""

    version: str
    matcher: Matcher
    links: frozenset[str] = frozenset()
    urgent: Matcher = lambda text: ()


def screen(text: str, lists: Lists) -> Screening:
    """Decide about one message: what may be a cry for help first, then addresses, then words."""
    if not text.strip():
        return Screening(Outcome.REFUSED, Why.EMPTY)
    if len(text) > LONGEST or len(unicodedata.normalize("NFKC", text)) > LONGEST:  # one sign can stand for many letters
        return Screening(Outcome.REFUSED, Why.TOO_LONG)
    forms = plain_forms(text)
    if any(_has_phrase(form, lists.urgent) for form in forms):
        return Screening(Outcome.HELD, Why.WORD, is_urgent=True)
    if any(address not in lists.links for address in addresses(text)):
        return Screening(Outcome.HELD, Why.LINK)
    if any(_has_phrase(form, lists.matcher) for form in forms):
        return Screening(Outcome.HELD, Why.WORD)
    return Screening(Outcome.DELIVERED)


# Finding words

_DIGITS = str.maketrans("0134578@$€£", "oieastbasel")
_SIGNS = {"!": "i", "|": "i", "+": "t"}
_SIGN_INSIDE = re.compile(r"[!|+](?=[a-z])")
_MARKS = re.compile(r"[\u0300-\u036f\u200b-\u200f\u2060\ufeff\u00ad]")
_LOOKALIKES = str.maketrans("аеорсухіѕјԁԛԝɡıαεικνορτυχ", "aeopcyxisjdqwgiaeikvoptux")
_SPELT_OUT = re.compile(r"(?<![a-z])(?:[a-z][\W_]+){2,}[a-z](?![a-z])")
_INSIDE = re.compile(r"(?<=[a-z])(?!['’]ll\b)[.\-_*'’`~·•]+(?=[a-z])")
_REPEATED = re.compile(r"([a-z])\1{2,}")
_NOT_LETTERS = re.compile(r"[^a-z]+")


def plain(text: str) -> str:
    """Lower-case words of a to z with single spaces: full-width, accented, look-alike and invisible letters undone."""
    return _NOT_LETTERS.sub(" ", _latin(text)).strip()


def plain_forms(text: str) -> list[str]:
    """The readings of a text that a person would see: as it stands, digits and signs read as letters, words parted by
    dots or spelt out letter by letter put together, and drawn-out letters shortened."""
    latin = _latin(text)
    leet = _SIGN_INSIDE.sub(lambda m: _SIGNS[m.group()], latin).translate(_DIGITS)
    forms = [f for form in (latin, leet) for f in (form, _INSIDE.sub("", form), *_spelt_out(form))]
    forms += [_REPEATED.sub(short, f) for f in forms for short in (r"\1", r"\1\1")]
    return list(dict.fromkeys(_NOT_LETTERS.sub(" ", f).strip() for f in forms))


def _latin(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return _MARKS.sub("", decomposed).translate(_LOOKALIKES)


def _spelt_out(text: str) -> list[str]:
    """Runs of single letters as one word; and without the first or last letter, which may be a word such as "I"."""
    runs = [_NOT_LETTERS.sub("", m.group()) for m in _SPELT_OUT.finditer(text)]
    return [part for run in runs for part in (run, run[1:], run[:-1])]


def _has_phrase(text: str, matcher: Matcher) -> bool:
    """A phrase counts only between word boundaries: `text` has letters and single spaces, nothing else."""
    padded = f" {text} "
    return any(padded[start - 1] == " " and padded[end] == " " for start, end in matcher(padded) if start > 0)


def phrase_matcher(phrases: Iterable[str]) -> Matcher:
    """A matcher of the standard library alone, for tests and short lists."""
    wanted = [p for p in (plain(phrase) for phrase in phrases) if p]
    patterns = [re.compile(re.escape(p)) for p in wanted]
    return lambda text: [m.span() for pattern in patterns for m in pattern.finditer(text)]


# Finding addresses

_TLDS = (
    "com|org|net|edu|be|ch|se|dk|fi|at|pt|in|br|gov|info|biz|io|co|uk|eu|de|fr|es|it|nl|pl|ru|cn|jp|us|ca|au|nz|ie|me|tv|gg|ly|to|cc|xyz|app|dev|ai|"
    "site|online|shop|club|live|link|chat|fun|games|top|vip|icu|wiki|page|social|video|stream|sch|ac"
)
_DOT = r"(?:\s*(?:\.|。|．|｡|․|\(dot\)|\[dot\]|\{dot\}|(?<=\s)dot(?=\s))\s*)"
_TIGHT = r"(?:\.|。|．|｡|․)"
_HOST = re.compile(
    rf"(?:(?P<scheme>[a-z][a-z0-9+.-]{{1,10}}):/*\s*/*)?(?P<host>(?:[a-z0-9-]+{_TIGHT})*[a-z0-9-]+{_DOT}(?:{_TLDS}))"
    r"(?![a-z0-9-])(?P<rest>(?::\d+)?(?:[/?#][^\s<>\"]*)?)",
)
_OTHER = re.compile(
    r"(?:https?|ftp|data|javascript|file|tel|sms|mailto|intent):\S+"
    r"|(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])\S*"
    r"|\bwww\.\S+"
    r"|\b[a-z0-9-]+\.[a-z]{2,}/\S+"
)
_ALSO_WORDS = re.compile(
    "to|it|me|us|de|is|in|so|co|fun|games|top|live|link|chat|page|video|online|shop|club|app|info|site|wiki|social|stream|es|"
    "ca|ie|ai"
)


def addresses(text: str) -> list[str]:
    """Web addresses in a text, in the form of `address`; written "example . com", "example dot com" or bare as well."""
    folded = unicodedata.normalize("NFKC", _MARKS.sub("", text)).lower()
    found = [address(m.group()) for m in _HOST.finditer(folded) if _meant_as_address(m)]
    rest = _HOST.sub(" ", folded)
    return found + [address(m.group()) for m in _OTHER.finditer(rest)]


def _meant_as_address(m: re.Match[str]) -> bool:
    """ "I like it. To be fair" is two sentences: a space after a plain full stop is no address unless .com-like."""
    loose = re.search(r"\s", m["host"]) is not None
    ordinary_word = _ALSO_WORDS.fullmatch(re.split(r"[^a-z]", m["host"])[-1])
    return not (loose and ordinary_word and not m["scheme"] and not m["rest"])


def address(written: str) -> str:
    """One form for one address: host and path, lower-case host, no scheme, `www.` or final slash."""
    squeezed = re.sub(r"\s+", "", re.sub(_DOT, ".", written.strip()))
    squeezed = re.sub(r"^[a-z][a-z0-9+-]*:/*", "", squeezed, flags=re.IGNORECASE)
    host, slash, path = squeezed.partition("/")
    return (host.lower().removeprefix("www.") + slash + path).lower().rstrip("/.,;:!?)")
