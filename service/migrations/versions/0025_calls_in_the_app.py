"""Which calls were answered in the parents' app (policy: CM4)."""

import sqlalchemy as sa
from alembic import op

from service.migrations.triggers import allow_again, refuse

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

CONNECTED = ("OLD.connected_at IS NOT NULL AND (NEW.connected_at IS NULL OR NEW.connected_at <> OLD.connected_at "
             "OR NEW.in_app <> OLD.in_app)")


def upgrade() -> None:
    op.add_column("call", sa.Column("in_app", sa.Boolean(), nullable=False, server_default=sa.false()))
    refuse("call_as_connected", "UPDATE", "call", CONNECTED, "a call was connected once")


def downgrade() -> None:
    allow_again("call_as_connected", "call")
    op.drop_column("call", "in_app")
