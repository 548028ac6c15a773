"""files."""

import sqlalchemy as sa
from alembic import op

from server.storage.types import DecimalType, InstantType, JsonType, UuidType

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_LIVING = sa.text("deleted AND seq > 0")
_TEXTS = {
    "source_sha256": 64,
    "signature": 64,
    "supplier_tax_code": 64,
    "supplier_address": 300,
    "customer_name": 200,
    "customer_vat": 64,
    "rounding": 40,
    "stamp_duty": 40,
}
_LISTS = ("causes", "withholdings", "funds", "discounts", "related", "payments", "attachments")


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "files",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", InstantType(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sha256", name=op.f("pk_files")),
    )
    for name, length in _TEXTS.items():
        op.add_column("invoices", sa.Column(name, sa.String(length=length), nullable=True))
    op.add_column("invoices", sa.Column("withheld", DecimalType(10, 2), nullable=True))
    for name in _LISTS:
        op.add_column("invoices", sa.Column(name, JsonType(), nullable=True))
    _quarantined()


def _quarantined() -> None:
    op.create_table(
        "quarantined",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("id", UuidType(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("audience", sa.String(length=80), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("stamp", InstantType(), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("clocks", JsonType(), nullable=True),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("receipt_id", UuidType(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("received_at", InstantType(), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=True),
        sa.Column("sdi_id", sa.String(length=64), nullable=True),
        sa.Column("read", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_quarantined")),
    )
    op.create_index(
        op.f("ix_quarantined_tenant_id_audience_seq"), "quarantined", ["tenant_id", "audience", "seq"], unique=False
    )
    op.create_index(
        "ix_quarantined_tombstones",
        "quarantined",
        ["tenant_id", "seq"],
        unique=False,
        sqlite_where=_LIVING,
        postgresql_where=_LIVING,
    )


def downgrade() -> None:
    """Not supported: restore a backup."""
    raise RuntimeError("migrations go forward only: restore a backup")
