"""The media plane: ICE-lite, DTLS-SRTP, RTP forwarding behind the gate. Nothing else knows RTP, and it knows no room."""
