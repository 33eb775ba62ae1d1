"""1,000,000 appointments and 200,000 clients of one business on PostgreSQL: what is looked at daily under 100 ms."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import select, text

from benchmarks.availability import timed
from benchmarks.databases import fresh
from benchmarks.load import median
from benchmarks.prepare import PLUGINS, app_on
from citaplanner_core.booking.models import Appointment, Branch
from citaplanner_core.booking.search import find_clients
from citaplanner_core.database import close_database, db, system_connection, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.notifications import timeline
from citaplanner_core.testing.factories import make_branch, make_professional, make_service, make_tenant
from citaplanner_core.web.admin.diary import read_diary
from citaplanner_core.web.logins import create_token

CLIENTS = int(os.environ.get("CLIENTS", 200_000))
EACH = 5
BRANCHES, PEOPLE, SERVICES = 10, 50, 20
DAYS = 4_000
"""Half an hour with each professional, ten hours a day: up to ten days from now; older ones took place."""

ROUNDS = 15

FILL = (
    """INSERT INTO client (tenant_id, first_name, last_name, email, do_not_message, notes, active, created_at)
    SELECT :tenant, (ARRAY['Ana','Luis','María','José','Sofía','Pedro','Lucía','Iván','Núria','Óscar'])[1 + n % 10],
        (ARRAY['Pérez','García','López','Ruiz','Díaz','Soto','Mora'])[1 + n % 7] || ' ' || chr(65 + n % 26)
        || 'ara' || n,
        'persona' || n || '@example.com', false, '', true, now() FROM generate_series(1, :clients) n""",
    """INSERT INTO client_phone (tenant_id, client_id, raw, e164, match_key, backwards, confidence, label)
    SELECT :tenant, id, '55 ' || (10000000 + id), '+5255' || (10000000 + id), '+5255' || (10000000 + id),
        reverse('5255' || (10000000 + id)), 'high', '' FROM client WHERE tenant_id = :tenant""",
    """INSERT INTO client_word (tenant_id, client_id, word)
    SELECT DISTINCT tenant_id, id, word FROM client, unnest(string_to_array(
        translate(lower(first_name || ' ' || last_name), 'áéíóú', 'aeiou') || ' ' || email, ' ')) word
    WHERE tenant_id = :tenant""",
    """INSERT INTO appointment (tenant_id, client_id, branch_id, professional_id, service_id, start, "end",
        blocked_from, blocked_until, status, booked_by, schedule_version, version, answer, notes, created_at)
    SELECT :tenant, :client + (CAST(n AS bigint) * 7919) % :clients,
        :branch + n % :people % :branches, :professional + n % :people,
        :service + n % :services, at, at + interval '30 minutes', at, at + interval '30 minutes',
        CASE WHEN at > now() THEN 'CONFIRMED' WHEN n % 9 = 0 THEN 'NO_SHOW' ELSE 'COMPLETED' END,
        'client', 1, 1, 'none', '', at - interval '3 days'
    FROM generate_series(0, :appointments - 1) n, LATERAL (SELECT CAST(:last AS timestamptz)
        - n / :people / 20 * interval '1 day' - n / :people % 20 * interval '30 minutes' AS at) moment""",
    """INSERT INTO appointment_change (tenant_id, appointment_id, event, by, new_start, at)
    SELECT tenant_id, id, 'booked', 'client', start, created_at FROM appointment WHERE tenant_id = :tenant""",
    """INSERT INTO notification (tenant_id, type, rule, recipient_id, appointment_id, schedule_version, lane, channel,
        variables, dedupe_key, prompted, created_at, changed_at, status, due, attempt)
    SELECT tenant_id, 'APPOINTMENT_CONFIRMATION', 'confirmation', client_id, id, 1, 'log', 'log', '{}',
        'appointment:' || id, true, created_at, created_at, 'SENT', created_at, 1
    FROM appointment WHERE tenant_id = :tenant""",
)


def run(folder: Path) -> list[str]:
    """Measure; return report lines."""
    with fresh("postgresql", folder) as url:
        if url is None:
            return ["million: left out, no server"]
        app = app_on(url, folder)
        with app.app_context():
            try:
                lifecycle.migrate_all(PLUGINS)
                began = time.perf_counter()
                tenant, token = _fill()
                filled = time.perf_counter() - began
                headers = {"Authorization": f"Bearer {token}"}
                client = app.test_client()

                def get(path: str) -> Callable[[], object]:
                    def ask() -> None:
                        answer = client.get(f"/api/v1{path}", headers=headers)
                        assert answer.status_code == 200, answer.text

                    return ask

                lines = []
                for name, call in {**_direct(tenant), **{f"GET {path}": get(path) for path in _paths(tenant)}}.items():
                    call()
                    times = [timed(call) for _ in range(ROUNDS)]
                    lines.append(f"million: {name}: {median(times):.0f} ms, slowest {max(times):.0f} (wanted < 100)")
                return [
                    f"million: {CLIENTS:,} clients, {CLIENTS * EACH:,} appointments filled in {filled:.0f} s",
                    *lines,
                ]
            finally:
                close_database()


def _fill() -> tuple[int, str]:
    tenant = make_tenant("bench")
    with work(tenant) as session:
        branches = [session.scalars(select(Branch.id)).one(), *(make_branch(session).id for _ in range(BRANCHES - 1))]
        people = [make_professional(session).id for _ in range(PEOPLE)]
        services = [make_service(session).id for _ in range(SERVICES)]
        token = create_token(session, "bench")
    last = utcnow().replace(hour=23, minute=0, second=0, microsecond=0) + timedelta(days=10)
    given = {"tenant": tenant, "clients": CLIENTS, "appointments": CLIENTS * EACH, "last": last, "client": 1}
    given |= {"branch": branches[0], "professional": people[0], "service": services[0]}
    given |= {"branches": BRANCHES, "people": PEOPLE, "services": SERVICES}
    for statement in FILL:
        with system_connection("a benchmark's rows") as connection:
            connection.execute(text(statement), given)
    with db.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")
    return tenant, token


def _direct(tenant: int) -> dict[str, Callable[[], object]]:
    """What pages read, as they read it."""

    def day() -> object:
        with work(tenant, write=False) as session:
            branch = session.scalars(select(Branch).order_by(Branch.id)).first()
            assert branch is not None
            return read_diary(session, branch, utcnow().date() + timedelta(days=1), None)

    def found(words: str) -> Callable[[], object]:
        def find() -> object:
            with work(tenant, write=False) as session:
                clients = find_clients(session, words, limit=20)
                assert clients, words
                return [(client.name, client.phones) for client in clients]

        return find

    def history() -> object:
        with work(tenant, write=False) as session:
            of = select(Appointment).where(Appointment.client_id == CLIENTS // 2).order_by(Appointment.start.desc())
            return [(one.service.name, one.professional.name) for one in session.scalars(of.limit(50))]

    def told() -> object:
        with work(tenant, write=False) as session:
            return timeline.read(session, timeline.of_client(CLIENTS // 2), limit=50)

    phone = str(10_000_000 + CLIENTS // 2)
    searches = (f"55 {phone[:4]} {phone[4:]}", "+52 55 1000 1234", "0123", "mar gar", "ana", "lara1831", "persona77@")
    return {
        "a branch's day": day,
        "a client's history": history,
        "a client's timeline": told,
        **{f"search {words!r}": found(words) for words in searches},
    }


def _paths(tenant: int) -> list[str]:
    with work(tenant, write=False) as session:
        last = session.scalars(select(Appointment.id).order_by(Appointment.id.desc()).limit(1)).one()
    start = (utcnow() + timedelta(days=11)).date()
    month = f"from={quote(f'{start}T00:00:00Z')}&to={quote(f'{start + timedelta(days=31)}T00:00:00Z')}"
    return [
        "/appointments?limit=200",
        f"/appointments?limit=200&after={last - 300}",
        "/clients?limit=200",
        f"/clients?limit=200&after={CLIENTS - 300}",
        f"/clients?phone=55{10_000_000 + CLIENTS // 2}",
        f"/clients/{CLIENTS // 2}/timeline",
        f"/appointments/{last // 2}/timeline",
        f"/availability?service_id=1&branch_id=1&{month}",
        "/notifications/upcoming",
    ]
