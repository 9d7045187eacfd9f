"""Recordings for teaching practice, apart from those of lessons; requests to erase a recording early (policy: RE1, RE2)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

KEPT = "OLD.school_id = OLD.school_id"
ASKED = differs("id", "school_id", "lesson_id", "teacher_id", "mentor_id", "asked_by", "asked_at")
ENDED = "OLD.ended_at IS NOT NULL AND (NEW.ended_at IS NULL OR NEW.ended_at <> OLD.ended_at)"
AGREED = "OLD.agreed_at IS NOT NULL AND (NEW.agreed_at IS NULL OR NEW.agreed_at <> OLD.agreed_at)"
FOR_PRACTICE = "EXISTS (SELECT 1 FROM recording r WHERE r.id = NEW.{} AND r.kind = 'teaching-practice')"
TRIGGERS = (
    ("recording_stays_of_its_kind", "UPDATE", "recording", differs("id", "school_id", "kind"), "a recording is of one kind"),
    ("practice_is_not_reviewed", "INSERT", "recording_view", FOR_PRACTICE.format("recording_id"), "for teaching practice only"),
    ("practice_is_not_granted", "INSERT", "recording_grant", FOR_PRACTICE.format("recording_id"), "for teaching practice only"),
    ("practice_is_not_held", "INSERT", "recording_hold_step", FOR_PRACTICE.format("recording_id"), "for teaching practice only"),
    ("practice_view_of_practice", "INSERT", "practice_view", "NOT " + FOR_PRACTICE.format("plan_id"), "for it alone"),
    ("practice_as_asked", "UPDATE", "practice_plan", ASKED, "what was asked stays"),
    ("practice_ended", "UPDATE", "practice_plan", ENDED, "what has ended stays ended"),
    ("practice_kept", "DELETE", "practice_plan", KEPT, "append-only"),
    ("practice_agreed", "UPDATE", "practice_adult", AGREED, "who agreed agreed"),
    ("practice_adult_kept", "DELETE", "practice_adult", KEPT, "append-only"),
    ("erasure_as_asked", "UPDATE", "recording_erasure", differs(
        "id", "school_id", "recording_id", "asker", "words", "erases", "decided_by", "decided_at"), "what was decided stays"),
    ("erasure_answered", "UPDATE", "recording_erasure", "OLD.agreed IS NOT NULL", "what was answered stays"),
    ("erasure_kept", "DELETE", "recording_erasure", KEPT, "append-only"),
    ("practice_view_stays", "UPDATE", "practice_view", KEPT, "append-only"),
    ("practice_view_kept", "DELETE", "practice_view", KEPT, "append-only"),
)


def word(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, AutoString(length=length), nullable=False)


def of(name: str, table: str, *, index: bool = True, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, AutoString(), sa.ForeignKey(f"{table}.id"), nullable=False, index=index, primary_key=key)


def moment(name: str, *, empty: bool = False, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, UTCDateTime(), nullable=empty, index=index)


def upgrade() -> None:
    op.create_table(
        "practice_plan", sa.Column("id", AutoString(length=32), primary_key=True), of("school_id", "school"),
        sa.Column("lesson_id", AutoString(length=32), nullable=False, index=True), word("title", 120), word("class_name", 60),
        moment("starts_at"), of("teacher_id", "person"),
        sa.Column("mentor_id", AutoString(length=32), nullable=False, index=True), of("asked_by", "person", index=False),
        moment("asked_at"), moment("ended_at", empty=True, index=True), word("ended_by", 32),
    )
    op.create_table(
        "practice_adult", of("plan_id", "practice_plan", index=False, key=True), of("person_id", "person", key=True),
        of("school_id", "school"), moment("agreed_at", empty=True),
    )
    op.create_table(
        "practice_view", sa.Column("id", AutoString(length=32), primary_key=True), of("school_id", "school"),
        of("plan_id", "practice_plan"), of("person_id", "person"),
        sa.Column("session_id", AutoString(length=32), sa.ForeignKey("sign_in.id"), nullable=False),
        moment("granted_at"), moment("expires_at"),
    )
    op.create_table(
        "recording_erasure", sa.Column("id", AutoString(length=32), primary_key=True), of("school_id", "school"),
        of("recording_id", "recording"), word("asker", 6), word("words", 1000),
        sa.Column("erases", sa.Boolean(), nullable=False),
        sa.Column("decided_by", AutoString(length=32), sa.ForeignKey("person.id"), nullable=False), moment("decided_at"),
        word("grant_id", 64), sa.Column("agreed", sa.Boolean(), nullable=True), word("second_by", 32),
        moment("second_at", empty=True), word("second_words", 1000), word("second_grant", 64),
        sa.CheckConstraint("asker IN ('parent', 'pupil', 'staff', 'other')", name="recording_erasure_asker"),
        sa.CheckConstraint("second_by <> decided_by", name="recording_erasure_two_people"),
        sa.CheckConstraint("NOT coalesce(agreed, false) OR second_by <> ''", name="recording_erasure_agreed_by_a_second"),
        sa.CheckConstraint("(agreed IS NULL) = (second_at IS NULL)", name="recording_erasure_second"),
        sa.CheckConstraint("agreed IS NULL OR erases", name="recording_erasure_refused_by_one"),
    )
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    for table in ("recording_erasure", "practice_view", "practice_adult", "practice_plan"):
        op.drop_table(table)
