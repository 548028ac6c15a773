"""engine."""

import sqlalchemy as sa
from alembic import op

from server.storage.types import InstantType, JsonType, UuidType

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    with op.batch_alter_table("waiting", schema=None) as batch_op:
        batch_op.add_column(sa.Column("author_id", UuidType(), nullable=True))
    op.execute("UPDATE waiting SET author_id = client_id")  # until now who is told was taken for who wrote
    with op.batch_alter_table("waiting", schema=None) as batch_op:
        batch_op.alter_column("author_id", existing_type=UuidType(), nullable=False)
        batch_op.create_index(
            "ix_waiting_author",
            ["tenant_id", "author_id", "resolved_seq"],
            unique=False,
            sqlite_where=sa.text("resolved_seq IS NOT NULL"),
            postgresql_where=sa.text("resolved_seq IS NOT NULL"),
        )

    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_stuck",
            ["endpoint_id", "state"],
            unique=False,
            sqlite_where=sa.text("state IN ('dead', 'in_doubt')"),
            postgresql_where=sa.text("state IN ('dead', 'in_doubt')"),
        )
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

        batch_op.add_column(sa.Column("doubted_from", InstantType(), nullable=True))
        batch_op.add_column(sa.Column("not_after", InstantType(), nullable=True))
        batch_op.add_column(sa.Column("after", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("waits_for", sa.String(length=101), nullable=True))
        batch_op.create_index(
            "ix_outbox_waits_for",
            ["tenant_id", "endpoint_id", "waits_for"],
            unique=False,
            sqlite_where=sa.text("waits_for IS NOT NULL"),
            postgresql_where=sa.text("waits_for IS NOT NULL"),
        )

    with op.batch_alter_table("endpoints", schema=None) as batch_op:
        batch_op.add_column(sa.Column("epoch", sa.String(length=36), nullable=True))

    with op.batch_alter_table("tenants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("epoch_at", InstantType(), nullable=True))

    op.create_table(
        "backfills",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("route", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", UuidType(), nullable=False),
        sa.Column("begun_at", InstantType(), nullable=False),
        sa.Column("done_through", UuidType(), nullable=True),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", InstantType(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "route", "endpoint_id", name=op.f("pk_backfills")),
    )
    with op.batch_alter_table("backfills", schema=None) as batch_op:
        batch_op.create_index(
            "ix_backfills_open",
            ["begun_at"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbox_person",
            ["endpoint_id", "state"],
            unique=False,
            sqlite_where=sa.text("state IN ('dead', 'quarantined')"),
            postgresql_where=sa.text("state IN ('dead', 'quarantined')"),
        )
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

    with op.batch_alter_table("gates", schema=None) as batch_op:
        batch_op.add_column(sa.Column("turns", JsonType(), server_default="[]", nullable=False))


def downgrade() -> None:
    """Not supported: restore a backup."""
    raise RuntimeError("migrations go forward only: restore a backup")
