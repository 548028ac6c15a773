"""A code may be for a device that comes back."""

import sqlalchemy as sa
from alembic import op

from server.storage.types import UuidType

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("invites", sa.Column("device_id", UuidType(), nullable=True))


def downgrade() -> None:
    """Not supported: restore a backup."""
    raise RuntimeError("migrations go forward only: restore a backup")
