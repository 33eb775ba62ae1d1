"""The e-mail plugin as the core sees it."""

import sys
from collections.abc import Mapping, Sequence

from citaplanner_core.database import work
from citaplanner_core.hooks import settings
from citaplanner_core.hooks.hookspecs import hookimpl
from citaplanner_core.hooks.types import Channel, Process, Setting
from citaplanner_core.http import outbound
from plugins.email.channel import EmailChannel
from plugins.email.settings import SETTINGS

MAIL_PORT = 8025


class EmailPlugin:
    """Notifications by e-mail."""

    @hookimpl
    def citaplanner_notification_channels(self) -> Sequence[Channel]:
        return [EmailChannel()]

    @hookimpl
    def citaplanner_settings_schema(self) -> Sequence[Setting]:
        return SETTINGS

    @hookimpl
    def citaplanner_development_processes(self) -> Sequence[Process]:
        argv = (sys.executable, "-m", "plugins.email.catcher", "--port", "{port}")
        return [Process("mail", argv, "http://127.0.0.1:{port}/smtp", MAIL_PORT)]

    @hookimpl
    def citaplanner_demo_seed(self, tenant_id: int, addresses: Mapping[str, str]) -> None:
        with outbound(allowed_private_hosts=("127.0.0.1",)) as session:
            port = session.get(f"{addresses['mail']}/smtp").json()["port"]
        values = {"host": "127.0.0.1", "port": port, "security": "none", "from": "Estética Demo <citas@demo.example>"}
        with work(tenant_id) as unit:
            settings.write(unit, "email", values)


plugin = EmailPlugin()
