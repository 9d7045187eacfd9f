"""Whether a call was the safeguarding team's, which telephone a grant is for; the school's texts (policy: CM1, CM3).

What was before is closed: calls are taken for the team's, and a grant without a number holds no more, until a leader says again.
"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

CALL = ("id", "school_id", "child_id", "adult_id", "caller_id", "lesson_id", "purpose", "by_telephone", "asked_at")
ASKED = ("id", "school_id", "person_id", "why", "until", "asked_at")
COLUMNS = (
    ("call_as_asked", "call", CALL, sa.Column("by_team", sa.Boolean(), nullable=False, server_default=sa.true()),
     "a call is what it was"),
    ("own_phone_as_asked", "personal_phone", ASKED,
     sa.Column("number_hash", AutoString(length=64), nullable=False, server_default=""), "what was asked stays"),
)


KEPT = "OLD.school_id = OLD.school_id"
TEXT = differs("id", "school_id", "child_id", "adult_id", "sender_id", "call_id", "template_id", "asked_at", "key_hash")
TRIGGERS = (
    ("text_template_no_update", "UPDATE", "text_template", KEPT, "append-only"),
    ("text_template_no_delete", "DELETE", "text_template", KEPT, "append-only"),
    ("text_as_asked", "UPDATE", "text_message", TEXT, "a text is what it was"),
    ("text_over", "UPDATE", "text_message", "OLD.status IN ('delivered', 'failed')", "what is over stays over"),
    ("text_kept", "DELETE", "text_message", KEPT, "append-only"),
    ("text_reply_as_said", "UPDATE", "text_reply", KEPT, "append-only"),
)


def word(name: str, length: int, *, unique: bool = False, index: bool = False) -> sa.Column[str]:
    return sa.Column(name, AutoString(length=length), nullable=False, unique=unique or None, index=index or None)


def of(name: str, table: str, *, index: bool = True, unique: bool = False) -> sa.Column[str]:
    return sa.Column(name, AutoString(), sa.ForeignKey(f"{table}.id"), nullable=False, index=index or None, unique=unique or None)


def moment(name: str, *, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, UTCDateTime(), nullable=False, index=index or None)


def _texts() -> None:
    op.create_table(
        "text_template", word("id", 32), of("school_id", "school"), word("lineage", 32), word("language", 40),
        sa.Column("version", sa.Integer(), nullable=False), word("title", 80), word("words", 500), word("made_by", 32),
        moment("made_at"), sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("school_id", "lineage", "language", "version"),
    )
    op.create_table(
        "text_message", word("id", 32), of("school_id", "school"), of("child_id", "person"), of("adult_id", "person"),
        of("sender_id", "person", index=False), of("call_id", "call", index=False, unique=True),
        of("template_id", "text_template", index=False), moment("asked_at", index=True), word("status", 9), moment("status_at"),
        word("key_hash", 64, unique=True), sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("status IN ('asked', 'not-known', 'sent', 'delivered', 'failed')"),
        sa.CheckConstraint("sender_id <> adult_id AND child_id <> adult_id AND child_id <> sender_id", name="text_three_people"),
    )
    op.create_table(
        "text_reply", word("id", 32), of("school_id", "school"), word("said_id", 64, unique=True),
        word("adult_id", 32, index=True), word("cipher", 9000), moment("came_at"), sa.PrimaryKeyConstraint("id"),
    )
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def upgrade() -> None:
    _texts()
    for trigger, table, kept, column, words in COLUMNS:
        op.add_column(table, column)
        allow_again(trigger, table)
        refuse(trigger, "UPDATE", table, differs(*kept, column.name), words)


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    for table in ("text_reply", "text_message", "text_template"):
        op.drop_table(table)
    for trigger, table, kept, column, words in COLUMNS:
        allow_again(trigger, table)
        op.drop_column(table, column.name)
        refuse(trigger, "UPDATE", table, differs(*kept), words)
