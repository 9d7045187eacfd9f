"""What a technician asks of the provider; nobody is rung, and no call that is on is touched."""

from service.calls.finding import Finding
from service.calls.rest.way import RestWay


async def ask(way: RestWay) -> list[Finding]:
    try:
        faults = await way.faults()
    finally:
        await way.close()
    return [Finding(False, fault) for fault in faults] or [
        Finding(True, "The telephone provider answers, and knows this account and its token.")]
