"""docs/supervision.md is what the code does: every number is the code's, and every test that it names is there."""

import importlib
import re
from types import ModuleType

from service.selftest.questions import QUESTIONS
from tests.architecture.files import ROOT

PAGE = (ROOT / "docs" / "supervision.md").read_text()
ROW = re.compile(r"^\| `([\w.]+)\.([A-Z_]+)` \| ([\d.]+) \|", re.M)
CITED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_deadline_on_the_page_is_the_code_s() -> None:
    said = {(module, name): float(seconds) for module, name, seconds in ROW.findall(PAGE)}
    assert len(said) > 10
    assert said == {(module, name): float(getattr(importlib.import_module(module), name)) for module, name in said}


def test_every_deadline_of_the_rule_is_on_the_page() -> None:
    rule: ModuleType = importlib.import_module("lessons.live.supervision")
    seconds = {name for name, value in vars(rule).items() if name.isupper() and isinstance(value, float)} - {"inf"}
    assert seconds == {name for module, name, _ in ROW.findall(PAGE) if module == rule.__name__}


def test_every_deadline_names_a_test_and_every_test_that_is_named_exists() -> None:
    for line in PAGE.splitlines():
        if ROW.match(line):
            assert CITED.search(line), line
    missing = [f"{path}::{name}" for path, name in CITED.findall(PAGE)
               if not re.search(rf"^(?:async )?def {name}\(", (ROOT / path).read_text(), re.M)]
    assert missing == []


def test_the_times_of_the_plain_page_are_those_of_the_rule() -> None:
    from lessons.live.supervision import AGAIN_STEADY, FIRST_STEADY

    said = set(re.findall(r"for ([\d.]+) seconds?", PAGE.partition("## For an engineer")[0]))
    assert said == {f"{FIRST_STEADY:g}", f"{AGAIN_STEADY:g}"}


def test_it_names_every_question_of_the_self_test() -> None:
    text = " ".join(PAGE.split())
    assert [question.words for question in QUESTIONS if question.words not in text] == []
