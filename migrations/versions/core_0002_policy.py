"""Rules of notifications, consents, and what a tenant and a client say about messages."""

import sqlalchemy as sa
from alembic import op

revision = "core_0002"
down_revision = "core_0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "notification_rule",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(), nullable=True),
        sa.Column("channels", sa.JSON(), nullable=False),
        sa.Column("template", sa.String(), nullable=True),
        sa.Column("services", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_notification_rule_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_rule")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_notification_rule_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_notification_rule_tenant_id_name")),
    )
    op.create_table(
        "consent",
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.CheckConstraint("purpose IN ('service', 'marketing')", name=op.f("ck_consent_purpose")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_consent_tenant_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["client.tenant_id", "client.id"],
            name=op.f("fk_consent_tenant_id_client_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_consent_tenant_id_id")),
    )
    op.create_index(op.f("ix_consent_tenant_id_client_id"), "consent", ["tenant_id", "client_id"])
    op.add_column("tenant", sa.Column("quiet_from", sa.String(), nullable=True, server_default="21:00"))
    op.add_column("tenant", sa.Column("quiet_until", sa.String(), nullable=True, server_default="08:00"))
    op.add_column("tenant", sa.Column("daily_limit", sa.Integer(), nullable=True, server_default="6"))
    op.add_column("tenant", sa.Column("feedback_url", sa.String(), nullable=True))
    op.add_column("notification", sa.Column("prompted", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("client") as batch:
        batch.add_column(sa.Column("do_not_message", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("responsible_id", BIG, nullable=True))
        batch.add_column(sa.Column("paused_until", MOMENT, nullable=True))
        batch.add_column(sa.Column("paused_why", sa.String(), nullable=True))
        batch.create_foreign_key(
            op.f("fk_client_tenant_id_responsible_id"),
            "client",
            ["tenant_id", "responsible_id"],
            ["tenant_id", "id"],
        )
        batch.create_index(op.f("ix_client_tenant_id_responsible_id"), ["tenant_id", "responsible_id"])


def downgrade() -> None:
    with op.batch_alter_table("client") as batch:
        batch.drop_index(op.f("ix_client_tenant_id_responsible_id"))
        batch.drop_constraint(op.f("fk_client_tenant_id_responsible_id"), type_="foreignkey")
        for column in ("paused_why", "paused_until", "responsible_id", "do_not_message"):
            batch.drop_column(column)
    op.drop_column("notification", "prompted")
    for column in ("feedback_url", "daily_limit", "quiet_until", "quiet_from"):
        op.drop_column("tenant", column)
    op.drop_table("consent")
    op.drop_table("notification_rule")
