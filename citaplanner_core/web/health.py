"""`/healthz` and `/readyz`."""

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from citaplanner_core.config import Config
from citaplanner_core.database import system_work
from citaplanner_core.hooks.migrations import NotReady, require_ready
from citaplanner_core.hooks.registry import registry
from citaplanner_core.jobs.heartbeat import alive_workers

blueprint = Blueprint("health", __name__)


def problems() -> dict[str, str]:
    """Return {what: trouble and cure} of this deployment; empty when all is well."""
    found: dict[str, str] = {}
    try:
        with system_work("health") as session:
            session.execute(select(1))
    except Exception as error:
        return {"database": f"cannot be reached: {type(error).__name__}"}
    try:
        for number, warning in enumerate(require_ready()):
            found[f"schema {number + 1}"] = warning
    except NotReady as error:
        return {"schema": str(error)}
    with system_work("health") as session:
        if not alive_workers(session):
            found["worker"] = "no worker has been seen lately, nothing is sent: start `citaplanner worker`"
    config: Config = current_app.config["CITAPLANNER"]
    if not config.secret_key:
        found["secret key"] = (
            "made in the instance folder: if that folder is lost, stored provider tokens cannot be read and everybody"
            " is signed out; set CITAPLANNER_SECRET_KEY"
        )
    if config.delivery != "live":
        found["delivery"] = f"CITAPLANNER_DELIVERY is {config.delivery}: not everything is sent"
    return found


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Tell that this process answers."""
    return {"status": "ok"}


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Tell whether database, schema and a worker are there; name plugins that failed. 503 when something is missing."""
    found = problems()
    troubles = [
        {"plugin": plugin, "hook": hook, "count": trouble.count, "error": trouble.error}
        for (plugin, hook), trouble in registry().troubles.items()
    ]
    missing = {name: text for name, text in found.items() if name in ("database", "schema", "worker")}
    body = {"status": "ok" if not missing else "not ready", "problems": found, "plugins": troubles}
    return body, 503 if missing else 200
