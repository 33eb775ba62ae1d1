"""`citaplanner chatwoot templates …`: which WhatsApp template stands for which notification type."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from citaplanner_core.database import work
from citaplanner_core.notifications.catalogue import languages
from citaplanner_core.notifications.models import NOTIFICATION_TYPES
from plugins.chatwoot import accounts, inspection, whatsapp
from plugins.chatwoot.accounts import Account
from plugins.chatwoot.api import ChatwootClient, ChatwootError
from plugins.chatwoot.models import ChatwootTemplate
from plugins.chatwoot.options import branch_option, find_branch, find_tenant, json_option, ready, tenant_option
from plugins.chatwoot.suggestions import suggestions
from plugins.chatwoot.whatsapp import Template, TemplateRefused

FORM_SINCE = (4, 6)
"""The first version sure to know parameters by part of the message (chatwoot#11997, August 2025); later ones know the
flat form too."""

type_option = click.option("--type", "type_", required=True, type=click.Choice(NOTIFICATION_TYPES))
language_option = click.option(
    "--language", default="es", show_default=True, type=click.Choice(languages()), help="The reader's language."
)


@click.group()
def templates() -> None:
    """WhatsApp templates, for clients who have not written for 24 hours."""


@templates.command("list")
@tenant_option
@branch_option
@json_option
@ready
def list_command(slug: str, branch: str | None, as_json: bool) -> int:
    """Show the inbox's templates with state and category, and what they stand for."""
    tenant_id = find_tenant(slug)
    with _opened(tenant_id, branch) as (account, api):
        found = _templates_of(account, api)
    with work(tenant_id, write=False) as session:
        used = [(*key, row.name, row.template_language) for key, row in whatsapp.mapped(session, account).items()]
    rows = []
    for template in found:
        stands_for = [f"{type_} {code}" for type_, code, *held in used if _same(template, *held)]
        rows.append({**asdict(template), "stands_for": stands_for})
    lost = [f"{type_} {code}: {name} ({lang})" for type_, code, name, lang in used if not _find(found, name, lang)]
    if as_json:
        click.echo(json.dumps({"templates": rows, "lost": lost}, ensure_ascii=False))
        return 1 if lost else 0
    if not rows:
        click.echo("this inbox has no WhatsApp templates")
    for row in rows:
        places = ", ".join(row["places"]) or "none"
        click.echo(f"{row['name']} {row['language']} {row['status']} {row['category']}, parameters: {places}")
        if row["unfit"]:
            click.echo(f"    cannot be used: {row['unfit']}")
        for stands_for in row["stands_for"]:
            click.echo(f"    stands for {stands_for}")
    for line in lost:
        click.echo(f"GONE {line}: map another")
    return 1 if lost else 0


@templates.command("map")
@tenant_option
@branch_option
@type_option
@language_option
@click.option("--template", "name", required=True, help="The template's name at Meta.")
@click.option("--template-language", help="Its language there, such as es_MX; needed where it has several.")
@click.option("--fill", "fills", multiple=True, metavar="VARIABLE", help="One for each parameter, in their order.")
@ready
def map_command(
    slug: str,
    branch: str | None,
    type_: str,
    language: str,
    name: str,
    template_language: str | None,
    fills: tuple[str, ...],
) -> int:
    """Let a template stand for a notification type in a language."""
    tenant_id = find_tenant(slug)
    with _opened(tenant_id, branch) as (account, api):
        flat = _version(api.server_version()) < FORM_SINCE
        found = _templates_of(account, api)
    template = _choose(found, name, template_language or "", language)
    try:
        whatsapp.check(template, type_, fills, flat=flat)
    except TemplateRefused as refused:
        raise click.ClickException(str(refused)) from None
    with work(tenant_id) as session:
        row = whatsapp.mapped(session, account).get((type_, language))
        if row is None:
            place = {"account_ref": account.ref, "inbox_id": account.inbox_id, "type": type_, "language": language}
            row = ChatwootTemplate(**place)
            session.add(row)
        row.name, row.template_language, row.category = template.name, template.language, template.category
        row.parameters, row.flat = list(fills), flat
    click.echo(f"{template.name} ({template.language}) stands for {type_} in {language}")
    return 0


@templates.command("unmap")
@tenant_option
@branch_option
@type_option
@language_option
@ready
def unmap_command(slug: str, branch: str | None, type_: str, language: str) -> int:
    """Let no template stand for a notification type in a language any more."""
    tenant_id = find_tenant(slug)
    account = _account(tenant_id, branch)
    with work(tenant_id) as session:
        row = whatsapp.mapped(session, account).get((type_, language))
        if row is None:
            raise click.ClickException(f"nothing is mapped to {type_} in {language}")
        session.delete(row)
    click.echo(f"no template stands for {type_} in {language}")
    return 0


@templates.command("suggest")
@tenant_option
@language_option
@json_option
@ready
def suggest_command(slug: str, language: str, as_json: bool) -> int:
    """Print our texts in the form Meta accepts, to be sent in as templates."""
    tenant_id = find_tenant(slug)
    with work(tenant_id, write=False) as session:
        found = suggestions(session, language)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False))
        return 0
    for one in found:
        click.echo(f"{one.type}: name {one.name}, category {one.category}, language {one.template_language}\n")
        click.echo(f"{one.body}\n")
        for number, (variable, sample) in enumerate(zip(one.parameters, one.samples, strict=True), 1):
            click.echo(f"  {{{{{number}}}}} {variable}, for example: {sample}")
        fills = "".join(f" --fill {variable}" for variable in one.parameters)
        command = f"templates map --tenant {slug} --type {one.type} --language {language}"
        click.echo(f"  once approved: citaplanner chatwoot {command} --template {one.name}{fills}\n")
    return 0


