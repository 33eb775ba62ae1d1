"""What a notification says: the text of its type in the recipient's language, filled with what is true now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from sqlalchemy import update
from sqlalchemy.orm import Session

from citaplanner_core.database import database_now
from citaplanner_core.hooks.types import Channel, Recipient, TextFamily
from citaplanner_core.notifications import variables
from citaplanner_core.notifications.choice import Verdict
from citaplanner_core.notifications.facts import Facts, Standing, read_facts
from citaplanner_core.notifications.links import new_link
from citaplanner_core.notifications.models import FAILED, SENDING, Delivery
from citaplanner_core.notifications.own_texts import OwnText, best_text, choose_text
from citaplanner_core.notifications.shapes import Business, Person, Visit
from citaplanner_core.notifications.sms import fold
from citaplanner_core.notifications.staff import staff_variables
from citaplanner_core.notifications.templates import Rendered, TemplateError, names_in, render, render_text


class _Place(TypedDict):
    channel: str | None
    family: TextFamily
    language: str
    tone: str


def compose(
    session: Session, facts: Facts, standing: Standing, recipient: Recipient, channel: Channel
) -> tuple[str, str | None, str | None]:
    """Return (body, subject, question). Raises a `Verdict` when the text cannot be made."""
    intent, visit, staff = facts.intent, facts.visit, facts.staff is not None
    more = intent.variables
    if staff:
        more = {**staff_variables(more, visit, facts.tenant, recipient.language, facts.now)}
    try:
        rendered = say(
            session,
            intent.template or intent.type,
            tenant=facts.tenant,
            channel=channel.key,
            family=channel.text_family,
            language=recipient.language,
            client=None if staff else facts.recipient,
            appointment=None if staff else visit,
            more=more,
            message=intent.message,
            now=facts.now,
            own=standing.texts,
        )
    except TemplateError as error:
        raise Verdict(FAILED, "template_error", str(error)) from error
    return rendered.body, rendered.subject, rendered.question


def say(
    session: Session,
    key: str,
    *,
    tenant: Business,
    channel: str | None,
    family: TextFamily,
    language: str,
    client: Person | None = None,
    appointment: Visit | None = None,
    more: Mapping[str, object] | None = None,
    message: str | None = None,
    or_ours: bool = False,
    now: datetime | None = None,
    own: Sequence[OwnText] | None = None,
) -> Rendered:
    """Return what a business says to a client for a text key, over a channel (None: any of that family).

    The text is the tenant's own or the catalogue's, in the tenant's tone; `client` is whom we write to. `more` are
    further variables, among them `oldStart`, an ISO time: where the appointment was before a change. `message` are
    words that are sent instead. A text of the family `short` is folded to the GSM alphabet unless the tenant wants it
    as written. Raises `TemplateError`; with `or_ours` the catalogue's text is used where the tenant's own breaks.
    `now` and `own` (the tenant's texts for the key in that language) are asked of the database unless given.
    """
    how: _Place = {"channel": channel, "family": family, "language": language, "tone": tenant.tone}
    text = choose_text(session, key, **how) if own is None else best_text(own, key, **how)
    values = _values(
        session,
        tenant=tenant,
        language=language,
        client=client,
        appointment=appointment,
        more=more or {},
        now=now,
        with_link="manageUrl" in (message or "") or (message is None and "manageUrl" in names_in(text.body)),
    )
    try:
        rendered = render_text(text, family=family, variables=values, message=message)
    except TemplateError:
        if not or_ours:
            raise
        rendered = render(key, family=family, language=language, tone=tenant.tone, variables=values)
    return replace(rendered, body=fold(rendered.body)) if family == "short" and tenant.folds_sms else rendered


def _values(
    session: Session,
    *,
    tenant: Business,
    language: str,
    client: Person | None,
    appointment: Visit | None,
    more: Mapping[str, object],
    now: datetime | None,
    with_link: bool,
) -> dict[str, object]:
    given = dict(more)
    old = given.pop("oldStart", None)
    values: dict[str, object] = {"businessName": tenant.name}
    if client is not None:
        values |= variables.client_variables(client, tenant)
    if appointment is not None:
        values |= variables.appointment_variables(
            appointment,
            tenant,
            language_code=language,
            now=now or database_now(session),
            old_start=datetime.fromisoformat(str(old)) if old else None,
            manage_url=new_link(session, appointment) if with_link else "",
            recipient=client,
        )
    return values | variables.given_variables(given, tenant, language_code=language)


def message_values(
    session: Session, notification_id: int, names: Collection[str], language: str
) -> dict[str, str] | None:
    """Return what variables say in a client's notification now, each in one line, empty where nothing is known.

    For a channel whose provider sends texts of its own and takes only values, such as WhatsApp's templates. None: this
    notification has words of its own, which no other text may stand for. A link is made where `manageUrl` is asked for.
    """
    facts = read_facts(session, notification_id)
    if facts.intent.message is not None:
        return None
    values = _values(
        session,
        tenant=facts.tenant,
        language=language,
        client=facts.recipient,
        appointment=facts.visit,
        more=facts.intent.variables,
        now=facts.now,
        with_link="manageUrl" in names,
    )
    return {name: " ".join(str(values.get(name) or "").split()) for name in names}


def retell(session: Session, notification_id: int, channel: str, body: str) -> None:
    """Note what the attempt under way says instead of its text: an operator reads what the client reads."""
    session.execute(
        update(Delivery)
        .where(Delivery.notification_id == notification_id, Delivery.channel == channel, Delivery.status == SENDING)
        .values(body=body)
    )
