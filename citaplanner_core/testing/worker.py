"""Running due work in a test, without a worker process."""

from flask import Flask

from citaplanner_core.jobs.loop import claim
from citaplanner_core.worker import make_worker

ROUNDS = 50


def run_due(app: Flask) -> int:
    """Claim and run everything that is due now, notifications and jobs, until nothing is; return how many ran.

    Call it inside the app's context and outside any unit of work. It uses the sources of a real worker.
    """
    ran = 0
    for _ in range(ROUNDS):
        taken = 0
        for source in make_worker(app).sources:
            for row in claim(source.model, limit=100, lease_seconds=source.lease_seconds):
                source.run(row)
                taken += 1
        if not taken:
            return ran
        ran += taken
    raise AssertionError(f"work is still due after {ROUNDS} rounds: something asks for itself again and again")
