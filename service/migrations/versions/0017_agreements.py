"""Each version of an agreement says what changed and who added it; each signature which words were signed. Both only ever
added (policy: CO1, CO5)."""

import hashlib

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, refuse

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agreement", sa.Column("what_changed", AutoString(length=500), nullable=False, server_default=""))
    op.add_column("agreement", sa.Column("added_by", AutoString(length=32), nullable=False, server_default="system"))
    op.add_column("agreement", sa.Column("added_at", UTCDateTime(), nullable=True))
    op.add_column("agreement_signature", sa.Column("text_hash", AutoString(length=64), nullable=False, server_default=""))
    _drop("agreement_signature_no_update")
    _say_what_was_signed()
    refuse("signature_as_signed", "UPDATE", "agreement_signature", "OLD.id = OLD.id", "append-only")
    for verb in ("UPDATE", "DELETE"):
        refuse(f"agreement_no_{verb.lower()}", verb, "agreement", "OLD.id = OLD.id", "append-only")


def _drop(name: str) -> None:
    """Those of revision 2 share one function on PostgreSQL, which stays."""
    on = " ON agreement_signature" if op.get_bind().dialect.name == "postgresql" else ""
    op.execute(f"DROP TRIGGER {name}{on}")


def _say_what_was_signed() -> None:
    """No text has ever changed under its signatures, so the words of the version are the words that were signed."""
    connection = op.get_bind()
    for agreement_id, text in connection.execute(sa.text("SELECT id, text FROM agreement")).all():
        connection.execute(sa.text("UPDATE agreement_signature SET text_hash = :hash WHERE agreement_id = :id"),
                           {"hash": hashlib.sha256(text.encode()).hexdigest(), "id": agreement_id})


def downgrade() -> None:
    for verb in ("update", "delete"):
        allow_again(f"agreement_no_{verb}", "agreement")
    allow_again("signature_as_signed", "agreement_signature")
    refuse("agreement_signature_no_update", "UPDATE", "agreement_signature", "OLD.id = OLD.id", "append-only")
    op.drop_column("agreement_signature", "text_hash")
    for column in ("added_at", "added_by", "what_changed"):
        op.drop_column("agreement", column)
