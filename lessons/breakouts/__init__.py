"""Breakout rooms: lessons of their own inside a lesson, each with its own adult, roster, recording and journal."""
