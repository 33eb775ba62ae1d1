"""Tables and columns for templates."""

import sqlalchemy as sa
from alembic import op

revision = "core_0006"
down_revision = "core_0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("tenant") as batch:
        batch.add_column(sa.Column("tone", sa.String(), nullable=False, server_default="tu"))
        batch.add_column(sa.Column("folds_sms", sa.Boolean(), nullable=False, server_default=sa.true()))
        batch.create_check_constraint(op.f("ck_tenant_tone"), "tone IN ('tu', 'usted')")
    with op.batch_alter_table("service") as batch:
        batch.add_column(sa.Column("is_discreet", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "message_template",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("tone", sa.String(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("edited_by", sa.String(), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_message_template_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_template")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_message_template_tenant_id_id")),
        sa.UniqueConstraint(
            "tenant_id",
            "key",
            "channel",
            "language",
            "tone",
            name=op.f("uq_message_template_tenant_id_key_channel_language_tone"),
        ),
    )
    op.create_table(
        "campaign",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("booking_url", sa.String(), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cost", sa.BigInteger(), nullable=True),
        sa.Column("planned", sa.Boolean(), nullable=False),
        sa.Column("planned_until", ID, nullable=False),
        sa.Column("next_due", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.CheckConstraint("status IN ('DRAFT', 'RUNNING', 'PAUSED', 'CANCELLED')", name=op.f("ck_campaign_status")),
        sa.CheckConstraint("per_minute > 0", name=op.f("ck_campaign_per_minute")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_campaign_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_campaign_tenant_id_id")),
    )
    op.create_table(
        "campaign_budget",
        sa.Column("prices", sa.JSON(), nullable=False),
        sa.Column("monthly_cap", sa.BigInteger(), nullable=True),
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_campaign_budget_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_budget")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_campaign_budget_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_campaign_budget_tenant_id")),
    )
    with op.batch_alter_table("notification") as batch:
        batch.add_column(sa.Column("campaign_id", ID, nullable=True))
        batch.create_foreign_key(
            op.f("fk_notification_tenant_id_campaign_id"),
            "campaign",
            ["tenant_id", "campaign_id"],
            ["tenant_id", "id"],
            ondelete="CASCADE",
        )
        batch.create_index(op.f("ix_notification_tenant_id_campaign_id"), ["tenant_id", "campaign_id"])


def downgrade() -> None:
    with op.batch_alter_table("notification") as batch:
        batch.drop_index(op.f("ix_notification_tenant_id_campaign_id"))
        batch.drop_constraint(op.f("fk_notification_tenant_id_campaign_id"), type_="foreignkey")
        batch.drop_column("campaign_id")
    op.drop_table("campaign_budget")
    op.drop_table("campaign")
    op.drop_table("message_template")
    with op.batch_alter_table("service") as batch:
        batch.drop_column("is_discreet")
    with op.batch_alter_table("tenant") as batch:
        batch.drop_constraint(op.f("ck_tenant_tone"), type_="check")
        batch.drop_column("folds_sms")
        batch.drop_column("tone")
