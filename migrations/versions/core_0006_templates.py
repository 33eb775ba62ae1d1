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


def downgrade() -> None:
    op.drop_table("message_template")
    with op.batch_alter_table("service") as batch:
        batch.drop_column("is_discreet")
    with op.batch_alter_table("tenant") as batch:
        batch.drop_constraint(op.f("ck_tenant_tone"), type_="check")
        batch.drop_column("folds_sms")
        batch.drop_column("tone")
