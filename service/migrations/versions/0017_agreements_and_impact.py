"""Each version of an agreement says what changed and who added it; each signature which words were signed. What the Data
Protection Officer says of the impact assessment, and the log of breaches. All of it is only ever added (policy: CO1, CO5, AC5,
AC10)."""

import hashlib

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, refuse

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

FROZEN = ("agreement", "impact_review", "data_breach", "data_breach_step")


def upgrade() -> None:
    op.add_column("agreement", sa.Column("what_changed", AutoString(length=500), nullable=False, server_default=""))
    op.add_column("agreement", sa.Column("added_by", AutoString(length=32), nullable=False, server_default="system"))
    op.add_column("agreement", sa.Column("added_at", UTCDateTime(), nullable=True))
    op.add_column("agreement_signature", sa.Column("text_hash", AutoString(length=64), nullable=False, server_default=""))
    _drop("agreement_signature_no_update")
    _say_what_was_signed()
    refuse("signature_as_signed", "UPDATE", "agreement_signature", "OLD.id = OLD.id", "append-only")
    _tables()
    for table in FROZEN:
        for verb in ("UPDATE", "DELETE"):
            refuse(f"{table}_no_{verb.lower()}", verb, table, "OLD.id = OLD.id", "append-only")


def _tables() -> None:
    words, moment = AutoString, UTCDateTime()
    op.create_table(
        "impact_review",
        sa.Column("id", words(length=32), primary_key=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("document", words(), nullable=False),
        sa.Column("document_hash", words(length=64), nullable=False),
        sa.Column("answers", words(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("reviewed_by", words(length=32), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("reviewed_at", moment, nullable=False, index=True),
        sa.Column("confirmed_by", words(length=32), nullable=False),
    )
    op.create_table(
        "data_breach",
        sa.Column("id", words(length=32), primary_key=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("what", words(length=2000), nullable=False),
        sa.Column("whose", words(length=2000), nullable=False),
        sa.Column("noticed_at", moment, nullable=False),
        sa.Column("recorded_by", words(length=32), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("recorded_at", moment, nullable=False),
        sa.UniqueConstraint("school_id", "number"),
    )
    op.create_table(
        "data_breach_step",
        sa.Column("id", words(length=32), primary_key=True),
        sa.Column("school_id", words(), sa.ForeignKey("school.id"), nullable=False, index=True),
        sa.Column("breach_id", words(), sa.ForeignKey("data_breach.id"), nullable=False, index=True),
        sa.Column("kind", words(length=12), nullable=False),
        sa.Column("words", words(length=2000), nullable=False),
        sa.Column("added_by", words(length=32), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("added_at", moment, nullable=False),
        sa.CheckConstraint("kind IN ('told_ico', 'not_told', 'told_people', 'note', 'closed')", name="data_breach_step_kind"),
    )


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
    for table in FROZEN:
        for verb in ("update", "delete"):
            allow_again(f"{table}_no_{verb}", table)
    for table in ("data_breach_step", "data_breach", "impact_review"):
        op.drop_table(table)
    allow_again("signature_as_signed", "agreement_signature")
    refuse("agreement_signature_no_update", "UPDATE", "agreement_signature", "OLD.id = OLD.id", "append-only")
    op.drop_column("agreement_signature", "text_hash")
    for column in ("added_at", "added_by", "what_changed"):
        op.drop_column("agreement", column)
