"""Alembic's environment. Every tables module is named here, or its tables would be missed."""

from alembic import context
from sqlmodel import SQLModel

import service.foundation.audit
import service.foundation.bus
import service.people.tables
import service.safeguarding.tables  # noqa: F401

context.configure(
    connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata, render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
