"""Lanes of notifications, repeats that were possible, and the state of each tenant's channels."""

import sqlalchemy as sa
from alembic import op

revision = "core_0003"
down_revision = "core_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notification") as batch:
        batch.add_column(sa.Column("lane", sa.String(), nullable=False, server_default=""))
    op.execute("UPDATE notification SET lane = channel WHERE channel IS NOT NULL")
    with op.batch_alter_table("delivery") as batch:
        batch.add_column(sa.Column("possible_repeat", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "channel_state",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("next_free", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_urgent", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_bulk", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_channel_state_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_state")),
        sa.UniqueConstraint("tenant_id", "channel", name=op.f("uq_channel_state_tenant_id_channel")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_channel_state_tenant_id_id")),
    )


def downgrade() -> None:
    op.drop_table("channel_state")
    with op.batch_alter_table("delivery") as batch:
        batch.drop_column("possible_repeat")
    with op.batch_alter_table("notification") as batch:
        batch.drop_column("lane")
