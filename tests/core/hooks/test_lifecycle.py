"""Plugins come and go; the core's schema and data stay as they were."""

import subprocess
import sys

import pytest

from tests.core.hooks.toy import Deployment

pytestmark = pytest.mark.slow

MODELS = """
from typing import Any
from sqlalchemy.orm import Mapped, mapped_column
from citaplanner_core.database import Base, BigId, TenantScoped, tenant_key
class Note(TenantScoped, Base):
    __tablename__ = "notes_note"
    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (tenant_key("client_id", "client", ondelete="CASCADE"),)
    client_id: Mapped[int] = mapped_column(BigId)
    text: Mapped[str]
plugin = object()
"""
FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "notes_0001", None, None, None
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
def upgrade():
    op.create_table(
        "notes_note",
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE", name="fk_notes_note_tenant_id"),
        sa.ForeignKeyConstraint(["tenant_id", "client_id"], ["client.tenant_id", "client.id"], ondelete="CASCADE",
                                name="fk_notes_note_tenant_id_client_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notes_note"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_notes_note_tenant_id_id"),
    )
def downgrade():
    op.drop_table("notes_note")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "notes_0002", "notes_0001", None, None
def upgrade():
    op.create_table("notes_half", sa.Column("id", sa.Integer(), primary_key=True))
    raise RuntimeError("half done")
def downgrade():
    op.drop_table("notes_half")
"""
CORE_SCHEMA = """
from sqlalchemy import inspect, text
def schema():
    found = inspect(db.engine)
    names = [n for n in found.get_table_names() if not n.startswith(("notes_", "chatwoot_", "alembic_version_"))]
    if db.engine.dialect.name == "sqlite":
        with db.engine.connect() as connection:
            rows = connection.execute(text("SELECT tbl_name, name, sql FROM sqlite_master ORDER BY 1, 2")).all()
        return [tuple(row) for row in rows if row.tbl_name in names]
    return [(n, [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(n)],
             sorted((k["name"], k["column_names"]) for k in found.get_indexes(n)),
             sorted(str(k["name"]) for k in found.get_unique_constraints(n) + found.get_foreign_keys(n)))
            for n in sorted(names)]
"""


def notes(deployment: Deployment, **more: str) -> None:
    deployment.add("notes", MODELS, manifest='core_revision = "core_0001"', revisions={"notes_0001.py": FIRST, **more})


def digest(deployment: Deployment) -> str:
    return deployment.python(
        CORE_SCHEMA + "\nimport hashlib\nprint(hashlib.sha256(repr(schema()).encode()).hexdigest())",
        CITAPLANNER_PLUGINS="",
    )


FILL = """
from notes_plugin.plugin import Note
tenant = factories.make_tenant("clinic")
with work(tenant) as session:
    session.add(Note(client_id=factories.make_client(session).id, text="kept"))
"""
READ = """
from notes_plugin.plugin import Note
from sqlalchemy import select
with work(1, write=False) as session:
    print(session.scalars(select(Note.text)).all())
"""


def test_install_drop_install_again_leaves_the_core_as_it_was(deployment: Deployment) -> None:
    notes(deployment)
    assert deployment.command("migrate", CITAPLANNER_PLUGINS="").returncode == 0
    before = digest(deployment)
    for _ in range(2):
        assert deployment.command("plugins", "install", "notes").returncode == 0
        assert digest(deployment) == before
        deployment.python(FILL.replace('"clinic"', f'"clinic-{_}"'))
        done = deployment.command("plugins", "uninstall", "notes", "--drop-data", "--yes")
        assert done.returncode == 0, done.stderr
        assert "notes_note: 1 rows" in done.stdout
        assert "still in CITAPLANNER_PLUGINS" in done.stdout
        assert digest(deployment) == before
    leftovers = deployment.python(
        "from sqlalchemy import inspect\nprint([n for n in inspect(db.engine).get_table_names() if 'notes' in n])",
        CITAPLANNER_PLUGINS="",
    )
    assert leftovers == "[]"


def test_kept_data_is_taken_over_again(deployment: Deployment) -> None:
    notes(deployment)
    assert deployment.command("migrate").returncode == 0
    deployment.python(FILL)
    assert deployment.command("plugins", "uninstall", "notes", "--keep-data").returncode == 0
    assert "kept" in deployment.command("plugins", "list").stdout
    deployment.python(
        "from citaplanner_core.booking.clients import delete_client\n"
        "with work(1) as session:\n    factories.make_client(session)",
        CITAPLANNER_PLUGINS="",
    )
    assert "taken over" in deployment.command("plugins", "install", "notes").stdout
    assert deployment.python(READ) == "['kept']"


def test_a_client_can_be_deleted_while_the_plugin_is_off(deployment: Deployment) -> None:
    notes(deployment)
    assert deployment.command("migrate").returncode == 0
    deployment.python(FILL)
    deployment.python(
        "from citaplanner_core.booking.clients import delete_client\n"
        "from citaplanner_core.booking.models import Client\nfrom sqlalchemy import select\n"
        "with work(1) as session:\n    delete_client(session, session.scalars(select(Client.id)).one())",
        CITAPLANNER_PLUGINS="",
    )
    assert deployment.python(READ) == "[]"


def test_models_and_migrations_agree(deployment: Deployment) -> None:
    notes(deployment)
    assert deployment.command("migrate").returncode == 0
    assert deployment.python("print(migrations.differences('core'), migrations.differences('notes'))") == "[] []"


def test_a_failed_migration_leaves_nothing_and_can_be_repeated(deployment: Deployment) -> None:
    notes(deployment, **{"notes_0002.py": SECOND})
    for _ in range(2):
        done = deployment.command("migrate")
        assert done.returncode == 1
        assert "half done" in done.stderr
        assert "Traceback" not in done.stderr
    second = deployment.folder / "site" / "notes_plugin" / "migrations" / "versions" / "notes_0002.py"
    second.write_text(second.read_text().replace('raise RuntimeError("half done")', "pass"))
    assert deployment.command("migrate").returncode == 0


def test_two_at_once_migrate_once(deployment: Deployment) -> None:
    notes(deployment)
    argv = [sys.executable, "-m", "citaplanner_core", "migrate"]
    running = [
        subprocess.Popen(argv, env=deployment.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    results = [(process.communicate(timeout=60)[1], process.returncode) for process in running]
    assert [code for _, code in results] == [0, 0], results


def test_a_plugin_behind_its_schema_refuses_to_start_and_names_the_command(on_sqlite: Deployment) -> None:
    assert on_sqlite.command("migrate").returncode == 0
    notes(on_sqlite)
    done = on_sqlite.command("worker")
    assert done.returncode == 1
    assert "notes" in done.stderr
    assert "citaplanner migrate" in done.stderr
    assert on_sqlite.command("migrate", "--check").returncode == 1


def test_a_plugin_whose_package_is_gone_does_not_block_the_core(deployment: Deployment) -> None:
    notes(deployment)
    assert deployment.command("migrate").returncode == 0
    site = deployment.folder / "site"
    site.rename(site.with_name("elsewhere"))
    alone = {"CITAPLANNER_PLUGINS": ""}
    assert deployment.command("migrate", **alone).returncode == 0
    assert deployment.python("print(migrations.differences('core'))", **alone) == "[]"
    listed = deployment.command("plugins", "list", **alone)
    assert "its package is gone" in listed.stdout
    assert deployment.command("plugins", "uninstall", "notes", "--drop-data", "--yes", **alone).returncode == 1


def test_a_plugin_made_for_a_newer_core_schema_is_refused(on_sqlite: Deployment) -> None:
    on_sqlite.add("notes", MODELS, manifest='core_revision = "core_9999"', revisions={"notes_0001.py": FIRST})
    done = on_sqlite.command("migrate")
    assert (done.returncode, "needs core revision core_9999" in done.stderr) == (1, True)


def test_uninstalling_says_what_to_choose_and_respects_dependants(on_sqlite: Deployment) -> None:
    notes(on_sqlite)
    on_sqlite.add("after", manifest='depends = ["notes"]')
    assert on_sqlite.command("migrate").returncode == 0
    assert on_sqlite.command("plugins", "uninstall", "notes").returncode == 2
    refused = on_sqlite.command("plugins", "uninstall", "notes", "--keep-data")
    assert refused.returncode == 1
    assert "'after' depends on 'notes'" in refused.stderr


@pytest.mark.parametrize("owner", ["core", "chatwoot"])
def test_every_revision_goes_up_and_down_with_data(deployment: Deployment, owner: str) -> None:
    deployment.plugins = ["chatwoot", "email"]
    assert deployment.command("migrate").returncode == 0
    deployment.python("tenant = factories.make_tenant()\nwith work(tenant) as s:\n    factories.make_appointment(s)")
    if owner == "core":
        deployment.python("migrations.downgrade('chatwoot', 'base')")
    deployment.python(f"migrations.downgrade({owner!r}, 'base')\nmigrations.upgrade({owner!r})")
    assert deployment.python(f"print(migrations.differences({owner!r}))") == "[]"


def test_the_flask_command_works_too(deployment: Deployment) -> None:
    deployment.plugins = ["chatwoot"]
    done = deployment.flask("db", "upgrade")
    assert done.returncode == 0, done.stderr
    done = deployment.flask("db", "-x", "plugin=chatwoot", "upgrade")
    assert done.returncode == 0, done.stderr
    done = deployment.flask("db", "check")
    assert done.returncode == 0, done.stderr + done.stdout
    assert deployment.command("migrate", "--check").returncode == 0


def test_chatwoot_installed_with_data_dropped_and_installed_again(deployment: Deployment) -> None:
    deployment.plugins = ["chatwoot"]
    assert deployment.command("migrate").returncode == 0
    before = digest(deployment)
    deployment.python(
        """
        from plugins.chatwoot.models import ChatwootContact
        tenant = factories.make_tenant()
        with work(tenant) as session:
            client = factories.make_client(session)
            session.add(ChatwootContact(account_ref="https://chat.example#1", contact_id=7, client_id=client.id))
        """
    )
    assert deployment.command("plugins", "uninstall", "chatwoot", "--drop-data", "--yes").returncode == 0
    assert digest(deployment) == before
    assert deployment.command("plugins", "install", "chatwoot").returncode == 0
    assert digest(deployment) == before
    assert deployment.python("print(migrations.differences('chatwoot'))") == "[]"
