"""Where a browser is, and how often it did something lately."""

from collections import OrderedDict
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from flask import current_app, request

from citaplanner_core.config import Config
from citaplanner_core.database import utcnow

MOST = 10_000
"""So many are remembered, the latest."""


def client_address() -> str:
    """Where the browser is: what the proxy before us wrote last in `X-Forwarded-For`, where it is one we trust.

    Anybody may write that header; only what one of `CITAPLANNER_TRUSTED_PROXIES` adds to it is believed.
    """
    peer = request.remote_addr or ""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return forwarded if forwarded and _is_trusted(peer) else peer


def _is_trusted(peer: str) -> bool:
    config: Config = current_app.config["CITAPLANNER"]
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return any(address in ip_network(text) for text in config.trusted_proxies)


def household(address: str) -> str:
    """Return what stands for everybody at an address: a household has one of IPv4, and 2^64 of IPv6."""
    try:
        known = ip_address(address)
    except ValueError:
        return address[:100]
    return str(ip_network((known, 64), strict=False)) if isinstance(known, IPv6Address) else str(known)


class Lately:
    """Counts what each of many did within a time. Each process counts for itself, and forgets when it ends."""

    def __init__(self, within: timedelta) -> None:
        self._within = within
        self._times: OrderedDict[str, list[datetime]] = OrderedDict()

    def count(self, who: str) -> int:
        """How often it was noted within the time that is over now."""
        now = utcnow()
        return sum(now - self._within < at <= now for at in self._times.get(who, ()))

    def note(self, who: str) -> None:
        """They did it once more."""
        now = utcnow()
        kept = [at for at in self._times.pop(who, ()) if at > now - self._within]
        self._times[who] = [*kept, now]
        while len(self._times) > MOST:
            self._times.popitem(last=False)
