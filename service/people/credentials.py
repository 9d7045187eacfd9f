"""What people prove themselves with: passwords, badge codes and PINs. Pure: what is good enough, and who is locked out."""

import re
import secrets
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from service.foundation.errors import Invalid

# -- passwords (policy: AC9) ------------------------------------------------------------------------------------------

SHORTEST, LONGEST = 12, 128
PASSWORD_TRIES = 10
LOCKED_FOR = timedelta(minutes=15)
RESET_LASTS = timedelta(days=3)
COMMON = (
    "password", "passwort", "letmein", "welcome", "qwerty", "qwertyuiop", "asdfghjkl", "zxcvbnm", "iloveyou", "monkey", "dragon",
    "football", "baseball", "sunshine", "princess", "superman", "batman", "trustno", "shadow", "master", "michael", "jordan",
    "liverpool", "arsenal", "chelsea", "manchester", "united", "london", "england", "summer", "winter", "spring", "autumn",
    "january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december", "monday",
    "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "secret", "admin", "administrator", "login", "changeme",
    "teacher", "school", "pupil", "student", "headteacher", "chaperone", "lesson", "lessons", "primary", "academy", "college",
    "education", "charlie", "thomas", "george", "jessica", "ashley", "hello", "flower", "chocolate", "cheese", "computer",
    "internet", "killer", "pokemon", "starwars", "whatever", "freedom", "mustang", "harley", "hunter", "ranger", "buster",
    "soccer", "hockey", "tigger", "pepper", "ginger", "family", "mother", "father", "christmas", "correcthorsebatterystaple",
)
RUNS = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm", "01234567890", "09876543210")
UNLEET = str.maketrans("013457@$!", "oieastasi")


def checked_password(password: str, words: Iterable[str] = ()) -> str:
    """`password` as it is hashed (NFKC), or Invalid. `words`: the school's and the person's own names.

    Length and what an attacker would try first decide; there are no composition rules (NIST SP 800-63B-4 section 3.1.1.2).
    """
    normal = unicodedata.normalize("NFKC", password)
    if len(normal) < SHORTEST:
        raise Invalid(fields={"password": f"Use {SHORTEST} characters or more. Three random words make a good password"})
    if len(normal) > LONGEST:
        raise Invalid(fields={"password": f"Use {LONGEST} characters or fewer"})
    if _is_easy(normal, words):
        raise Invalid(fields={"password": "This password is easy to guess. Try three random words"})
    return normal


def _is_easy(password: str, words: Iterable[str]) -> bool:
    """Whether little is left once common words, the names around the person, runs and repeats are taken away."""
    plain = _plain(password)
    known = {_plain(part) for word in words for part in re.split(r"[\W_]+", word)} | set(COMMON)
    for text in (plain, re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain).translate(UNLEET)):
        for word in sorted(known, key=len, reverse=True):
            text = text.replace(word, " ") if len(word) > 2 else text
        left = "".join(run for run in re.split(r"[\W_]+", text) if not _is_run(run))
        if len(set(left)) < 5:
            return True
    return False


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def _is_run(text: str) -> bool:
    return text.isdigit() or any(text in run or text in run[::-1] for run in RUNS)


def locked_until(failures: int, now: datetime) -> datetime | None:
    """Until when an account is closed after `failures` wrong passwords in a row; None while there are tries left."""
    return now + LOCKED_FOR if failures >= PASSWORD_TRIES else None


# -- badges and PINs (policy: AC1) ------------------------------------------------------------------------------------

PIN_TRIES = 5
PICTURES = ("sun", "moon", "star", "tree", "fish", "house", "boat", "apple", "ball", "cup", "key", "kite")
ANIMALS = ("cat", "dog", "fox", "owl", "bear", "rabbit", "frog", "pig", "lion", "panda", "koala", "mouse")
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O or U to mistake
CODE_LETTERS = 16  # 80 random bits
ALIKE = str.maketrans({"O": "0", "I": "1", "L": "1", "U": "V"})


def new_code() -> str:
    """A badge's secret, short enough for a patient grown-up to type: “K7QF-2M9D-XT4B-8WZC”."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(CODE_LETTERS))
    return "-".join(letters[at:at + 4] for at in range(0, CODE_LETTERS, 4))


def normal_code(typed: str) -> str:
    """`typed` as the code it was meant to be; empty when it cannot be one."""
    letters = re.sub(r"[\s-]", "", typed).upper().translate(ALIKE)
    return letters if len(letters) == CODE_LETTERS and set(letters) <= set(LETTERS) else ""


def pin_kind(born_on: date | None, year_group: str, today: date) -> str:
    """`pictures` for ages 5 to 7, for whom six numbers are a lot to remember; else `numbers`."""
    if born_on is not None:
        age = today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))
        return "pictures" if age <= 7 else "numbers"
    return "pictures" if year_group.upper() in ("N", "R", "1", "2") else "numbers"


def new_pin(kind: str) -> str:
    """Six numbers, or three pictures by name with a space between. Numbers that everybody tries first are never given."""
    if kind == "pictures":
        return " ".join(secrets.choice(PICTURES) for _ in range(3))
    while True:
        pin = f"{secrets.randbelow(1_000_000):06}"
        if len(set(pin)) > 2 and pin not in "01234567890" and pin not in "09876543210":
            return pin


def normal_pin(kind: str, parts: Iterable[str]) -> str:
    """What the pupil chose, as `new_pin` writes it."""
    given = [part.strip().lower() for part in parts]
    return " ".join(given) if kind == "pictures" else "".join("".join(given).split())
