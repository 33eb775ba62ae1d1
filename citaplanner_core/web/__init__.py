"""The HTTP side of the core."""

from flask import Flask


def register_web(app: Flask) -> None:
    """Give the app the core's pages and its API."""
    from citaplanner_core.web import api, booking_page, client_pages, errors, feeds, health, metrics, pages
    from citaplanner_core.web.admin import staff_pages

    errors.register_errors(app)
    for blueprint in (
        pages.blueprint,
        client_pages.blueprint,
        booking_page.blueprint,
        feeds.blueprint,
        health.blueprint,
        metrics.make_blueprint(),
        api.blueprint,
        staff_pages.blueprint,
    ):
        app.register_blueprint(blueprint)
    api.spec.app = app
    staff_pages.init_csrf(app)
