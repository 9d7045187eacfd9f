"""Keys of recordings leave the database for the key store; a recording has a kind (policy: RE2, RE3).

What lay in the database was wrapped by `recordings.wrap`. It is wrapped again by another key, and that file is erased once this
is committed (`Vault.forget_old`): then no copy of the old rows in any back-up opens anything (docs/decisions/0080).
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KINDS = "kind IN ('lesson', 'one-to-one', 'teaching-practice')"
OLD_KEYS = sa.text(
    "SELECT k.part_id, k.wrapped, k.school_id, p.recording_id, p.part, r.kept_until FROM recording_key k "
    "JOIN recording_part p ON p.id = k.part_id JOIN recording r ON r.id = p.recording_id WHERE k.wrapped <> ''"
).columns(kept_until=sa.Date())


def upgrade() -> None:
    op.execute(f"ALTER TABLE recording ADD COLUMN kind VARCHAR(20) NOT NULL DEFAULT 'lesson' CHECK ({KINDS})")
    op.execute("ALTER TABLE recording_key ADD COLUMN name VARCHAR(32) NOT NULL DEFAULT ''")
    _move_keys()
    op.drop_column("recording_key", "wrapped")


def _move_keys() -> None:
    from recordings.vault import keep_old

    rows = op.get_bind().execute(OLD_KEYS).all()
    if rows and "keys" not in context.config.attributes:
        raise RuntimeError("Say where the keys are: the keys of recordings move out of the database.")
    for row in rows:
        name = keep_old(context.config.attributes["keys"], row.school_id, row.recording_id, row.part, row.kept_until,
                        bytes.fromhex(row.wrapped))
        op.get_bind().execute(sa.text("UPDATE recording_key SET name = :name WHERE part_id = :part"),
                              {"name": name, "part": row.part_id})


def downgrade() -> None:
    op.execute("ALTER TABLE recording_key ADD COLUMN wrapped VARCHAR(200) NOT NULL DEFAULT ''")
    op.drop_column("recording_key", "name")
    op.drop_column("recording", "kind")
