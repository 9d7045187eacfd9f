"""The demo school with a hosted provider, and what stands between the two."""

from dataclasses import dataclass

from tests.calls.provider import Provider
from tests.home_calls import Family


@dataclass
class Home:
    family: Family
    beyond: Provider

    async def by_telephone(self) -> str:
        return await self.family.asked(by="telephone")


class Later:
    """An application that is reached before it is made."""

    app = None

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)
