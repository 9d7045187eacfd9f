"""What is append-only is so in the database itself: no statement changes or deletes it (policy: AC10, invariant I10)."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FROZEN = (
    "audit_leaf", "audit_node", "audit_checkpoint", "consent_response", "agreement_signature", "journal_entry",
    "attendance_correction", "alert_note", "profile_version", "word_list_version",
    "recording_participant", "recording_view",
)


def upgrade() -> None:
    for table in FROZEN:
        for verb in ("UPDATE", "DELETE"):
            op.execute(_trigger(table, verb))


def downgrade() -> None:
    for table in FROZEN:
        for verb in ("update", "delete"):
            op.execute(f"DROP TRIGGER {table}_no_{verb}")


def _trigger(table: str, verb: str) -> str:
    name = f"{table}_no_{verb.lower()}"
    if op.get_bind().dialect.name == "postgresql":
        return (
            "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'append-only' "
            "USING ERRCODE = 'integrity_constraint_violation'; END $$ "
            f"LANGUAGE plpgsql; CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION append_only()"
        )
    return f"CREATE TRIGGER {name} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'append-only'); END"
