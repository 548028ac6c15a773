"""engine."""

import sqlalchemy as sa
from alembic import op

from server.storage.types import InstantType, UuidType

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_passed",
            ["tenant_id", "endpoint_id", "collection", "record_id"],
            unique=False,
            sqlite_where=sa.text("NOT holds"),
            postgresql_where=sa.text("NOT holds"),
        )
        batch_op.create_index(
            "ix_outbox_settled",
            ["tenant_id", "settled_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('delivered', 'superseded', 'cancelled', 'answered')"),
            postgresql_where=sa.text("state IN ('delivered', 'superseded', 'cancelled', 'answered')"),
        )

    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbox_object_open",
            ["tenant_id", "endpoint_id", "object_id", "next_attempt_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending', 'leased') AND object_id IS NOT NULL"),
            postgresql_where=sa.text("state IN ('pending', 'leased') AND object_id IS NOT NULL"),
        )

    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("heard_at", InstantType(), nullable=True))

    with op.batch_alter_table("endpoints", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fallback_id", UuidType(), nullable=True))
        batch_op.add_column(sa.Column("fallback_after_s", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.add_column(sa.Column("origin_id", UuidType(), nullable=True))


def downgrade() -> None:
    """Not supported: restore a backup."""
    raise RuntimeError("migrations go forward only: restore a backup")
