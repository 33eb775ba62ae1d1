"""Plugins are found without being imported, and a bad one is refused by name, with the reason."""

import pytest

from tests.core.hooks.toy import Deployment

pytestmark = pytest.mark.slow

HOOKED = """
from citaplanner_core.hooks.hookspecs import hookimpl
class Plugin:
    @hookimpl{options}
    def {hook}(self):
        {body}
plugin = Plugin()
"""


def test_an_outsiders_plugin_gets_the_same_as_ours(on_sqlite: Deployment) -> None:
    on_sqlite.add(
        "hello",
        """
        from citaplanner_core.hooks.hookspecs import hookimpl
        from citaplanner_core.hooks.types import Receipt
        class Channel:
            key, label, on_unknown, text_family = "hello", "Hello", "resend", "chat"
            def address_of(self, recipient): return recipient.name
            def check(self, settings): return {}
            def send(self, message, settings): return Receipt("hello-1")
        class Plugin:
            @hookimpl
            def citaplanner_notification_channels(self): return [Channel()]
        plugin = Plugin()
        """,
        manifest='channels = ["hello"]',
    )
    assert on_sqlite.python("print(sorted(dispatch.channels()), registry().troubles)") == "['hello', 'log'] {}"


def test_listing_imports_no_plugin(on_sqlite: Deployment) -> None:
    on_sqlite.add("broken", "raise RuntimeError('imported')")
    assert on_sqlite.command("migrate", CITAPLANNER_PLUGINS="").returncode == 0
    done = on_sqlite.command("plugins", "list")
    assert done.returncode == 0, done.stderr
    assert "broken" in done.stdout


@pytest.mark.parametrize(
    ("code", "manifest", "reason"),
    [
        ("raise RuntimeError('boom')", "", "RuntimeError: boom"),
        ("x = 1", "", "plugin"),
        ("class plugin: pass", "", "names a class"),
        (HOOKED.format(options="", hook="citaplanner_no_such_hook", body="pass"), "", "no hook"),
        (
            HOOKED.format(options="(wrapper=True)", hook="citaplanner_commands", body="yield"),
            "",
            "wrappers are not supported",
        ),
        ("plugin = object()", 'depends = ["other"]', "needs 'other'"),
        ("plugin = object()", 'colour = "red"', "unknown key 'colour'"),
        (
            "from sqlalchemy.orm import Mapped\n"
            "from citaplanner_core.database import Base, TenantScoped\n"
            "class Thing(TenantScoped, Base):\n    __tablename__ = 'client_thing'\n    name: Mapped[str]\n"
            "plugin = object()\n",
            "",
            "must be named",
        ),
        (
            "from sqlalchemy.orm import Mapped\n"
            "from citaplanner_core.database import Base\n"
            "class Thing(Base):\n    __tablename__ = 'bad_thing'\n    name: Mapped[str]\n"
            "plugin = object()\n",
            "",
            "needs tenant_id",
        ),
        (
            "from sqlalchemy.orm import Mapped\n"
            "from citaplanner_core.database import Base, TenantScoped, tenant_key\n"
            "class Thing(TenantScoped, Base):\n    __tablename__ = 'bad_thing'\n    client_id: Mapped[int]\n"
            "    @classmethod\n    def table_args(cls): return (tenant_key('client_id', 'client'),)\n"
            "plugin = object()\n",
            "",
            "ondelete='CASCADE'",
        ),
    ],
)
def test_a_bad_plugin_stops_the_start_and_says_why(
    on_sqlite: Deployment, code: str, manifest: str, reason: str
) -> None:
    on_sqlite.add("bad", code, manifest=manifest)
    done = on_sqlite.command("worker")
    assert done.returncode == 1
    assert "'bad'" in done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_plugin_stops_the_start_and_names_the_known(on_sqlite: Deployment) -> None:
    on_sqlite.add("hello", listed=False)
    done = on_sqlite.command("worker", CITAPLANNER_PLUGINS="helo")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "'helo'" in done.stderr
    assert "hello" in done.stderr


def test_another_core_version_is_refused(on_sqlite: Deployment) -> None:
    on_sqlite.add("future")
    manifest = on_sqlite.folder / "site" / "future_plugin" / "manifest.toml"
    manifest.write_text(manifest.read_text().replace(">=0.1", ">=99"))
    assert "works with core >=99" in on_sqlite.command("worker").stderr


def test_a_folder_that_hides_the_installed_package_is_refused(on_sqlite: Deployment) -> None:
    on_sqlite.add("hello")
    shadow = on_sqlite.folder / "shadow" / "hello_plugin"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").touch()
    path = on_sqlite.environment()["PYTHONPATH"]
    done = on_sqlite.command("worker", PYTHONPATH=f"{shadow.parent}:{path}")
    assert "hides the installed package" in done.stderr


def test_one_set_of_plugins_per_process(on_sqlite: Deployment) -> None:
    on_sqlite.add("hello")
    code = """
    try:
        create_app({"plugins": ()})
    except Exception as error:
        print(type(error).__name__, error)
    """
    assert "cannot also be one with" in on_sqlite.python(code)


def test_plugins_come_in_dependency_order(on_sqlite: Deployment) -> None:
    on_sqlite.add("alpha", manifest='depends = ["zeta"]')
    on_sqlite.add("zeta")
    assert on_sqlite.python("print(list(registry().manifests))") == "['zeta', 'alpha']"
