"""The environment becomes one checked object; what is wrong is said by the variable's name."""

from pathlib import Path

import pytest

from citaplanner_core.config import Config, ConfigError, load_config, secret_keys


def test_unset_and_empty_plugins_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_config().plugins is None
    monkeypatch.setenv("CITAPLANNER_PLUGINS", "")
    assert load_config().plugins == ()
    monkeypatch.setenv("CITAPLANNER_PLUGINS", " chatwoot, email ,")
    assert load_config().plugins == ("chatwoot", "email")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "eighty", "PORT: "),
        ("PORT", "70000", "PORT: "),
        ("CITAPLANNER_DATABASE_URL", "mysql://x/y", "CITAPLANNER_DATABASE_URL: use sqlite"),
        ("CITAPLANNER_SECRET_KEY", "short", "CITAPLANNER_SECRET_KEY: each key needs at least 16"),
        ("CITAPLANNER_DELIVERY", "maybe", "CITAPLANNER_DELIVERY: "),
        ("CITAPLANNER_LOG_LEVEL", "loud", "CITAPLANNER_LOG_LEVEL: "),
        ("CITAPLANNER_ENGINE", "steam", "CITAPLANNER_ENGINE: "),
    ],
)
def test_a_wrong_value_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=says):
        load_config()


def test_a_misspelt_override_is_refused() -> None:
    with pytest.raises(ConfigError, match="CITAPLANNER_PLUGGINS"):
        load_config({"pluggins": ()})


def test_overrides_go_by_field_or_by_variable() -> None:
    assert load_config({"CITAPLANNER_PLUGINS": "email"}).plugins == load_config({"plugins": ("email",)}).plugins


def test_a_proxy_that_is_no_address_is_named() -> None:
    with pytest.raises(ConfigError, match="CITAPLANNER_TRUSTED_PROXIES: 'caddy' is no address or network"):
        load_config({"trusted_proxies": "10.0.0.5, caddy"})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_usual_postgresql_addresses_get_our_driver(scheme: str) -> None:
    assert load_config({"database_url": f"{scheme}://u@h/d"}).database == "postgresql+psycopg://u@h/d"


def test_secrets_do_not_show() -> None:
    config = load_config({"secret_key": "a-long-enough-secret-key"})
    assert "a-long-enough" not in repr(config)


def test_a_key_is_made_once_and_readable_by_the_owner_only(tmp_path: Path) -> None:
    config = Config(instance_path=tmp_path / "instance")
    first, made = secret_keys(config)
    assert (secret_keys(config)[0], made) == (first, True)
    assert (tmp_path / "instance" / "secret_key").stat().st_mode & 0o077 == 0
    given = Config(instance_path=tmp_path, secret_key="newest-key-0123456789,older-key-0123456789")
    assert secret_keys(given) == (("newest-key-0123456789", "older-key-0123456789"), False)
