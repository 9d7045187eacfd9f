"""A guest's pass is what was asked and what a third person decided, in the database as well (policy: AC7)."""

from service.migrations.triggers import allow_again, differs, refuse

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ASKED = ("id", "school_id", "guest_id", "sponsor_id", "kind", "purpose", "identity_note", "starts_at", "ends_at", "asked_at")
DECIDED = "OLD.decided_at IS NOT NULL AND (NEW.approved IS NULL OR NEW.decided_at IS NULL OR " + differs(
    "decided_by", "decided_at", "approved", "decision_reason", "grant_id") + ")"
STRANGER = """NEW.approved IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM person WHERE person.id = NEW.decided_by AND person.school_id = NEW.school_id)"""
REVOKED = "OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NULL OR " + differs(
    "revoked_at", "revoked_by", "revoked_because") + ")"
LATE = "EXISTS (SELECT 1 FROM guest_pass WHERE guest_pass.id = NEW.pass_id AND guest_pass.decided_at IS NOT NULL)"
KEPT = "OLD.school_id = OLD.school_id"
TRIGGERS = (
    ("guest_pass_undecided", "INSERT", "guest_pass", "NEW.decided_at IS NOT NULL", "nobody decides while asking"),
    ("guest_pass_as_asked", "UPDATE", "guest_pass", differs(*ASKED), "what was asked stays"),
    ("guest_pass_decided", "UPDATE", "guest_pass", DECIDED, "what was decided stays"),
    ("guest_pass_decider", "UPDATE", "guest_pass", STRANGER, "a person of the school decides"),
    ("guest_pass_revoked", "UPDATE", "guest_pass", REVOKED, "what has ended stays ended"),
    ("guest_pass_kept", "DELETE", "guest_pass", KEPT, "append-only"),
    *((f"{table}_{verb.lower()}", verb, table, when, "what was asked stays")
      for table in ("guest_pass_lesson", "guest_pass_child")
      for verb, when in (("INSERT", LATE), ("UPDATE", KEPT), ("DELETE", KEPT))),
)


def upgrade() -> None:
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
