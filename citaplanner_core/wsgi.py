"""What a WSGI server loads: `gunicorn citaplanner_core.wsgi:app`."""

from citaplanner_core.app import create_app
from citaplanner_core.hooks.migrations import require_ready

app = create_app()
with app.app_context():
    require_ready()
