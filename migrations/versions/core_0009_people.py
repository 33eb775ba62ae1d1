"""Merging, importing and erasing clients, consent at booking, calendars of professionals."""

import re
import unicodedata
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "core_0009"
down_revision = "core_0008"
branch_labels = None
depends_on = None

BATCH = 5000


def upgrade() -> None:
    op.create_table(
        "client_word",
        sa.Column("client_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("word", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["client.tenant_id", "client.id"],
            name=op.f("fk_client_word_tenant_id_client_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_client_word_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_word")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_client_word_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "client_id", "word", name=op.f("uq_client_word_tenant_id_client_id_word")),
    )
    with op.batch_alter_table("client_word") as batch_op:
        batch_op.create_index(batch_op.f("ix_client_word_tenant_id_word_client_id"), ["tenant_id", "word", "client_id"])
    op.create_table(
        "client_merge",
        sa.Column("merged_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("into_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "into_id"],
            ["client.tenant_id", "client.id"],
            name=op.f("fk_client_merge_tenant_id_into_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_client_merge_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_merge")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_client_merge_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "merged_id", name=op.f("uq_client_merge_tenant_id_merged_id")),
    )
    with op.batch_alter_table("client_merge") as batch_op:
        batch_op.create_index(batch_op.f("ix_client_merge_tenant_id_into_id"), ["tenant_id", "into_id"])
    op.create_table(
        "calendar_feed",
        sa.Column("professional_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "professional_id"],
            ["professional.tenant_id", "professional.id"],
            name=op.f("fk_calendar_feed_tenant_id_professional_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_calendar_feed_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_feed")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_calendar_feed_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "professional_id", name=op.f("uq_calendar_feed_tenant_id_professional_id")),
    )
    with op.batch_alter_table("calendar_feed") as batch_op:
        batch_op.create_index(batch_op.f("ix_calendar_feed_token_hash"), ["token_hash"], unique=True)
    op.create_table(
        "consent_text",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("service", sa.JSON(), nullable=False),
        sa.Column("marketing", sa.JSON(), nullable=False),
        sa.Column("privacy_url", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_consent_text_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_text")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_consent_text_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "version", name=op.f("uq_consent_text_tenant_id_version")),
    )
    with op.batch_alter_table("consent") as batch_op:
        batch_op.add_column(sa.Column("version", sa.Integer(), nullable=True))
    with op.batch_alter_table("client_phone") as batch_op:
        batch_op.add_column(sa.Column("backwards", sa.String(), nullable=False, server_default=""))
    _fill_words()
    _fill_backwards()
    with op.batch_alter_table("client_phone") as batch_op:
        batch_op.alter_column("backwards", server_default=None)
        batch_op.create_index(batch_op.f("ix_client_phone_tenant_id_backwards"), ["tenant_id", "backwards"])


def downgrade() -> None:
    with op.batch_alter_table("client_phone") as batch_op:
        batch_op.drop_index(batch_op.f("ix_client_phone_tenant_id_backwards"))
        batch_op.drop_column("backwards")
    with op.batch_alter_table("consent") as batch_op:
        batch_op.drop_column("version")
    op.drop_table("consent_text")
    op.drop_table("calendar_feed")
    op.drop_table("client_merge")
    op.drop_table("client_word")


def _fill_words() -> None:
    """Write what the application keeps from now on for each client."""
    client = sa.table("client", *map(sa.column, ("id", "tenant_id", "first_name", "last_name", "email")))
    word = sa.table("client_word", *map(sa.column, ("tenant_id", "client_id", "word")))
    for rows in _batches(client):
        values = [
            {"tenant_id": row.tenant_id, "client_id": row.id, "word": one}
            for row in rows
            for one in _words(row.first_name, row.last_name, row.email)
        ]
        if values:
            op.get_bind().execute(word.insert(), values)


def _fill_backwards() -> None:
    phone = sa.table("client_phone", *map(sa.column, ("id", "match_key", "backwards")))
    changed = sa.update(phone).where(phone.c.id == sa.bindparam("row")).values(backwards=sa.bindparam("digits"))
    for rows in _batches(phone):
        values = [{"row": row.id, "digits": row.match_key.removeprefix("+")[::-1]} for row in rows]
        op.get_bind().execute(changed, values)


def _batches(table: sa.TableClause) -> Iterator[list[sa.Row[tuple[object, ...]]]]:
    last = 0
    while rows := list(
        op.get_bind().execute(sa.select(table).where(table.c.id > last).order_by(table.c.id).limit(BATCH))
    ):
        yield rows
        last = rows[-1].id


def _words(first_name: str, last_name: str, email: str | None) -> list[str]:
    text = f"{first_name} {last_name}".translate(str.maketrans("", "", "'’‘`´"))
    plain = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(character for character in plain if not unicodedata.combining(character))
    return list(dict.fromkeys([*re.findall(r"[^\W_]+", bare), *([email.lower()] if email else [])]))
