"""Notices on a phone's locked screen: Web Push, encrypted for that phone, and never a word about a child."""
