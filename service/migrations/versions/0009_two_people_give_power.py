"""Who may approve is given by two people, in the database as well: such a role needs their agreed request (threat T5)."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from service.migrations.triggers import allow_again, differs, refuse

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ASKED = ("id", "school_id", "person_id", "role", "asked_by", "asked_at")
POWERFUL = "NEW.role IN ('senior_leader', 'headteacher', 'dsl', 'deputy_dsl', 'chair')"
FOUNDING = "NOT EXISTS (SELECT 1 FROM sign_in WHERE sign_in.school_id = NEW.school_id)"
SELF_TEST = "EXISTS (SELECT 1 FROM school WHERE school.id = NEW.school_id AND school.is_self_test)"
AGREED = ("EXISTS (SELECT 1 FROM role_request asked WHERE asked.school_id = NEW.school_id AND asked.person_id = NEW.person_id "
          "AND asked.role = NEW.role AND asked.agreed)")
TRIGGERS = (
    ("role_request_undecided", "INSERT", "role_request", "NEW.decided_at IS NOT NULL", "nobody decides while asking"),
    ("role_request_as_asked", "UPDATE", "role_request", differs(*ASKED), "what was asked stays"),
    ("role_request_decided", "UPDATE", "role_request", "OLD.decided_at IS NOT NULL", "what was decided stays"),
    ("role_request_kept", "DELETE", "role_request", "OLD.id = OLD.id", "append-only"),
    ("person_role_agreed", "INSERT", "person_role", f"{POWERFUL} AND NOT ({FOUNDING} OR {SELF_TEST} OR {AGREED})",
     "two people give this role"),
    ("person_role_as_given", "UPDATE", "person_role", differs("person_id", "role", "school_id"), "a role is given, not changed"),
)


def upgrade() -> None:
    text, moment = sqlmodel.sql.sqltypes.AutoString, sqlmodel.sql.sqltypes.UTCDateTime
    op.create_table(
        "role_request",
        sa.Column("id", text(length=32), nullable=False),
        sa.Column("school_id", text(), nullable=False),
        sa.Column("person_id", text(), nullable=False),
        sa.Column("role", text(length=16), nullable=False),
        sa.Column("asked_by", text(length=32), nullable=False),
        sa.Column("asked_at", moment(), nullable=False),
        sa.Column("decided_by", text(length=32), nullable=False),
        sa.Column("decided_at", moment(), nullable=True),
        sa.Column("agreed", sa.Boolean(), nullable=True),
        sa.CheckConstraint("(decided_at IS NULL) = (agreed IS NULL)"),
        sa.CheckConstraint("asked_by <> person_id", name="role_request_not_ones_own"),
        sa.CheckConstraint("agreed IS NULL OR NOT agreed OR (decided_by <> '' AND decided_by <> asked_by "
                           "AND decided_by <> person_id)", name="role_request_two_people"),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("school_id", "person_id"):
        op.create_index(f"ix_role_request_{column}", "role_request", [column])
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    op.drop_table("role_request")
