"""Who brought somebody back who had left, and when: they do not make their next link (threat T5)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("person", sa.Column("returned_by", AutoString(length=32), nullable=False, server_default=""))
    op.add_column("person", sa.Column("returned_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("person", "returned_at")
    op.drop_column("person", "returned_by")
