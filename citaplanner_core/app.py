"""The one place that wires the core, its database and the plugins into a Flask app."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from flask import Blueprint, Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from sqlalchemy.orm import Session

from citaplanner_core.booking import hours as hours
from citaplanner_core.config import Config, load_config, secret_keys
from citaplanner_core.crypto import init_crypto
from citaplanner_core.database import init_database
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.migrations import init_migrate
from citaplanner_core.hooks.registry import Registry, attach, discover, load, resolve
from citaplanner_core.hooks.types import Setting
from citaplanner_core.jobs.queue import enqueue
from citaplanner_core.logs import configure_logging
from citaplanner_core.notifications import campaign_models as campaign_models
from citaplanner_core.notifications import own_texts as own_texts
from citaplanner_core.notifications import planner, staff
from citaplanner_core.notifications.log_channel import LogChannel
from citaplanner_core.replies import inbound as inbound
from citaplanner_core.web import idempotency as idempotency
from citaplanner_core.web import logins as logins
from citaplanner_core.web import register_web
from citaplanner_core.web.admin import guessing as guessing
from citaplanner_core.web.admin import sessions as sessions

log = structlog.get_logger()
CONFIG = "CITAPLANNER"


class PageSessions(SecureCookieSessionInterface):
    """Signed cookies for pages. The API and webhooks have no session, and do not pay for one."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return None if request.path.startswith("/api/") else super().open_session(app, request)


def create_app(config: Config | Mapping[str, Any] | None = None, *, load_plugins: bool = True) -> Flask:
    """Make the app. `config` is a `Config`, a mapping of overrides of the environment, or None.

    Never looks at the schema; `run`, `worker` and the WSGI entry call `require_ready()`. With `load_plugins=False`
    no plugin is imported (maintenance commands). Raises `ConfigError`, and `PluginError` when a listed plugin is
    unknown, incompatible or broken.
    """
    settings = config if isinstance(config, Config) else load_config(config)
    configure_logging(settings.log_level)
    app = Flask("citaplanner_core", instance_path=str(settings.instance_path.resolve()))
    app.session_interface = PageSessions()
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.config["SESSION_COOKIE_SECURE"] = settings.base_url.startswith("https:")
    app.config[CONFIG] = settings
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # Flask's default provider has it
    settings.instance_path.mkdir(parents=True, exist_ok=True)
    keys, made_here = secret_keys(settings)
    if made_here:
        log.warning("secret_key_from_instance_folder", cure="set CITAPLANNER_SECRET_KEY before going live")
    init_crypto(app, keys)
    init_database(app, settings.database, threads=settings.worker_threads)
    init_migrate(app)
    _wire_plugins(app, settings, load_plugins=load_plugins)
    register_web(app)
    return app


def _wire_plugins(app: Flask, settings: Config, *, load_plugins: bool) -> None:
    found = discover() if settings.plugins else {}
    manifests = resolve(settings.plugins or (), found)
    registry = load(manifests if load_plugins else (), found)
    registry.core_channels.append(LogChannel())
    registry.core_listeners += [planner.plan, staff.on_appointment]
    registry.enqueue_committed = _enqueue_committed
    attach(app, registry)
    with app.app_context():
        _gather(app, registry)


def _gather(app: Flask, registry: Registry) -> None:
    for name, setting in dispatch.collect_items("settings_schema", Setting):
        registry.settings[name] = (*registry.settings.get(name, ()), setting)
    dispatch.gather_channels(registry)
    for name, blueprint in dispatch.collect_items("blueprints", Blueprint):
        if not blueprint.name.startswith(name):
            registry.record(name, "blueprints", f"blueprint {blueprint.name!r} must begin with {name!r}")
            continue
        app.register_blueprint(blueprint)


def _enqueue_committed(session: Session, plugins: Sequence[str], event: dict[str, Any]) -> None:
    for plugin in plugins:
        enqueue(session, dispatch.COMMITTED, event, plugin=plugin)
