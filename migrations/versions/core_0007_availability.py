"""Hours, closed days, time off and who gives what; answers kept by idempotency key; what a token may do."""

import sqlalchemy as sa
from alembic import op

revision = "core_0007"
down_revision = "core_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_idempotency_key_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_key")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_idempotency_key_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("uq_idempotency_key_tenant_id_key")),
    )
    with op.batch_alter_table("idempotency_key") as batch_op:
        batch_op.create_index(
            batch_op.f("ix_idempotency_key_tenant_id_created_at"), ["tenant_id", "created_at"], unique=False
        )

    op.create_table(
        "closure",
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_closure_days")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "branch_id"],
            ["branch.tenant_id", "branch.id"],
            name=op.f("fk_closure_tenant_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_closure_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_closure")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_closure_tenant_id_id")),
    )
    with op.batch_alter_table("closure") as batch_op:
        batch_op.create_index(batch_op.f("ix_closure_tenant_id_last_day"), ["tenant_id", "last_day"], unique=False)

    op.create_table(
        "professional_service",
        sa.Column("professional_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "branch_id"],
            ["branch.tenant_id", "branch.id"],
            name=op.f("fk_professional_service_tenant_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "professional_id"],
            ["professional.tenant_id", "professional.id"],
            name=op.f("fk_professional_service_tenant_id_professional_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "service_id"],
            ["service.tenant_id", "service.id"],
            name=op.f("fk_professional_service_tenant_id_service_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_professional_service_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_professional_service")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_professional_service_tenant_id_id")),
    )
    with op.batch_alter_table("professional_service") as batch_op:
        batch_op.create_index(
            batch_op.f("ix_professional_service_tenant_id_branch_id"), ["tenant_id", "branch_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_professional_service_tenant_id_professional_id"),
            ["tenant_id", "professional_id"],
            unique=False,
        )
        batch_op.create_index(
            "uq_professional_service_branch",
            ["tenant_id", "service_id", "professional_id", "branch_id"],
            unique=True,
            postgresql_where=sa.text("branch_id IS NOT NULL"),
            sqlite_where=sa.text("branch_id IS NOT NULL"),
        )
        batch_op.create_index(
            "uq_professional_service_everywhere",
            ["tenant_id", "service_id", "professional_id"],
            unique=True,
            postgresql_where=sa.text("branch_id IS NULL"),
            sqlite_where=sa.text("branch_id IS NULL"),
        )

    op.create_table(
        "time_off",
        sa.Column("professional_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint('start < "end"', name=op.f("ck_time_off_range")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "professional_id"],
            ["professional.tenant_id", "professional.id"],
            name=op.f("fk_time_off_tenant_id_professional_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_time_off_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_time_off")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_time_off_tenant_id_id")),
    )
    with op.batch_alter_table("time_off") as batch_op:
        batch_op.create_index(batch_op.f("ix_time_off_tenant_id_end"), ["tenant_id", "end"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_time_off_tenant_id_professional_id"), ["tenant_id", "professional_id"], unique=False
        )

    op.create_table(
        "working_hours",
        sa.Column("branch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("professional_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("from_minute", sa.Integer(), nullable=False),
        sa.Column("until_minute", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "0 <= from_minute AND from_minute < until_minute AND until_minute <= 1440",
            name=op.f("ck_working_hours_block"),
        ),
        sa.CheckConstraint("valid_from <= valid_until", name=op.f("ck_working_hours_valid")),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name=op.f("ck_working_hours_weekday")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "branch_id"],
            ["branch.tenant_id", "branch.id"],
            name=op.f("fk_working_hours_tenant_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "professional_id"],
            ["professional.tenant_id", "professional.id"],
            name=op.f("fk_working_hours_tenant_id_professional_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_working_hours_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_working_hours")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_working_hours_tenant_id_id")),
    )
    with op.batch_alter_table("working_hours") as batch_op:
        batch_op.create_index(
            batch_op.f("ix_working_hours_tenant_id_branch_id"), ["tenant_id", "branch_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_working_hours_tenant_id_professional_id"), ["tenant_id", "professional_id"], unique=False
        )

    with op.batch_alter_table("api_token") as batch_op:
        batch_op.add_column(sa.Column("scopes", sa.String(), nullable=False, server_default="read book notify manage"))
        batch_op.add_column(sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("tenant") as batch_op:
        batch_op.add_column(sa.Column("minimum_notice_minutes", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("horizon_days", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("slot_step_minutes", sa.Integer(), nullable=False, server_default="15"))


def downgrade() -> None:
    with op.batch_alter_table("tenant") as batch_op:
        batch_op.drop_column("slot_step_minutes")
        batch_op.drop_column("horizon_days")
        batch_op.drop_column("minimum_notice_minutes")
    with op.batch_alter_table("api_token") as batch_op:
        batch_op.drop_column("last_used_at")
        batch_op.drop_column("scopes")
    for table in ("working_hours", "time_off", "professional_service", "closure", "idempotency_key"):
        op.drop_table(table)
