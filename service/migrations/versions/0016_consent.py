"""What families were asked, word for word, beside what they answered; and who closed a conflict (policy: CO2, CO3)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

WRITTEN = differs("id", "school_id", "document_id", "language", "sections", "text_hash", "written_by", "written_at")
APPROVED = "OLD.approved_at IS NOT NULL AND (NEW.approved_at IS NULL OR " + differs(
    "approved_at", "approved_by", "reviewer") + ")"
CLOSED = differs("id", "school_id", "child_id", "purpose", "kind", "follows_id", "reason", "resolved_by", "resolved_at")
AGREED = "OLD.agreed_at IS NOT NULL AND (NEW.agreed_at IS NULL OR " + differs("agreed_at", "agreed_by") + ")"
KEPT = "NOT EXISTS (SELECT 1 FROM school WHERE school.id = OLD.school_id AND school.is_self_test)"
TRIGGERS = (
    ("consent_document_stays", "UPDATE", "consent_document", "OLD.id = OLD.id", "what was published stays"),
    ("consent_document_kept", "DELETE", "consent_document", KEPT, "append-only"),
    ("consent_text_stays", "UPDATE", "consent_text", f"{WRITTEN} OR ({APPROVED})", "what was published stays"),
    ("consent_text_kept", "DELETE", "consent_text", KEPT, "append-only"),
    ("consent_resolution_alone", "INSERT", "consent_resolution", "NEW.agreed_at IS NOT NULL", "nobody agrees with themself"),
    ("consent_resolution_stays", "UPDATE", "consent_resolution", f"{CLOSED} OR ({AGREED})", "what was decided stays"),
    ("consent_resolution_kept", "DELETE", "consent_resolution", KEPT, "append-only"),
)
WORDS = (("document_id", 32), ("text_hash", 64), ("filled", 500), ("declared_relationship", 40),
         ("declared_responsibility", 8), ("phone_id", 32), ("second_listener", 32))


def upgrade() -> None:
    for name, length in WORDS:
        op.add_column("consent_response", sa.Column(name, AutoString(length=length), nullable=False, server_default=""))
    op.add_column("consent_response", sa.Column("language", AutoString(length=8), nullable=False, server_default="en"))
    op.add_column("consent_response", sa.Column("listened", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("consent_response", sa.Column("counts_from", UTCDateTime(), nullable=True))
    op.add_column("consent_response", sa.Column("client_id", AutoString(length=64), nullable=True))
    op.create_index("ix_consent_response_client", "consent_response", ["school_id", "client_id"], unique=True)
    _tables()
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def _tables() -> None:
    words, moment = AutoString, UTCDateTime()
    op.create_table(
        "consent_document",
        sa.Column("id", words(length=32), primary_key=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("purpose", words(length=24), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed", words(length=500), nullable=False),
        sa.Column("ends_answers_at", moment, nullable=True),
        sa.Column("published_at", moment, nullable=False),
        sa.Column("published_by", words(length=32), nullable=False),
        sa.UniqueConstraint("school_id", "purpose", "version"),
    )
    op.create_table(
        "consent_text",
        sa.Column("id", words(length=32), primary_key=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("document_id", words(), sa.ForeignKey("consent_document.id"), nullable=False, index=True),
        sa.Column("language", words(length=8), nullable=False),
        sa.Column("sections", words(), nullable=False),
        sa.Column("text_hash", words(length=64), nullable=False),
        sa.Column("written_by", words(length=32), nullable=False),
        sa.Column("written_at", moment, nullable=False),
        sa.Column("reviewer", words(length=120), nullable=False),
        sa.Column("approved_by", words(length=32), nullable=False),
        sa.Column("approved_at", moment, nullable=True),
        sa.UniqueConstraint("document_id", "language"),
        sa.CheckConstraint("(approved_at IS NULL) = (approved_by = '')", name="consent_text_approved"),
    )
    op.create_table(
        "consent_resolution",
        sa.Column("id", words(length=32), primary_key=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("child_id", words(), sa.ForeignKey("person.id"), nullable=False, index=True),
        sa.Column("purpose", words(length=24), nullable=False),
        sa.Column("kind", words(length=12), nullable=False),
        sa.Column("follows_id", words(length=32), nullable=False),
        sa.Column("reason", words(length=500), nullable=False),
        sa.Column("resolved_by", words(length=32), nullable=False),
        sa.Column("resolved_at", moment, nullable=False),
        sa.Column("agreed_by", words(length=32), nullable=False),
        sa.Column("agreed_at", moment, nullable=True),
        sa.CheckConstraint("kind IN ('agreed', 'court_order')", name="consent_resolution_kind"),
        sa.CheckConstraint("(kind = 'court_order') = (follows_id <> '')", name="consent_resolution_follows"),
        sa.CheckConstraint("agreed_by <> resolved_by", name="consent_resolution_two_people"),
        sa.CheckConstraint("(agreed_at IS NULL) = (agreed_by = '')", name="consent_resolution_agreed"),
    )
    op.create_table(
        "consent_request",
        sa.Column("id", words(length=32), primary_key=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("group_id", words(), sa.ForeignKey("teaching_group.id"), nullable=True),
        sa.Column("purposes", words(length=200), nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.Column("deadline", sa.Date(), nullable=False),
        sa.Column("asked_by", words(length=32), nullable=False),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("ended_by", words(length=32), nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.CheckConstraint("asked_on < deadline", name="consent_request_days"),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by = '')", name="consent_request_ended"),
    )
    op.create_table(
        "consent_reminder",
        sa.Column("id", words(length=32), primary_key=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("request_id", words(), sa.ForeignKey("consent_request.id"), nullable=False, index=True),
        sa.Column("sent_by", words(length=32), nullable=False),
        sa.Column("sent_at", moment, nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    for table in ("consent_reminder", "consent_request", "consent_resolution", "consent_text", "consent_document"):
        op.drop_table(table)
    op.drop_index("ix_consent_response_client", "consent_response")
    for name in ("client_id", "counts_from", "listened", "language", *(name for name, _ in WORDS)):
        op.drop_column("consent_response", name)
