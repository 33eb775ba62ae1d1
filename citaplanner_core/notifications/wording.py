"""What a notification says: the text of its type in the recipient's language, filled with what is true now."""

from datetime import datetime

from sqlalchemy.orm import Session

from citaplanner_core.booking.models import Tenant
from citaplanner_core.database import database_now
from citaplanner_core.hooks.types import Channel, Recipient
from citaplanner_core.notifications import variables
from citaplanner_core.notifications.choice import Verdict
from citaplanner_core.notifications.links import new_link
from citaplanner_core.notifications.models import FAILED, Notification
from citaplanner_core.notifications.staff import staff_variables
from citaplanner_core.notifications.templates import TemplateError, render


def compose(
    session: Session, notification: Notification, recipient: Recipient, tenant: Tenant, channel: Channel
) -> tuple[str, str | None, str | None]:
    """Return (body, subject, question). Raises a `Verdict` when the text cannot be made."""
    appointment = notification.appointment
    values: dict[str, object]
    if notification.staff_contact is not None:
        now = database_now(session)
        values = {**staff_variables(notification.variables, appointment, tenant, recipient.language, now)}
    else:
        values = {**variables.client_variables(notification.recipient, tenant)}
    if appointment is not None and notification.staff_contact is None:
        old = notification.variables.get("oldStart")
        values |= variables.appointment_variables(
            appointment,
            tenant,
            language_code=recipient.language,
            now=database_now(session),
            old_start=datetime.fromisoformat(old) if old else None,
            manage_url=new_link(session, appointment),
        )
    values |= {key: value for key, value in notification.variables.items() if key != "oldStart"}
    try:
        rendered = render(
            notification.template or notification.type,
            family=channel.text_family,
            language=recipient.language,
            variables=values,
            message=notification.message,
        )
    except TemplateError as error:
        raise Verdict(FAILED, "template_error", str(error)) from error
    return rendered.body, rendered.subject, rendered.question
