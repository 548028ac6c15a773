"""webpush."""

import sqlalchemy as sa
from alembic import op

from server.storage.types import InstantType, JsonType, UuidType

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("alerts", sa.Column("pushed", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "webpush_keys",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("key_id", UuidType(), nullable=False),
        sa.Column("public_key", sa.String(length=100), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", InstantType(), nullable=False),
        sa.Column("superseded_at", InstantType(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "key_id", name=op.f("pk_webpush_keys")),
    )
    op.create_table(
        "webpush_subscriptions",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("device_id", UuidType(), nullable=False),
        sa.Column("subscription_id", UuidType(), nullable=False),
        sa.Column("person_id", UuidType(), nullable=True),
        sa.Column("endpoint_id", UuidType(), nullable=False),
        sa.Column("key_id", UuidType(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("lang", sa.String(length=2), nullable=False),
        sa.Column("kinds", JsonType(), nullable=True),
        sa.Column("quiet_from", sa.String(length=5), nullable=True),
        sa.Column("quiet_to", sa.String(length=5), nullable=True),
        sa.Column("created_at", InstantType(), nullable=False),
        sa.Column("changed_at", InstantType(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "device_id", name=op.f("pk_webpush_subscriptions")),
    )
    op.create_table(
        "webpush_notices",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("device_id", UuidType(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", UuidType(), nullable=False),
        sa.Column("about", JsonType(), nullable=False),
        sa.Column("noted_at", InstantType(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "device_id", "kind", "subject", name=op.f("pk_webpush_notices")),
    )
    op.create_index("ix_webpush_notices_noted", "webpush_notices", ["tenant_id", "noted_at"], unique=False)


def downgrade() -> None:
    """Not supported: restore a backup."""
    raise RuntimeError("migrations go forward only: restore a backup")
