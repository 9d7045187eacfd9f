"""Phrases found by one automaton however long the list is; the pure screening of `chat` is given it."""

from collections.abc import Iterable

from ahocorasick_rs import AhoCorasick

from lessons.live.chat import Matcher, plain


def phrase_automaton(phrases: Iterable[str]) -> Matcher:
    """A matcher of all `phrases`, each brought into plain form first; empty ones are left out."""
    wanted = sorted({p for p in map(plain, phrases) if p})
    if not wanted:
        return lambda text: ()
    automaton = AhoCorasick(wanted)
    return lambda text: [(start, end) for _, start, end in automaton.find_matches_as_indexes(text, overlapping=True)]
