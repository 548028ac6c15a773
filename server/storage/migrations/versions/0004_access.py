"""access."""

import sqlalchemy as sa
from alembic import op

from server.storage.types import InstantType, JsonType, UuidType

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEPT = "the audit is only added to"
_LITE = (
    f"CREATE TRIGGER audit_kept BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, '{_KEPT}'); END",
    f"""CREATE TRIGGER audit_stays BEFORE DELETE ON audit WHEN OLD.at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-365 days')
       BEGIN SELECT RAISE(ABORT, '{_KEPT}'); END""",
    # REPLACE deletes without telling a trigger, whichever of its two keys a row has in common with another.
    f"""CREATE TRIGGER audit_once BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit
       WHERE (tenant_id = NEW.tenant_id AND entry_id = NEW.entry_id) OR rowid = NEW.rowid)
       BEGIN SELECT RAISE(ABORT, '{_KEPT}'); END""",  # noqa: S608  # our own words
)
_POST = (
    f"""CREATE OR REPLACE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF TG_OP = 'DELETE' AND OLD.at < now() - interval '365 days' THEN RETURN OLD; END IF;
       RAISE EXCEPTION '{_KEPT}' USING ERRCODE = 'restrict_violation'; END $$""",
    "CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION keep_audit()",
    "CREATE TRIGGER audit_whole BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION keep_audit()",
)
"""What is older than a year may go; nothing else ever changes."""

_TOKENS_TO_KEYS = """INSERT INTO keys (tenant_id, key_id, device_id, name, secret_hash, created_at, revoked_at)
    SELECT tenant_id, device_id, device_id, name, secret_hash, created_at, revoked_at FROM devices"""
"""A device's token of before is a key of its: they have one form, and this one's id is the device's."""


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "people",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("person_id", UuidType(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("shop", sa.String(length=64), nullable=False),
        sa.Column("login", sa.String(length=80), nullable=True),
        sa.Column("password", sa.String(length=200), nullable=True),
        sa.Column("issuer", sa.String(length=500), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", InstantType(), nullable=True),
        sa.Column("created_at", InstantType(), nullable=False),
        sa.Column("disabled_at", InstantType(), nullable=True),
        sa.Column("heard_at", InstantType(), nullable=True),
        sa.Column("left_at", InstantType(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "person_id", name=op.f("pk_people")),
    )
    op.create_index("ix_people_login", "people", ["tenant_id", "login"], unique=True)
    op.create_index("ix_people_subject", "people", ["tenant_id", "issuer", "subject"], unique=True)
    op.create_table(
        "passkeys",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("credential_id", sa.String(length=1400), nullable=False),
        sa.Column("person_id", UuidType(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("public_key", sa.String(length=2000), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", JsonType(), nullable=False),
        sa.Column("created_at", InstantType(), nullable=False),
        sa.Column("used_at", InstantType(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "credential_id", name=op.f("pk_passkeys")),
    )
    op.create_index("ix_passkeys_person", "passkeys", ["tenant_id", "person_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("session_id", UuidType(), nullable=False),
        sa.Column("device_id", UuidType(), nullable=False),
        sa.Column("person_id", UuidType(), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("attempt_hash", sa.String(length=64), nullable=True),
        sa.Column("rotated_at", InstantType(), nullable=False),
        sa.Column("created_at", InstantType(), nullable=False),
        sa.Column("expires_at", InstantType(), nullable=False),
        sa.Column("ended_at", InstantType(), nullable=True),
        sa.Column("ended_why", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_device", "sessions", ["tenant_id", "device_id"], unique=False)
    op.create_index(
        "ix_sessions_open",
        "sessions",
        ["tenant_id", "expires_at"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "keys",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("key_id", UuidType(), nullable=False),
        sa.Column("device_id", UuidType(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("permissions", JsonType(), nullable=True),
        sa.Column("signing", sa.Text(), nullable=True),
        sa.Column("certificate", sa.String(length=64), nullable=True),
        sa.Column("successor", UuidType(), nullable=True),
        sa.Column("made_by", UuidType(), nullable=True),
        sa.Column("created_at", InstantType(), nullable=False),
        sa.Column("rotate_by", InstantType(), nullable=True),
        sa.Column("expires_at", InstantType(), nullable=True),
        sa.Column("last_used_at", InstantType(), nullable=True),
        sa.Column("revoked_at", InstantType(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "key_id", name=op.f("pk_keys")),
    )
    op.create_index("ix_keys_device", "keys", ["tenant_id", "device_id"], unique=False)
    op.create_table(
        "invites",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("shop", sa.String(length=64), nullable=False),
        sa.Column("person_id", UuidType(), nullable=True),
        sa.Column("made_by", UuidType(), nullable=True),
        sa.Column("asked_by", UuidType(), nullable=True),
        sa.Column("created_at", InstantType(), nullable=False),
        sa.Column("expires_at", InstantType(), nullable=False),
        sa.Column("used_at", InstantType(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "code_hash", name=op.f("pk_invites")),
    )
    op.create_index("ix_invites_code", "invites", ["code_hash"], unique=False)
    op.create_table(
        "guesses",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("origin", sa.String(length=64), nullable=False),
        sa.Column("stretch", InstantType(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "origin", "stretch", name=op.f("pk_guesses")),
    )
    op.create_table(
        "spent",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("what_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", InstantType(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "what_hash", name=op.f("pk_spent")),
    )
    op.create_index("ix_spent_expired", "spent", ["tenant_id", "expires_at"], unique=False)
    op.create_table(
        "audit",
        sa.Column("tenant_id", UuidType(), nullable=False),
        sa.Column("entry_id", UuidType(), nullable=False),
        sa.Column("at", InstantType(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=True),
        sa.Column("subject_kind", sa.String(length=16), nullable=True),
        sa.Column("subject_id", sa.String(length=64), nullable=True),
        sa.Column("origin", sa.String(length=64), nullable=True),
        sa.Column("correlation_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "entry_id", name=op.f("pk_audit")),
    )
    for statement in _LITE if op.get_bind().dialect.name == "sqlite" else _POST:
        op.execute(statement)

    op.execute(_TOKENS_TO_KEYS)
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.drop_column("secret_hash")
        batch_op.add_column(sa.Column("made_by", UuidType(), nullable=True))

    with op.batch_alter_table("tenants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("handle", sa.String(length=48), nullable=True))
        batch_op.create_index("ix_tenants_handle", ["handle"], unique=False)


def downgrade() -> None:
    """Not supported: restore a backup."""
    raise RuntimeError("migrations go forward only: restore a backup")
