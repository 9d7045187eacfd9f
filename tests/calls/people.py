"""Who is in these tests, and the tones that they are known by."""

SCHOOL, PARENT = "+441632960001", "+441632960777"
TRUNK = "192.0.2.2"
TEACHER = ("Hall", "teacher-17", "+447700900123", "home-laptop")
"""What no trunk may ever see: a teacher's name, id, number and machine."""
HEARD, SAID, MESSAGE = 1000.0, 440.0, 620.0
"""Hertz of the caller's tone, of the callee's, and of the school's message."""
