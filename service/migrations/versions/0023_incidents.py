"""Incidents: only ever added to, and once out of a circle's sight never back into it (policy: IN1, IN4)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0023"
down_revision = "0021"
branch_labels = None
depends_on = None

RECORDED = differs("id", "school_id", "number", "recorded_by", "recorded_at", "happened_on", "happened_at", "place", "by_name",
                   "lesson_id")
BACK = ("(OLD.routed_to = 'chair' AND NEW.routed_to <> 'chair') OR (OLD.routed_to = 'headteacher' AND NEW.routed_to = 'dsl') "
        "OR (OLD.about_staff AND NOT NEW.about_staff) OR (OLD.about_id <> '' AND NEW.about_id <> OLD.about_id)")
TRIGGERS = (
    ("incident_as_recorded", "UPDATE", "incident", RECORDED, "what was recorded stays"),
    ("incident_never_back", "UPDATE", "incident", BACK, "it does not come back into sight"),
    ("incident_kept", "DELETE", "incident", "OLD.id = OLD.id", "append-only"),
    *((f"{table}_no_{verb.lower()}", verb, table, "OLD.school_id = OLD.school_id", "append-only")
      for table in ("incident_entry", "incident_barred") for verb in ("UPDATE", "DELETE")),
)


def text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, AutoString(length=length), nullable=False)


def of(name: str, table: str, *, index: bool = True) -> sa.Column[str]:
    return sa.Column(name, AutoString(), sa.ForeignKey(f"{table}.id"), nullable=False, index=index)


def upgrade() -> None:
    op.create_table(
        "incident", text("id", 32), of("school_id", "school"), text("number", 16), of("recorded_by", "person"),
        sa.Column("recorded_at", UTCDateTime(), nullable=False, index=True), sa.Column("happened_on", sa.Date(), nullable=False),
        text("happened_at", 20), text("place", 200), text("by_name", 200), text("routed_to", 16),
        sa.Column("about_staff", sa.Boolean(), nullable=False), text("about_id", 32), text("lesson_id", 32),
        sa.CheckConstraint("routed_to IN ('dsl', 'headteacher', 'chair')"),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("school_id", "number"),
    )
    op.create_table(
        "incident_barred", sa.Column("incident_id", AutoString(), sa.ForeignKey("incident.id"), nullable=False),
        sa.Column("person_id", AutoString(length=32), nullable=False, index=True), of("school_id", "school"),
        sa.PrimaryKeyConstraint("incident_id", "person_id"),
    )
    op.create_table(
        "incident_entry", text("id", 32), of("school_id", "school"), of("incident_id", "incident"),
        sa.Column("seq", sa.Integer(), nullable=False), text("kind", 16), text("words", 8000),
        sa.Column("child_id", AutoString(length=32), nullable=False, index=True), text("part", 8), text("person_id", 32),
        sa.Column("on_day", sa.Date(), nullable=True), text("agency", 120), text("reference", 60), text("of_entry", 32),
        of("added_by", "person", index=False), sa.Column("added_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("incident_id", "seq"),
    )
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    for table in ("incident_entry", "incident_barred", "incident"):
        op.drop_table(table)
