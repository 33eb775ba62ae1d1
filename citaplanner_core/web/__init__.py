"""The HTTP side of the core."""

from flask import Blueprint, Flask


def register_web(app: Flask) -> None:
    """Give the app the core's pages and its API."""
    from citaplanner_core.web import api, health

    parts: list[Blueprint] = [health.blueprint, api.register()]
    for blueprint in parts:
        app.register_blueprint(blueprint)
    api.spec.app = app
