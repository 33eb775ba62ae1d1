"""Our texts in the form Meta accepts for templates: numbered parameters with a sample each."""

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Branch, Tenant
from citaplanner_core.database import current_tenant
from citaplanner_core.notifications.catalogue import known_language
from citaplanner_core.notifications.catalogue import language as texts_in
from citaplanner_core.notifications.models import NOTIFICATION_TYPES, STAFF_ALERT
from citaplanner_core.notifications.own_texts import choose_text
from citaplanner_core.notifications.preview import sample_values
from citaplanner_core.notifications.templates import render_text
from citaplanner_core.notifications.variables import KNOWN_NAMES
from plugins.chatwoot.whatsapp import category_for

_FIRST_MARK = 0xE000
"""Parameters are found again by a letter of Unicode's private area, which no filter changes."""
_OFTEN_UNKNOWN = ("promotionValidUntil", "promotionValidUntilShort", "dueDate", "dueDateShort", "invoiceNumber")
_MARK = re.compile(r"[\ue000-\uf8ff]")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A template to send in. `parameters` are our variables for {{1}}, {{2}}…, `samples` what Meta asks for with it."""

    type: str
    name: str
    category: str
    template_language: str
    body: str
    parameters: tuple[str, ...]
    samples: tuple[str, ...]


def suggestions(session: Session, language: str) -> list[Suggestion]:
    """Return one for each notification type that clients get, in the words of the session's tenant.

    What is often not known, such as who comes instead, is left out: Meta refuses an empty parameter.
    """
    tenant = session.get_one(Tenant, current_tenant())
    code = known_language(language)
    samples = {name: str(value) for name, value in sample_values(session, tenant, code).items() if value}
    for name, column in (("branchAddress", Branch.address), ("branchPhone", Branch.phone)):
        if session.scalar(select(Branch.id).where(Branch.active, column == "").limit(1)) is not None:
            samples.pop(name, None)
    names = sorted(samples.keys() - {"businessName", *_OFTEN_UNKNOWN})
    marks = {name: chr(_FIRST_MARK + number) for number, name in enumerate(names)}
    of_mark = {mark: name for name, mark in marks.items()}
    values = {**dict.fromkeys(KNOWN_NAMES, ""), **marks, "businessName": tenant.name}
    found = []
    for type_ in NOTIFICATION_TYPES:
        if type_ == STAFF_ALERT:
            continue
        text = choose_text(session, type_, channel="chatwoot", family="chat", language=code, tone=tenant.tone)
        body = _enclosed(render_text(text, family="chat", variables=values).body, tenant.name)
        parameters = tuple(dict.fromkeys(of_mark[mark] for mark in _MARK.findall(body)))
        for number, name in enumerate(parameters, 1):
            body = body.replace(marks[name], f"{{{{{number}}}}}")
        found.append(
            Suggestion(
                type=type_,
                name=f"citaplanner_{type_.lower()}",
                category=category_for(type_),
                template_language=texts_in(code).wording.locale,
                body=body,
                parameters=parameters,
                samples=tuple(samples[name] for name in parameters),
            )
        )
    return found


def _enclosed(body: str, business: str) -> str:
    """Put the business's name where a parameter would begin or end the text, which Meta refuses."""
    marks = list(_MARK.finditer(body))
    if marks and not re.search(r"\w", body[marks[-1].end() :]):
        body = f"{body}\n\n{business}"
    return f"{business}: {body}" if marks and not re.search(r"\w", body[: marks[0].start()]) else body
