"""When a notification last changed; who of the staff is told what, and what they were told."""

import sqlalchemy as sa
from alembic import op

revision = "core_0004"
down_revision = "core_0003"
branch_labels = None
depends_on = None

SETTLED = sa.text("status NOT IN ('PENDING', 'SENDING')")


def big_id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "staff_contact",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("branch_id", big_id(), nullable=True),
        sa.Column("alerts", sa.JSON(), nullable=False),
        sa.Column("digest_at", sa.String(), nullable=False),
        sa.Column("digested_on", sa.Date(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", big_id(), nullable=False),
        sa.Column("id", big_id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_staff_contact_tenant_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "branch_id"],
            ["branch.tenant_id", "branch.id"],
            name=op.f("fk_staff_contact_tenant_id_branch_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_contact")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_staff_contact_tenant_id_id")),
    )
    with op.batch_alter_table("notification") as batch:
        batch.add_column(sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("staff_contact_id", big_id(), nullable=True))
    op.execute("UPDATE notification SET changed_at = COALESCE(sent_at, created_at)")
    with op.batch_alter_table("notification") as batch:
        batch.alter_column("changed_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        batch.alter_column("recipient_id", existing_type=big_id(), nullable=True)
        batch.create_foreign_key(
            op.f("fk_notification_tenant_id_staff_contact_id"),
            "staff_contact",
            ["tenant_id", "staff_contact_id"],
            ["tenant_id", "id"],
            ondelete="CASCADE",
        )
        batch.create_check_constraint(
            op.f("ck_notification_addressee"), "(recipient_id IS NULL) <> (staff_contact_id IS NULL)"
        )
    op.create_index(
        op.f("ix_notification_tenant_id_staff_contact_id"), "notification", ["tenant_id", "staff_contact_id"]
    )
    op.create_index(
        "ix_notification_settled", "notification", ["changed_at"], postgresql_where=SETTLED, sqlite_where=SETTLED
    )
    op.create_table(
        "staff_notice",
        sa.Column("staff_contact_id", big_id(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("appointment_id", big_id(), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("notification_id", big_id(), nullable=True),
        sa.Column("tenant_id", big_id(), nullable=False),
        sa.Column("id", big_id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_staff_notice_tenant_id"), ondelete="CASCADE"
        ),
        *(
            sa.ForeignKeyConstraint(
                ["tenant_id", f"{target}_id"],
                [f"{target}.tenant_id", f"{target}.id"],
                name=op.f(f"fk_staff_notice_tenant_id_{target}_id"),
                ondelete="CASCADE",
            )
            for target in ("staff_contact", "appointment", "notification")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_notice")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_staff_notice_tenant_id_id")),
    )
    for columns in (
        ["staff_contact_id", "kind", "subject"],
        ["staff_contact_id", "notification_id"],
        ["appointment_id"],
        ["notification_id"],
    ):
        name = "_".join(columns)
        op.create_index(op.f(f"ix_staff_notice_tenant_id_{name}"), "staff_notice", ["tenant_id", *columns])


def downgrade() -> None:
    op.drop_table("staff_notice")
    op.execute("DELETE FROM notification WHERE recipient_id IS NULL")
    op.drop_index("ix_notification_settled", "notification")
    op.drop_index(op.f("ix_notification_tenant_id_staff_contact_id"), "notification")
    with op.batch_alter_table("notification") as batch:
        batch.drop_constraint(op.f("ck_notification_addressee"), type_="check")
        batch.drop_constraint(op.f("fk_notification_tenant_id_staff_contact_id"), type_="foreignkey")
        batch.alter_column("recipient_id", existing_type=big_id(), nullable=False)
        batch.drop_column("staff_contact_id")
        batch.drop_column("changed_at")
    op.drop_table("staff_contact")
