"""Reading `matrix.txt`: the expected answers, and nothing that would work one out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("matrix.txt")
NOBODY = "nobody"
MAY, TOLD_NO, MISSING, SIGN_IN = "may", "told no", "missing", "sign in"


@dataclass(frozen=True)
class Row:
    """One address in one relation: who gets an answer, and who is told why not."""

    method: str
    path: str
    relation: str
    may: frozenset[str]
    told_no: frozenset[str]

    def expected(self, role: str) -> str:
        if role in self.may:
            return MAY
        if role in self.told_no:
            return TOLD_NO
        return SIGN_IN if role == NOBODY and self.needs_sign_in else MISSING

    @property
    def needs_sign_in(self) -> bool:
        """Whether it is for people who are signed in: what a secret opens, and what is closed for good, is not."""
        return self.relation != "wrong secret" and bool(self.may | self.told_no or "{" in self.path)


def read(text: str = "") -> list[Row]:
    """Every row; a word that is neither a role nor a group is an error."""
    groups: dict[str, list[str]] = {}
    rows = []
    for line in (text or TABLE.read_text(encoding="utf-8")).splitlines():
        if line.startswith("#"):
            name, defined, words = line.removeprefix("#").partition(" = ")
            if defined and name.strip().isidentifier():
                groups[name.strip()] = words.split()
        elif line.strip():
            address, relation, may, told_no, *_ = (cell.strip() for cell in line.split("|"))
            method, path = address.split()
            rows.append(Row(method, path, relation, frozenset(_roles(may, groups)), frozenset(_roles(told_no, groups))))
    return rows


def _roles(words: str, groups: dict[str, list[str]]) -> Iterator[str]:
    for word in words.split():
        if word in groups:
            yield from _roles(" ".join(groups[word]), groups)
        elif word in (*groups_roles(groups), NOBODY):
            yield word
        else:
            raise ValueError(f"no role and no group: {word}")


def groups_roles(groups: dict[str, list[str]]) -> list[str]:
    return groups["everybody"]
