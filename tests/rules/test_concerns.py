"""Who may read a concern, what belongs in it, and what stands (policy: RC1, RC3, IN2, IN4, DE4)."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.foundation.errors import Conflict, Invalid
from service.foundation.events import Role
from service.safeguarding.chronology import Entry, Kind
from service.safeguarding.concerns import rules, transfer
from service.safeguarding.concerns.rules import Child, Concern, Export, New, OpenActions, OwnExport
from service.safeguarding.rules import Viewer

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
TODAY = NOW.date()
ROLES = {"dsl": Role.DSL, "deputy": Role.DEPUTY_DSL, "head": Role.HEADTEACHER, "chair": Role.CHAIR, "teacher": Role.TEACHER}


def viewer(name: str) -> Viewer:
    return Viewer(name, frozenset({ROLES[name]}))


def test_a_concern_exists_for_its_own_circle_alone() -> None:
    opens = {to: {name for name in ROLES if rules.may_open(Concern(to), viewer(name))}
             for to in (Role.DSL, Role.HEADTEACHER, Role.CHAIR)}
    assert opens == {Role.DSL: {"dsl", "deputy"}, Role.HEADTEACHER: {"head"}, Role.CHAIR: {"chair"}}


def test_who_took_the_alert_that_tells_of_it_may_read_it_and_who_is_left_out_never() -> None:
    assert rules.may_open(Concern(Role.DSL, has_its_alert=frozenset({"head"})), viewer("head"))
    assert not rules.may_open(Concern(Role.DSL, frozenset({"dsl"}), frozenset({"dsl"})), viewer("dsl"))


def test_what_is_missing_is_said_field_by_field() -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_new(New("", "", None), TODAY, adults=())
    assert set(refused.value.fields) == {"on", "said", "children", "about_adult"}


def test_a_child_is_linked_with_a_part_or_not_at_all() -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_new(New("x", "", TODAY, children=(Child("ali", ""),), about_adult="no"), TODAY, adults=())
    assert set(refused.value.fields) == {"children"}
    rules.check_new(New("x", "", TODAY, children=(Child("ali", "saw"),), about_adult="no"), TODAY, adults=())


def entry(kind: Kind, id: str, **more: str) -> Entry:
    return Entry(kind, id=id, by="dsl", at=NOW, **more)  # type: ignore[arg-type]


def may_add(new: Entry, *so_far: Entry, staff: bool = False) -> None:
    rules.check_entry(new, so_far, is_about_staff=staff, readers={"dsl"}, watchers={"deputy"})


def test_it_closes_only_when_nothing_is_left_to_do() -> None:
    action = entry(Kind.ACTION, "a", words="Ring home", person_id="dsl")
    with pytest.raises(OpenActions):
        may_add(Entry(Kind.CLOSED, "Handed over"), action)
    may_add(Entry(Kind.CLOSED, "Handed over"), action, entry(Kind.ACTION_DONE, "b", of_entry="a"))


def test_what_is_closed_takes_only_notes_corrections_and_a_number_until_it_is_opened_again() -> None:
    closed = entry(Kind.CLOSED, "c", words="Handed over")
    may_add(Entry(Kind.NOTE, "Later"), closed)
    may_add(Entry(Kind.CASE_NUMBER, reference="CP-7"), closed)
    with pytest.raises(Conflict):
        may_add(Entry(Kind.CATEGORY, "online"), closed)
    may_add(Entry(Kind.CATEGORY, "online"), closed, entry(Kind.REOPENED, "d", words="Again"))


def test_only_the_receiver_of_a_concern_about_an_adult_names_who_may_watch_and_only_somebody_not_involved() -> None:
    with pytest.raises(Conflict):
        may_add(Entry(Kind.WATCHER, person_id="deputy"))
    may_add(Entry(Kind.WATCHER, person_id="deputy"), staff=True)
    with pytest.raises(Invalid):
        may_add(Entry(Kind.WATCHER, person_id="teacher"), staff=True)


def test_nobody_adds_what_only_the_service_writes() -> None:
    for kind in (Kind.MOVED, Kind.EXPORTED, Kind.SAID):
        with pytest.raises(Conflict):
            may_add(Entry(kind, "x"))


ADDED = (Kind.NOTE, Kind.ACTION, Kind.CATEGORY, Kind.CORRECTION, Kind.CHILD, Kind.REFERRAL)


@given(st.lists(st.sampled_from(ADDED), max_size=20))
def test_no_entry_ever_falls_out_of_the_chronology(kinds: list[Kind]) -> None:
    entries = [Entry(kind, f"words {n}", child_id="ali", part="saw", on=TODAY, id=str(n), by="dsl",
                     at=NOW + timedelta(minutes=n)) for n, kind in enumerate(kinds)]
    told = rules.in_order_of_events(entries, TODAY)
    assert sorted(one.id for one in told) == sorted(one.id for one in entries)
    found = list(csv.DictReader(io.StringIO(transfer.chronology(contents(entries)))))
    assert len(found) == len(entries)


def test_a_second_look_is_a_colleagues_unless_nobody_else_may_read_it() -> None:
    asked = Export("dsl", NOW, others=frozenset({"dsl", "deputy"}))
    with pytest.raises(OwnExport):
        rules.check_agree(asked, "dsl")
    rules.check_agree(asked, "deputy")
    rules.check_agree(replace(asked, others=frozenset({"dsl"})), "dsl")


def test_a_file_is_made_after_the_second_look_and_for_a_week() -> None:
    with pytest.raises(Conflict):
        rules.check_make(Export("dsl", NOW), NOW)
    agreed = Export("dsl", NOW, "deputy", NOW)
    rules.check_make(agreed, NOW + timedelta(days=6))
    with pytest.raises(Conflict):
        rules.check_make(agreed, NOW + timedelta(days=7))


def contents(entries: list[Entry]) -> transfer.Contents:
    return transfer.Contents(
        "Ashgrove School", "C-2026-4821", "Europe/London", "Ruth Okafor", NOW, TODAY, "10:22", "Maths, 5 Oak", "Sam Lee",
        "Social care", NOW, "Ruth Okafor", {"ali": transfer.Child("Ali Rahman", date(2016, 3, 1), "5", "P-1", "saw")}, entries,
        {"dsl": "Ruth Okafor"}, [transfer.Seal(1, "complete", "ab" * 32)],
    )


def test_only_the_named_receiver_opens_the_file_and_its_sums_fit() -> None:
    receiver, stranger = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    made = transfer.file(contents([entry(Kind.SAID, "1", words="Ali said: stop")]), str(receiver.to_public()))
    assert b"Ali" not in made
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(made, [stranger])
    archive = zipfile.ZipFile(io.BytesIO(pyrage.decrypt(made, [receiver])))
    assert archive.namelist() == ["README.txt", "chronology.csv", "summary.html", "record.json", "SHA256SUMS"]
    record = json.loads(archive.read("record.json"))
    assert record["children"][0]["name"] == "Ali Rahman"
    assert record["recording_seals"] == [{"part": 1, "outcome": "complete", "root": "ab" * 32}]


def test_a_cell_is_never_a_formula_and_a_page_never_a_script() -> None:
    nasty = contents([entry(Kind.SAID, "1", words="=HYPERLINK(1)<script>alert(1)</script>")])
    [row] = csv.DictReader(io.StringIO(transfer.chronology(nasty)))
    assert row["text"].startswith("'=")
    assert "<script" not in transfer.summary(nasty)


@pytest.mark.parametrize("key", ["", "age1x", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1QQQQ"])
def test_what_is_no_public_key_is_refused(key: str) -> None:
    with pytest.raises(Invalid):
        transfer.check_key(key)
