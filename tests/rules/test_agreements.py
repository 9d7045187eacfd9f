"""Who signs which agreement, and how long a signature stands, as sentences."""

from datetime import UTC, date, datetime, timedelta

from consent.agreements import rules
from consent.agreements.rules import Audience, Signature, Signing
from service.foundation.events import Role

DAY = date(2026, 11, 2)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def test_an_agreement_stands_for_its_year_and_only_in_its_current_version() -> None:
    year = Signature(2, NOON, DAY + timedelta(365))
    assert rules.signing([year], 2, DAY) is Signing.SIGNED
    assert rules.signing([year], 2, DAY + timedelta(340)) is Signing.DUE
    assert rules.signing([year], 2, DAY + timedelta(365)) is Signing.NOT_SIGNED
    assert rules.signing([year], 3, DAY) is Signing.NOT_SIGNED
    assert rules.signing([year], None, DAY) is Signing.NOT_SIGNED


def test_everybody_signs_one_agreement_and_a_parent_signs_for_the_youngest() -> None:
    assert rules.audience([Role.PARENT, Role.TEACHER]) is Audience.STAFF
    assert rules.audience([Role.CHAIR]) is Audience.GOVERNORS
    assert rules.audience([]) is None
    assert all(rules.audience([role]) for role in Role)
    assert rules.parent_signs("2")
    assert not rules.parent_signs("3")
