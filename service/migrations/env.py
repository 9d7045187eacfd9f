"""Alembic's environment. Every tables module is named here, or its tables would be missed."""

import importlib
from typing import Any

from alembic import context
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.ext.compiler import compiles
from sqlmodel import SQLModel

TABLES = (
    "service.foundation.audit", "service.foundation.bus", "service.foundation.mail",
    "service.people.tables", "service.people.push.tables", "service.people.phones.tables",
    "service.safeguarding.tables",
    "service.safeguarding.approvals.tables", "service.safeguarding.concerns.tables",
    "service.safeguarding.impact.tables", "service.safeguarding.breaches.tables",
    "consent.tables", "consent.agreements.tables", "consent.documents.tables", "consent.requests.tables",
    "recordings.tables", "recordings.ending.tables", "recordings.preparation.tables", "recordings.marks.tables",
    "recordings.grants.tables", "recordings.told.tables", "service.calls.tables",
    "lessons.tables", "lessons.guests.tables",
    "lessons.attention.tables", "lessons.family.tables", "lessons.engagement.tables",
    "mobile_api.once",
)
for module in TABLES:
    importlib.import_module(module)


@compiles(ForeignKeyConstraint, "postgresql")
def _checked_at_the_commit(constraint: ForeignKeyConstraint, compiler: Any, **named: Any) -> str:
    """Rows may arrive in any order, as SQLite is told when a transaction begins."""
    constraint.deferrable, constraint.initially = True, "DEFERRED"
    said: str = compiler.visit_foreign_key_constraint(constraint, **named)
    return said


context.configure(
    connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata, render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
