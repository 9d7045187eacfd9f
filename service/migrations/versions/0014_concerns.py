"""Concerns: only ever added to, and once out of a circle's sight never back into it (policy: RC1, IN4)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

RAISED = differs("id", "school_id", "number", "raised_by", "raised_at", "happened_on", "happened_at", "place", "alert_id",
                 "lesson_id")
BACK = ("(OLD.routed_to = 'chair' AND NEW.routed_to <> 'chair') OR (OLD.routed_to = 'headteacher' AND NEW.routed_to = 'dsl') "
        "OR (OLD.about_staff AND NOT NEW.about_staff) OR (OLD.about_id <> '' AND NEW.about_id <> OLD.about_id)")
ASKED = differs("id", "school_id", "concern_id", "receiver", "organisation", "key", "entries", "asked_by", "asked_at")
FROZEN = ("concern_entry", "concern_barred", "local_authority_officer")
TRIGGERS = (
    ("concern_as_raised", "UPDATE", "concern", RAISED, "what was raised stays"),
    ("concern_never_back", "UPDATE", "concern", BACK, "it does not come back into sight"),
    ("concern_kept", "DELETE", "concern", "OLD.id = OLD.id", "append-only"),
    ("concern_export_unseen", "INSERT", "concern_export", "NEW.agreed_at IS NOT NULL", "nobody agrees while asking"),
    ("concern_export_as_asked", "UPDATE", "concern_export", ASKED, "what was asked stays"),
    ("concern_export_agreed", "UPDATE", "concern_export", "OLD.agreed_at IS NOT NULL", "what was agreed stays"),
    ("concern_export_kept", "DELETE", "concern_export", "OLD.id = OLD.id", "append-only"),
    *((f"{table}_no_{verb.lower()}", verb, table, "OLD.school_id = OLD.school_id", "append-only")
      for table in FROZEN for verb in ("UPDATE", "DELETE")),
)


def text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, AutoString(length=length), nullable=False)


def moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, UTCDateTime(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "concern", text("id", 32), text("school_id", 32), text("number", 16), text("raised_by", 32), moment("raised_at"),
        sa.Column("happened_on", sa.Date(), nullable=False), text("happened_at", 20), text("place", 200), text("routed_to", 16),
        sa.Column("about_staff", sa.Boolean(), nullable=False), text("about_id", 32), text("alert_id", 32), text("lesson_id", 32),
        sa.CheckConstraint("routed_to IN ('dsl', 'headteacher', 'chair')"),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]), sa.ForeignKeyConstraint(["raised_by"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("school_id", "number"),
    )
    op.create_table(
        "concern_barred", text("concern_id", 32), text("person_id", 32), text("school_id", 32),
        sa.ForeignKeyConstraint(["concern_id"], ["concern.id"]), sa.ForeignKeyConstraint(["school_id"], ["school.id"]),
        sa.PrimaryKeyConstraint("concern_id", "person_id"),
    )
    op.create_table(
        "concern_entry", text("id", 32), text("school_id", 32), text("concern_id", 32),
        sa.Column("seq", sa.Integer(), nullable=False), text("kind", 16), text("words", 8000), text("child_id", 32),
        text("part", 8), text("person_id", 32), sa.Column("on_day", sa.Date(), nullable=True), text("agency", 120),
        text("reference", 60), text("of_entry", 32), text("added_by", 32), moment("added_at"),
        sa.ForeignKeyConstraint(["concern_id"], ["concern.id"]), sa.ForeignKeyConstraint(["school_id"], ["school.id"]),
        sa.ForeignKeyConstraint(["added_by"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("concern_id", "seq"),
    )
    op.create_table(
        "concern_export", text("id", 32), text("school_id", 32), text("concern_id", 32), text("receiver", 120),
        text("organisation", 120), text("key", 200), sa.Column("entries", sa.Integer(), nullable=False), text("asked_by", 32),
        moment("asked_at"), text("agreed_by", 32), moment("agreed_at", nullable=True), text("confirmed_by", 64),
        sa.ForeignKeyConstraint(["concern_id"], ["concern.id"]), sa.ForeignKeyConstraint(["school_id"], ["school.id"]),
        sa.ForeignKeyConstraint(["asked_by"], ["person.id"]), sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "local_authority_officer", text("id", 32), text("school_id", 32), text("name", 120), text("telephone", 40),
        text("changed_by", 32), moment("changed_at"),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]), sa.ForeignKeyConstraint(["changed_by"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    for table, columns in INDEXES.items():
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column])
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


INDEXES = {
    "concern": ("school_id", "raised_at", "alert_id"), "concern_barred": ("person_id", "school_id"),
    "concern_entry": ("school_id", "concern_id", "child_id"), "concern_export": ("school_id", "concern_id"),
    "local_authority_officer": ("school_id",),
}


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    for table in reversed(INDEXES):
        op.drop_table(table)
