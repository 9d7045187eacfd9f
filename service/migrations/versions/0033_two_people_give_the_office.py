"""Who lets people in and clears them is given by two people as well: the office and the technician (threat T5)."""

from service.migrations.triggers import allow_again, refuse

revision = "0033"
down_revision = "0027"
branch_labels = None
depends_on = None

NAME, TABLE = "person_role_agreed", "person_role"
FOUNDING = "NOT EXISTS (SELECT 1 FROM sign_in WHERE sign_in.school_id = NEW.school_id)"
SELF_TEST = "EXISTS (SELECT 1 FROM school WHERE school.id = NEW.school_id AND school.is_self_test)"
AGREED = ("EXISTS (SELECT 1 FROM role_request asked WHERE asked.school_id = NEW.school_id AND asked.person_id = NEW.person_id "
          "AND asked.role = NEW.role AND asked.agreed)")
BEFORE = "'senior_leader', 'headteacher', 'dsl', 'deputy_dsl', 'chair'"


def _give_by_two(roles: str) -> None:
    allow_again(NAME, TABLE)
    refuse(NAME, "INSERT", TABLE, f"NEW.role IN ({roles}) AND NOT ({FOUNDING} OR {SELF_TEST} OR {AGREED})",
           "two people give this role")


def upgrade() -> None:
    _give_by_two(f"{BEFORE}, 'office', 'technician'")


def downgrade() -> None:
    _give_by_two(BEFORE)
