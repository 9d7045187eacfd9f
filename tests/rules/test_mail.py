"""What a mail may say, when it goes, and how often it is tried; who is written to about an alert (RC1)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service.foundation import mail
from service.foundation.events import Role
from service.people.rules import Flags, may_be_told
from service.safeguarding import rules
from service.safeguarding.rules import Alert

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOLDERS = {"dsl": frozenset({Role.DSL}), "deputy": frozenset({Role.DEPUTY_DSL}), "head": frozenset({Role.HEADTEACHER}),
           "chair": frozenset({Role.CHAIR})}


def test_a_mail_is_one_fixed_sentence_and_how_to_go_on() -> None:
    row = mail.Mail(id="1", school_id="s", person_id="p", text="S1", about="a", made_at=NOON, due_at=NOON, next_at=NOON)
    made = mail.message(row, "ruth@school.example", "chaperone@school.example", NOON)
    assert made["Subject"] == "Safeguarding alert. Sign in to Chaperone."
    assert made.get_content() == "Safeguarding alert. Sign in to Chaperone.\n\nOpen Chaperone the way you usually do.\n"
    assert "http" not in made.as_string()
    assert made["Message-ID"] == mail.message(row, "ruth@school.example", "chaperone@school.example", NOON)["Message-ID"]


def test_no_text_has_a_place_for_a_name_or_a_link() -> None:
    for text in mail.TEXTS.values():
        assert not set(text) & set("{}%<>/@:0123456789")


def test_at_night_only_what_cannot_wait_goes_out() -> None:
    evening, early = NOON.replace(hour=21), NOON.replace(hour=6, minute=59)
    for text in set(mail.TEXTS) - {"N7", "S1"}:
        assert mail.not_at_night(text, evening, "Europe/London") == NOON.replace(day=25, hour=7)
        assert mail.not_at_night(text, early, "Europe/London") == NOON.replace(hour=7)
        assert mail.not_at_night(text, NOON, "Europe/London") == NOON
    assert mail.not_at_night("S1", evening, "Europe/London") == evening


@given(st.integers(1, 500))
def test_tries_grow_rarer_but_never_rarer_than_half_an_hour(attempts: int) -> None:
    assert timedelta(seconds=30) <= mail.pause(attempts) <= mail.pause(attempts + 1) <= timedelta(minutes=30)


def test_the_dsl_is_written_to_at_once_a_deputy_after_five_minutes_the_headteacher_after_fifteen() -> None:
    times = rules.call_times(Alert(Role.DSL, NOON, goes_on_to=Role.HEADTEACHER), HOLDERS, {"dsl"}, 5)
    assert times == {"dsl": timedelta(0), "deputy": timedelta(minutes=5), "head": timedelta(minutes=15)}


@given(st.sets(st.sampled_from(sorted(HOLDERS))), st.sampled_from([Role.DSL, Role.HEADTEACHER, Role.CHAIR]),
       st.sets(st.sampled_from(sorted(HOLDERS))))
def test_nobody_is_ever_written_to_for_whom_the_alert_does_not_exist(barred: set[str], routed_to: Role, duty: set[str]) -> None:
    times = rules.call_times(Alert(routed_to, NOON, barred=frozenset(barred)), HOLDERS, duty - barred, 5)
    assert not set(times) & barred
    assert all(HOLDERS[person] & (rules.circle(routed_to) | {Role.HEADTEACHER}) for person in times)


def test_a_family_is_told_only_where_it_is_known_that_nothing_stands_against_it() -> None:
    assert may_be_told(Flags("yes", "no", False))
    against = (("yes", "yes", False), ("yes", "unknown", False), ("unknown", "no", False), ("no", "no", False),
               ("yes", "no", True))
    assert not [flags for flags in against if may_be_told(Flags(*flags))]


def test_a_password_is_never_sent_in_the_clear_and_half_a_setting_sends_nothing() -> None:
    whole = {"host": "mail.school.example", "sender": "chaperone@school.example"}
    assert mail.Post(**whole).is_on
    assert not mail.Post().is_on
    assert not mail.Post(host="mail.school.example").is_on
    assert not mail.Post(**whole, tls="none", password="x").is_on
    assert mail.Post(**whole, tls="none").is_on
    assert not mail.Post(**whole, is_unreadable=True).is_on
