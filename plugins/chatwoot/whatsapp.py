"""WhatsApp's templates: what may be said to somebody who has not written for 24 hours.

Meta approves them; Chatwoot keeps a copy of them in the inbox (`message_templates`). A tenant maps one to a
notification type and a language, and names which of our variables fill its places.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.database import work
from citaplanner_core.hooks.types import Message
from citaplanner_core.notifications.catalogue import known_language
from citaplanner_core.notifications.models import MARKETING_TYPES
from citaplanner_core.notifications.variables import KNOWN_NAMES
from citaplanner_core.notifications.wording import message_values
from plugins.chatwoot.accounts import Account
from plugins.chatwoot.api import JSON
from plugins.chatwoot.models import ChatwootTemplate

WHATSAPP = "Channel::Whatsapp"
PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_CURES = {
    "PENDING": "wait until Meta has looked at it",
    "REJECTED": "change it in Meta's WhatsApp manager and send it in again",
    "PAUSED": "readers complained; it comes back by itself after a time, or improve it in Meta's WhatsApp manager",
    "DISABLED": "Meta switched it off for good; make another",
}
_SYNC = "if it was made or changed lately, press Sync templates in the inbox's settings in Chatwoot"


@dataclass(frozen=True, slots=True)
class Template:
    """A template as an inbox has it. `places` are the body's parameters in order; `unfit` says what we cannot fill."""

    name: str
    language: str
    status: str
    category: str
    namespace: str | None
    body: str
    places: tuple[str, ...]
    named: bool
    unfit: str | None


@dataclass(frozen=True, slots=True)
class Said:
    """What a template says: the text agents see in Chatwoot, and `template_params` for Meta."""

    text: str
    params: JSON


class TemplateRefused(ValueError):
    """A template cannot stand for a notification type; the text says why, and the cure."""


def templates_in(inbox: Mapping[str, Any]) -> list[Template]:
    """Return the templates of an inbox (Chatwoot's JSON), none where it is no WhatsApp inbox."""
    found = inbox.get("message_templates") if inbox.get("channel_type") == WHATSAPP else None
    return [_template(one) for one in found or [] if isinstance(one, dict) and one.get("name")]


def _template(given: Mapping[str, Any]) -> Template:
    parts = [part for part in given.get("components") or [] if isinstance(part, dict)]
    body = next((str(part.get("text") or "") for part in parts if _kind(part) == "BODY"), "")
    places = list(dict.fromkeys(PLACE.findall(body)))
    named = str(given.get("parameter_format") or "").upper() == "NAMED" or not all(map(str.isdigit, places))
    return Template(
        name=str(given["name"]),
        language=str(given.get("language") or ""),
        status=str(given.get("status") or "").upper(),
        category=str(given.get("category") or "").upper(),
        namespace=given.get("namespace") or None,
        body=body,
        places=tuple(places if named else sorted(places, key=int)),
        named=named,
        unfit=next(filter(None, map(_needs_more, parts)), None),
    )


def _kind(part: Mapping[str, Any]) -> str:
    return str(part.get("type") or "").upper()


def _needs_more(part: Mapping[str, Any]) -> str | None:
    """Say what a part of a template wants besides the body's parameters, None when nothing."""
    kind = _kind(part)
    if kind == "HEADER":
        media = str(part.get("format") or "TEXT").upper()
        if media != "TEXT":
            return f"its header is {media.lower()}"
        return "its header has a parameter" if PLACE.search(str(part.get("text") or "")) else None
    if kind == "BUTTONS":
        for button in part.get("buttons") or []:
            button_kind = str(button.get("type") or "").upper()
            if button_kind not in ("QUICK_REPLY", "PHONE_NUMBER", "URL") or PLACE.search(str(button.get("url") or "")):
                return "one of its buttons needs a value"
        return None
    return None if kind in ("BODY", "FOOTER") else f"it has a part we do not know, {kind.lower() or 'without type'}"


def find_template(templates: Iterable[Template], name: str, language: str) -> Template | None:
    """Return the template that Chatwoot would take: the name exactly, of the language the case does not matter."""
    for template in templates:
        if template.name == name and template.language.lower() == language.lower():
            return template
    return None


