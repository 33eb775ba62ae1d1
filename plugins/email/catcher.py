"""The demo's mail box: an SMTP server that keeps what it gets in memory, and a page that shows it.

`python -m plugins.email.catcher --port N` serves the page there; the SMTP port stands in `/smtp`.
"""

import argparse
import email
import logging
import signal
import socket
import threading
from collections import deque
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from flask import Flask, render_template_string
from werkzeug.serving import make_server

KEPT = 200
PAGE = """<!doctype html><html lang="es"><meta charset="utf-8"><title>Buzón de prueba</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="5">
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:44rem;padding:0 1rem;color:#1f2933}
article{border:1px solid #d9e0e6;border-radius:8px;padding:1rem;margin:1rem 0}h2{font-size:1.05rem;margin:0}
p{margin:.2rem 0;color:#52606d}pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit;margin:.6rem 0 0}</style>
<h1>Buzón de prueba</h1>
{% for mail in mails %}<article><h2>{{ mail.subject }}</h2><p>Para {{ mail.to }}</p><pre>{{ mail.text }}</pre></article>
{% else %}<p>Todavía no ha llegado ningún correo.</p>{% endfor %}</html>"""


class Box:
    """What arrived, newest first."""

    def __init__(self) -> None:
        self.mails: deque[dict[str, str]] = deque(maxlen=KEPT)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # aiosmtpd's name
        """Take a mail."""
        mail = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        body = mail.get_body(("plain",))
        text = body.get_content().replace("\r\n", "\n") if body else ""
        headers = {name: str(mail[name] or "") for name in ("to", "from", "subject", "message-id")}
        self.mails.appendleft({**headers, "text": text})
        return "250 OK"


def create_page(box: Box, smtp_port: int) -> Flask:
    """Return the page over a box."""
    app = Flask("plugins.email.catcher")

    @app.get("/")
    def page() -> str:
        return render_template_string(PAGE, mails=list(box.mails))

    @app.get("/mails")
    def mails() -> list[dict[str, str]]:
        return list(box.mails)

    @app.get("/smtp")
    def smtp() -> dict[str, int]:
        return {"port": smtp_port}

    return app


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Keeps mail for the demo and shows it.")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args(arguments).port
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    box = Box()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        smtp_port = int(probe.getsockname()[1])
    controller = Controller(box, hostname="127.0.0.1", port=smtp_port)
    controller.start()
    server = make_server("127.0.0.1", port, create_page(box, smtp_port), threaded=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    try:
        server.serve_forever()
    finally:
        controller.stop()
        server.server_close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
