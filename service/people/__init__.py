"""Persons, roles, sessions, roster import, badges, the DBS register."""
