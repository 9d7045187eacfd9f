"""The media plane: who is routed to whom is decided above; here packets are received, recorded and forwarded, undecoded.

    plane        Plane and MediaRoom: what the live host uses
    gate         the lease that every forwarded packet asks
    port         one port number: UDP and ICE-TCP sockets for every local address
    transport    one peer connection: ICE-lite agent, DTLS, SRTP
    uplink       what a participant sends: sections, layers, repair, feedback
    source       one microphone, camera or screen: to the record, then to its viewers
    downlink     what a participant receives: offers, streams, layer choice
    adapter      the only file that knows aiortc's and pylibsrtp's private names
"""
