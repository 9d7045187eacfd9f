"""Every word of the parents' app is in a catalogue, in every language, and none is in its code."""

import json
import re
from typing import Any

import pytest

from mobile_api.pwa.shell import HERE, Shell

CATALOGUES: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in (HERE / "words").glob("*.json")}
SCRIPTS = {path.name: path.read_text() for path in [*HERE.glob("*.js"), *HERE.glob("pages/*.js")] if path.name != "sw.js"}
ENGLISH = CATALOGUES["en"]["words"]
OTHERS = [code for code in CATALOGUES if code != "en"]
SAID = re.compile(r'\}, "[^"]*[A-Za-z]{2}|"[A-Z][a-z]+ [a-z]')
"""A sentence in code: words as the child of an element, or a capital letter with words after it."""


def gaps(words: str | dict[str, str]) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", words if isinstance(words, str) else words["other"]))


@pytest.mark.parametrize("code", OTHERS)
def test_every_language_says_everything_that_english_says(code: str) -> None:
    words = CATALOGUES[code]["words"]
    assert words.keys() == ENGLISH.keys()
    assert [key for key in words if gaps(words[key]) != gaps(ENGLISH[key])] == []
    assert [key for key in words if isinstance(words[key], str) != isinstance(ENGLISH[key], str)] == []
    assert [key for key, said in words.items() if not said or said == ""] == []


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_that_nobody_reviewed_is_a_draft(code: str) -> None:
    assert CATALOGUES[code]["meta"]["draft"] is True
    assert CATALOGUES["en"]["meta"]["draft"] is False


def test_english_comes_first_among_the_languages() -> None:
    assert [one.code for one in Shell().languages] == ["en", *sorted(OTHERS)]


def used() -> tuple[set[str], set[str]]:
    """Keys that code names, and beginnings of keys that it completes."""
    whole, begun = set(), set()
    for text in SCRIPTS.values():
        whole |= {key for key in re.findall(r'"([a-z][\w.-]*)"', text) if key in ENGLISH}
        begun |= set(re.findall(r"`([a-z-]+(?:\.[a-z-]+)*\.)\$\{", text))
    return whole, begun


def test_every_key_that_is_named_has_words_and_every_word_is_used() -> None:
    whole, begun = used()
    named = {key for text in SCRIPTS.values() for key in re.findall(r'\bt\("([\w.-]+)"', text)}
    assert named - ENGLISH.keys() == set()
    only_in_notices = {key for key in ENGLISH if key.startswith("notice.")}
    assert [key for key in ENGLISH.keys() - whole - only_in_notices if not any(key.startswith(each) for each in begun)] == []


def test_no_words_are_written_into_the_pages() -> None:
    assert {name: SAID.findall(text) for name, text in SCRIPTS.items() if SAID.search(text)} == {}


def test_words_in_a_page_would_be_found() -> None:
    assert SAID.search('h("p", {}, "Hello")')
    assert SAID.search('const words = "Nothing is here";')


def test_the_sentences_of_notices_are_the_schools_own() -> None:
    from service.foundation.mail import TEXTS

    assert {f"notice.{key}": words for key, words in TEXTS.items()} == {
        key: words for key, words in ENGLISH.items() if key.startswith("notice.")}
