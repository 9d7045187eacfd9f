"""What carries this school's calls: its SIP trunk, or a hosted provider; one of the two, or nothing."""

from service.calls.rest import way as rest
from service.calls.rest.way import RestWay
from service.calls.sip import way as sip
from service.calls.sip.way import SipWay
from service.foundation.errors import Invalid
from service.foundation.settings import Settings


class TwoWays(Invalid):
    """A SIP trunk and a telephone provider are both set. Set CHAPERONE_TRUNK_HOST or CHAPERONE_PROVIDER_URL, not both."""

    code = "two-ways"


def way_of(settings: Settings) -> SipWay | RestWay | None:
    """Not opened yet. Raises Invalid in words for a technician, without any secret."""
    if settings.trunk_host and settings.provider_url:
        raise TwoWays
    return sip.way_of(settings) or rest.way_of(settings)
