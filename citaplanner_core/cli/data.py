"""`citaplanner tenants|users|tokens|seed …`."""

import secrets
from datetime import datetime
from typing import Any

import click

from citaplanner_core.booking.errors import BookingError
from citaplanner_core.booking.tenants import LANGUAGES, seed_demo
from citaplanner_core.booking.tenants import create_tenant as make_tenant
from citaplanner_core.cli.common import Failure, in_app, json_option, report, tenant_id, tenant_option
from citaplanner_core.database import system_work, work
from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.registry import registry
from citaplanner_core.web.admin import guessing, sessions
from citaplanner_core.web.logins import (
    SCOPES,
    LoginError,
    create_login,
    create_token,
    find_login,
    list_logins,
    list_tokens,
    remove_login,
    revoke_token,
    set_password,
)
from citaplanner_core.web.roles import ROLES

DEMO_SLUG = "demo"
password_option = click.password_option(
    envvar="CITAPLANNER_NEW_PASSWORD", help="Asked for when not given in CITAPLANNER_NEW_PASSWORD."
)
LOGIN_COLUMNS = ("email", "name", "role", "created_at")
TOKEN_COLUMNS = ("id", "name", "scopes", "created_at", "last_used_at", "revoked_at")


@click.group()
def tenants() -> None:
    """Businesses on this deployment."""


@tenants.command("create")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--zone", default="America/Mexico_City", show_default=True, help="IANA time zone of its first branch.")
@click.option("--country", default="MX", show_default=True, help="Decides how phones without +country are read.")
@click.option("--language", type=click.Choice(LANGUAGES), default="es", show_default=True)
@in_app(maintenance=True)
def create_tenant(slug: str, name: str, zone: str, country: str, language: str) -> None:
    """Make a tenant with its first branch."""
    try:
        with system_work("a new tenant", write=True) as session:
            make_tenant(session, slug=slug, name=name, zone=zone, country=country.upper(), language=language)
    except BookingError as error:
        raise Failure(str(error)) from None
    click.echo(f"tenant {slug} made")


@click.group()
def users() -> None:
    """Logins of a tenant's staff."""


@users.command("create")
@tenant_option
@click.option("--email", required=True)
@click.option("--name", required=True)
@click.option("--role", type=click.Choice(ROLES), default="owner", show_default=True)
@password_option
@in_app(maintenance=True)
def create_user(slug: str, email: str, name: str, role: str, password: str) -> None:
    """Make a login."""
    try:
        with work(tenant_id(slug)) as session:
            create_login(session, email=email, name=name, password=password, role=role)
    except LoginError as error:
        raise Failure(str(error)) from None
    click.echo(f"login {email.strip().lower()} made")


@users.command("list")
@tenant_option
@json_option
@in_app(maintenance=True)
def list_users(slug: str, as_json: bool) -> None:
    """Show who may sign in, and as what."""
    with work(tenant_id(slug), write=False) as session:
        rows = [{name: getattr(login, name) for name in LOGIN_COLUMNS} for login in list_logins(session)]
    lines = ["  ".join(f"{name}: {_plain(row[name])}" for name in LOGIN_COLUMNS) for row in rows]
    report({"users": rows}, lines or ["no logins"], as_json=as_json)


@users.command("set-password")
@tenant_option
@click.option("--email", required=True)
@password_option
@in_app(maintenance=True)
def set_user_password(slug: str, email: str, password: str) -> None:
    """Give a login another password: its sessions end, and no wait for wrong guesses is left."""
    try:
        with work(tenant_id(slug)) as session:
            login = find_login(session, email)
            set_password(login, password)
            sessions.end_others(session, login.id)
    except LoginError as error:
        raise Failure(str(error)) from None
    guessing.forgive([("login", email.strip().lower())])
    click.echo(f"the password of {email.strip().lower()} was changed")


@users.command("remove")
@tenant_option
@click.option("--email", required=True)
@in_app(maintenance=True)
def remove_user(slug: str, email: str) -> None:
    """Take a login away, and end its sessions."""
    with work(tenant_id(slug)) as session:
        if not remove_login(session, email):
            raise Failure(f"email: {email} has no login here; `citaplanner users list` shows those there are")
    click.echo(f"login {email.strip().lower()} removed")


@click.group()
def tokens() -> None:
    """Tokens of the REST API."""


@tokens.command("create")
@tenant_option
@click.option("--name", default="command line", show_default=True, help="What it is for.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="What it may do; all without any.")
@json_option
@in_app(maintenance=True)
def create_api_token(slug: str, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a token and print it once."""
    with work(tenant_id(slug)) as session:
        token = create_token(session, name, scopes or SCOPES)
    report({"token": token}, [token], as_json=as_json)


@tokens.command("list")
@tenant_option
@json_option
@in_app(maintenance=True)
def list_api_tokens(slug: str, as_json: bool) -> None:
    """Show the tokens, what they may do and when they were last used; never the tokens themselves."""
    with work(tenant_id(slug), write=False) as session:
        rows = [{name: getattr(token, name) for name in TOKEN_COLUMNS} for token in list_tokens(session)]
    lines = ["  ".join(f"{name}: {_plain(row[name])}" for name in TOKEN_COLUMNS) for row in rows]
    report({"tokens": rows}, lines or ["no tokens"], as_json=as_json)


def _plain(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else "-" if value is None else str(value)


@tokens.command("revoke")
@tenant_option
@click.argument("token_id", type=int)
@in_app(maintenance=True)
def revoke_api_token(slug: str, token_id: int) -> None:
    """Let a token in no more; `tokens list` shows its number."""
    try:
        with work(tenant_id(slug)) as session:
            revoke_token(session, token_id)
    except LoginError as error:
        raise Failure(str(error)) from None
    click.echo(f"token {token_id} revoked")


@click.group()
def seed() -> None:
    """Fill the database."""


@seed.command()
@json_option
@in_app()
def demo(as_json: bool) -> None:
    """Make the tenant `demo`, switch the loaded plugins on for it, print its owner's login and a token."""
    made = make_demo()
    lines = [f"tenant: {made['tenant']}", f"login: {made['email']} / {made['password']}", f"token: {made['token']}"]
    report(made, lines, as_json=as_json)


def make_demo() -> dict[str, Any]:
    """Seed the demo business once; a new token and password each time. Needs the app's context."""
    tenant = seed_demo(DEMO_SLUG)
    for name in registry().manifests:
        lifecycle.enable(name, tenant)
    email, password = "duena@demo.example", secrets.token_urlsafe(9)
    with work(tenant) as session:
        token = create_token(session, "demo")
        remove_login(session, email)
        create_login(session, email=email, name="Dueña Demo", password=password)
    return {"tenant": DEMO_SLUG, "tenant_id": tenant, "email": email, "password": password, "token": token}


COMMANDS: tuple[Any, ...] = (tenants, users, tokens, seed)
