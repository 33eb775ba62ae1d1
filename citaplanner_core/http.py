"""The one way out: every HTTP request of the core and its plugins goes through a session from `outbound`.

Base addresses are typed by tenants, so a session refuses to connect to anything but public addresses. The
check is made on the address the socket is about to use, after the one name look-up of that connection:
another answer a moment later (DNS rebinding), `0x7f.1`, `2130706433` or `::ffff:10.0.0.1` change nothing,
and TLS still verifies the name.
"""

import ipaddress
import logging
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)
from urllib3.util.connection import create_connection
from urllib3.util.ssl_match_hostname import CertificateError

from citaplanner_core.config import load_config

Timeout = float | tuple[float, float]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_BODY = 16 * 1024 * 1024
BODY_SECONDS = 60.0

# Below this level urllib3 writes whole URLs, and a URL may carry a secret or a phone number.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class BlockedAddress(RequestException):
    """The host has no address that may be reached from here; nothing was sent. `host`: the name asked for."""

    def __init__(self, host: str, **kwargs: Any) -> None:
        super().__init__(f"{host} is not a public address; CITAPLANNER_ALLOWED_PRIVATE_HOSTS can allow it", **kwargs)
        self.host = host


class ResponseTooLarge(RequestException):
    """The answer is longer than `MAX_BODY` bytes after decompression. The request was carried out."""


class _RefusedError(Exception):
    """Passes through urllib3 unwrapped, which turns every OSError into its own errors."""


class _HandshakeError(SSLError):
    """TLS was not established, so no byte of the request has been sent."""


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Reserved or a cloud's own metadata service, though `is_global` says otherwise in some Python versions
# (IANA special-purpose registries, RFC 6890; 168.63.129.16 is the platform address of Azure).
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20")
)


def _plain(address: Address) -> Address:
    """Return the IPv4 address an IPv6 form stands for: mapped, 6to4 (RFC 3056) or NAT64 (RFC 6052)."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def is_public(address: str) -> bool:
    """Say whether a numeric IPv4 or IPv6 address is an ordinary one of the internet, else ValueError."""
    plain = _plain(ipaddress.ip_address(address))
    if isinstance(plain, ipaddress.IPv6Address) and plain not in _GLOBAL_UNICAST:
        return False
    return plain.is_global and not plain.is_multicast and not any(plain in network for network in _NOT_PUBLIC)


@dataclass(frozen=True)
class _Permit:
    """One entry of the operator's list: a name, or a network, each for one port or for all."""

    name: str = ""
    network: Network | None = None
    port: int | None = None

    @classmethod
    def parse(cls, entry: str) -> "_Permit":
        try:
            return cls(network=ipaddress.ip_network(entry, strict=False))
        except ValueError:
            pass
        complaint = f"{entry!r} is not a host, host:port or network such as 10.0.0.0/8"
        try:
            parts = urlsplit(f"//{entry}")
            name, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            raise ValueError(complaint) from None
        if not name or parts.netloc != entry or "@" in entry:
            raise ValueError(complaint)
        try:
            return cls(network=ipaddress.ip_network(name), port=port)
        except ValueError:
            return cls(name=name, port=port)

    def covers(self, host: str, address: Address, port: int) -> bool:
        if self.port not in (None, port):
            return False
        return address in self.network if self.network else host == self.name


def _allowed(answers: Sequence[tuple[Any, ...]], host: str, port: int, permits: Iterable[_Permit]) -> list[str]:
    addresses = [str(answer[4][0]) for answer in answers]
    return [
        address
        for address in addresses
        if is_public(address)
        or any(permit.covers(host.lower(), _plain(ipaddress.ip_address(address)), port) for permit in permits)
    ]


def reachable_addresses(host: str, port: int, *, allowed_private_hosts: Iterable[str]) -> list[str]:
    """Return the numeric addresses of a host that may be connected to, for protocols other than HTTP.

    Connect to one of these, never to the name again. Raises `BlockedAddress` when there is none, and
    `socket.gaierror` when the name is not known.
    """
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = _allowed(answers, host, port, [_Permit.parse(entry) for entry in allowed_private_hosts])
    if not found:
        raise BlockedAddress(host)
    return found


