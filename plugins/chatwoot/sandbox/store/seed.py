"""What the stand-in holds when it starts: two accounts, people, a bot, inboxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .records import Account, Bot, Inbox, Json, Record, User
from .state import State, token

WORKING_HOURS: list[Json] = [
    {
        "day_of_week": day,
        "closed_all_day": day in (0, 6),
        "open_hour": None if day in (0, 6) else 9,
        "open_minutes": None if day in (0, 6) else 0,
        "close_hour": None if day in (0, 6) else 17,
        "close_minutes": None if day in (0, 6) else 0,
        "open_all_day": False,
    }
    for day in range(7)
]


def _template(
    name: str,
    language: str,
    body: str,
    *,
    status: str = "APPROVED",
    category: str = "UTILITY",
    header: Sequence[Json] = (),
) -> Json:
    return {
        "id": f"{name}_{language}",
        "name": name,
        "status": status,
        "category": category,
        "language": language,
        "parameter_format": "POSITIONAL",
        "components": [*header, {"type": "BODY", "text": body}],
    }


TEMPLATES = [
    _template("appointment_reminder", "es_MX", "Hola {{1}}, le recordamos su cita: {{2}}."),
    _template("appointment_confirmation", "es_MX", "Hola {{1}}, su cita de {{2}} es el {{3}}. ¿La confirma?"),
    _template("appointment_cancellation", "es_MX", "Su cita del {{1}} quedó cancelada.", status="REJECTED"),
    _template("appointment_change", "es_MX", "Su cita ahora es el {{1}}, nos vemos.", status="PAUSED"),
    _template("offers", "es_MX", "Hola {{1}}, tenemos algo para usted: {{2}} ¡Venga!", category="MARKETING"),
    _template(
        "appointment_picture",
        "es_MX",
        "Hola {{1}}, así se llega a su cita.",
        header=[{"type": "HEADER", "format": "IMAGE"}],
    ),
]


@dataclass(frozen=True)
class Seed:
    """Names and tokens of the start-up content; every field can be given on the command line."""

    account_name: str = "Estética Demo"
    administrator_token: str = "sandbox-admin-token"
    agent_token: str = "sandbox-agent-token"
    bot_token: str = "sandbox-bot-token"
    other_token: str = "sandbox-other-token"


def new_inbox(state: State, account_id: int, name: str, channel_type: str, **values: Any) -> Inbox:
    """Add an inbox with Chatwoot's defaults (Monday to Friday, nine to five)."""
    return state.add(
        Inbox(
            id=state.next_id("inboxes"),
            account_id=account_id,
            name=name,
            channel_type=channel_type,
            created_at=state.now(),
            working_hours=[dict(day) for day in WORKING_HOURS],
            **values,
        )
    )


def new_api_inbox(state: State, account_id: int, name: str, webhook_url: str | None, **values: Any) -> Inbox:
    """Add an API inbox with its identifier, its own signing secret and its HMAC token."""
    return new_inbox(
        state,
        account_id,
        name,
        "Channel::Api",
        webhook_url=webhook_url,
        inbox_identifier=token(),
        secret=token(),
        hmac_token=token(),
        **values,
    )


def _user(state: State, account_id: int, name: str, email: str, role: Any, secret: str) -> User:
    return state.add(
        User(
            id=state.next_id("users"),
            account_id=account_id,
            name=name,
            available_name=name.split()[0],
            email=email,
            role=role,
            token=secret,
            pubsub_token=token(),
        )
    )


def seeder(seed: Seed) -> Callable[[State], None]:
    """Returns the function that writes the start-up content into an empty state."""

    def fill(state: State) -> None:
        state.add(Account(1, seed.account_name))
        state.add(Account(2, "Otra Cuenta"))
        _user(state, 1, "Ada Admin", "ada@estetica.example", "administrator", seed.administrator_token)
        ana = _user(state, 1, "Ana Agente", "ana@estetica.example", "agent", seed.agent_token)
        luz = _user(state, 1, "Luz Agente", "luz@estetica.example", "agent", token())
        _user(state, 2, "Otto Otro", "otto@otra.example", "administrator", seed.other_token)
        state.add(Bot(1, 1, "Agenda Bot", seed.bot_token, token()))
        state.add(Bot(2, 2, "Otro Bot", token(), token()))
        members: dict[str, Any] = {"member_ids": [ana.id, luz.id], "timezone": "America/Mexico_City"}
        new_inbox(
            state,
            1,
            "WhatsApp",
            "Channel::Whatsapp",
            phone_number="+525512340000",
            provider="whatsapp_cloud",
            message_templates=[dict(t) for t in TEMPLATES],
            **members,
        )
        new_api_inbox(state, 1, "API", None, **members)
        new_inbox(state, 1, "Sitio web", "Channel::WebWidget", website_token=token(), **members)
        new_inbox(state, 1, "SMS", "Channel::TwilioSms", phone_number="+525512340001", medium="sms", **members)
        new_inbox(state, 1, "Correo", "Channel::Email", email="citas@estetica.example", **members)
        new_inbox(
            state,
            2,
            "WhatsApp",
            "Channel::Whatsapp",
            phone_number="+525512340002",
            provider="whatsapp_cloud",
            message_templates=[dict(t) for t in TEMPLATES],
        )
        now = state.now()
        team = {"name": "recepción", "description": "Mostrador", "allow_auto_assign": False}
        state.add(Record(state.next_id("records"), 1, "teams", now, now, team))

    return fill


def apply_tokens(state: State, seed: Seed) -> None:
    """Give the seeded people and the bot the tokens of this start (a state file may hold older ones)."""
    tokens = {1: seed.administrator_token, 2: seed.agent_token, 4: seed.other_token}
    for user_id, value in tokens.items():
        if user_id in state.users:
            state.users[user_id].token = value
    if 1 in state.bots:
        state.bots[1].token = seed.bot_token
