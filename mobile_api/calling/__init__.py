"""Calls in the parents' app: a way of telephoning over the internet, through our own media plane (docs/calling.md).

    rules   for how long an app rings, and what ends a call that is on; pure
    call    one call: who rings, who answered, and what is told of it
    way     `service.calls.way.Way` over the apps that are open
    line    the socket of an open app
"""
