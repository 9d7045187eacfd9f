"""An event that stands twice in the wiring would lose the reactions of its first line, silently."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import service.wiring


def events(table: ast.Dict) -> Iterator[str]:
    """Every event that is a key, those of `**dict.fromkeys((…), …)` among them."""
    for key, value in zip(table.keys, table.values, strict=True):
        if key is not None:
            yield ast.unparse(key)
        elif isinstance(value, ast.Call) and isinstance(value.args[0], ast.Tuple):
            yield from map(ast.unparse, value.args[0].elts)


def twice(source: str, name: str) -> list[str]:
    (table,) = (node.value for node in ast.parse(source).body
                if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and isinstance(node.value, ast.Dict))
    return [event for event, times in Counter(events(table)).items() if times > 1]


@pytest.mark.parametrize("name", ["CLOSING", "IN_TRANSACTION"])
def test_each_event_has_one_line_of_reactions(name: str) -> None:
    assert twice(Path(service.wiring.__file__).read_text(), name) == []


def test_a_second_line_is_noticed() -> None:
    assert twice("T: dict = {A: 1, b.C: 2, **dict.fromkeys((b.C, D), 3)}", "T") == ["b.C"]
