"""A TCP server whose every byte a test decides, for what well-behaved servers never do."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Wire:
    """`port` to connect to, the requests that were read, and whether a client has hung up."""

    port: int
    hung_up: threading.Event = field(default_factory=threading.Event)
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def read_request(peer: socket.socket) -> bytes:
    """Read one request with its body; empty when the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += peer.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """Return a whole response that lets the connection live on."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@contextmanager
def serve(respond: Callable[[socket.socket, int], bool]) -> Iterator[Wire]:
    """Listen on a free port; after each request call `respond(peer, number of the request from 1)`.

    `respond` writes what it likes and returns whether the connection stays open.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    wire = Wire(listener.getsockname()[1])

    def talk(peer: socket.socket) -> None:
        with peer, suppress(OSError):  # a client may break off
            while request := read_request(peer):
                wire.requests.append(request)
                if not respond(peer, len(wire.requests)):
                    return
            wire.hung_up.set()

    def listen() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            wire.connections += 1
            peers.append(peer)
            talkers.append(threading.Thread(target=talk, args=(peer,)))
            talkers[-1].start()

    peers: list[socket.socket] = []
    talkers: list[threading.Thread] = []
    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield wire
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for peer in peers:
            with suppress(OSError):  # already closed
                peer.shutdown(socket.SHUT_RDWR)
        for talker in talkers:
            talker.join()
