"""Whether the provider said it: HMAC-SHA1 over the address that we gave it and the sorted fields (X-Twilio-Signature). Pure.

SHA-1 is the provider's choice; as HMAC it has no known forgery (RFC 6194).
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import parse_qsl

LONGEST, LONGEST_TEXT = 8192, 16_384
"""Bytes of a body about a telephone, which has about a thousand; and of one with somebody's words in any script."""
MOST_FIELDS = 100


def fields_of(body: bytes, longest: int = LONGEST) -> list[tuple[str, str]] | None:
    """The form's fields; None for what is no form, too long, or says a name twice, which a real one never does."""
    if len(body) > longest:
        return None
    try:
        found = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_FIELDS,
                          errors="strict")
    except ValueError:
        return None
    return found if len(dict(found)) == len(found) else None


def signed(token: str, url: str, fields: Iterable[tuple[str, str]]) -> str:
    said = url + "".join(name + value for name, value in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()).decode()


def is_signed(token: str, url: str, fields: Iterable[tuple[str, str]], signature: str) -> bool:
    return hmac.compare_digest(signed(token, url, fields).encode(), signature.encode())
