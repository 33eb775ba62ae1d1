"""The Chatwoot plugin as the core sees it."""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from flask import Blueprint
from sqlalchemy.orm import Session

from citaplanner_core.hooks.hookspecs import hookimpl
from citaplanner_core.hooks.types import (
    AppointmentEvent,
    Channel,
    ErasedClient,
    Figure,
    HealthCheck,
    JobHandler,
    Panel,
    PeriodicJob,
    Process,
    Setting,
    TimelineEntry,
)
from plugins.chatwoot import catch_up, demo, inbound, panel, people, reply, resting, sync, timeline, watch, webhook
from plugins.chatwoot import identity as identity
from plugins.chatwoot import models as models
from plugins.chatwoot.channel import ChatwootChannel
from plugins.chatwoot.settings import SETTINGS
from plugins.chatwoot.story import play

SANDBOX_PORT = 3100


class ChatwootPlugin:
    """Both ways between appointments and Chatwoot conversations."""

    @hookimpl
    def citaplanner_settings_schema(self) -> Sequence[Setting]:
        return SETTINGS

    @hookimpl
    def citaplanner_notification_channels(self) -> Sequence[Channel]:
        return [ChatwootChannel()]

    @hookimpl
    def citaplanner_job_handlers(self) -> Mapping[str, JobHandler]:
        return {
            inbound.EVENT: inbound.handle_event,
            people.FORGET: people.forget_echo,
            reply.REPLY: reply.post,
            reply.REST: resting.rest,
            sync.SYNC: sync.sync_contact,
        }

    @hookimpl
    def citaplanner_appointment_committed(self, event: AppointmentEvent) -> None:
        sync.on_appointment(event)

    @hookimpl
    def citaplanner_client_merged(self, session: Session, merged_id: int, into_id: int) -> None:
        people.merge(session, merged_id, into_id)

    @hookimpl
    def citaplanner_client_exported(self, session: Session, client_id: int) -> Mapping[str, Any]:
        return people.export(session, client_id)

    @hookimpl
    def citaplanner_client_erased(self, session: Session, client_id: int, known: ErasedClient) -> None:
        people.erase(session, client_id, known)

    @hookimpl
    def citaplanner_timeline_entries(
        self,
        session: Session,
        client_id: int | None,
        appointment_id: int | None,
        after: tuple[datetime, int] | None,
        limit: int,
    ) -> Sequence[TimelineEntry]:
        return timeline.entries(session, client_id, appointment_id, after=after, limit=limit)

    @hookimpl
    def citaplanner_client_panel(self, session: Session, clients: Sequence[int], language: str) -> Mapping[int, Panel]:
        return panel.panels(session, clients, language)

    @hookimpl
    def citaplanner_periodic_jobs(self) -> Sequence[PeriodicJob]:
        return [
            PeriodicJob("silence", watch.LOOK_SECONDS, watch.look_for_silence),
            PeriodicJob("catch_up", catch_up.LOOK_SECONDS, catch_up.look),
        ]

    @hookimpl
    def citaplanner_figures(self, session: Session) -> Sequence[Figure]:
        return watch.figures(session)

    @hookimpl
    def citaplanner_health_checks(self) -> Sequence[HealthCheck]:
        return [HealthCheck("webhooks", watch.stuck_webhooks)]

    @hookimpl
    def citaplanner_commands(self) -> Sequence[click.Command]:
        from plugins.chatwoot.commands import chatwoot

        return [chatwoot]

    @hookimpl
    def citaplanner_development_processes(self) -> Sequence[Process]:
        state = ("--state", "{instance}/sandbox.json")
        argv = (sys.executable, "-m", "plugins.chatwoot.sandbox", "--port", "{port}", *state)
        return [Process("sandbox", argv, "http://127.0.0.1:{port}/health", SANDBOX_PORT)]

    @hookimpl
    def citaplanner_demo_seed(self, tenant_id: int, addresses: Mapping[str, str]) -> None:
        if "sandbox" in addresses:
            demo.connect_to_sandbox(tenant_id, sandbox=addresses["sandbox"], web=addresses["web"])

    @hookimpl
    def citaplanner_blueprints(self) -> Sequence[Blueprint]:
        return [webhook.blueprint]

    @hookimpl
    def citaplanner_demo_story(self) -> Callable[[Mapping[str, Any]], int]:
        return play


plugin = ChatwootPlugin()
