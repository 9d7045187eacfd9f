"""Whether a call was the safeguarding team's, and which telephone a grant is for (policy: CM1, CM3).

What was before is closed: calls are taken for the team's, and a grant without a number holds no more, until a leader says again.
"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

from service.migrations.triggers import allow_again, differs, refuse

revision = "0024"
down_revision = "0020"
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


def upgrade() -> None:
    for trigger, table, kept, column, words in COLUMNS:
        op.add_column(table, column)
        allow_again(trigger, table)
        refuse(trigger, "UPDATE", table, differs(*kept, column.name), words)


def downgrade() -> None:
    for trigger, table, kept, column, words in COLUMNS:
        allow_again(trigger, table)
        op.drop_column(table, column.name)
        refuse(trigger, "UPDATE", table, differs(*kept), words)
