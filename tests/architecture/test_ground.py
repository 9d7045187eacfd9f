"""The ground: one lock for every machine, nothing that ties it to this one, and documents that tell the truth."""

import json
import re
import tomllib

from pydantic_core import PydanticUndefined

from service.foundation.settings import Settings
from tests.architecture.files import ROOT, texts

# Written in pieces, so that this file does not contain what it looks for.
REGISTRIES = ("pypi" + ".org", "pythonhosted" + ".org", "registry.npm" + "js.org", "registry.yarn" + "pkg.com", "docker" + ".io")
HOMES = re.compile(r"(?<![\w.}])/(?:home|root|work|Users|opt|mnt)/\w")


def test_no_file_names_a_registry() -> None:
    named = [(str(path), registry) for path, text in texts().items() for registry in REGISTRIES if registry in text]
    assert named == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    named = [(str(path), line) for path, text in texts().items() for line in text.splitlines() if HOMES.search(line)]
    assert named == []


def test_every_python_package_is_pinned_by_hash() -> None:
    for name in ("app", "dev", "node", "s3", "uv"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        pinned = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n", "", text, flags=re.M).strip())
        loose = [entry.splitlines()[0] for entry in pinned if not re.match(r"\S+==\S+ .*?--hash=sha256:", entry, re.S)]
        assert pinned
        assert loose == [], name


def test_every_front_end_package_is_pinned_by_hash_without_its_address() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    others = {name: package for name, package in packages.items() if name}
    assert others
    assert [name for name, package in others.items() if "integrity" not in package or "resolved" in package] == []


def test_every_dependency_is_in_its_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {"app": project["project"]["dependencies"], "dev": project["dependency-groups"]["dev"],
              "node": project["dependency-groups"]["node"], "uv": project["dependency-groups"]["uv"],
              "s3": [each.replace("[s3]", "") for each in project["dependency-groups"]["s3"]]}
    for lock, requirements in wanted.items():
        locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / f"{lock}.txt").read_text(), re.M))
        names = {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in requirements}  # type: ignore[index]
        assert names <= locked, lock


def test_every_setting_is_explained_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `CHAPERONE_(\w+)` \| (?:`(.+?)`)? ?\|", (ROOT / "docs/settings.md").read_text(), re.M))
    said = {name.lower(): default for name, default in rows.items()}
    real = {name: _plain(field.default) for name, field in Settings.model_fields.items()}
    assert said == real


def _plain(default: object) -> str:
    assert default is not PydanticUndefined
    return str(default).lower() if isinstance(default, bool) else "" if default is None else str(default)


def test_every_policy_id_that_is_cited_is_in_the_policy() -> None:
    known = set(re.findall(r"^\| ([A-Z]{2}\d+) \|", (ROOT / "docs/policy.md").read_text(), re.M))
    families = "|".join(sorted({name[:2] for name in known}))
    cited = re.compile(rf"\b(?:{families})\d{{1,2}}\b")
    source = texts(".py", ".js", ".html", ".md", ".scss")
    unknown = [(str(path), found) for path, text in source.items() for found in cited.findall(text) if found not in known]
    assert len(known) > 50
    assert unknown == []


def test_every_threat_invariant_and_goal_that_is_cited_is_in_the_list() -> None:
    known = set(re.findall(r"^\| ([TIG]\d+) \|", (ROOT / "docs/threats.md").read_text(), re.M))
    cited = re.compile(r"\b[TIG][1-9]\d?\b(?!:)")  # and not the hour of 2026-11-30T12:00
    source = texts(".py", ".js", ".html", ".md", ".scss")
    unknown = [(str(path), found) for path, text in source.items() for found in cited.findall(text) if found not in known]
    assert len(known) > 40
    assert unknown == []


def test_every_file_of_attacks_is_named_beside_its_attack() -> None:
    named = set(re.findall(r"\]\(\.\./tests/threats/(test_\w+\.py)\)", (ROOT / "docs/threats.md").read_text()))
    assert named == {path.name for path in (ROOT / "tests/threats").glob("test_*.py")}


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    indexed = set(re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text()))
    assert indexed == {path.name for path in folder.glob("[0-9]*.md")}


def test_no_citation_points_to_a_paper_that_is_not_here() -> None:
    elsewhere = re.compile(r"\b(?:screens|design|style|security)(?:\.md)?(?: section)?:? (?:[0-9G]|section)")
    source = texts(".py", ".js", ".html", ".md", ".scss")
    assert [(str(path), found) for path, text in source.items() for found in elsewhere.findall(text)] == []
