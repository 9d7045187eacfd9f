"""Parents' phones: invited by the office, opened by a passkey, signed in by tokens that no other device can use (T19, T20)."""
