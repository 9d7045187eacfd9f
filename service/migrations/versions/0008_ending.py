"""Holds, destructions with certificates, the yearly list, recovery keys; what is evidence stays (policy: RE2, RE3, RE5)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STEPS = ("asked", "agreed", "refused", "reviewed", "isolated", "referral", "release-asked", "release-refused", "released")
PROVEN = ("asked", "agreed", "isolated", "release-asked", "released")


def _text(name: str, length: int | None = None, **more: object) -> sa.Column:
    return sa.Column(name, sa.String(length=length) if length else sa.String(), nullable=False, **more)


def _school() -> sa.Column:
    return _text("school_id")


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


OTHER = """NEW.step IN ('agreed', 'released') AND NOT EXISTS (
    SELECT 1 FROM recording_hold_step asked WHERE asked.hold_id = NEW.hold_id AND asked.recording_id = NEW.recording_id
    AND asked.step = CASE NEW.step WHEN 'agreed' THEN 'asked' ELSE 'release-asked' END AND asked.taken_by <> NEW.taken_by
    AND asked.number = (SELECT MAX(last.number) FROM recording_hold_step last WHERE last.hold_id = NEW.hold_id
        AND last.step = asked.step))"""
IN_IT = """EXISTS (
    SELECT 1 FROM recording_participant WHERE recording_participant.recording_id = NEW.recording_id
    AND recording_participant.person_id = NEW.taken_by)"""
GONE = "EXISTS (SELECT 1 FROM recording_destruction WHERE recording_destruction.recording_id = NEW.recording_id)"
KEPT = "OLD.school_id = OLD.school_id"
DONE = "OLD.destroyed_at IS NOT NULL"
DECIDED = "OLD.decided_at IS NOT NULL AND (NEW.decided_at IS NULL OR " + differs("decided_by", "agreed") + ")"
TRIGGERS = (
    ("hold_step_second", "INSERT", "recording_hold_step", OTHER, "two people keep or release a recording"),
    ("hold_step_not_in_it", "INSERT", "recording_hold_step", IN_IT, "nobody decides who was in the lesson"),
    ("hold_step_in_time", "INSERT", "recording_hold_step", GONE, "what is being destroyed cannot be kept"),
    ("hold_step_stays", "UPDATE", "recording_hold_step", KEPT, "append-only"),
    ("hold_step_kept", "DELETE", "recording_hold_step", KEPT, "append-only"),
    ("destruction_begun", "UPDATE", "recording_destruction", differs("recording_id", "school_id", "why", "begun_at", "begun_by"),
     "what has begun stays"),
    ("destruction_done", "UPDATE", "recording_destruction", DONE, "what was destroyed stays destroyed"),
    ("destruction_kept", "DELETE", "recording_destruction", KEPT, "append-only"),
    ("housekeeping_stays", "UPDATE", "housekeeping_review", KEPT, "append-only"),
    ("housekeeping_kept", "DELETE", "housekeeping_review", KEPT, "append-only"),
    ("recovery_as_asked", "UPDATE", "recovery_recipient",
     differs("id", "school_id", "name", "public_key", "asked_by", "asked_at"), "what was asked stays"),
    ("recovery_decided", "UPDATE", "recovery_recipient", DECIDED, "what was decided stays"),
    ("recovery_undecided", "INSERT", "recovery_recipient", "NEW.decided_at IS NOT NULL OR NEW.agreed",
     "nobody decides while asking"),
    ("recovery_kept", "DELETE", "recovery_recipient", KEPT, "append-only"),
)


def upgrade() -> None:
    op.create_table(
        "recording_hold_step", _text("id", 32), _school(), _text("recording_id"), _text("hold_id", 32),
        sa.Column("number", sa.Integer(), nullable=False), _text("step", 20), _text("words", 1000), _text("reference", 60),
        sa.Column("review_on", sa.Date(), nullable=True), _text("taken_by", 32),
        sa.Column("taken_at", UTCDateTime(), nullable=False), _text("grant_id", 64),
        sa.CheckConstraint(f"step IN ({_listed(STEPS)})"),
        sa.CheckConstraint(f"step NOT IN ({_listed(PROVEN)}) OR grant_id <> ''"),
        sa.ForeignKeyConstraint(["recording_id"], ["recording.id"]), sa.ForeignKeyConstraint(["school_id"], ["school.id"]),
        sa.ForeignKeyConstraint(["taken_by"], ["person.id"]), sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("recording_id", "number"),
    )
    for column in ("school_id", "recording_id", "hold_id"):
        op.create_index(f"ix_recording_hold_step_{column}", "recording_hold_step", [column])
    op.create_table(
        "recording_destruction", _text("recording_id"), _school(), _text("why", 200),
        sa.Column("begun_at", UTCDateTime(), nullable=False), _text("begun_by", 32),
        sa.Column("destroyed_at", UTCDateTime(), nullable=True), _text("certificate"),
        sa.ForeignKeyConstraint(["recording_id"], ["recording.id"]), sa.ForeignKeyConstraint(["school_id"], ["school.id"]),
        sa.PrimaryKeyConstraint("recording_id"),
    )
    op.create_index("ix_recording_destruction_school_id", "recording_destruction", ["school_id"])
    op.create_index("ix_recording_destruction_destroyed_at", "recording_destruction", ["destroyed_at"])
    op.create_table(
        "housekeeping_review", _text("id", 32), _school(), sa.Column("year", sa.Integer(), nullable=False), _text("item", 20),
        sa.Column("found", sa.Integer(), nullable=False), _text("done_by", 32),
        sa.Column("done_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]), sa.ForeignKeyConstraint(["done_by"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("school_id", "year", "item"),
    )
    op.create_index("ix_housekeeping_review_school_id", "housekeeping_review", ["school_id"])
    op.create_table(
        "recovery_recipient", _text("id", 32), _school(), _text("name", 80), _text("public_key", 80), _text("asked_by", 32),
        sa.Column("asked_at", UTCDateTime(), nullable=False), _text("decided_by", 32),
        sa.Column("decided_at", UTCDateTime(), nullable=True), sa.Column("agreed", sa.Boolean(), nullable=False),
        _text("ended_by", 32), sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.CheckConstraint("decided_by <> asked_by OR NOT agreed"),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]), sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_recovery_recipient_school_id", "recovery_recipient", ["school_id"])
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    for table in ("recovery_recipient", "housekeeping_review", "recording_destruction", "recording_hold_step"):
        op.drop_table(table)
