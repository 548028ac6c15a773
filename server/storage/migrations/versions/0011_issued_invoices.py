"""issued_invoices."""

import sqlalchemy as sa
from alembic import op

from server.storage.types import DayType, DecimalType, InstantType, JsonType, UuidType

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "issued_invoices",
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
        sa.Column("sale_id", UuidType(), nullable=False),
        sa.Column("issued_on", DayType(), nullable=False),
        sa.Column("customer_id", UuidType(), nullable=False),
        sa.Column("submission", sa.BigInteger(), nullable=False),
        sa.Column("document_type", sa.String(length=64), nullable=False),
        sa.Column("credits", UuidType(), nullable=True),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("problems", JsonType(), nullable=False),
        sa.Column("flags", JsonType(), nullable=False),
        sa.Column("submitted", sa.BigInteger(), nullable=False),
        sa.Column("series", sa.String(length=8), nullable=True),
        sa.Column("year", sa.BigInteger(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("number", sa.String(length=20), nullable=True),
        sa.Column("file_name", sa.String(length=50), nullable=True),
        sa.Column("via", sa.String(length=64), nullable=True),
        sa.Column("seller", JsonType(), nullable=True),
        sa.Column("buyer", JsonType(), nullable=True),
        sa.Column("lines", JsonType(), nullable=False),
        sa.Column("vat", JsonType(), nullable=False),
        sa.Column("total", DecimalType(10, 2), nullable=True),
        sa.Column("stamp_duty", DecimalType(10, 2), nullable=True),
        sa.Column("payment_method", sa.String(length=64), nullable=True),
        sa.Column("credits_number", sa.String(length=20), nullable=True),
        sa.Column("credits_issued_on", DayType(), nullable=True),
        sa.Column("delivery", sa.String(length=64), nullable=True),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.Column("sdi_id", sa.String(length=64), nullable=True),
        sa.Column("sdi_status", sa.String(length=64), nullable=True),
        sa.Column("sdi_errors", JsonType(), nullable=False),
        sa.Column("sdi_at", InstantType(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_issued_invoices")),
    )
    with op.batch_alter_table("issued_invoices", schema=None) as batch_op:
        batch_op.create_index(
            "ix_issued_invoices_customer",
            ["tenant_id", "customer_id", "id"],
            unique=False,
            sqlite_where=sa.text("customer_id IS NOT NULL"),
            postgresql_where=sa.text("customer_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_issued_invoices_sale",
            ["tenant_id", "sale_id", "id"],
            unique=False,
            sqlite_where=sa.text("sale_id IS NOT NULL"),
            postgresql_where=sa.text("sale_id IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_issued_invoices_tenant_id_audience_seq"), ["tenant_id", "audience", "seq"], unique=False
        )
        batch_op.create_index(
            "ix_issued_invoices_tombstones",
            ["tenant_id", "seq"],
            unique=False,
            sqlite_where=sa.text("deleted AND seq > 0"),
            postgresql_where=sa.text("deleted AND seq > 0"),
        )

    op.create_table(
        "issued_numbers",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("counted", sa.String(length=8), nullable=False),
        sa.Column("series", sa.String(length=8), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "counted", "series", "year", name=op.f("pk_issued_numbers")),
    )
    with op.batch_alter_table("customers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("postcode", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("city", sa.String(length=60), nullable=True))
        batch_op.add_column(sa.Column("province", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("country", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("pec", sa.String(length=254), nullable=True))


def downgrade() -> None:
    """Not supported: restore a backup."""
    raise RuntimeError("migrations go forward only: restore a backup")
