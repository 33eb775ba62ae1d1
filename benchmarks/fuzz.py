"""The API called as its OpenAPI document allows and forbids, every answer held against the document.

No failure of ours, no status, content or shape that the document does not promise, nothing accepted that it forbids.
`python -m benchmarks fuzz` is the long run; the tests make a short one. `SEED=` and `EXAMPLES=` choose others.
"""

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import schemathesis
from flask import Flask
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from benchmarks.databases import fresh
from benchmarks.prepare import PLUGINS, app_on
from citaplanner_core.booking.appointments import book
from citaplanner_core.database import close_database, utcnow, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.testing.factories import make_branch, make_client, make_professional, make_service, make_tenant
from citaplanner_core.web.logins import create_token

DOCUMENT = "/api/v1/openapi.json"
PHASES = ("examples", "coverage", "fuzzing", "stateful")
EXAMPLES = 200
SEED = 1
CHECKS = {
    # fails in itself without a socket (4.32.5); tests/core/web/test_api_access.py tries every route without a token
    "ignored_auth": {"enabled": False},
    # 422 also says what no schema can: a day that is closed, a rule that contradicts itself
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]},
}


@dataclass
class Findings:
    """How many calls were made, by phase, with which answers, and what was wrong with them."""

    calls: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)


def fuzz(app: Flask, token: str, *, examples: int, seed: int, phases: tuple[str, ...] = PHASES) -> Findings:
    """Call every operation of an app, `examples` times in each phase at most, and return what came of it."""
    settings: dict[str, Any] = {
        "seed": seed,
        "headers": {"Authorization": f"Bearer {token}"},
        "continue-on-failure": True,
        "checks": CHECKS,
        "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
        "phases": {phase: {"enabled": phase in phases} for phase in PHASES},
        "warnings": False,
    }
    schema = schemathesis.openapi.from_wsgi(DOCUMENT, app, config=SchemathesisConfig.from_dict(settings))
    found = Findings()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _note(found, event)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            error = event.value if isinstance(event, events.NonFatalError) else event.exception
            found.wrong[f"{getattr(event, 'label', 'fuzz')}: {type(error).__name__}"] = str(error)
    return found


def _note(found: Findings, event: Any) -> None:
    found.calls[event.phase.value] += len(event.recorder.interactions)
    for call in event.recorder.interactions.values():
        if call.response is not None:
            found.statuses[call.response.status_code] += 1
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                told = check.failure_info
                key = f"{event.label}: {check.name}: {told.failure.title}"
                found.wrong.setdefault(key, f"{told.failure.message}\n{told.code_sample}")


def furnish(slug: str = "fuzz") -> str:
    """Make a tenant with one of everything that is booked, and return a token that may do all."""
    tenant = make_tenant(slug)
    with work(tenant) as session:
        start = utcnow().replace(microsecond=0) + timedelta(days=1)
        book(
            session,
            client_id=make_client(session).id,
            service_id=make_service(session).id,
            professional_id=make_professional(session).id,
            branch_id=make_branch(session).id,
            start=start,
            booked_by="staff",
        )
        return create_token(session, "fuzz")


def run(folder: Path) -> list[str]:
    """Run long on each database; return report lines, each finding with the call that shows it."""
    lines = []
    for kind in ("sqlite", "postgresql"):
        with fresh(kind, folder) as url:
            lines += _run(kind, url, folder) if url else [f"fuzz {kind}: left out, no server"]
    return lines


def _run(kind: str, url: str, folder: Path) -> list[str]:
    seed, examples = int(os.environ.get("SEED", SEED)), int(os.environ.get("EXAMPLES", EXAMPLES))
    started = time.perf_counter()
    app = app_on(url, folder)
    with app.app_context():
        lifecycle.migrate_all(PLUGINS)
        token = furnish()
    try:
        found = fuzz(app, token, examples=examples, seed=seed)
    finally:
        with app.app_context():
            close_database()
    calls = ", ".join(f"{phase} {count}" for phase, count in found.calls.items())
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(found.statuses.items()))
    return [
        f"fuzz {kind}: {sum(found.calls.values())} calls ({calls}) with seed {seed} in"
        f" {time.perf_counter() - started:.0f} s; answers {statuses}; {len(found.wrong)} findings (wanted 0)",
        *(f"fuzz {kind}: {name}\n{what}" for name, what in found.wrong.items()),
    ]
