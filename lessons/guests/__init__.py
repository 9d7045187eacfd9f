"""Guests: speakers, agency interpreters, outside tutors. In a room by a pass, never the school's adult (policy: AC7)."""
