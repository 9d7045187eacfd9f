"""Notices on phones: where they are sent, and each on its way. Both are forgotten when they are over."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, AutoString(length=length), nullable=False)


def moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, UTCDateTime(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "push_subscription", text("id", 32), text("school_id"), text("person_id"), text("phone_id", 32),
        text("endpoint", 1000), text("p256dh", 100), text("auth", 40), moment("made_at"),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]), sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("phone_id"), sa.UniqueConstraint("endpoint"),
    )
    op.create_table(
        "push", text("id", 32), text("school_id"), text("person_id"), text("subscription_id", 32), text("text", 2),
        text("about", 32), text("occasion", 60), moment("made_at"), moment("due_at"), moment("next_at"),
        sa.Column("attempts", sa.Integer(), nullable=False), text("trouble", 60), moment("sent_at", nullable=True),
        moment("called_off_at", nullable=True), moment("gave_up_at", nullable=True),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]), sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("about", "occasion", "subscription_id", "text"),
    )
    for table, columns in INDEXES.items():
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column])


INDEXES = {
    "push_subscription": ("school_id", "person_id"),
    "push": ("school_id", "person_id", "about", "next_at", "sent_at"),
}


def downgrade() -> None:
    for table in reversed(INDEXES):
        op.drop_table(table)
