"""What a technician asks of the trunk: it starts the gateway for a moment, and rings nobody."""

import asyncio
import ssl

from service.calls.finding import Finding
from service.calls.sip.trunk import Trunk, TrunkInvalid
from service.calls.sip.way import SipWay
from service.foundation.errors import SafeguardError

SECONDS = 8.0


async def ask(way: SipWay) -> list[Finding]:
    """In order; what cannot be asked because of an earlier fault is left out."""
    found = []
    if way.trunk.transport == "tls":
        found.append(await _certificate(way.trunk))
    try:
        await way.open()
    except (SafeguardError, TrunkInvalid) as failed:
        return [*found, Finding(False, failed.message)]
    try:
        found.append(Finding(True, "Janus and kamailio start with what was written for them, and answer."))
        status = await way.trunk_answers()
        found.append(Finding(status != 0, f"The trunk answers (SIP {status})." if status else
                             "The trunk does not answer. Is its address right, and does the firewall let SIP out and in?"))
    finally:
        await way.close()
    found.append(Finding(bool(way.trunk.office), "A family that rings back reaches the office." if way.trunk.office else
                         "Nobody answers a family that rings back (CHAPERONE_TRUNK_OFFICE)."))
    found.append(Finding(way.message is not None, "There is a message for answering machines." if way.message else
                         "There is no message for answering machines (CHAPERONE_TRUNK_MESSAGE)."))
    return found


async def _certificate(trunk: Trunk) -> Finding:
    """kamailio asks who signed the certificate, not whom it names; so that is asked here."""
    try:
        trusted = ssl.create_default_context(cafile=str(trunk.ca_file) if trunk.ca_file else None)
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(trunk.host, trunk.port, ssl=trusted, server_hostname=trunk.host)
        writer.close()
    except (OSError, TimeoutError) as failed:
        why = failed.verify_message if isinstance(failed, ssl.SSLCertVerificationError) else "nothing answers with TLS"
        return Finding(False, f"The trunk's certificate is not to be believed: {why}.")
    return Finding(True, "The trunk's certificate names it, and was signed by whom we trust.")
