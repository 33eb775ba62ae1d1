"""The HTTP side of the core."""

from flask import Blueprint


def blueprints() -> list[Blueprint]:
    """Return the core's blueprints."""
    from citaplanner_core.web import health

    return [health.blueprint]
