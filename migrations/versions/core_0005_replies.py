"""Stops belong to numbers; what is received on any channel, and what was offered in reply; notice for cancelling."""

import sqlalchemy as sa
from alembic import op

revision = "core_0005"
down_revision = "core_0004"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Stops made until now stay those of the client."""
    with op.batch_alter_table("tenant", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cancel_notice_minutes", sa.Integer(), nullable=False, server_default="0"))

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("address_key", sa.String(), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_delivery_tenant_id_channel_address_key"), ["tenant_id", "channel", "address_key"]
        )

    with op.batch_alter_table("opt_out", schema=None) as batch_op:
        batch_op.add_column(sa.Column("address", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("scope", sa.String(), nullable=False, server_default="all"))
        batch_op.alter_column("client_id", existing_type=BIG_ID, nullable=True)
        batch_op.drop_constraint("uq_opt_out_tenant_id_client_id_channel", type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_opt_out_tenant_id_channel_address_scope"), ["tenant_id", "channel", "address", "scope"]
        )
        batch_op.create_unique_constraint(
            batch_op.f("uq_opt_out_tenant_id_channel_client_id_scope"), ["tenant_id", "channel", "client_id", "scope"]
        )
        batch_op.create_check_constraint(
            batch_op.f("ck_opt_out_whose"), sa.text("(client_id IS NULL) <> (address IS NULL)")
        )
        batch_op.create_check_constraint(
            batch_op.f("ck_opt_out_scope"), sa.text("scope IN ('all', 'marketing', 'doubtful')")
        )
        batch_op.create_index(batch_op.f("ix_opt_out_tenant_id_address"), ["tenant_id", "address"])

    op.create_table(
        "received_message",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notification_id", BIG_ID, nullable=True),
        sa.Column("intent", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=True),
        sa.Column("reply_key", sa.String(), nullable=True),
        sa.Column("reply_id", sa.String(), nullable=True),
        sa.Column("question", sa.String(), nullable=True),
        sa.Column("schedule_version", sa.Integer(), nullable=True),
        sa.Column("choice", sa.JSON(), nullable=True),
        sa.Column("tenant_id", BIG_ID, nullable=False),
        sa.Column("id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "notification_id"],
            ["notification.tenant_id", "notification.id"],
            name=op.f("fk_received_message_tenant_id_notification_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_received_message_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_received_message")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_received_message_tenant_id_id")),
        sa.UniqueConstraint(
            "tenant_id", "channel", "provider_id", name=op.f("uq_received_message_tenant_id_channel_provider_id")
        ),
    )
    with op.batch_alter_table("received_message", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_received_message_tenant_id_channel_address"), ["tenant_id", "channel", "address"]
        )
        batch_op.create_index(
            batch_op.f("ix_received_message_tenant_id_notification_id"), ["tenant_id", "notification_id"]
        )


def downgrade() -> None:
    """Stops that only a number has, or that end advertising alone, cannot be kept."""
    op.drop_table("received_message")
    op.execute("DELETE FROM opt_out WHERE client_id IS NULL OR scope <> 'all'")
    with op.batch_alter_table("opt_out", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_opt_out_tenant_id_address"))
        batch_op.drop_constraint(batch_op.f("ck_opt_out_scope"), type_="check")
        batch_op.drop_constraint(batch_op.f("ck_opt_out_whose"), type_="check")
        batch_op.drop_constraint(batch_op.f("uq_opt_out_tenant_id_channel_client_id_scope"), type_="unique")
        batch_op.drop_constraint(batch_op.f("uq_opt_out_tenant_id_channel_address_scope"), type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_opt_out_tenant_id_client_id_channel"), ["tenant_id", "client_id", "channel"]
        )
        batch_op.alter_column("client_id", existing_type=BIG_ID, nullable=False)
        batch_op.drop_column("scope")
        batch_op.drop_column("address")

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_delivery_tenant_id_channel_address_key"))
        batch_op.drop_column("address_key")

    with op.batch_alter_table("tenant", schema=None) as batch_op:
        batch_op.drop_column("cancel_notice_minutes")
