"""A proof is used once and stays what it was, in the database as well; a passkey never changes hands (policy: AC9, threat T5)."""

from service.migrations.triggers import allow_again, differs, refuse

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

GRANT = differs("id", "school_id", "person_id", "session_id", "action_hash", "method", "made_at", "expires_at")
PASSKEY = differs("id", "school_id", "person_id", "credential_id", "public_key", "added_at")
USED_CODE = "NEW.secret = OLD.secret AND NEW.last_step < OLD.last_step"
TRIGGERS = (
    ("grant_as_earned", "UPDATE", "step_up_grant", GRANT, "a grant stays what it was"),
    ("grant_used_once", "UPDATE", "step_up_grant", "OLD.used_at IS NOT NULL", "a grant is used once"),
    ("grant_unused", "INSERT", "step_up_grant", "NEW.used_at IS NOT NULL", "a grant is earned before it is used"),
    ("grant_kept", "DELETE", "step_up_grant", "OLD.id = OLD.id", "append-only"),
    ("passkey_as_made", "UPDATE", "passkey", PASSKEY, "a passkey never changes hands"),
    ("passkey_stopped", "UPDATE", "passkey", "OLD.stopped_at IS NOT NULL", "a passkey that stopped stays so"),
    ("passkey_counts_up", "UPDATE", "passkey", "NEW.sign_count < OLD.sign_count", "a passkey counts up"),
    ("passkey_kept", "DELETE", "passkey", "OLD.id = OLD.id", "append-only"),
    ("codes_step_on", "UPDATE", "one_time_codes", USED_CODE, "a code works once"),
    ("factor_reset_as_made", "UPDATE", "factor_reset", "OLD.id = OLD.id", "append-only"),
    ("factor_reset_kept", "DELETE", "factor_reset", "OLD.id = OLD.id", "append-only"),
)


def upgrade() -> None:
    for name, verb, table, when, words in TRIGGERS:
        refuse(name, verb, table, when, words)


def downgrade() -> None:
    for name, _, table, *_ in TRIGGERS:
        allow_again(name, table)
