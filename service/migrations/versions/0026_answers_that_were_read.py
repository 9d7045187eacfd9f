"""Which answers to texts somebody has read: those that nobody has come first (policy: CM5)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

SAID = differs("id", "school_id", "said_id", "adult_id", "cipher", "came_at")
READ = "OLD.read_at IS NOT NULL AND (NEW.read_at IS NULL OR NEW.read_at <> OLD.read_at)"


def upgrade() -> None:
    allow_again("text_reply_as_said", "text_reply")
    op.add_column("text_reply", sa.Column("read_at", UTCDateTime(), nullable=True))
    refuse("text_reply_as_said", "UPDATE", "text_reply", f"{SAID} OR ({READ})", "append-only")


def downgrade() -> None:
    allow_again("text_reply_as_said", "text_reply")
    op.drop_column("text_reply", "read_at")
    refuse("text_reply_as_said", "UPDATE", "text_reply", "OLD.school_id = OLD.school_id", "append-only")
