"""Logging: one structured line per event on standard error, secrets and phone numbers masked."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET = re.compile(r"token|secret|password|authorization|api_?key|signature", re.IGNORECASE)
PHONE = re.compile(r"\+?\d[\d\s().-]{8,}\d")


def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank values of secret-looking keys, and digits of phone-looking texts but the last two."""
    for key, value in event.items():
        if SECRET.search(key):
            event[key] = "***"
        elif isinstance(value, str) and key not in ("timestamp", "event", "level"):
            event[key] = PHONE.sub(lambda found: "…" + found.group()[-2:], value)
    return event


def configure_logging(level: str) -> None:
    """Send structlog to standard error: JSON lines, or readable ones on a terminal. Leaves other loggers alone."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask,
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
