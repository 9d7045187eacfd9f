"""The provider's REST interface, as far as a call needs it (Twilio's shapes, 2010-04-01).

A request either was done, or was certainly not (`Declined`), or nobody knows (`NotCertain`). Only what may be done twice is tried
twice. Numbers are in bodies, never in an address: addresses are what everybody logs.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from service.calls.number import Number
from service.calls.rest.account import Account
from service.foundation.errors import Unavailable

SECONDS = 3.0
"""For one request, from the first byte to the last."""
TRIES, PAUSE = 3, 0.2
LONGEST_CALL = 3600
"""Seconds after which the provider ends a call by itself, whatever became of us."""
ON = ("queued", "ringing", "in-progress")


class Declined(Unavailable):
    """The telephone provider did not do it. Try again in a minute, or ask the office to ring."""

    code = "provider-declined"


class NotCertain(Unavailable):
    """The telephone provider did not answer, so nobody knows what it did."""

    code = "provider-not-certain"


@dataclass(frozen=True)
class Rung:
    """One telephone's call at the provider. `ours`: placed through this interface, from the school's number."""

    sid: str
    status: str
    ours: bool


class Api:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._base = f"{account.url}/2010-04-01/Accounts/{account.sid}"
        self._client = httpx.AsyncClient(auth=(account.sid, account.token), timeout=SECONDS, follow_redirects=False)

    async def ring(self, to: Number, *, answered: str, status: str, seconds: int) -> str:
        """Ring a telephone from the school's number, once. Returns the call's sid."""
        found = await self._ask("POST", "/Calls.json", {
            "To": to.e164, "From": self._account.number.e164, "Url": answered, "Method": "POST", "StatusCallback": status,
            "StatusCallbackMethod": "POST", "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
            "Timeout": str(seconds), "TimeLimit": str(LONGEST_CALL), "Record": "false"})
        return self._rung(found).sid

    async def send(self, to: Number, words: str, status: str) -> None:
        """Send a text from the school's number, once: it has no key that would make a second request harmless."""
        found = await self._ask("POST", "/Messages.json", {
            "To": to.e164, "From": self._account.number.e164, "Body": words, "StatusCallback": status})
        if not str(found.get("sid", "")).startswith(("SM", "MM")):
            raise NotCertain

    async def tell(self, sid: str, words: str) -> None:
        """Give a telephone that is on new words, at once. Not twice: what comes late would undo what came after it."""
        await self._ask("POST", f"/Calls/{sid}.json", {"Twiml": words})

    async def end(self, sid: str) -> None:
        """Returns once it is certain that this telephone is not on."""
        try:
            await self._again("POST", f"/Calls/{sid}.json", {"Status": "completed"})
        except Declined:
            if (await self.look(sid)).status in ON:
                raise NotCertain from None

    async def look(self, sid: str) -> Rung:
        return self._rung(await self._again("GET", f"/Calls/{sid}.json"))

    async def on_now(self) -> list[Rung]:
        """Every call that the account has on."""
        found: list[Rung] = []
        for status in ON:
            page = (await self._again("GET", f"/Calls.json?Status={status}&PageSize=1000")).get("calls")
            if not isinstance(page, list):
                raise NotCertain
            found += map(self._rung, page)
        return found

    async def is_open(self) -> bool:
        """Whether the account can be used."""
        return bool((await self._ask("GET", ".json")).get("status") == "active")

    async def close(self) -> None:
        await self._client.aclose()

    def _rung(self, found: dict[str, Any]) -> Rung:
        try:
            sid, status = str(found["sid"]), str(found["status"])
            ours = found["direction"] == "outbound-api" and found["from"] == self._account.number.e164
        except (KeyError, TypeError):
            raise NotCertain from None
        if not (sid.startswith("CA") and sid.isalnum()):
            raise NotCertain
        return Rung(sid, status, ours)

    async def _again(self, method: str, path: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
        """What may be asked twice, a few times."""
        for attempt in range(TRIES):
            try:
                return await self._ask(method, path, form)
            except NotCertain:
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(PAUSE * 2 ** attempt)
        raise NotCertain

    async def _ask(self, method: str, path: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with asyncio.timeout(SECONDS):
                answer = await self._client.request(method, self._base + path, data=form)
            if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429):
                raise Declined
            found = answer.raise_for_status().json() if answer.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
            raise NotCertain from None  # what httpx says would carry the request
        if not isinstance(found, dict):
            raise NotCertain
        return found
