"""Deployment settings: the environment becomes one validated, frozen object."""

import os
import secrets
import stat
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEFAULT_PORT = 8000


class ConfigError(Exception):
    """A deployment setting is missing or wrong; the text names the variable and the cure."""


def _comma_list(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaList = Annotated[tuple[str, ...], NoDecode]


class Config(BaseSettings):
    """What an operator sets once per deployment.

    Every field is read from the environment variable `CITAPLANNER_<FIELD>`, `host` and `port` from `HOST`
    and `PORT`. `plugins` is None when the variable is unset, an empty tuple when it is set and empty.
    """

    model_config = SettingsConfigDict(
        env_prefix="CITAPLANNER_",
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )

    database_url: str = ""
    """`sqlite:///…` or `postgresql://…`; unset = a SQLite file in the instance folder."""
    plugins: CommaList | None = None
    """Comma list of plugins to load; unset = none, but every one found for `demo` and `run --demo`."""
    secret_key: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """One or more keys of at least 16 characters, newest first, for sessions, links and stored credentials; unset = \
made once in the instance folder."""
    public_url: str = ""
    """Where clients and providers reach this deployment, such as `https://citas.example.com`."""
    engine: Literal["embedded", "celery"] = "embedded"
    """What runs durable work: worker processes over the database, or Celery for those who outgrow that."""
    broker_url: SecretStr = SecretStr("")
    """Celery's broker, `redis://…` or `amqp://…`; only for the engine `celery`."""
    delivery: Literal["live", "allowlist", "off"] = "live"
    """`off` sends nothing, `allowlist` only to the listed addresses: for staging copies."""
    delivery_allowlist: CommaList = ()
    """Comma list of phones (+…) and e-mail addresses that `allowlist` lets through."""
    allowed_private_hosts: CommaList = ()
    """Comma list of hosts, host:port or networks on private addresses that tenants' settings may name."""
    trusted_proxies: CommaList = ("127.0.0.0/8", "::1")
    """Comma list of addresses or networks of reverse proxies whose last entry in `X-Forwarded-For` is believed."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much is logged."""
    instance_path: Path = Path("instance")
    """Folder of this deployment's own files, relative to where it is started."""
    worker_threads: Annotated[int, Field(ge=1, le=64)] = 8
    """Threads of a worker, and of the web process that `run` starts."""
    host: Annotated[str, Field(validation_alias=AliasChoices("HOST", "host"))] = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535, validation_alias=AliasChoices("PORT", "port"))] = DEFAULT_PORT
    """Port to listen on; unset = the first free one from 8000 on."""

    @field_validator("plugins", "delivery_allowlist", "allowed_private_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _comma_list(value)

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ip_network(text)
            except ValueError:
                raise ValueError(f"{text!r} is no address or network, such as 10.0.0.5 or 172.16.0.0/12") from None
        return value

    @field_validator("secret_key", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        return _comma_list(value)

    @field_validator("secret_key")
    @classmethod
    def _long_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < 16 for key in value):
            raise ValueError("each key needs at least 16 characters")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value.startswith(("postgres://", "postgresql://")):
            value = "postgresql+psycopg://" + value.split("://", 1)[1]
        if value and not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("use sqlite:///… or postgresql://…")
        return value

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not value.get_secret_value().startswith(
            ("redis://", "rediss://", "amqp://", "amqps://")
        ):
            raise ValueError("use redis://… or amqp://…")
        return value

    @model_validator(mode="after")
    def _broker_for_celery(self) -> Self:
        if self.engine == "celery" and not self.broker_url.get_secret_value():
            raise ValueError(
                "CITAPLANNER_BROKER_URL: the engine celery needs a broker, such as redis://127.0.0.1:6379/0"
            )
        return self

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force: the given one, else a SQLite file in the instance folder."""
        return self.database_url or f"sqlite:///{self.instance_path.resolve() / 'citaplanner.db'}"

    @property
    def base_url(self) -> str:
        """Where clients and providers reach this deployment, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    return field.upper() if field in ("host", "port") else f"CITAPLANNER_{field.upper()}"


def load_config(overrides: Mapping[str, Any] | None = None) -> Config:
    """Read the environment, then `overrides` (field or variable names); raise `ConfigError` naming what is wrong."""
    values = {}
    for name, value in (overrides or {}).items():
        values[name.removeprefix("CITAPLANNER_").lower() if name.isupper() else name] = value
    try:
        return Config(**values)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            text = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{variable(str(problem['loc'][0]).lower())}: {text}" if problem["loc"] else text)
        raise ConfigError("; ".join(lines)) from None


def secret_keys(config: Config) -> tuple[tuple[str, ...], bool]:
    """Return the keys, newest first, and whether they come from a file made in the instance folder.

    Without `CITAPLANNER_SECRET_KEY` one key is made once, readable by the owner only. Two processes starting
    together agree on one: the file is linked into place, and the loser reads the winner's.
    """
    if config.secret_key:
        return tuple(key.get_secret_value() for key in config.secret_key), False
    path = config.instance_path / "secret_key"
    if not path.exists():
        config.instance_path.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"secret_key.{os.getpid()}.{secrets.token_hex(4)}")
        draft.write_text(secrets.token_urlsafe(48))
        draft.chmod(stat.S_IRUSR | stat.S_IWUSR)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return (path.read_text().strip(),), True
