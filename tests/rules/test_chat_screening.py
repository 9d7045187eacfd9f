"""Chat screening: what is delivered, held or refused, and that ordinary words are left alone (policy: IN6)."""

import random
import string
import time

import pytest

from lessons.live.chat import Lists, Outcome, Screening, Why, addresses, phrase_matcher, screen
from lessons.live.matcher import phrase_automaton

PHRASES = ("damn", "hell", "kill yourself", "ass", "whats your number", "f ck", "fck")
LISTS = Lists("1", phrase_automaton(PHRASES), frozenset({"bbc.co.uk/bitesize", "example.com"}))
HELD_WORD, HELD_LINK, FINE = Screening(Outcome.HELD, Why.WORD), Screening(Outcome.HELD, Why.LINK), Screening(Outcome.DELIVERED)


@pytest.mark.parametrize("text", [
    "damn", "DAMN!", "that damn dog", "d a m n", "d.a.m.n", "d-a-m-n", "da.mn", "d@mn", "D4MN", "daaaamn", "ｄａｍｎ",
    "dámn", "dаmn", "da\u200bmn", "da\u00admn", "I d a m n it", "damn5", "go kill  yourself", "kill your.self",
    "KILL\nYOURSELF", "what's your number?", "f*ck", "f_c_k", "a s s", "@ss", "(damn)", "damn,",
])
def test_a_listed_phrase_is_held_however_it_is_spelt(text):
    assert screen(text, LISTS) == HELD_WORD


@pytest.mark.parametrize("text", [
    "Scunthorpe", "a class of glass", "assess the pass", "Shell and hello", "he'll come", "seashell", "I like maths",
    "assassin", "Is it 7?", "x = 3 + 4", "3.14", "1.5 + 2.5 = 4", "at 10.30", "Dr. Smith", "e.g. this one",
    "Well done. To be fair it was hard.", "Yes. Me too", "Stop. It is over. So what", "A B C", "no.1",
    "the answer is 5/6", "🙂", "ok...", "U.K. and the U.S.A.",
])
def test_ordinary_words_are_delivered(text):
    assert screen(text, LISTS) == FINE


@pytest.mark.parametrize("text", [
    "evil.com", "go to evil . com", "evil dot com now", "evil[dot]com", "evil(dot)com", "http://evil",
    "HTTPS://EVIL.ORG/x", "www.whatever.zz", "discord.gg/abc", "tiktok.com/@ali", "youtu.be/abc",
    "javascript:alert(1)", "data:text/html,x", "10.0.0.1/x", "me@gmail.com", "evil。com", "ev\u200bil.com",
    "bbc.co.uk", "bbc.co.uk/bitesize/../evil", "example.com.evil.com", "t.me/x", "http://example.com@evil.org",
    "tel:0123", "sub.example.com",
])
def test_an_address_that_the_plan_does_not_name_is_held(text):
    assert screen(text, LISTS) == HELD_LINK


@pytest.mark.parametrize("text", [
    "bbc.co.uk/bitesize", "https://www.bbc.co.uk/bitesize", "see http://example.com.", "Example.com", "EXAMPLE . COM",
    "(https://example.com/)",
])
def test_a_previewed_link_is_delivered(text):
    assert screen(text, LISTS) == FINE


def test_nothing_and_too_much_are_refused():
    assert screen("  \n ", LISTS) == Screening(Outcome.REFUSED, Why.EMPTY)
    assert screen("a" * 301, LISTS) == Screening(Outcome.REFUSED, Why.TOO_LONG)
    assert screen("a" * 300, LISTS) == FINE


def test_the_automaton_finds_what_the_plain_matcher_finds():
    dice, plain = random.Random(3), Lists("1", phrase_matcher(PHRASES), LISTS.links)
    for _ in range(3000):
        text = "".join(dice.choices("damnhelkiyoursf cw@.4 1" + string.punctuation, k=dice.randint(1, 40)))
        assert screen(text, LISTS) == screen(text, plain), text


def test_screening_takes_no_time_whatever_is_typed():
    """Quadratic patterns would let one pupil stall the room."""
    for unit in ("a.", "a ", "-", ".", "a.b", "dot ", "http:", "a", "a-", " .", "a\u0301"):
        text = (unit * 300)[:300]
        started = time.process_time()
        screen(text, LISTS)
        assert time.process_time() - started < 0.05, text[:10]


def test_an_address_has_one_form():
    assert addresses("https://WWW.Example.com/ and example . com") == ["example.com", "example.com"]
