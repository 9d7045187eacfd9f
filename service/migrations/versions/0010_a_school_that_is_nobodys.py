"""What is append-only is so for every school but the self-test's, which is nobody's and is emptied at each run. Which school
that is never changes."""

from alembic import op

from service.migrations.triggers import allow_again, refuse

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

EMPTIED = (
    "consent_response", "agreement_signature", "journal_entry", "attendance_correction", "alert_note", "recording_participant",
    "recording_view",
)
SOMEBODYS = "NOT EXISTS (SELECT 1 FROM school WHERE school.id = OLD.school_id AND school.is_self_test)"


def upgrade() -> None:
    for table in EMPTIED:
        _drop(f"{table}_no_delete", table)
        refuse(f"{table}_kept", "DELETE", table, SOMEBODYS, "append-only")
    allow_again("destruction_kept", "recording_destruction")
    refuse("destruction_kept", "DELETE", "recording_destruction", SOMEBODYS, "append-only")
    refuse("school_stays_whose_it_is", "UPDATE", "school", "NEW.is_self_test <> OLD.is_self_test", "whose school it is stays")


def _drop(name: str, table: str) -> None:
    """Those of revision 2 share one function on PostgreSQL, which stays."""
    on = f" ON {table}" if op.get_bind().dialect.name == "postgresql" else ""
    op.execute(f"DROP TRIGGER {name}{on}")


def downgrade() -> None:
    allow_again("school_stays_whose_it_is", "school")
    allow_again("destruction_kept", "recording_destruction")
    refuse("destruction_kept", "DELETE", "recording_destruction", "OLD.school_id = OLD.school_id", "append-only")
    for table in EMPTIED:
        allow_again(f"{table}_kept", table)
        refuse(f"{table}_no_delete", "DELETE", table, "OLD.school_id = OLD.school_id", "append-only")
