"""The impact assessment describes what is really kept and who really sees it (policy: AC5)."""

import importlib

from sqlmodel import SQLModel

from service.app import ROUTERS
from service.people.frame import audiences
from service.safeguarding.impact.inventory import inventory
from service.safeguarding.impact.words import KINDS
from tests.architecture.files import texts

for path in texts("tables.py"):
    if path.parts[0] != "tests":
        importlib.import_module(".".join(path.with_suffix("").parts))


def test_every_column_is_described_and_nothing_that_is_not_there() -> None:
    """Whoever adds a column says in `inventory.toml` what it is; the Data Protection Officer is then asked again."""
    kept = {(table.name, column.name) for table in SQLModel.metadata.sorted_tables for column in table.columns}
    described = {(table.name, column) for table in inventory().tables for column, _ in table.columns}
    assert described == kept


def test_every_table_is_of_a_kind_that_is_explained() -> None:
    assert {table.data for table in inventory().tables} == set(KINDS)
    assert all(table.about.endswith(".") for table in inventory().tables)


def test_no_word_is_explained_for_nothing() -> None:
    assert inventory().words <= {column for table in inventory().tables for column, _ in table.columns}


def test_who_sees_what_is_who_the_pages_are_for() -> None:
    real = audiences(ROUTERS)
    assert {one.path: frozenset(one.roles) for one in inventory().seen} == {one.path: real[one.path] for one in inventory().seen}
