"""Finding the repeats of a notification, as its deletion must."""

import sqlalchemy as sa
from alembic import op

revision = "core_0011"
down_revision = "core_0010"
branch_labels = None
depends_on = None

REPEATS = sa.text("retry_of IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_notification_repeats",
        "notification",
        ["tenant_id", "retry_of"],
        postgresql_where=REPEATS,
        sqlite_where=REPEATS,
    )


def downgrade() -> None:
    op.drop_index("ix_notification_repeats", table_name="notification")
