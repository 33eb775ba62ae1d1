"""The calls that concern a Chatwoot account as a whole: what setting it up and checking it need."""

from collections.abc import Sequence
from typing import Literal, get_args

from citaplanner_core.http import OutboundSession, Timeout
from plugins.chatwoot.transport import JSON, Connection, record, records

DisplayType = Literal["text", "number", "currency", "percent", "link", "date", "list", "checkbox"]


class AccountCalls:
    """The part of `ChatwootClient` without people and conversations; see there."""

    def __init__(
        self,
        base_url: str,
        account_id: int,
        access_token: str,
        *,
        session: OutboundSession | None = None,
        timeout: Timeout | None = None,
    ) -> None:
        self._http = Connection(base_url, account_id, access_token, session=session, timeout=timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._http.base_url!r}, account {self._http.account_id})"

    def close(self) -> None:
        """Close the connections of its session."""
        self._http.close()

    def profile(self) -> JSON:
        """Return the token's user with `accounts` and roles, without the secrets Chatwoot puts in."""
        profile = record(self._http.read("/api/v1/profile"))
        return {key: value for key, value in profile.items() if key not in ("access_token", "pubsub_token")}

    def server_version(self) -> str:
        """Return the version of the server, such as `4.15.1`."""
        return str(record(self._http.read("/api"), needs="version")["version"])

    def list_inboxes(self) -> list[JSON]:
        """Return the inboxes the token's user sees; an administrator's hold secrets, so never log them."""
        return records(self._http.read("inboxes"), "payload")

    def list_webhooks(self) -> list[JSON]:
        """Return the account's webhooks, each with its `secret` (administrators only)."""
        return records(self._http.read("webhooks"), "payload", "webhooks")

    def create_webhook(self, url: str, subscriptions: Sequence[str], *, name: str | None = None) -> JSON:
        """Subscribe `url` to events; return the webhook with the `secret` Chatwoot chose (from 4.11.2 on)."""
        answer = self._http.write("POST", "webhooks", url=url, subscriptions=list(subscriptions), name=name)
        return record(answer, "payload", "webhook")

    def update_webhook(
        self, webhook_id: int, url: str, subscriptions: Sequence[str], *, name: str | None = None
    ) -> JSON:
        """Change a webhook and return it."""
        path = f"webhooks/{webhook_id}"
        answer = self._http.write("PATCH", path, url=url, subscriptions=list(subscriptions), name=name)
        return record(answer, "payload", "webhook")

    def delete_webhook(self, webhook_id: int) -> None:
        """Remove a webhook."""
        self._http.write("DELETE", f"webhooks/{webhook_id}")

    def upsert_attribute_definition(
        self,
        key: str,
        name: str,
        *,
        display_type: DisplayType = "text",
        model: Literal["conversation", "contact"] = "contact",
        description: str = "",
    ) -> JSON:
        """Make Chatwoot show the custom attribute `key` as `name`; return the definition.

        Needs an administrator. Raises `Invalid` for a key Chatwoot keeps for itself, among them a contact's
        `name`, `email` and `phone_number`.
        """
        shown = {
            "attribute_display_name": name,
            "attribute_display_type": display_type,
            "attribute_description": description,
        }
        wanted = {
            **shown,
            "attribute_display_type": get_args(DisplayType).index(display_type),
            "attribute_key": key,
            "attribute_model": int(model == "contact"),
        }
        path = "custom_attribute_definitions"
        for known in records(self._http.read(path, params={"attribute_model": wanted["attribute_model"]})):
            if known.get("attribute_key") == key:
                if all((known.get(field) or "") == value for field, value in shown.items()):
                    return known
                return record(self._http.write("PATCH", f"{path}/{known['id']}", **wanted))
        return record(self._http.write("POST", path, **wanted))
