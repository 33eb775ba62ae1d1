"""Which WhatsApp template stands for a notification type in a language."""

import sqlalchemy as sa
from alembic import op

revision = "chatwoot_0003"
down_revision = "chatwoot_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chatwoot_template",
        sa.Column("account_ref", sa.String(), nullable=False),
        sa.Column("inbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("template_language", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("flat", sa.Boolean(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_chatwoot_template_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chatwoot_template")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_chatwoot_template_tenant_id_id")),
        sa.UniqueConstraint(
            "tenant_id",
            "account_ref",
            "inbox_id",
            "type",
            "language",
            name=op.f("uq_chatwoot_template_tenant_id_account_ref_inbox_id_type_language"),
        ),
    )


def downgrade() -> None:
    op.drop_table("chatwoot_template")
