"""What a technician asks before the first call: each answer is found by doing it, and nobody is rung."""

from service.calls.carrying import way_of
from service.calls.finding import Finding
from service.calls.rest import asked as rest
from service.calls.sip import asked as sip
from service.calls.sip.way import SipWay
from service.foundation.errors import SafeguardError
from service.foundation.settings import Settings


async def check(settings: Settings) -> list[Finding]:
    """In order; what cannot be asked because of an earlier fault is left out."""
    try:
        way = way_of(settings)
    except SafeguardError as invalid:
        return [Finding(False, invalid.message)]
    if way is None:
        return [Finding(False, "No trunk (CHAPERONE_TRUNK_HOST) and no provider (CHAPERONE_PROVIDER_URL) is set: families cannot "
                               "be called.")]
    asked = await (sip.ask(way) if isinstance(way, SipWay) else rest.ask(way))
    return [Finding(True, "The settings can be used."), *asked]
