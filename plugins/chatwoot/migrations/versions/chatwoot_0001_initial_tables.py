"""The first tables of the Chatwoot plugin."""

import sqlalchemy as sa
from alembic import op

revision = "chatwoot_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chatwoot_conversation",
        sa.Column("account_ref", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("inbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel_type", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("known", sa.JSON(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_incoming_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_chatwoot_conversation_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chatwoot_conversation")),
        sa.UniqueConstraint(
            "tenant_id",
            "account_ref",
            "conversation_id",
            name=op.f("uq_chatwoot_conversation_tenant_id_account_ref_conversation_id"),
        ),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_chatwoot_conversation_tenant_id_id")),
    )
    with op.batch_alter_table("chatwoot_conversation", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_chatwoot_conversation_tenant_id_account_ref_contact_id_inbox_id"),
            ["tenant_id", "account_ref", "contact_id", "inbox_id"],
            unique=False,
        )

    op.create_table(
        "chatwoot_cursor",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.JSON(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_chatwoot_cursor_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chatwoot_cursor")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_chatwoot_cursor_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_chatwoot_cursor_tenant_id_name")),
    )
    op.create_table(
        "chatwoot_lock",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_chatwoot_lock_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chatwoot_lock")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_chatwoot_lock_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_chatwoot_lock_tenant_id_name")),
    )
    op.create_table(
        "chatwoot_config",
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("base_url", sa.String(), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("inbox_id", sa.Integer(), nullable=True),
        sa.Column("api_access_token", sa.Text(), nullable=True),
        sa.Column("webhook_key", sa.Text(), nullable=False),
        sa.Column("webhook_key_hash", sa.String(), nullable=False),
        sa.Column("webhook_id", sa.Integer(), nullable=True),
        sa.Column("webhook_secret", sa.Text(), nullable=True),
        sa.Column("previous_webhook_secret", sa.Text(), nullable=True),
        sa.Column("inbox_webhook_secret", sa.Text(), nullable=True),
        sa.Column("allow_unsigned", sa.Boolean(), nullable=False),
        sa.Column("enable_notifications", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("inbox_trust", sa.JSON(), nullable=False),
        sa.Column("website_token", sa.String(), nullable=True),
        sa.Column("widget_position", sa.String(), nullable=True),
        sa.Column("widget_locale", sa.String(), nullable=True),
        sa.Column("widget_color", sa.String(), nullable=True),
        sa.Column("identity_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "branch_id"],
            ["branch.tenant_id", "branch.id"],
            name=op.f("fk_chatwoot_config_tenant_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_chatwoot_config_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chatwoot_config")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_chatwoot_config_tenant_id_id")),
    )
    with op.batch_alter_table("chatwoot_config", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_chatwoot_config_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_chatwoot_config_webhook_key_hash"), ["webhook_key_hash"], unique=True)
        batch_op.create_index("uq_chatwoot_config_branch", ["tenant_id", "branch_id"], unique=True)
        batch_op.create_index(
            "uq_chatwoot_config_tenant",
            ["tenant_id"],
            unique=True,
            postgresql_where=sa.text("branch_id IS NULL"),
            sqlite_where=sa.text("branch_id IS NULL"),
        )

    op.create_table(
        "chatwoot_contact",
        sa.Column("account_ref", sa.String(), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("client_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("trust", sa.String(), nullable=False),
        sa.Column("pushed", sa.JSON(), nullable=False),
        sa.Column("noted", sa.String(), nullable=True),
        sa.Column("known", sa.JSON(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["client.tenant_id", "client.id"],
            name=op.f("fk_chatwoot_contact_tenant_id_client_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_chatwoot_contact_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chatwoot_contact")),
        sa.UniqueConstraint(
            "tenant_id", "account_ref", "contact_id", name=op.f("uq_chatwoot_contact_tenant_id_account_ref_contact_id")
        ),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_chatwoot_contact_tenant_id_id")),
    )
    with op.batch_alter_table("chatwoot_contact", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_chatwoot_contact_tenant_id_client_id"), ["tenant_id", "client_id"], unique=False
        )

    op.create_table(
        "chatwoot_event",
        sa.Column("config_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("account_ref", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String(), nullable=True),
        sa.Column("object_key", sa.String(), nullable=True),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "config_id"],
            ["chatwoot_config.tenant_id", "chatwoot_config.id"],
            name=op.f("fk_chatwoot_event_tenant_id_config_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_chatwoot_event_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chatwoot_event")),
        sa.UniqueConstraint(
            "tenant_id", "account_ref", "delivery_id", name=op.f("uq_chatwoot_event_tenant_id_account_ref_delivery_id")
        ),
        sa.UniqueConstraint(
            "tenant_id", "account_ref", "object_key", name=op.f("uq_chatwoot_event_tenant_id_account_ref_object_key")
        ),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_chatwoot_event_tenant_id_id")),
    )
    with op.batch_alter_table("chatwoot_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_chatwoot_event_waiting",
            ["tenant_id", "account_ref", "contact_id"],
            unique=False,
            postgresql_where=sa.text("processed_at IS NULL"),
            sqlite_where=sa.text("processed_at IS NULL"),
        )

    op.create_table(
        "chatwoot_interaction",
        sa.Column("account_ref", sa.String(), nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("conversation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("client_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("notification_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("question", sa.String(), nullable=True),
        sa.Column("intent", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=True),
        sa.Column("reply_key", sa.String(), nullable=True),
        sa.Column("schedule_version", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["client.tenant_id", "client.id"],
            name=op.f("fk_chatwoot_interaction_tenant_id_client_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "notification_id"],
            ["notification.tenant_id", "notification.id"],
            name=op.f("fk_chatwoot_interaction_tenant_id_notification_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_chatwoot_interaction_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chatwoot_interaction")),
        sa.UniqueConstraint(
            "tenant_id",
            "account_ref",
            "message_id",
            name=op.f("uq_chatwoot_interaction_tenant_id_account_ref_message_id"),
        ),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_chatwoot_interaction_tenant_id_id")),
    )
    with op.batch_alter_table("chatwoot_interaction", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_chatwoot_interaction_tenant_id_account_ref_conversation_id"),
            ["tenant_id", "account_ref", "conversation_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_chatwoot_interaction_tenant_id_client_id"), ["tenant_id", "client_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("chatwoot_interaction", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_chatwoot_interaction_tenant_id_client_id"))
        batch_op.drop_index(batch_op.f("ix_chatwoot_interaction_tenant_id_account_ref_conversation_id"))

    op.drop_table("chatwoot_interaction")
    with op.batch_alter_table("chatwoot_event", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_chatwoot_event_waiting",
            postgresql_where=sa.text("processed_at IS NULL"),
            sqlite_where=sa.text("processed_at IS NULL"),
        )

    op.drop_table("chatwoot_event")
    with op.batch_alter_table("chatwoot_contact", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_chatwoot_contact_tenant_id_client_id"))

    op.drop_table("chatwoot_contact")
    with op.batch_alter_table("chatwoot_config", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_chatwoot_config_tenant",
            postgresql_where=sa.text("branch_id IS NULL"),
            sqlite_where=sa.text("branch_id IS NULL"),
        )
        batch_op.drop_index("uq_chatwoot_config_branch")
        batch_op.drop_index(batch_op.f("ix_chatwoot_config_webhook_key_hash"))
        batch_op.drop_index(batch_op.f("ix_chatwoot_config_account_id"))

    op.drop_table("chatwoot_config")
    op.drop_table("chatwoot_lock")
    op.drop_table("chatwoot_cursor")
    with op.batch_alter_table("chatwoot_conversation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_chatwoot_conversation_tenant_id_account_ref_contact_id_inbox_id"))

    op.drop_table("chatwoot_conversation")
