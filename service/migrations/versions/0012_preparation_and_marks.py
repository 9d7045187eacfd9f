"""What is made of recordings after the lesson, and what reviewers write down: only ever added (policy: RE1, AC10).

But for the self-test's own school, which is nobody's and is emptied at each run.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from service.migrations.triggers import allow_again, refuse

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SOMEBODYS = "NOT EXISTS (SELECT 1 FROM school WHERE school.id = OLD.school_id AND school.is_self_test)"
FROZEN = ("recording_preparation", "recording_note", "recording_clip")
STRING, MOMENT = sqlmodel.sql.sqltypes.AutoString, sqlmodel.sql.sqltypes.UTCDateTime


def upgrade() -> None:
    op.create_table(
        "recording_preparation",
        sa.Column("part_id", STRING(), nullable=False),
        sa.Column("school_id", STRING(), nullable=False),
        sa.Column("prepared_at", MOMENT(), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.Column("problem", STRING(length=200), nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["recording_part.id"]),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]),
        sa.PrimaryKeyConstraint("part_id"),
    )
    op.create_table("recording_note", *_mark(), sa.Column("at_ms", sa.Integer(), nullable=False),
                    sa.Column("text", STRING(length=2000), nullable=False),
                    sa.Column("concern", STRING(length=40), nullable=False),
                    sa.Column("written_at", MOMENT(), nullable=False), sa.CheckConstraint("at_ms >= 0"), *_keys())
    op.create_table("recording_clip", *_mark(), sa.Column("number", sa.Integer(), nullable=False),
                    sa.Column("from_ms", sa.Integer(), nullable=False), sa.Column("to_ms", sa.Integer(), nullable=False),
                    sa.Column("reason", STRING(length=200), nullable=False),
                    sa.Column("concern", STRING(length=40), nullable=False),
                    sa.Column("made_at", MOMENT(), nullable=False),
                    sa.CheckConstraint("from_ms >= 0 AND to_ms > from_ms"), sa.UniqueConstraint("recording_id", "number"),
                    *_keys())
    op.create_index("ix_recording_preparation_school_id", "recording_preparation", ["school_id"])
    for table in ("recording_note", "recording_clip"):
        for column in ("school_id", "recording_id", "person_id"):
            op.create_index(f"ix_{table}_{column}", table, [column])
    for table in FROZEN:
        refuse(f"{table}_no_update", "UPDATE", table, "1 = 1", "append-only")
        refuse(f"{table}_kept", "DELETE", table, SOMEBODYS, "append-only")


def downgrade() -> None:
    for table in FROZEN:
        allow_again(f"{table}_no_update", table)
        allow_again(f"{table}_kept", table)
        op.drop_table(table)


def _mark() -> list[sa.Column]:
    return [
        sa.Column("id", STRING(length=32), nullable=False),
        *(sa.Column(name, STRING(), nullable=False) for name in ("school_id", "recording_id", "view_id", "person_id")),
    ]


def _keys() -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]), sa.ForeignKeyConstraint(["recording_id"], ["recording.id"]),
        sa.ForeignKeyConstraint(["view_id"], ["recording_view.id"]), sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
    ]
