"""``/agents``, ``/api/v1/profile`` and the summary report.

Source: Chatwoot v4.15.1, ``AgentsController``, ``ProfilesController``, ``V2::ReportBuilder``.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from ..payloads.rest import agent_json
from ..store.records import INCOMING, OUTGOING, Json, User
from ..store.state import State
from .access import authenticate, caller, reply, whole


def people(state: State) -> Blueprint:
    """``/agents``."""
    api = Blueprint("people", __name__)

    @api.get("/agents")
    def agents() -> Response:
        return reply([agent_json(u) for u in state.users.values() if u.account_id == caller().account.id])

    return api


def profile(state: State) -> Blueprint:
    """``GET /api/v1/profile``; not for bots."""
    api = Blueprint("profile", __name__, url_prefix="/api/v1/profile")

    @api.get("")
    def show() -> Response:
        who = authenticate(state)
        assert isinstance(who, User)
        account = state.accounts[who.account_id]
        membership = {
            "id": account.id,
            "name": account.name,
            "status": account.status,
            "active_at": None,
            "role": who.role,
            "permissions": [who.role],
            "availability": "online",
            "availability_status": "online",
            "auto_offline": True,
            "custom_role_id": None,
            "custom_role": None,
        }
        return reply(
            {
                "access_token": who.token,
                "account_id": account.id,
                "available_name": who.available_name,
                "avatar_url": "",
                "confirmed": True,
                "display_name": who.available_name,
                "message_signature": None,
                "email": who.email,
                "hmac_identifier": "",
                "id": who.id,
                "inviter_id": None,
                "name": who.name,
                "provider": "email",
                "pubsub_token": who.pubsub_token,
                "custom_attributes": {},
                "role": who.role,
                "ui_settings": {},
                "uid": who.email,
                "type": None,
                "accounts": [membership],
            }
        )

    return api


def reports(state: State) -> Blueprint:
    """``GET /api/v2/accounts/{id}/reports/summary``, for the whole account."""
    api = Blueprint("reports", __name__)

    def counts(since: float, until: float) -> Json:
        account_id = caller().account.id
        talks = [c for c in state.conversations.values() if c.account_id == account_id]
        talks = [c for c in talks if since <= c.created_at < until]
        kinds = [
            m.message_type
            for m in state.messages.values()
            if m.account_id == account_id and since <= m.created_at < until and m.public
        ]
        return {
            "conversations_count": len(talks),
            "incoming_messages_count": kinds.count(INCOMING),
            "outgoing_messages_count": kinds.count(OUTGOING),
            "avg_first_response_time": "0.0",
            "avg_resolution_time": "0.0",
            "resolutions_count": len([c for c in talks if c.status == "resolved"]),
            "reply_time": "0.0",
        }

    @api.get("/reports/summary")
    def summary() -> Response:
        until = float(whole(request.args.get("until")) or state.now())
        since = float(whole(request.args.get("since")) or until - 7 * 86400)
        return reply({**counts(since, until), "previous": counts(2 * since - until, since)})

    return api
