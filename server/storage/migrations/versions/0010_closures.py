"""closures."""

import sqlalchemy as sa
from alembic import op

from server.storage.types import DayType, DecimalType, InstantType, JsonType, UuidType

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "closures",
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
        sa.Column("terminal_id", sa.String(length=64), nullable=False),
        sa.Column("business_day", DayType(), nullable=False),
        sa.Column("closed_at", InstantType(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_receipt", sa.BigInteger(), nullable=True),
        sa.Column("last_receipt", sa.BigInteger(), nullable=True),
        sa.Column("voided", JsonType(), nullable=False),
        sa.Column("total", DecimalType(10, 2), nullable=False),
        sa.Column("vat", JsonType(), nullable=False),
        sa.Column("payments", JsonType(), nullable=False),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_closures")),
    )
    with op.batch_alter_table("closures", schema=None) as batch_op:
        batch_op.create_index(
            "ix_closures_series", ["tenant_id", "terminal_id", "first_receipt", "business_day"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_closures_tenant_id_audience_seq"), ["tenant_id", "audience", "seq"], unique=False
        )
        batch_op.create_index(
            "ix_closures_tombstones",
            ["tenant_id", "seq"],
            unique=False,
            sqlite_where=sa.text("deleted AND seq > 0"),
            postgresql_where=sa.text("deleted AND seq > 0"),
        )

    op.create_table(
        "reconciled",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", InstantType(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_reconciled")),
    )
    op.create_table(
        "reconciliations",
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
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("terminal_id", sa.String(length=64), nullable=False),
        sa.Column("business_day", DayType(), nullable=False),
        sa.Column("closure_id", UuidType(), nullable=True),
        sa.Column("receipt_no", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("opened_at", InstantType(), nullable=False),
        sa.Column("closed_at", InstantType(), nullable=True),
        sa.Column("expected_count", sa.BigInteger(), nullable=False),
        sa.Column("arrived_count", sa.BigInteger(), nullable=False),
        sa.Column("arrived_total", DecimalType(10, 2), nullable=False),
        sa.Column("missing", JsonType(), nullable=False),
        sa.Column("unclosed", JsonType(), nullable=False),
        sa.Column("doubles", JsonType(), nullable=False),
        sa.Column("elsewhere", JsonType(), nullable=False),
        sa.Column("unvoided", JsonType(), nullable=False),
        sa.Column("differences", JsonType(), nullable=False),
        sa.Column("vat", JsonType(), nullable=False),
        sa.Column("payments", JsonType(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_reconciliations")),
    )
    with op.batch_alter_table("reconciliations", schema=None) as batch_op:
        batch_op.create_index(
            "ix_reconciliations_open",
            ["tenant_id", "opened_at", "id"],
            unique=False,
            sqlite_where=sa.text("status = 'open' AND NOT accepted"),
            postgresql_where=sa.text("status = 'open' AND NOT accepted"),
        )
        batch_op.create_index(
            batch_op.f("ix_reconciliations_tenant_id_audience_seq"), ["tenant_id", "audience", "seq"], unique=False
        )
        batch_op.create_index(
            "ix_reconciliations_tombstones",
            ["tenant_id", "seq"],
            unique=False,
            sqlite_where=sa.text("deleted AND seq > 0"),
            postgresql_where=sa.text("deleted AND seq > 0"),
        )

    with op.batch_alter_table("sales", schema=None) as batch_op:
        batch_op.create_index(
            "ix_sales_receipt", ["tenant_id", "terminal_id", "receipt_no", "business_day"], unique=False
        )


def downgrade() -> None:
    """Not supported: restore a backup."""
    raise RuntimeError("migrations go forward only: restore a backup")