def category_for(type_: str) -> str:
    """Return the category Meta wants for a notification type."""
    return "MARKETING" if type_ in MARKETING_TYPES else "UTILITY"


def check(template: Template, type_: str, parameters: Sequence[str], *, flat: bool) -> None:
    """Raise `TemplateRefused` when a template cannot stand for a type, filled with these variables."""
    called = f"template {template.name} ({template.language})"
    if template.status != "APPROVED":
        cure = _CURES.get(template.status, "it must be approved by Meta")
        raise TemplateRefused(f"{called} is {template.status or 'without state'}: {cure}; {_SYNC}")
    if template.category != (wanted := category_for(type_)):
        raise TemplateRefused(
            f"{called} is of category {template.category or '-'}, and {type_} needs {wanted}: make one of that category"
        )
    if template.unfit:
        raise TemplateRefused(
            f"{called}: {template.unfit}, which cannot be filled: use one whose parameters are all in the body"
        )
    if len(parameters) != len(template.places):
        places = ", ".join(template.places) or "none"
        raise TemplateRefused(
            f"{called} has {len(template.places)} parameters ({places}), and {len(parameters)} variables are given:"
            " give one --fill for each, in this order"
        )
    if unknown := [name for name in parameters if name not in KNOWN_NAMES]:
        raise TemplateRefused(f"there is no variable {', '.join(unknown)}; `templates suggest` shows the usual ones")
    if flat and template.named:
        raise TemplateRefused(f"{called} has named parameters, which this Chatwoot does not know: update it to 4.6")


def fill(template: Template, values: Sequence[str], *, flat: bool) -> Said:
    """Return a checked template with its values in; the parts of the message are named unless `flat`."""
    given = dict(zip(template.places, values, strict=True))
    params: JSON = {
        "name": template.name,
        "category": template.category,
        "language": template.language,
        "processed_params": given if flat else {"body": given},
    }
    if template.namespace:
        params["namespace"] = template.namespace
    return Said(PLACE.sub(lambda place: given[place[1]], template.body), params)


def mapped(session: Session, account: Account) -> dict[tuple[str, str], ChatwootTemplate]:
    """Return what is mapped in the account's inbox, by notification type and our language."""
    rows = session.scalars(
        select(ChatwootTemplate)
        .where(ChatwootTemplate.account_ref == account.ref, ChatwootTemplate.inbox_id == account.inbox_id)
        .order_by(ChatwootTemplate.type, ChatwootTemplate.language)
    )
    return {(row.type, row.language): row for row in rows}


class TemplateStandIn:
    """The template for a message whose text may not be sent; asked for only when needed, see `conversations.StandIn`.

    `said` is set once it fits.
    """

    def __init__(self, message: Message, account: Account) -> None:
        self._message, self._account = message, account
        self._asked = False
        self.said: Said | None = None
        self.problem: str | None = None

    def fits(self, inbox: Callable[[], JSON]) -> bool:
        if not self._asked:
            try:
                self.said = self._say(inbox)
            except TemplateRefused as refused:
                self.problem = str(refused)
            self._asked = True
        return self.said is not None

    def _say(self, inbox: Callable[[], JSON]) -> Said:
        message, language = self._message, known_language(self._message.recipient.language)
        with work(message.tenant_id, write=False) as session:
            row = mapped(session, self._account).get((message.type, language))
            if row is None:
                raise TemplateRefused(f"no WhatsApp template is mapped to {message.type} in {language}")
            session.expunge(row)
        template = find_template(templates_in(inbox()), row.name, row.template_language)
        if template is None:
            raise TemplateRefused(f"template {row.name} ({row.template_language}) is not in the inbox any more")
        check(template, message.type, row.parameters, flat=row.flat)
        with work(message.tenant_id) as session:
            values = message_values(session, message.notification_id, row.parameters, message.recipient.language)
        if values is None:
            raise TemplateRefused("this message has words of its own, which no template says")
        # Meta refuses an empty parameter.
        if empty := [name for name in row.parameters if not values[name]]:
            raise TemplateRefused(f"template {template.name} needs {', '.join(empty)}, which has no value here")
        return fill(template, [values[name] for name in row.parameters], flat=row.flat)
