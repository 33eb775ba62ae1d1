"""`/api/v1/message-templates`."""

from dataclasses import asdict
from typing import Annotated, Any

from flask import g
from pydantic import BaseModel, Field
from sqlalchemy import select

from citaplanner_core.booking.errors import NotFound, ValidationFailed, find
from citaplanner_core.booking.models import Appointment, Tenant
from citaplanner_core.database import work
from citaplanner_core.notifications import own_texts
from citaplanner_core.notifications.catalogue import known_language
from citaplanner_core.notifications.catalogue import language as texts_in
from citaplanner_core.notifications.own_texts import MessageTemplate
from citaplanner_core.notifications.preview import preview
from citaplanner_core.notifications.templates import TemplateError
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.schemas import Given, Id, Query, Shown, Time, Value

TAG = "message templates"
Key = Annotated[str, Field(max_length=60, description="Such as APPOINTMENT_REMINDER:1440 or REPLY_CONFIRMED.")]
Channel = Annotated[
    str, Field(max_length=30, description="A channel such as sms, or all of a kind: chat, short, mail, push.")
]
Language = Annotated[str, Field(max_length=10, description="es or en.")]
Tone = Annotated[str, Field(max_length=10, description="tu or usted; empty: for both.")]
Body = Annotated[str, Field(description="With {{clientName}} or {cliente} where values go.")]
Subject = Annotated[str | None, Field(description="For mail and push only.")]


class TemplatePlace(Given):
    key: Key
    channel: Channel
    language: Language
    tone: Tone = ""

    @property
    def place(self) -> tuple[str, str, str, str]:
        """The place, checked."""
        return own_texts.find_place(self.key, self.channel, self.language, self.tone)


class NewTemplate(TemplatePlace):
    subject: Subject = None
    body: Body


class TemplatesQuery(Query):
    language: Language | None = None


class TemplateQuery(Query):
    key: Key
    channel: Channel
    language: Language
    tone: Tone = ""


class AskedPreview(TemplatePlace):
    subject: Subject = None
    body: Annotated[str | None, Field(description="Without it, the text in use.")] = None
    appointment_id: Annotated[Id | None, Field(description="Speaks of this one instead of a made-up one.")] = None
    variables: Annotated[dict[str, Value], Field(default_factory=dict, description="Values to try, by name.")]


class OwnTemplate(Shown):
    key: str
    channel: str
    language: str
    tone: str
    subject: str | None
    body: str
    edited_by: str
    edited_at: Time


class DefaultTemplate(BaseModel):
    key: str
    channel: str
    language: str
    tone: str
    subject: str | None
    body: str


class TemplatesShown(BaseModel):
    own: list[OwnTemplate]
    defaults: list[DefaultTemplate]


class SegmentsShown(BaseModel):
    encoding: str
    characters: int
    segments: int


class PreviewShown(BaseModel):
    subject: str | None
    body: str
    question: str | None
    segments: SegmentsShown | None
    warnings: list[str]


@blueprint.get("/message-templates")
@operation(TAG, TemplatesShown)
def list_templates(query: TemplatesQuery) -> Any:
    """List the business's own texts, and the texts that ship with CitaPlanner in its way of addressing people."""
    with work(g.tenant_id, write=False) as session:
        tenant = session.get_one(Tenant, g.tenant_id)
        code = known_language(query.language or tenant.language)
        wanted = [MessageTemplate.language == code] if query.language else []
        rows = session.scalars(select(MessageTemplate).where(*wanted).order_by(MessageTemplate.id)).all()
        own = [OwnTemplate.model_validate(row).model_dump(mode="json") for row in rows]
        texts = texts_in(code).formal if tenant.tone == "usted" else texts_in(code).texts
        tone = tenant.tone
    defaults = [
        {"key": key, "channel": family, "language": code, "tone": tone, "subject": text.subject, "body": text.body}
        for key, by_family in texts.items()
        for family, text in by_family.items()
    ]
    return {"own": own, "defaults": defaults}


@blueprint.put("/message-templates")
@operation(TAG, OwnTemplate)
def save_template(json: NewTemplate) -> Any:
    """Use the business's own text instead of the one that ships with CitaPlanner."""
    place = json.place
    with work(g.tenant_id) as session:
        row = own_texts.save(session, place, subject=json.subject, body=json.body, edited_by=g.token_name)
        return OwnTemplate.model_validate(row).model_dump(mode="json")


@blueprint.delete("/message-templates")
@operation(TAG, DefaultTemplate, 404)
def delete_template(query: TemplateQuery) -> Any:
    """Go back to the text that is used without this one, and show it."""
    place = own_texts.find_place(query.key, query.channel, query.language, query.tone)
    key, channel, language, tone = place
    with work(g.tenant_id) as session:
        if not own_texts.delete(session, place):
            raise NotFound("key", key)
        tenant = session.get_one(Tenant, g.tenant_id)
        family = own_texts.family_of(channel)
        tone = tone or tenant.tone
        text = own_texts.choose_text(session, key, channel=channel, family=family, language=language, tone=tone)
    place_shown = {"key": key, "channel": channel, "language": language, "tone": tone}
    return {**place_shown, "subject": text.subject, "body": text.body}


@blueprint.post("/message-templates/preview")
@operation(TAG, PreviewShown, 404)
def preview_template(json: AskedPreview) -> Any:
    """Show what a text would say, with an appointment's values or made-up ones. Nothing is kept."""
    place = json.place
    with work(g.tenant_id, write=False) as session:
        about = find(session, Appointment, json.appointment_id, "appointment_id") if json.appointment_id else None
        try:
            shown = preview(
                session, place, subject=json.subject, body=json.body, appointment=about, given=json.variables
            )
        except TemplateError as error:
            raise ValidationFailed("body", str(error)) from None
    return asdict(shown)
