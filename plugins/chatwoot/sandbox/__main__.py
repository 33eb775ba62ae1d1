"""``python -m plugins.chatwoot.sandbox``: run the stand-in until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from .gate import Limits
from .server import Options, create_sandbox, serve
from .store.seed import Seed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox", description="A stand-in Chatwoot server.")
    parser.add_argument("--port", type=int, required=True, help="0 takes any free port")
    parser.add_argument("--host", default="127.0.0.1", help="default: only this machine")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep everything here between starts")
    parser.add_argument("--report-delay", type=float, default=0.5, help="seconds until a message is reported delivered")
    parser.add_argument("--rate-limit", type=int, default=Limits.general, help="API calls a minute")
    for field in fields(Seed):
        parser.add_argument(f"--{field.name.replace('_', '-')}", default=field.default)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server; prints ``SANDBOX http://host:port`` when it listens.

    Returns 0 after SIGTERM or SIGINT and 1 when it cannot start, with one line that says why.
    To be called in the main thread.
    """
    arguments = _parser().parse_args(argv)
    options = Options(
        state_file=arguments.state,
        seed=Seed(**{field.name: getattr(arguments, field.name) for field in fields(Seed)}),
        limits=Limits(general=arguments.rate_limit),
        report_delay=arguments.report_delay,
    )
    try:
        sandbox = create_sandbox(options)
    except OSError as error:
        print(f"The state file {arguments.state} cannot be used: {error.strerror}.", file=sys.stderr)
        return 1
    try:
        server = serve(sandbox, arguments.host, arguments.port)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        print(f"Cannot listen on {arguments.host}:{arguments.port}: {reason}.", file=sys.stderr)
        sandbox.close()
        return 1
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, frame: stop.set())
    if sandbox.note:
        print(sandbox.note, file=sys.stderr)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    print(f"SANDBOX http://{host}:{server.port}", flush=True)
    stop.wait()
    server.shutdown()
    thread.join()
    sandbox.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
