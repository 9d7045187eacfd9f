"""Calls from a browser through a SIP trunk: Debian's Janus, our relay for the sound, and kamailio as the trunk's edge.

    trunk       what the school says of its trunk
    sdp         what of a session description is let through
    relay       the sound of one call, and the gate in it
    edge        kamailio: its configuration, and what it tells us
    janus       a client of Janus
    processes   both programs, started, watched and ended
    way         `service.calls.way.Way` over all of it
"""
