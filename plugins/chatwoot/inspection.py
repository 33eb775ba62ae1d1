"""Asking a Chatwoot server whether a connection is good: address, token and its role, account, inbox."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from citaplanner_core.database import work
from citaplanner_core.hooks.settings import SettingsError
from plugins.chatwoot.accounts import DEFAULT_URL, Account, IncompleteAccount, client_for, effective
from plugins.chatwoot.api import JSON, ChatwootClient, ChatwootError, NotFound, Unauthorized


class Problem(Exception):
    """Something is wrong with a field of the settings; two texts say what, and the cure."""

    def __init__(self, field: str, spanish: str, english: str) -> None:
        super().__init__(english)
        self.field, self.spanish, self.english = field, spanish, english


@dataclass(frozen=True, slots=True)
class Found:
    """What the server says about an account: its user's role there, its inbox (Chatwoot's JSON), its version."""

    version: str
    user: str
    administrator: bool
    inbox: JSON


def inspect(api: ChatwootClient, base_url: str, account_id: int, inbox_id: int) -> Found:
    """Ask the server about token, account and inbox; raise `Problem` for the first thing that is wrong."""
    try:
        version = api.server_version()
        profile = api.profile()
        membership = _membership(profile, account_id)
        inboxes = api.list_inboxes()
    except Unauthorized:
        raise Problem(
            "api_token",
            "Chatwoot no acepta este token: cópialo otra vez de tu perfil.",
            "Chatwoot does not accept this token: copy it again from the profile page of a user (a bot's will not do)",
        ) from None
    except NotFound:
        raise _no_account(account_id, []) from None
    except ChatwootError as error:
        raise Problem(
            "api_url",
            f"En {base_url} no responde un Chatwoot: {error.detail}.",
            f"no Chatwoot answers at {base_url}: {error.detail}",
        ) from None
    for inbox in inboxes:
        if inbox["id"] == inbox_id:
            administrator = membership.get("role") == "administrator"
            return Found(version, str(profile.get("name") or ""), administrator, inbox)
    known = ", ".join(f"{inbox['id']} {inbox.get('name')}" for inbox in inboxes) or "-"
    raise Problem(
        "inbox_id",
        f"No está la bandeja {inbox_id}, o el usuario del token no es miembro. Hay: {known}.",
        f"there is no inbox {inbox_id}, or the token's user is no member of it; there are: {known}",
    )


def _membership(profile: JSON, account_id: int) -> JSON:
    accounts = [one for one in profile.get("accounts") or [] if isinstance(one, dict)]
    for one in accounts:
        if one.get("id") == account_id:
            return one
    raise _no_account(account_id, [f"{one.get('id')} {one.get('name')}" for one in accounts])


def _no_account(account_id: int, known: list[str]) -> Problem:
    names = ", ".join(known) or "-"
    return Problem(
        "account_id",
        f"El usuario del token no pertenece a la cuenta {account_id}. Pertenece a: {names}.",
        f"the token's user does not belong to account {account_id}; it belongs to: {names}",
    )


def check(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return {field: problem in Spanish}; empty when messages can be sent and Chatwoot can be set up.

    Settings that know their tenant are completed from its other configuration, as when sending.
    """
    try:
        account = _account_of(settings)
        with opened(account) as api:
            found = inspect(api, account.base_url, account.account_id, account.inbox_id)
    except Problem as problem:
        return {problem.field: problem.spanish}
    if not found.administrator:
        return {"api_token": f"{found.user} no es administrador: solo un administrador puede conectar el webhook."}
    return {}


def _account_of(settings: Mapping[str, Any]) -> Account:
    tenant_id = getattr(settings, "tenant_id", None)
    try:
        if tenant_id is not None:
            with work(tenant_id, write=False) as session:
                return effective(session)
        names = {"access_token": "api_token", "account_id": "account_id", "inbox_id": "inbox_id"}
        if missing := [name for name, key in names.items() if not settings.get(key)]:
            raise IncompleteAccount(missing)
    except IncompleteAccount as error:
        field = {"base_url": "api_url", "access_token": "api_token"}.get(error.fields[0], error.fields[0])
        raise Problem(field, "Falta este dato.", str(error)) from None
    except SettingsError as error:
        raise Problem("use_environment", str(error), str(error)) from None
    return Account(
        base_url=settings.get("api_url") or DEFAULT_URL,
        account_id=settings["account_id"],
        inbox_id=settings["inbox_id"],
        access_token=settings["api_token"],
        inbox_trust={},
        enabled=True,
        sources={},
    )


@contextmanager
def opened(account: Account) -> Iterator[ChatwootClient]:
    try:
        api = client_for(account)
    except ValueError as error:
        field = "api_token" if "token" in str(error) else "api_url"
        raise Problem(field, "Este dato no puede ser así: revísalo.", str(error)) from None
    try:
        yield api
    finally:
        api.close()
