"""Who approves whom is checked by the database as well; what was asked and decided stays as it was (policy: RL1, threat T5).

The rules of `service.safeguarding.approvals.rules`, as far as rows can say them, for whoever reaches the tables without them.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PROFILE = (
    "(SELECT profile FROM profile_version WHERE school_id = NEW.school_id AND in_force_at <= NEW.approved_at "
    "ORDER BY version DESC LIMIT 1)"
)
ANY_LEADER = {
    "sqlite": f"COALESCE(json_extract({PROFILE}, '$.one_to_one_by_any_leader'), 0) = 1",
    "postgresql": f"COALESCE({PROFILE}::json ->> 'one_to_one_by_any_leader', 'false') = 'true'",
}
HOLDS = "EXISTS (SELECT 1 FROM person_role WHERE school_id = NEW.school_id AND person_id = NEW.{who} AND role = '{role}')"
IS = "EXISTS (SELECT 1 FROM person WHERE id = NEW.{who} AND school_id = NEW.school_id AND kind = '{kind}')"
CHAIR, HEAD, LEADER = (HOLDS.format(who="approved_by", role=role) for role in ("chair", "headteacher", "senior_leader"))
OF_A_HEAD = " OR ".join(HOLDS.format(who=who, role="headteacher") for who in ("adult_id", "requested_by"))
HERE = (
    "EXISTS (SELECT 1 FROM person WHERE id = NEW.approved_by AND school_id = NEW.school_id "
    "AND (left_on IS NULL OR left_on > date(NEW.approved_at)))"
)
LESSON = (
    "EXISTS (SELECT 1 FROM lesson JOIN lesson_adult ON lesson_adult.lesson_id = lesson.id "
    "WHERE lesson.id = NEW.lesson_id AND lesson.school_id = NEW.school_id AND lesson_adult.person_id = NEW.adult_id "
    "AND (lesson.pupil_id IS NULL OR lesson.pupil_id = NEW.child_id) "
    "AND NEW.starts_at >= lesson.starts_at AND NEW.ends_at <= lesson.ends_at)"
)
ASKED = (
    "EXISTS (SELECT 1 FROM approval_request r JOIN requested_lesson q ON q.request_id = r.id "
    "WHERE r.id = NEW.request_id AND r.school_id = NEW.school_id AND q.lesson_id = NEW.lesson_id "
    "AND r.adult_id = NEW.adult_id AND r.child_id = NEW.child_id AND r.requested_by = NEW.requested_by "
    "AND NEW.starts_at >= q.starts_at AND NEW.ends_at <= q.ends_at)"
)
ONCE = {
    "approval": ("revoked_at", "revoked_by", "revoked_because"),
    "safeguarding_mark": ("lifted_at", "lifted_by", "lifted_because"),
}
"""Tables of which these columns alone are ever set, together and once; the first says whether they were."""
DECISION = ("status", "version", "decided_by", "decided_at", "reason")
FROZEN = ("requested_lesson", "approval_note")
KEPT = ("approval", "approval_request", "safeguarding_mark")


def upgrade() -> None:
    for name, table, verb, broken in _triggers(op.get_bind()):
        op.execute(_trigger(op.get_bind().dialect.name, name, table, verb, broken))


def downgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table, _, _ in _triggers(op.get_bind()):
        op.execute(f"DROP TRIGGER {name} ON {table}" if postgresql else f"DROP TRIGGER {name}")
        if postgresql:
            op.execute(f"DROP FUNCTION {name}()")


def _triggers(bind: sa.Connection) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """Every trigger: its name, table and verb, and what it refuses (words to a condition that is true when broken)."""
    dialect = bind.dialect.name
    yield "approval_is_allowed", "approval", "INSERT", _not_allowed(dialect)
    for table, once in ONCE.items():
        before = f"OLD.{once[0]} IS NOT NULL OR NEW.{once[0]} IS NULL"
        changed = _changed(dialect, [name for name in _columns(bind, table) if name not in once])
        yield f"{table}_ends_once", table, "UPDATE", {"ends once, and nothing else changes": f"{before} OR {changed}"}
    asked = _changed(dialect, [name for name in _columns(bind, "approval_request") if name not in DECISION])
    yield "approval_request_stays", "approval_request", "UPDATE", {
        "what was asked stays": asked, "what was decided stays": "OLD.status NOT IN ('waiting', 'questioned')",
    }
    for table in FROZEN:
        yield f"{table}_no_update", table, "UPDATE", {"append-only": "1 = 1"}
    for table in (*FROZEN, *KEPT):
        yield f"{table}_no_delete", table, "DELETE", {"append-only": "1 = 1"}


def _not_allowed(dialect: str) -> dict[str, str]:
    """Why a row is no approval, by the words of the refusal."""
    return {
        "the adult is no adult of this school": f"NOT {IS.format(who='adult_id', kind='adult')}",
        "the child is no child of this school": f"NOT {IS.format(who='child_id', kind='child')}",
        "the approver is no adult of this school": f"NOT {IS.format(who='approved_by', kind='adult')} OR NOT {HERE}",
        "the approver holds no approving role": f"NOT ({CHAIR} OR {HEAD} OR ({LEADER} AND {ANY_LEADER[dialect]}))",
        "only the chair decides about a headteacher": f"({OF_A_HEAD}) AND NOT {CHAIR}",
        "it does not fit the lesson": f"NOT {LESSON}",
        "it is not what was asked": f"NOT {ASKED}",
        "it begins revoked": "NEW.revoked_at IS NOT NULL",
    }


def _columns(bind: sa.Connection, table: str) -> list[str]:
    return [str(column["name"]) for column in sa.inspect(bind).get_columns(table)]


def _changed(dialect: str, columns: list[str]) -> str:
    differs = "IS DISTINCT FROM" if dialect == "postgresql" else "IS NOT"
    return " OR ".join(f"NEW.{name} {differs} OLD.{name}" for name in columns)


def _trigger(dialect: str, name: str, table: str, verb: str, broken: dict[str, str]) -> str:
    if dialect == "postgresql":
        checks = " ".join(f"IF {condition} THEN RAISE EXCEPTION '{words}'; END IF;" for words, condition in broken.items())
        answer = "OLD" if verb == "DELETE" else "NEW"
        return (
            f"CREATE FUNCTION {name}() RETURNS trigger AS $$ BEGIN {checks} RETURN {answer}; END $$ LANGUAGE plpgsql; "
            f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
    checks = " ".join(f"SELECT RAISE(ABORT, '{words}') WHERE {condition};" for words, condition in broken.items())
    return f"CREATE TRIGGER {name} BEFORE {verb} ON {table} BEGIN {checks} END"
