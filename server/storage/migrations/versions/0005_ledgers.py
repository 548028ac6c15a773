"""ledgers."""

import sqlalchemy as sa
from alembic import op

from server.storage.types import InstantType, UuidType

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OPEN = sa.text("done_at IS NULL")
_NAMED = sa.text("customer_id IS NOT NULL")


def upgrade() -> None:
    """Forward."""
    # Not as a batch: SQLite would copy the table, and leave the triggers behind that keep it.
    op.add_column("audit", sa.Column("times", sa.BigInteger(), server_default="1", nullable=False))
    op.create_index("ix_audit_action", "audit", ["tenant_id", "action", "entry_id"], unique=False)
    op.create_index("ix_audit_actor", "audit", ["tenant_id", "actor_id", "entry_id"], unique=False)
    op.create_table(
        "erasures",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("record_id", UuidType(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("erased_at", InstantType(), nullable=False),
        sa.Column("done_at", InstantType(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "collection", "record_id", name=op.f("pk_erasures")),
    )
    op.create_index(
        "ix_erasures_open",
        "erasures",
        ["tenant_id", "erased_at"],
        unique=False,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index(
        "ix_sales_customer",
        "sales",
        ["tenant_id", "customer_id", "id"],
        unique=False,
        sqlite_where=_NAMED,
        postgresql_where=_NAMED,
    )


def downgrade() -> None:
    """Not supported: restore a backup."""
    raise RuntimeError("migrations go forward only: restore a backup")