class _Guard(HTTPConnection):
    """Looks the name up once, and connects to no address that was not checked."""

    permits: ClassVar[tuple[_Permit, ...]] = ()

    def _new_conn(self) -> socket.socket:
        try:
            answers = socket.getaddrinfo(self._dns_host.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except UnicodeError as error:
            raise NewConnectionError(self, "the host name is not valid") from error
        failure: HTTPError | _RefusedError = _RefusedError(self.host)
        for address in _allowed(answers, self.host, self.port, self.permits):
            try:
                return create_connection(
                    (address, self.port),
                    self.timeout,
                    source_address=self.source_address,
                    socket_options=self.socket_options,
                )
            except TimeoutError:
                failure = ConnectTimeoutError(self, f"no connection to {self.host} within {self.timeout} s")
            except OSError as error:
                failure = NewConnectionError(self, f"no connection: {error}")
        raise failure

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, CertificateError) as error:
            raise _HandshakeError(error) from error


def _pools(allowed: tuple[_Permit, ...]) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(_Guard):
        permits = allowed

    class Secure(_Guard, HTTPSConnection):
        permits = allowed

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Adapter(HTTPAdapter):
    def __init__(self, permits: tuple[_Permit, ...]) -> None:
        super().__init__()
        self.poolmanager.pool_classes_by_scheme = _pools(permits)

    def close(self) -> None:
        # urllib3 itself leaves the connections of a dropped pool to the garbage collector.
        pools = self.poolmanager.pools
        for pool in [pools[key] for key in pools.keys()]:  # noqa: SIM118 - it cannot be iterated itself
            pool.close()
        super().close()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        if proxies or "@" in urlsplit(request.url or "").netloc:
            raise requests.exceptions.InvalidURL("neither proxies nor user names in URLs are used here")
        try:
            return super().send(request, stream, timeout, verify, cert)
        except _RefusedError as refused:
            raise BlockedAddress(str(refused), request=request) from None


class OutboundSession(requests.Session):
    """A `requests.Session` with this project's rules; made by `outbound`. One per thread.

    Connections are kept alive and reused. A request is sent once: no redirect is followed, nothing is
    retried, no cookie is kept. Every request has a time-out, and an answer is read whole before it is
    returned: at most `MAX_BODY` bytes within `BODY_SECONDS`.

    Raises the errors of requests, and `BlockedAddress` and `ResponseTooLarge`, which belong to that family.
    """

    def __init__(self, permits: tuple[_Permit, ...], timeout: Timeout) -> None:
        super().__init__()
        self.timeout = timeout
        self.trust_env = False
        self.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self.headers["User-Agent"] = "CitaPlanner"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(permits)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: a redirect is an answer like another, and following it would carry the token along."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self.timeout
        response = super().send(request, **{**kwargs, "stream": True})
        try:
            # What requests itself does on first access of `content`, which knows no limits.
            response._content = _read(response)
        except BaseException:
            response.close()
            raise
        return response


def _read(response: requests.Response) -> bytes:
    body, deadline = bytearray(), time.monotonic() + BODY_SECONDS
    try:
        while chunk := response.raw.read1(65536, decode_content=True):
            body += chunk
            if len(body) > MAX_BODY:
                raise ResponseTooLarge(f"the answer is longer than {MAX_BODY} bytes", response=response)
            if time.monotonic() > deadline:
                raise requests.exceptions.ReadTimeout("the answer takes too long", response=response)
    except HTTPError as error:
        raise requests.exceptions.ConnectionError(error, response=response) from error
    return bytes(body)


def outbound(*, allowed_private_hosts: Iterable[str] | None = None, timeout: Timeout = (3.05, 10)) -> OutboundSession:
    """Return a new session for requests to servers named by tenants or operators.

    In: `allowed_private_hosts`, entries such as `chatwoot.internal`, `localhost:3000`, `[::1]:3000` or
    `10.0.0.0/8` that may be reached although they are not public (None: those of the deployment,
    `CITAPLANNER_ALLOWED_PRIVATE_HOSTS`); `timeout` in seconds, connecting and waiting for the next bytes.

    The environment's proxies and .netrc are not used: behind a proxy nobody here could check the address
    that is really reached, and .netrc would add credentials nobody asked for. A private certificate
    authority is named by `REQUESTS_CA_BUNDLE`, as for requests itself.

    Raises ValueError for an entry that is no host, host:port or network.
    """
    if allowed_private_hosts is None:
        allowed_private_hosts = load_config().allowed_private_hosts
    return OutboundSession(tuple(_Permit.parse(entry) for entry in allowed_private_hosts), timeout)


def never_sent(error: RequestException) -> bool:
    """Say whether `error` came before any byte of the request was sent: the server surely did nothing.

    False means unknown: after a read time-out or a broken connection it may have been carried out.
    """
    if isinstance(error, (BlockedAddress, requests.exceptions.ConnectTimeout, ValueError)):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, (ConnectTimeoutError, _HandshakeError))
