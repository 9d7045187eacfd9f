"""Masked calling: sealed numbers, calls, personal telephones by a leader's grant, why children were away (policy: CM1, CM3)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

KEPT = "OLD.school_id = OLD.school_id"
CALL = differs("id", "school_id", "child_id", "adult_id", "caller_id", "lesson_id", "purpose", "by_telephone", "asked_at")
OVER = "OLD.ended_at IS NOT NULL AND (NEW.ended_at IS NULL OR NEW.ended_at <> OLD.ended_at OR NEW.ended_why <> OLD.ended_why)"
PLACED = "OLD.placed_at IS NOT NULL AND (NEW.placed_at IS NULL OR NEW.placed_at <> OLD.placed_at)"
RECORDED = ("OLD.recorded_at IS NOT NULL AND (NEW.recorded_at IS NULL OR NEW.outcome <> OLD.outcome "
            "OR NEW.what_agreed <> OLD.what_agreed OR NEW.next_step <> OLD.next_step)")
ASKED = differs("id", "school_id", "person_id", "why", "until", "asked_at")
DECIDED = ("OLD.approved IS NOT NULL AND (NEW.approved IS NULL OR NEW.approved <> OLD.approved "
           "OR NEW.decided_by <> OLD.decided_by)")
REVOKED = "OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NULL OR NEW.revoked_at <> OLD.revoked_at)"
TRIGGERS = (
    ("call_as_asked", "UPDATE", "call", CALL, "a call is what it was"),
    ("call_as_placed", "UPDATE", "call", PLACED, "a call was placed once"),
    ("call_over", "UPDATE", "call", OVER, "what is over stays over"),
    ("call_recorded", "UPDATE", "call", RECORDED, "what was recorded stays"),
    ("call_kept", "DELETE", "call", KEPT, "append-only"),
    ("own_phone_as_asked", "UPDATE", "personal_phone", ASKED, "what was asked stays"),
    ("own_phone_decided", "UPDATE", "personal_phone", DECIDED, "what was decided stays"),
    ("own_phone_revoked", "UPDATE", "personal_phone", REVOKED, "what was ended stays ended"),
    ("own_phone_kept", "DELETE", "personal_phone", KEPT, "append-only"),
    ("emergency_as_told", "UPDATE", "emergency_use", KEPT, "append-only"),
    ("emergency_kept", "DELETE", "emergency_use", KEPT, "append-only"),
)


def word(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, AutoString(length=length), nullable=False)


def key() -> sa.Column[str]:
    return sa.Column("id", AutoString(length=32), primary_key=True)


def of(name: str, table: str, *, index: bool = True) -> sa.Column[str]:
    return sa.Column(name, AutoString(), sa.ForeignKey(f"{table}.id"), nullable=False, index=index)


def moment(name: str, *, empty: bool = False, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, UTCDateTime(), nullable=empty, index=index)


def flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "telephone", key(), of("school_id", "school"), sa.Column("owner_id", AutoString(length=32), nullable=False, index=True),
        word("kind", 6), word("cipher", 200), sa.Column("hash", AutoString(length=64), nullable=False, index=True),
        word("language", 40), moment("noted_at"), sa.UniqueConstraint("school_id", "owner_id", "kind"),
        sa.CheckConstraint("kind IN ('family', 'own', 'school')"),
        sa.CheckConstraint("cipher NOT LIKE '+%'", name="telephone_is_sealed"),
    )
    op.create_table(
        "call", key(), of("school_id", "school"), of("child_id", "person"), of("adult_id", "person"), of("caller_id", "person"),
        word("lesson_id", 32), word("purpose", 8), flag("by_telephone"), moment("asked_at"),
        moment("placed_at", empty=True, index=True), word("grant_id", 32), moment("connected_at", empty=True),
        moment("ended_at", empty=True), word("ended_why", 12), word("ended_by", 32), flag("message_left"), word("outcome", 14),
        word("what_agreed", 1000), word("next_step", 500), sa.Column("next_on", sa.Date(), nullable=True),
        moment("recorded_at", empty=True),
        sa.CheckConstraint("purpose IN ('welfare', 'absence', 'incident', 'consent', 'other')"),
        sa.CheckConstraint("outcome IN ('', 'spoke', 'no-answer', 'child-answered', 'wrong-person')"),
        sa.CheckConstraint("caller_id <> adult_id AND child_id <> adult_id AND child_id <> caller_id", name="call_three_people"),
        sa.CheckConstraint("(recorded_at IS NULL) = (outcome = '')"),
        sa.CheckConstraint("connected_at IS NULL OR placed_at IS NOT NULL"),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_why = '')"),
    )
    live = "placed_at IS NOT NULL AND ended_at IS NULL"
    for who in ("caller", "adult"):
        op.create_index(f"one_live_call_of_{who}", "call", [f"{who}_id"], unique=True, sqlite_where=sa.text(live),
                        postgresql_where=sa.text(live))
    op.create_table(
        "personal_phone", key(), of("school_id", "school"), of("person_id", "person"), word("why", 500), moment("until"),
        moment("asked_at"), word("decided_by", 32), moment("decided_at", empty=True),
        sa.Column("approved", sa.Boolean(), nullable=True), word("reason", 500), word("grant_id", 32), word("revoked_by", 32),
        moment("revoked_at", empty=True), word("revoked_because", 500),
        sa.CheckConstraint("(decided_at IS NULL) = (approved IS NULL)"),
        sa.CheckConstraint("approved IS NULL OR (decided_by <> '' AND decided_by <> person_id)",
                           name="personal_phone_two_people"),
        sa.CheckConstraint("revoked_at IS NULL OR (approved AND revoked_by <> '')"),
    )
    op.create_table(
        "emergency_use", key(), of("school_id", "school"), of("person_id", "person"), of("child_id", "person"),
        moment("happened_at"), word("words", 1000), moment("told_at"),
    )
    op.create_table(
        "calling", sa.Column("school_id", AutoString(), sa.ForeignKey("school.id"), primary_key=True), flag("withheld"),
        word("changed_by", 32), moment("changed_at"),
    )
    op.create_table(
        "known_absence", key(), of("school_id", "school"), of("lesson_id", "lesson"), of("child_id", "person"), word("reason", 9),
        word("words", 500), of("noted_by", "person", index=False), moment("noted_at"),
        sa.CheckConstraint("reason IN ('ill', 'device', 'at-school', 'other')"),
    )
    op.create_table(
        "leadership_told", key(), of("school_id", "school"), of("child_id", "person"), word("since", 10), moment("told_at"),
        sa.UniqueConstraint("child_id", "since"),
    )
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    for table in ("leadership_told", "known_absence", "calling", "emergency_use", "personal_phone", "call", "telephone"):
        op.drop_table(table)
