"""What was typed as a telephone number, and whether it may ever be called (policy: CM1, CM5). Pure.

Numbers are read as written in the United Kingdom; others need their country's code. Sources: ITU-T E.164; Ofcom, numbers for
use in TV and radio drama; the National Telephone Numbering Plan.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

HOME = "GB"
NEVER = frozenset({
    "999", "112", "18000", "101", "111", "105", "119", "116000", "116006", "116111", "116123", "8001111", "8088005000",
    "8082000247",
})
"""Emergency numbers and helplines, as a school in the United Kingdom would write them. A family has none of these."""
DEAR = ("70", "76", "9", "84", "87", "118")
"""Personal numbers, pagers, premium and revenue-sharing services, directory enquiries."""
ISLE_OF_MAN = "7624"  # its mobiles lie inside 076
DRAMA = re.compile(
    r"(?:113|114|115|116|117|118|121|131|141|151|161)4960\d{3}|2079460\d{3}|1914980\d{3}|2896496\d{3}"
    r"|2890180\d{3}|2920180\d{3}|1632960\d{3}|7700900\d{3}|3069990\d{3}")
"""Numbers that nobody has, and that nobody is to have."""
DAY = re.compile(r"(?<!\d)(?:0?[1-9]|[12]\d|3[01])([/.-])(?:0?[1-9]|1[0-2])\1(?:19|20)\d\d(?!\d)")
LONG = re.compile(r"\+?\d(?:(?:[^\w:]|_){0,3}\d){8,}")
CALLABLE = frozenset({
    PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.VOIP,
    PhoneNumberType.UAN,
})


@dataclass(frozen=True)
class Sealed:
    """A number nobody can read: encrypted for its owner, and a keyed hash by which it is found to be the same as another."""

    cipher: str
    hash: str


class Fit(StrEnum):
    """Whether a number may be called. `DRAMA`: by a school whose people are invented, and by no other."""

    GOOD = "good"
    DRAMA = "drama"
    NEVER = "never"


def read(text: str) -> str | None:
    """The number in E.164, or None: what is written is no telephone number at all. Whether it may be called is `fit`'s."""
    tidy = re.sub(r"\(0\)", "", text.strip())
    try:
        found = phonenumbers.parse(tidy, HOME)
    except NumberParseException:
        return None
    if found.extension or not re.fullmatch(r"[+\d\s().\-/]+", tidy):
        return None
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)


def fit(e164: str) -> Fit:
    """Whether a number may be called. What is not known to be somebody's ordinary telephone may not."""
    try:
        found = phonenumbers.parse(e164)
    except NumberParseException:
        return Fit.NEVER
    national = phonenumbers.national_significant_number(found)
    if not phonenumbers.is_possible_number(found):
        return Fit.NEVER
    if found.country_code == 44:
        if national in NEVER or (national.startswith(DEAR) and not national.startswith(ISLE_OF_MAN)):
            return Fit.NEVER
        if DRAMA.fullmatch(national):
            return Fit.DRAMA
    kind = phonenumbers.number_type(found)
    return Fit.GOOD if phonenumbers.is_valid_number(found) and kind in CALLABLE else Fit.NEVER


def is_in(text: str) -> bool:
    """Whether somebody's words hold what may be a telephone number: nine digits or more, whatever signs part them. Days are
    none, and a colon parts the hours of a clock."""
    return LONG.search(DAY.sub("on a day", text)) is not None


def without(text: str) -> str:
    """Somebody's words, with a word in the place of whatever may be a number."""
    return LONG.sub("(a number)", text)


def written(e164: str) -> str:
    """As people write it at home; abroad with the country's code."""
    found = phonenumbers.parse(e164)
    style = phonenumbers.PhoneNumberFormat
    return phonenumbers.format_number(found, style.NATIONAL if found.country_code == 44 else style.INTERNATIONAL)
