"""Families' telephone numbers on their way into the database: sealed before anything is written (policy: CM1, CM5).

What comes out of here is ciphertext and a keyed hash, by which two numbers are found to be the same and neither can be read. The
key is the installation's own, beside the database and never in it; the ciphertext is bound to the school and to whose number it
is, so that moved to another row it opens for nobody. Only `service.calls.numbers` opens one.
"""

from service.people import telephones
from service.people.hashing import Pepper
from service.people.telephones import Sealed

PURPOSE = "telephone"


def sealed(pepper: Pepper, school_id: str, owner: str, text: str) -> Sealed | None:
    """Seal what was written as somebody's number. None: it is no number that may be called; it is said without repeating it."""
    e164 = telephones.read(text)
    if e164 is None or telephones.fit(e164) is telephones.Fit.NEVER:
        return None
    return Sealed(pepper.seal(PURPOSE, bound(school_id, owner), e164), pepper.secret(PURPOSE, school_id, e164))


def moved(pepper: Pepper, school_id: str, one: Sealed, before: str, after: str) -> Sealed:
    """The same number, bound to the person whom the school's own id turned out to be."""
    return Sealed(pepper.seal(PURPOSE, bound(school_id, after), pepper.unseal(PURPOSE, bound(school_id, before), one.cipher)),
                  one.hash)


def bound(school_id: str, owner: str) -> str:
    return f"{school_id}/{owner}"
