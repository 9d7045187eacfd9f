"""What the school says of its account with a hosted provider, checked once at the start, in words for a technician."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from service.calls.number import Number
from service.foundation.errors import Invalid
from service.foundation.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost")
_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


class ProviderInvalid(Invalid):
    """The settings of the telephone provider cannot be used."""

    code = "provider-invalid"


@dataclass(frozen=True)
class Account:
    """url: the one place that is ever asked; sid: the account; token: signs in, and signs what the provider tells us.

    number     the school's own, in E.164: the only one that anybody is shown
    message    for answering machines: words that the provider reads out, or the https address of a recording
    origin     our own public address, as the provider reaches it
    """

    url: str
    sid: str
    token: str = field(repr=False)
    number: Number
    message: str
    origin: str


def account_of(settings: Settings) -> Account | None:
    """The school's account; none where no provider is set. Raises ProviderInvalid with every fault at once, and no secret."""
    if not settings.provider_url:
        return None
    faults: list[str] = []
    token = ""
    try:
        token = settings.provider_token_file.read_text().strip() if settings.provider_token_file else ""
    except (OSError, UnicodeDecodeError):
        faults.append("CHAPERONE_PROVIDER_TOKEN_FILE cannot be read.")
    account = Account(settings.provider_url.rstrip("/"), settings.provider_account, token, Number(settings.provider_number),
                      settings.provider_message.strip(), settings.origin)
    faults += _faults_of(account)
    if faults:
        raise ProviderInvalid(" ".join(faults))
    return account


def _faults_of(account: Account) -> list[str]:
    fits = {
        "PROVIDER_URL must be an https address without a path, such as https://api.provider.example.": _is_base(account.url),
        "PROVIDER_ACCOUNT must be the account’s id: AC and 32 digits.": _SID.fullmatch(account.sid),
        "PROVIDER_TOKEN_FILE must have the account’s token.": bool(account.token),
        "PROVIDER_NUMBER must be the school’s number with its plus sign, such as +441632960001.":
            _E164.fullmatch(account.number.e164),
        "PROVIDER_MESSAGE must be words, 500 letters at most, or the https address of a recording.":
            0 < len(account.message) <= 500 and not account.message.startswith("http://"),
        "PUBLIC_URL must be the https address at which the provider reaches this service.": _is_base(account.origin)
            and account.origin.startswith("https://" if account.url.startswith("https://") else "http"),
    }
    return [f"CHAPERONE_{words}" for words, fit in fits.items() if not fit]


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        return secure and url == f"{parts.scheme}://{parts.netloc}" and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False
