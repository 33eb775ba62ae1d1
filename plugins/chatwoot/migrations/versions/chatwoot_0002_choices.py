"""What the numbers in a reply of ours mean."""

import sqlalchemy as sa
from alembic import op

revision = "chatwoot_0002"
down_revision = "chatwoot_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("chatwoot_interaction", schema=None) as batch_op:
        batch_op.add_column(sa.Column("choice", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("chatwoot_interaction", schema=None) as batch_op:
        batch_op.drop_column("choice")
