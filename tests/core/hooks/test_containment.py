"""A plugin that misbehaves is named, and hurts neither the booking nor the others."""

import pytest

from tests.conftest import ON_POSTGRESQL
from tests.core.hooks.toy import Deployment

HOOKS = (
    "notification_channels settings_schema job_handlers periodic_jobs blueprints commands health_checks"
    " development_processes appointment_event appointment_committed"
).split()

RAISES = "\n".join(
    ["from citaplanner_core.hooks.hookspecs import hookimpl", "class Plugin:"]
    + [
        f"    @hookimpl\n    def citaplanner_{hook}(self):\n        raise RuntimeError('boom in {hook}')"
        for hook in HOOKS
    ]
    + ["plugin = Plugin()"]
)
NONSENSE = RAISES.replace("raise RuntimeError('boom in ", "return ('nonsense ").replace("')", "', 7)")

GOOD = """
from citaplanner_core.hooks.hookspecs import hookimpl
from citaplanner_core.booking.models import Client
class Plugin:
    @hookimpl
    def citaplanner_appointment_event(self, event, session):
        client = session.get(Client, event.client_id)
        client.notes += f"[{event.name}]"
plugin = Plugin()
"""

BOOK = """
from datetime import timedelta
from citaplanner_core.booking.appointments import book
from citaplanner_core.database import utcnow
from citaplanner_core.booking.models import Appointment, Client
from sqlalchemy import select
tenant = factories.make_tenant("clinic")
for name in registry().manifests:
    lifecycle.enable(name, tenant)
with work(tenant) as session:
    makers = (factories.make_client, factories.make_service, factories.make_professional)
    client, service, who = (make(session).id for make in makers)
    start = utcnow() + timedelta(days=3)
    book(session, client_id=client, service_id=service, professional_id=who, branch_id=1, start=start)
with work(tenant, write=False) as session:
    print(session.scalars(select(Appointment.status)).all(), session.scalars(select(Client.notes)).all())
"""


def test_a_plugin_that_raises_everywhere(deployment: Deployment) -> None:
    deployment.add("bad", RAISES)
    deployment.add("good", GOOD)
    assert deployment.command("migrate").returncode == 0
    printed = deployment.python(
        BOOK
        + """
dispatch.collect("commands"); dispatch.collect("health_checks"); dispatch.collect("periodic_jobs")
print(sorted({plugin for plugin, _ in registry().troubles}), len(registry().troubles) >= 6)
answer = app.test_client().get("/readyz").get_json()
print({line["plugin"] for line in answer["plugins"]})
"""
    )
    assert printed.splitlines() == ["['PENDING'] ['[booked]']", "['bad'] True", "{'bad'}"]


def test_a_plugin_that_returns_nonsense(on_sqlite: Deployment) -> None:
    on_sqlite.add("bad", NONSENSE)
    assert on_sqlite.command("migrate").returncode == 0
    printed = on_sqlite.python(
        BOOK + "\nprint(sorted(hook for _, hook in registry().troubles))\nprint(list(dispatch.channels()))"
    )
    lines = printed.splitlines()
    assert lines[0].startswith("['PENDING']")
    assert "notification_channels" in lines[1]
    assert "blueprints" in lines[1]
    assert lines[2] == "['log']"


def test_what_a_failing_plugin_wrote_is_undone(deployment: Deployment) -> None:
    deployment.add(
        "bad",
        GOOD
        + "\n"
        + GOOD.replace("plugin = Plugin()", "").replace(
            'client.notes += f"[{event.name}]"', 'client.notes += "half"; session.flush(); raise ValueError'
        )
        + "\nplugin = Plugin()\n",
    )
    assert deployment.command("migrate").returncode == 0
    assert deployment.python(BOOK).splitlines()[0] == "['PENDING'] ['']"


def test_a_plugin_the_tenant_did_not_switch_on_is_not_called(on_sqlite: Deployment) -> None:
    on_sqlite.add("good", GOOD)
    assert on_sqlite.command("migrate").returncode == 0
    off = BOOK.replace("lifecycle.enable(name, tenant)", "pass")
    assert on_sqlite.python(off).splitlines()[0] == "['PENDING'] ['']"


@pytest.mark.parametrize("engine", ON_POSTGRESQL, indirect=True)
def test_a_statement_that_waits_too_long_in_the_booking_is_ended(deployment: Deployment) -> None:
    deployment.add(
        "slow",
        """
        from sqlalchemy import func, select
        from citaplanner_core.booking.models import Client
        from citaplanner_core.hooks.hookspecs import hookimpl
        class Plugin:
            @hookimpl
            def citaplanner_appointment_event(self, event, session):
                session.scalar(select(func.pg_sleep(30), Client.id))
        plugin = Plugin()
        """,
    )
    assert deployment.command("migrate").returncode == 0
    printed = deployment.python(BOOK + "\nprint(registry().troubles[('slow', 'appointment_event')].count)")
    assert printed.splitlines()[0].startswith("['PENDING']")
