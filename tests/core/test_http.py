"""The way out: which addresses can be reached, and what a session does with odd servers."""

import datetime
import gzip
import ipaddress
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from citaplanner_core import http
from citaplanner_core.http import BlockedAddress, OutboundSession, ResponseTooLarge, never_sent, outbound
from tests.wire import answer, serve

LOCAL = ("127.0.0.1",)


@pytest.fixture
def session() -> Iterator[OutboundSession]:
    with outbound(allowed_private_hosts=LOCAL, timeout=(5, 5)) as opened:
        yield opened


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Give host names the addresses a test wants, one list for each look-up; return the names asked for."""
    genuine = socket.getaddrinfo

    def give(*answers: list[str]) -> list[str]:
        asked: list[str] = []

        def look_up(host: str, port: int, *rest: object, **more: object) -> object:
            if not host.endswith(".test"):
                return genuine(host, port, *rest, **more)  # type: ignore[arg-type]  # whatever urllib3 passes
            asked.append(host)
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in answers[min(len(asked), len(answers)) - 1]
            ]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return give


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every address a connection is made to; none is really made."""
    made: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        made.append(address)
        raise OSError("not in a test")

    monkeypatch.setattr(http, "create_connection", connect)
    return made


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a00:1]",
        "[::7f00:1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:db8::1]",
    ],
)
def test_no_private_address_is_reached_however_it_is_written(host: str, connected: list[tuple[str, int]]) -> None:
    with outbound(allowed_private_hosts=()) as session, pytest.raises(requests.RequestException) as caught:
        session.get(f"http://{host}:9000/api")

    assert connected == []
    assert never_sent(caught.value)
    if not isinstance(caught.value, requests.ConnectionError):  # a resolver may refuse odd spellings itself
        assert isinstance(caught.value, BlockedAddress)
        assert "CITAPLANNER_ALLOWED_PRIVATE_HOSTS" in str(caught.value)


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "[64:ff9b::808:808]"])
def test_public_addresses_are_reached(host: str, connected: list[tuple[str, int]]) -> None:
    with outbound(allowed_private_hosts=()) as session, pytest.raises(requests.ConnectionError):
        session.get(f"http://{host}/")

    assert [ipaddress.ip_address(address) for address, _ in connected] == [ipaddress.ip_address(host.strip("[]"))]


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_as_the_one_it_wraps(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    wrapped = [(0xFFFF << 32) | number, (0x64FF9B << 96) | number, (0x2002 << 112) | (number << 80)]

    for form in wrapped:
        assert http.is_public(str(ipaddress.IPv6Address(form))) == http.is_public(str(address))


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        # Pythons differ about IPv6 forms of an IPv4 address, mapped (RFC 4291) or 6to4 (RFC 3056): that one decides.
        inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
        assert not http.is_public(str(address)) or (inner is not None and http.is_public(str(inner)))


def test_the_address_that_was_checked_is_the_one_connected_to(
    names: Callable[..., list[str]], httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/").respond_with_data("in")
    asked = names(["127.0.0.1"], ["127.0.0.2"])

    with outbound(allowed_private_hosts=["127.0.0.1/32"]) as session:
        first = session.get(f"http://rebind.test:{httpserver.port}/", headers={"Connection": "close"})
        with pytest.raises(BlockedAddress) as caught:
            session.get(f"http://rebind.test:{httpserver.port}/")

    assert first.text == "in"
    assert asked == ["rebind.test", "rebind.test"]
    assert caught.value.host == "rebind.test"
    assert len(httpserver.log) == 1


def test_of_several_addresses_only_allowed_ones_are_tried(
    names: Callable[..., list[str]], connected: list[tuple[str, int]]
) -> None:
    names(["10.0.0.9", "8.8.8.8", "169.254.169.254", "9.9.9.9"])

    with outbound(allowed_private_hosts=()) as session, pytest.raises(requests.ConnectionError):
        session.get("http://mixed.test/")

    assert connected == [("8.8.8.8", 80), ("9.9.9.9", 80)]


@pytest.mark.parametrize(
    ("entry", "reached"),
    [
        ("chat.test", True),
        ("Chat.TEST.", True),
        ("chat.test:3000", True),
        ("chat.test:3001", False),
        ("other.test", False),
        ("test", False),
        ("10.0.0.0/8", True),
        ("10.0.0.5", True),
        ("10.0.0.5:3000", True),
        ("10.0.0.5:3001", False),
        ("10.0.0.6", False),
        ("::1", False),
    ],
)
def test_the_operator_allows_hosts_ports_and_networks(
    entry: str, reached: bool, names: Callable[..., list[str]], connected: list[tuple[str, int]]
) -> None:
    names(["10.0.0.5"])

    with outbound(allowed_private_hosts=[entry]) as session, pytest.raises(requests.RequestException):
        session.get("http://chat.test:3000/")

    assert bool(connected) == reached


@pytest.mark.parametrize("entry", ["[::1]:3000", "[::1]", "::1/128", "::1"])
def test_the_operator_allows_ipv6(entry: str, connected: list[tuple[str, int]]) -> None:
    with outbound(allowed_private_hosts=[entry]) as session, pytest.raises(requests.ConnectionError):
        session.get("http://[::1]:3000/")

    assert connected == [("::1", 3000)]


@pytest.mark.parametrize("entry", ["", "http://chat.test", "chat.test/path", "me@chat.test", "chat.test:port", "[::1"])
def test_an_entry_that_is_no_host_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        outbound(allowed_private_hosts=[entry])


def test_the_deployment_says_what_is_allowed(monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data("in")
    url = f"http://127.0.0.1:{httpserver.port}/"
    monkeypatch.delenv("CITAPLANNER_ALLOWED_PRIVATE_HOSTS", raising=False)
    with outbound() as session, pytest.raises(BlockedAddress):
        session.get(url)

    monkeypatch.setenv("CITAPLANNER_ALLOWED_PRIVATE_HOSTS", f"chat.internal, 127.0.0.1:{httpserver.port}")
    with outbound() as session:
        assert session.get(url).text == "in"


@pytest.mark.parametrize("allow_redirects", [True, False])
def test_redirects_are_answers(allow_redirects: bool, session: OutboundSession, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data("", status=302, headers={"Location": "/elsewhere"})

    response = session.get(httpserver.url_for("/").replace("localhost", "127.0.0.1"), allow_redirects=allow_redirects)

    assert response.status_code == 302
    assert [request.path for request, _ in httpserver.log] == ["/"]


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher"])
def test_only_http(scheme: str, session: OutboundSession) -> None:
    with pytest.raises(requests.exceptions.InvalidSchema) as caught:
        session.get(f"{scheme}://127.0.0.1/etc/passwd")

    assert never_sent(caught.value)


def test_no_user_names_in_addresses(session: OutboundSession, connected: list[tuple[str, int]]) -> None:
    with pytest.raises(requests.exceptions.InvalidURL) as caught:
        session.get("http://8.8.8.8:sesame@127.0.0.1/")

    assert connected == []
    assert "sesame" not in str(caught.value)


def test_a_silent_server_is_left_after_the_time_out() -> None:
    done = threading.Event()

    def respond(peer: socket.socket, number: int) -> bool:
        done.wait(10)
        return False

    with serve(respond) as wire, outbound(allowed_private_hosts=LOCAL, timeout=(5, 0.1)) as session:
        with pytest.raises(requests.exceptions.ReadTimeout) as caught:
            session.post(wire.url, json={})
        done.set()

    assert not never_sent(caught.value)
    assert len(wire.requests) == 1


def test_a_session_always_has_a_time_out() -> None:
    with outbound(allowed_private_hosts=()) as session:
        assert session.timeout == (3.05, 10)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_breaks_is_not_tried_again(method: str, session: OutboundSession) -> None:
    with serve(lambda peer, number: False) as wire, pytest.raises(requests.ConnectionError) as caught:
        session.request(method, wire.url)

    assert len(wire.requests) == 1
    assert not never_sent(caught.value)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf",
        b"SSH-2.0-OpenSSH_9\r\n",
    ],
)
def test_half_an_answer_is_none(sent: bytes, session: OutboundSession) -> None:
    def respond(peer: socket.socket, number: int) -> bool:
        peer.sendall(sent)
        return False

    with serve(respond) as wire, pytest.raises(requests.ConnectionError) as caught:
        session.get(wire.url)

    assert not never_sent(caught.value)


@pytest.mark.parametrize(
    "sent",
    [
        answer(b"x" * 5000),
        answer(gzip.compress(b"x" * 5000), headers="Content-Encoding: gzip\r\n"),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000,
    ],
)
def test_an_answer_without_end_is_cut(sent: bytes, session: OutboundSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_BODY", 1000)

    def respond(peer: socket.socket, number: int) -> bool:
        peer.sendall(sent)
        return False

    with serve(respond) as wire, pytest.raises(ResponseTooLarge) as caught:
        session.get(wire.url)

    assert not never_sent(caught.value)


def test_an_answer_that_drips_is_cut(session: OutboundSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS", 0.0)

    def respond(peer: socket.socket, number: int) -> bool:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n.")
        return True

    with serve(respond) as wire, pytest.raises(requests.exceptions.ReadTimeout):
        session.get(wire.url)


def test_connections_are_used_again(session: OutboundSession) -> None:
    def respond(peer: socket.socket, number: int) -> bool:
        peer.sendall(answer(gzip.compress(b'{"n": 1}'), headers="Content-Encoding: gzip\r\nSet-Cookie: who=me\r\n"))
        return True

    with serve(respond) as wire:
        answers = [session.post(wire.url, json={"n": n}) for n in range(3)]
        assert not wire.hung_up.is_set()
        session.close()
        assert wire.hung_up.wait(5)

    assert [response.json() for response in answers] == [{"n": 1}] * 3
    assert (wire.connections, len(wire.requests)) == (1, 3)
    assert not any(b"cookie:" in request.lower() for request in wire.requests)


def test_nothing_of_the_environment_is_sent_or_obeyed(
    session: OutboundSession, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password sesame\n")
    seen: list[Request] = []

    def handler(request: Request) -> Response:
        seen.append(request)
        return Response("direct")

    httpserver.expect_request("/").respond_with_handler(handler)

    assert session.get(f"http://127.0.0.1:{httpserver.port}/").text == "direct"
    assert "Authorization" not in seen[0].headers
    assert seen[0].headers["User-Agent"] == "CitaPlanner"


def test_urls_are_not_logged(
    session: OutboundSession, httpserver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    httpserver.expect_request("/sesame").respond_with_data("")

    session.get(f"http://127.0.0.1:{httpserver.port}/sesame", params={"phone": "5512345678"})

    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("urllib3"))
    assert logged == ""


def test_a_closed_port_means_nothing_was_sent(session: OutboundSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(requests.ConnectionError) as caught:
        session.post(f"http://127.0.0.1:{port}/")

    assert never_sent(caught.value)


def test_an_unknown_name_means_nothing_was_sent(session: OutboundSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(requests.ConnectionError) as caught:
        session.post("http://nowhere.test/")

    assert never_sent(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for chat.test, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chat.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("chat.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "chat.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[HTTPServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with HTTPServer(host="127.0.0.1", port=0, ssl_context=context) as server:
        server.expect_request("/").respond_with_data("private")
        yield server


def test_tls_verifies_the_name_not_the_address(
    tls_server: HTTPServer,
    certificate: Path,
    names: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names(["127.0.0.1"])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with outbound(allowed_private_hosts=LOCAL) as session:
        assert session.get(f"https://chat.test:{tls_server.port}/").text == "private"
        with pytest.raises(requests.exceptions.SSLError) as caught:
            session.post(f"https://other.test:{tls_server.port}/")

    assert never_sent(caught.value)


def test_an_unknown_certificate_is_refused(
    tls_server: HTTPServer, names: Callable[..., list[str]], session: OutboundSession
) -> None:
    names(["127.0.0.1"])
    with pytest.raises(requests.exceptions.SSLError) as caught:
        session.post(f"https://chat.test:{tls_server.port}/")

    assert never_sent(caught.value)


def test_a_handshake_without_answer_means_nothing_was_sent() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        outbound(allowed_private_hosts=LOCAL, timeout=(0.1, 5)) as session,
        pytest.raises(requests.ConnectionError) as caught,
    ):
        session.post(f"https://127.0.0.1:{silent.getsockname()[1]}/")

    assert never_sent(caught.value)
