"""When a family's contact details changed, and where a warning goes that is for who had the earlier ones (threat T19)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("person", sa.Column("contacts_changed_at", UTCDateTime(), nullable=True))
    op.add_column("mail", sa.Column("address", AutoString(length=254), nullable=False, server_default=""))
    op.add_column("push", sa.Column("address", AutoString(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("push", "address")
    op.drop_column("mail", "address")
    op.drop_column("person", "contacts_changed_at")
