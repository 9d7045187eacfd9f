"""Alerts are reviewed with an outcome, found once, and passed on; what was raised stays as it was raised (policy: RC1)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SOMEBODYS = "NOT EXISTS (SELECT 1 FROM school WHERE school.id = OLD.school_id AND school.is_self_test)"
"""The self-test's school is nobody's, and is emptied at each run."""
RAISED = differs("id", "school_id", "kind", "lesson_id", "place", "raised_by", "raised_at", "source")
TRIGGERS = (
    ("alert_as_raised", "UPDATE", "alert", RAISED, "what was raised stays"),
    ("alert_never_fewer", "UPDATE", "alert", "NEW.times < OLD.times", "what happened is not taken back"),
    ("alert_outcome", "UPDATE", "alert", 
     "NEW.outcome NOT IN ('', 'no-action', 'noted', 'concern', 'passed-on')", "no outcome"),
    ("alert_closed_with_outcome", "UPDATE", "alert", "OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL AND NEW.outcome = ''",
     "a review comes to something"),
    ("alert_kept", "DELETE", "alert", SOMEBODYS, "append-only"),
    ("alert_barred_as_was", "UPDATE", "alert_barred", f"{differs('alert_id', 'person_id', 'school_id')} OR "
     "(NEW.keeps AND NOT OLD.keeps)", "who is left out stays left out"),
    ("alert_barred_kept", "DELETE", "alert_barred", SOMEBODYS, "who is left out stays left out"),
)
COLUMNS = (
    ("source", AutoString(length=80), ""), ("times", sa.Integer(), "1"),
    ("called_at", UTCDateTime(), "1970-01-01 00:00:00.000000"), ("step", sa.Integer(), "0"),
    ("handed_to", AutoString(length=32), ""), ("waits_for", AutoString(length=200), ""),
    ("outcome", AutoString(length=9), ""), ("concern_id", AutoString(length=32), ""),
)


def upgrade() -> None:
    for name, kind, default in COLUMNS:
        op.add_column("alert", sa.Column(name, kind, nullable=False, server_default=default))
    op.execute("UPDATE alert SET called_at = raised_at")
    op.create_index("one_alert_a_source", "alert", ["school_id", "source"], unique=True,
                    sqlite_where=sa.text("source <> ''"), postgresql_where=sa.text("source <> ''"))
    op.add_column("alert_barred", sa.Column("keeps", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "review_progress",
        sa.Column("id", sa.Integer(), nullable=False), sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    op.drop_table("review_progress")
    op.drop_index("one_alert_a_source", "alert")
    op.drop_column("alert_barred", "keeps")
    for name, *_ in COLUMNS:
        op.drop_column("alert", name)
