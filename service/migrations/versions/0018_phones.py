"""Parents' phones: invitations by two halves, phones, tokens; and what a family's phone keeps and is told (policy: AC1, RL11)."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from service.migrations.triggers import allow_again, differs, refuse

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

KEPT = "OLD.school_id = OLD.school_id"
INVITED = differs("id", "school_id", "person_id", "token_hash", "made_by", "made_at", "in_person", "is_recovery", "keeps_phones",
                  "expires_at")
OVER = "OLD.ended_at IS NOT NULL AND (NEW.ended_at IS NULL OR NEW.ended_at <> OLD.ended_at)"
CODE = "OLD.code_hash <> '' AND NEW.code_hash <> OLD.code_hash"
GUESSED = "NEW.failures < OLD.failures"
PHONE = differs("id", "school_id", "person_id", "passkey_id", "invitation_id", "key", "added_at")
RESTS = "OLD.rests_until IS NOT NULL AND (NEW.rests_until IS NULL OR NEW.rests_until < OLD.rests_until)"
REMOVED = "OLD.removed_at IS NOT NULL AND (NEW.removed_at IS NULL OR NEW.removed_at <> OLD.removed_at)"
USED = "OLD.used_at IS NOT NULL AND (NEW.used_at IS NULL OR NEW.used_at <> OLD.used_at OR NEW.next_id <> OLD.next_id)"
SAID = differs("id", "school_id", "person_id", "kind", "child_id", "lesson_id", "about", "made_at")
TRIGGERS = (
    ("invitation_as_made", "UPDATE", "phone_invitation", INVITED, "what was printed stays"),
    ("invitation_over", "UPDATE", "phone_invitation", f"({OVER}) OR ({CODE}) OR {GUESSED}", "what is over stays over"),
    ("invitation_kept", "DELETE", "phone_invitation", KEPT, "append-only"),
    ("phone_as_added", "UPDATE", "phone", PHONE, "a phone is what it was"),
    ("phone_rests", "UPDATE", "phone", f"({RESTS}) OR ({REMOVED})", "a phone rests as long as it was told, and stays removed"),
    ("phone_kept", "DELETE", "phone", KEPT, "append-only"),
    ("refresh_used", "UPDATE", "phone_refresh", USED, "a token is used once"),
    ("message_stays", "UPDATE", "family_message", SAID, "what was said stays"),
    ("limit_stays", "UPDATE", "data_limit", KEPT, "append-only"),
    ("limit_kept", "DELETE", "data_limit", KEPT, "append-only"),
    ("presence_stays", "UPDATE", "one_to_one_presence", KEPT, "append-only"),
    ("presence_kept", "DELETE", "one_to_one_presence", KEPT, "append-only"),
    ("release_stays", "UPDATE", "view_release", KEPT, "append-only"),
    ("release_kept", "DELETE", "view_release", KEPT, "append-only"),
)


def word(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, AutoString(length=length), nullable=False)


def of(name: str, table: str, *, index: bool = True) -> sa.Column[str]:
    return sa.Column(name, AutoString(), sa.ForeignKey(f"{table}.id"), nullable=False, index=index)


def key() -> sa.Column[str]:
    return sa.Column("id", AutoString(length=32), primary_key=True)


def moment(name: str, *, empty: bool = False, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, UTCDateTime(), nullable=empty, index=index)


def flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def upgrade() -> None:
    op.add_column("passkey", sa.Column("is_phone", sa.Boolean(), nullable=False, server_default=sa.false()))
    _phones()
    _family()
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def _phones() -> None:
    op.create_table(
        "phone_invitation", key(), of("school_id", "school"), of("person_id", "person"), word("token_hash", 64),
        word("code_hash", 64), word("made_by", 32), moment("made_at"), word("code_by", 32), flag("in_person"),
        flag("is_recovery"), flag("keeps_phones"), moment("expires_at"), sa.Column("failures", sa.Integer(), nullable=False),
        moment("ended_at", empty=True), word("ended_why", 8),
        sa.UniqueConstraint("token_hash"),
        sa.CheckConstraint("NOT is_recovery OR code_by = '' OR code_by <> made_by", name="phone_invitation_two_people"),
        sa.CheckConstraint("(code_hash = '') = (code_by = '')", name="phone_invitation_code"),
        sa.CheckConstraint("ended_why IN ('', 'used', 'revoked', 'replaced', 'tries')", name="phone_invitation_ended"),
    )
    op.create_table(
        "phone", key(), of("school_id", "school"), of("person_id", "person"), of("passkey_id", "passkey", index=False),
        word("invitation_id", 32), sa.Column("key", AutoString(length=43), nullable=False, index=True), word("name", 60),
        word("platform", 8), word("language", 12), moment("added_at"), moment("rests_until", empty=True),
        of("sign_in_id", "sign_in"), moment("removed_at", empty=True), word("removed_why", 8),
    )
    op.create_table(
        "phone_refresh", key(), of("school_id", "school"), of("phone_id", "phone"), of("sign_in_id", "sign_in"),
        word("token_hash", 64), moment("made_at"), moment("used_at", empty=True), moment("retried_at", empty=True),
        word("next_id", 32), sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "api_answer", key(), of("school_id", "school"), of("person_id", "person"), word("key", 64), word("request", 64),
        word("family", 64), sa.Column("status", sa.Integer(), nullable=False), word("body"), moment("made_at", index=True),
        sa.UniqueConstraint("person_id", "key"),
    )


def _family() -> None:
    op.create_table(
        "family_message", key(), of("school_id", "school"), of("person_id", "person"), word("kind", 20), word("child_id", 32),
        word("lesson_id", 32), word("about", 80), moment("made_at", index=True), moment("read_at", empty=True),
        sa.UniqueConstraint("person_id", "kind", "about", "child_id"),
    )
    op.create_table(
        "data_limit", key(), of("school_id", "school"), of("child_id", "person"),
        sa.Column("limit_mb", sa.Integer(), nullable=True), of("set_by", "person", index=False), moment("set_at"),
        sa.CheckConstraint("limit_mb IS NULL OR limit_mb > 0"),
    )
    op.create_table(
        "one_to_one_presence", key(), of("school_id", "school"), of("lesson_id", "lesson"), of("person_id", "person"),
        flag("will_be_there"), moment("said_at"),
    )
    op.create_table(
        "view_release", sa.Column("view_id", AutoString(), sa.ForeignKey("recording_view.id"), primary_key=True),
        of("school_id", "school"), of("released_by", "person", index=False), moment("released_at"),
    )


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
    for table in ("view_release", "one_to_one_presence", "data_limit", "family_message", "api_answer", "phone_refresh", "phone",
                  "phone_invitation"):
        op.drop_table(table)
    op.drop_column("passkey", "is_phone")
