"""payments."""

import sqlalchemy as sa
from alembic import op

from server.storage.types import DecimalType, InstantType, JsonType, UuidType

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_LIVING = sa.text("deleted AND seq > 0")
_NAMED = sa.text("customer_id IS NOT NULL")


def upgrade() -> None:
    """Forward."""
    op.add_column("customers", sa.Column("plan", sa.String(length=64), nullable=True))
    op.create_index("ix_identities_record", "identities", ["tenant_id", "collection", "record_id"], unique=False)
    op.create_table(
        "payments",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("id", UuidType(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("audience", sa.String(length=80), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("stamp", InstantType(), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("clocks", JsonType(), nullable=True),
        sa.Column("shop", sa.String(length=64), nullable=False),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.Column("sale_id", UuidType(), nullable=True),
        sa.Column("customer_id", UuidType(), nullable=True),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("amount", DecimalType(10, 2), nullable=False),
        sa.Column("received", DecimalType(10, 2), nullable=False),
        sa.Column("refunded", DecimalType(10, 2), nullable=False),
        sa.Column("failure", sa.String(length=64), nullable=True),
        sa.Column("dispute", sa.String(length=64), nullable=True),
        sa.Column("created_at", InstantType(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_payments")),
    )
    op.create_index(
        op.f("ix_payments_tenant_id_audience_seq"), "payments", ["tenant_id", "audience", "seq"], unique=False
    )
    op.create_index(
        "ix_payments_tombstones",
        "payments",
        ["tenant_id", "seq"],
        unique=False,
        sqlite_where=_LIVING,
        postgresql_where=_LIVING,
    )
    op.create_index(
        "ix_payments_customer",
        "payments",
        ["tenant_id", "customer_id", "id"],
        unique=False,
        sqlite_where=_NAMED,
        postgresql_where=_NAMED,
    )
    op.create_table(
        "subscriptions",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("id", UuidType(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("audience", sa.String(length=80), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("stamp", InstantType(), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("clocks", JsonType(), nullable=True),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", UuidType(), nullable=True),
        sa.Column("plan", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("entitled", sa.Boolean(), nullable=False),
        sa.Column("period_ends_at", InstantType(), nullable=True),
        sa.Column("ends_after_period", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_subscriptions")),
    )
    op.create_index(
        op.f("ix_subscriptions_tenant_id_audience_seq"), "subscriptions", ["tenant_id", "audience", "seq"], unique=False
    )
    op.create_index(
        "ix_subscriptions_tombstones",
        "subscriptions",
        ["tenant_id", "seq"],
        unique=False,
        sqlite_where=_LIVING,
        postgresql_where=_LIVING,
    )
    op.create_index(
        "ix_subscriptions_customer",
        "subscriptions",
        ["tenant_id", "customer_id", "id"],
        unique=False,
        sqlite_where=_NAMED,
        postgresql_where=_NAMED,
    )


def downgrade() -> None:
    """Not supported: restore a backup."""
    raise RuntimeError("migrations go forward only: restore a backup")
