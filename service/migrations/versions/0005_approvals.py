"""Who approves whom is checked by the database as well; what was asked and decided stays as it was (policy: RL1, threat T5).

The rules of `service.safeguarding.approvals.rules`, as far as rows can say them, for whoever reaches the tables without them.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from service.migrations.triggers import allow_again, refuse

revision = "0005"
down_revision = "0004"
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


def _holds(who: str, role: str) -> str:
    return f"EXISTS (SELECT 1 FROM person_role WHERE school_id = NEW.school_id AND person_id = NEW.{who} AND role = '{role}')"


def _is(who: str, kind: str, more: str = "") -> str:
    return f"EXISTS (SELECT 1 FROM person WHERE id = NEW.{who} AND school_id = NEW.school_id AND kind = '{kind}'{more})"


CHAIR, HEAD, LEADER = (_holds("approved_by", role) for role in ("chair", "headteacher", "senior_leader"))
OF_A_HEAD = f"({_holds('adult_id', 'headteacher')} OR {_holds('requested_by', 'headteacher')})"
HERE = _is("approved_by", "adult", " AND (left_on IS NULL OR left_on > date(NEW.approved_at))")
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
ENDED_ONCE = {
    "approval": ("revoked_at", "revoked_by", "revoked_because"),
    "safeguarding_mark": ("lifted_at", "lifted_by", "lifted_because"),
}
"""Tables of which these columns alone are ever set, together and once; the first says whether they were."""
DECISION = ("status", "version", "decided_by", "decided_at", "reason")
FROZEN = ("requested_lesson", "approval_note")
KEPT = ("approval", "approval_request", "safeguarding_mark")


def upgrade() -> None:
    for name, verb, table, when, words in _triggers():
        refuse(name, verb, table, when, words)


def downgrade() -> None:
    for name, _, table, *_ in _triggers():
        allow_again(name, table)


def _triggers() -> Iterator[tuple[str, str, str, str, str]]:
    """Every trigger: its name, verb and table, the condition of a broken rule, and the words of the refusal."""
    for name, when, words in _of_an_approval(op.get_bind().dialect.name):
        yield f"approval_{name}", "INSERT", "approval", when, words
    for table, (ended, *rest) in ENDED_ONCE.items():
        again = f"OLD.{ended} IS NOT NULL OR NEW.{ended} IS NULL OR {_changed(table, but=(ended, *rest))}"
        yield f"{table}_ends_once", "UPDATE", table, again, "ends once, and nothing else changes"
    asked = _changed("approval_request", but=DECISION)
    yield "approval_request_stays", "UPDATE", "approval_request", asked, "what was asked stays"
    decided = "OLD.status NOT IN ('waiting', 'questioned')"
    yield "approval_request_decided", "UPDATE", "approval_request", decided, "what was decided stays"
    for table in FROZEN:
        yield f"{table}_no_update", "UPDATE", table, "1 = 1", "append-only"
    for table in (*FROZEN, *KEPT):
        yield f"{table}_no_delete", "DELETE", table, "1 = 1", "append-only"


def _of_an_approval(dialect: str) -> Iterator[tuple[str, str, str]]:
    """Why a new row is no approval: a short name, the condition, and the words."""
    yield "of_an_adult", f"NOT {_is('adult_id', 'adult')}", "the adult is no adult of this school"
    yield "of_a_child", f"NOT {_is('child_id', 'child')}", "the child is no child of this school"
    yield "by_an_adult", f"NOT {HERE}", "the approver is no adult of this school"
    may = f"({CHAIR} OR {HEAD} OR ({LEADER} AND {ANY_LEADER[dialect]}))"
    yield "by_an_approver", f"NOT {may}", "the approver holds no approving role"
    yield "by_the_chair", f"{OF_A_HEAD} AND NOT {CHAIR}", "only the chair decides about a headteacher"
    yield "of_the_lesson", f"NOT {LESSON}", "it does not fit the lesson"
    yield "as_asked", f"NOT {ASKED}", "it is not what was asked"
    yield "not_yet_ended", "NEW.revoked_at IS NOT NULL", "it begins revoked"


def _changed(table: str, *, but: tuple[str, ...]) -> str:
    """The condition that an update changes a column that is not in `but`; columns may be empty."""
    differs = "IS DISTINCT FROM" if op.get_bind().dialect.name == "postgresql" else "IS NOT"
    names = [str(column["name"]) for column in sa.inspect(op.get_bind()).get_columns(table)]
    return "(" + " OR ".join(f"NEW.{name} {differs} OLD.{name}" for name in names if name not in but) + ")"
