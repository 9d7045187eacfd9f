"""What is kept of the end of recordings may go from the self-test's own school, which is nobody's, and from no other."""

from service.migrations.triggers import allow_again, refuse

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEPT = (
    ("hold_step_kept", "recording_hold_step"), ("destruction_kept", "recording_destruction"),
    ("housekeeping_kept", "housekeeping_review"), ("recovery_kept", "recovery_recipient"),
)
SOMEBODYS = "NOT EXISTS (SELECT 1 FROM school WHERE school.id = OLD.school_id AND school.is_self_test)"


def upgrade() -> None:
    for name, table in KEPT:
        allow_again(name, table)
        refuse(name, "DELETE", table, SOMEBODYS, "append-only")


def downgrade() -> None:
    for name, table in KEPT:
        allow_again(name, table)
        refuse(name, "DELETE", table, "OLD.school_id = OLD.school_id", "append-only")