def _account(tenant_id: int, branch: str | None) -> Account:
    branch_id = find_branch(tenant_id, branch)
    try:
        with work(tenant_id, write=False) as session:
            return accounts.effective(session, branch_id)
    except accounts.IncompleteAccount as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _opened(tenant_id: int, branch: str | None) -> Iterator[tuple[Account, ChatwootClient]]:
    account = _account(tenant_id, branch)
    try:
        with inspection.opened(account) as api:
            yield account, api
    except inspection.Problem as problem:
        raise click.ClickException(problem.english) from None
    except ChatwootError as error:
        raise click.ClickException(f"{error}; `citaplanner chatwoot check` says more") from None


def _templates_of(account: Account, api: ChatwootClient) -> list[Template]:
    inbox: dict[str, Any] = next((one for one in api.list_inboxes() if one["id"] == account.inbox_id), {})
    if inbox.get("channel_type") != whatsapp.WHATSAPP:
        raise click.ClickException(f"inbox {account.inbox_id} is no WhatsApp inbox of Meta's or 360dialog's")
    return whatsapp.templates_in(inbox)


def _choose(found: list[Template], name: str, template_language: str, language: str) -> Template:
    named = [one for one in found if one.name == name]
    fit = [one for one in named if one.language.lower() == template_language.lower()]
    if not template_language:
        fit = [one for one in named if one.language.lower().replace("-", "_").split("_")[0] == language]
    if len(fit) == 1:
        return fit[0]
    there = ", ".join(f"{one.name} ({one.language})" for one in named or found) or "none"
    wanted = f"{name} ({template_language or language})"
    if fit:
        raise click.ClickException(f"there are several {wanted}: give --template-language; there are: {there}")
    raise click.ClickException(
        f"the inbox has no template {wanted}; there are: {there}; if it was made lately, press Sync templates in the"
        " inbox's settings in Chatwoot"
    )


def _find(found: list[Template], name: str, language: str) -> Template | None:
    return whatsapp.find_template(found, name, language)


def _same(template: Template, name: str, language: str) -> bool:
    return _find([template], name, language) is not None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
