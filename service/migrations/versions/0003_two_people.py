"""The school's rules change by two people, in the database as well: a second version needs their agreed request (policy: IN5)."""

from service.migrations.triggers import allow_again, differs, refuse

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ASKED = ("id", "school_id", "base_version", "profile", "reasons", "review_on", "asked_by", "asked_at")
AGREED = """NEW.version > 1 AND NOT EXISTS (
    SELECT 1 FROM profile_change asked
    JOIN person one ON one.id = asked.asked_by AND one.school_id = asked.school_id
    JOIN person other ON other.id = asked.decided_by AND other.school_id = asked.school_id
    WHERE asked.id = NEW.change_id AND asked.school_id = NEW.school_id AND asked.agreed AND one.id <> other.id
    AND asked.base_version = NEW.version - 1 AND asked.profile = NEW.profile AND asked.review_on = NEW.review_on
    AND asked.asked_by = NEW.asked_by AND asked.decided_by = NEW.decided_by)"""
TRIGGERS = (
    ("profile_change_undecided", "INSERT", "profile_change", "NEW.decided_at IS NOT NULL", "nobody decides while asking"),
    ("profile_change_as_asked", "UPDATE", "profile_change", differs(*ASKED), "what was asked stays"),
    ("profile_change_decided", "UPDATE", "profile_change", "OLD.decided_at IS NOT NULL", "what was decided stays"),
    ("profile_change_kept", "DELETE", "profile_change", "OLD.id = OLD.id", "append-only"),
    ("profile_version_agreed", "INSERT", "profile_version", AGREED, "two people change the rules"),
)


def upgrade() -> None:
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
