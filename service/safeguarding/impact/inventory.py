"""What the service keeps and who reaches it, read from `inventory.toml`. Pure: a file that ships with the code is no I/O that
can differ from one moment to the next."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from service.foundation.events import Role


@dataclass(frozen=True)
class Table:
    """One table. `data`: the kind of data, a key of `words.KINDS`; `columns`: (name, what it is)."""

    name: str
    data: str
    about: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Seen:
    """One thing to see or do with people's data, the address of its page, and who reaches that."""

    what: str
    path: str
    roles: tuple[Role, ...]


@dataclass(frozen=True)
class Inventory:
    tables: tuple[Table, ...]
    seen: tuple[Seen, ...]
    words: frozenset[str]


@cache
def inventory() -> Inventory:
    """The inventory of this release."""
    read = tomllib.loads((resources.files(__package__) / "inventory.toml").read_text(encoding="utf-8"))
    tables = tuple(
        Table(name, table["data"], table["about"],
              tuple((column, read["words"].get(column) or column.replace("_", " ")) for column in table["columns"].split()))
        for name, table in sorted(read["tables"].items())
    )
    seen = tuple(Seen(one["what"], one["path"], tuple(Role(role) for role in one["roles"].split())) for one in read["seen"])
    return Inventory(tables, seen, frozenset(read["words"]))
