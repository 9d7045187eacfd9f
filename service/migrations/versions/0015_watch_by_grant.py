"""Who may watch some minutes of a recording is what was asked and what a second person decided (policy: RE1, IN4)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ASKED = differs("id", "school_id", "recording_id", "person_id", "asked_by", "asked_at", "why", "words", "starts_at", "ends_at")
DECIDED = "OLD.decided_at IS NOT NULL AND (NEW.decided_at IS NULL OR " + differs(
    "allowed", "decided_by", "decided_at", "reason", "views", "confirmed_by") + ")"
LONGER = "OLD.expires_at IS NOT NULL AND (NEW.expires_at IS NULL OR NEW.expires_at <> OLD.expires_at)"
ENDED = "OLD.ended_at IS NOT NULL AND (NEW.ended_at IS NULL OR " + differs("ended_at", "ended_by") + ")"
SUBJECT = """NEW.allowed AND EXISTS (SELECT 1 FROM complaint_subject s
    WHERE s.recording_id = NEW.recording_id AND s.person_id = NEW.person_id)"""
KEPT = "OLD.school_id = OLD.school_id"
TRIGGERS = (
    ("watch_undecided", "INSERT", "recording_grant", "NEW.decided_at IS NOT NULL", "nobody decides while asking"),
    ("watch_as_asked", "UPDATE", "recording_grant", ASKED, "what was asked stays"),
    ("watch_decided", "UPDATE", "recording_grant", f"({DECIDED}) OR ({LONGER})", "what was decided stays"),
    ("watch_ended", "UPDATE", "recording_grant", ENDED, "what has ended stays ended"),
    ("watch_subject", "UPDATE", "recording_grant", f"OLD.decided_at IS NULL AND {SUBJECT}", "a complaint is about them"),
    ("watch_kept", "DELETE", "recording_grant", KEPT, "append-only"),
    ("subject_stays", "UPDATE", "complaint_subject", KEPT, "append-only"),
    ("subject_kept", "DELETE", "complaint_subject", KEPT, "append-only"),
    ("notice_kept", "DELETE", "view_notice", KEPT, "append-only"),
)


def upgrade() -> None:
    op.add_column("recording_view", sa.Column("grant_id", AutoString(length=32), nullable=False, server_default=""))
    op.create_index("ix_recording_view_grant_id", "recording_view", ["grant_id"])
    _tables()
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def _tables() -> None:
    words, moment = AutoString, UTCDateTime()
    op.create_table(
        "recording_grant",
        sa.Column("id", words(length=32), primary_key=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("recording_id", words(), sa.ForeignKey("recording.id"), nullable=False, index=True),
        sa.Column("person_id", words(), sa.ForeignKey("person.id"), nullable=False, index=True),
        sa.Column("asked_by", words(), sa.ForeignKey("person.id"), nullable=False, index=True),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("why", words(length=20), nullable=False),
        sa.Column("words", words(length=500), nullable=False),
        sa.Column("starts_at", moment, nullable=False),
        sa.Column("ends_at", moment, nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=True),
        sa.Column("decided_by", words(length=32), nullable=False),
        sa.Column("decided_at", moment, nullable=True),
        sa.Column("reason", words(length=500), nullable=False),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.Column("expires_at", moment, nullable=True),
        sa.Column("confirmed_by", words(length=32), nullable=False),
        sa.Column("ended_by", words(length=32), nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.CheckConstraint("why IN ('concern', 'flag', 'complaint', 'police')", name="recording_grant_why"),
        sa.CheckConstraint("starts_at < ends_at", name="recording_grant_minutes"),
        sa.CheckConstraint("decided_by NOT IN (person_id, asked_by)", name="recording_grant_two_people"),
        sa.CheckConstraint("(allowed IS NULL) = (decided_at IS NULL)", name="recording_grant_decided"),
        sa.CheckConstraint("NOT coalesce(allowed, false) OR (decided_by <> '' AND views >= 1 AND expires_at IS NOT NULL)",
                           name="recording_grant_terms"),
    )
    op.create_table(
        "complaint_subject",
        sa.Column("recording_id", words(), sa.ForeignKey("recording.id"), primary_key=True),
        sa.Column("person_id", words(), sa.ForeignKey("person.id"), primary_key=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("named_by", words(length=32), nullable=False),
        sa.Column("named_at", moment, nullable=False),
    )
    op.create_table(
        "view_notice",
        sa.Column("view_id", words(), sa.ForeignKey("recording_view.id"), primary_key=True),
        sa.Column("person_id", words(), sa.ForeignKey("person.id"), primary_key=True, index=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("told_at", moment, nullable=False),
        sa.Column("seen_at", moment, nullable=True),
    )


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    for table in ("view_notice", "complaint_subject", "recording_grant"):
        op.drop_table(table)
    op.drop_index("ix_recording_view_grant_id", "recording_view")
    op.drop_column("recording_view", "grant_id")
