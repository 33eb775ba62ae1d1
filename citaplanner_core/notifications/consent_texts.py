"""What a business tells those who book about their data, in versions, and what they agreed to by booking."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import ValidationFailed, short_text
from citaplanner_core.booking.models import Tenant
from citaplanner_core.booking.tenants import LANGUAGES
from citaplanner_core.database import current_tenant
from citaplanner_core.notifications.consents import list_consents, record_consent
from citaplanner_core.notifications.policy_models import ANY_CHANNEL, MARKETING, SERVICE, ConsentText

BUILT_IN = 0
LONGEST = 2000
SOURCE = "booking page"


@dataclass(frozen=True, slots=True)
class Texts:
    """What is shown: texts by language, empty where the built-in one is; `version` 0 is the built-in ones alone."""

    version: int = BUILT_IN
    service: Mapping[str, str] = field(default_factory=dict)
    marketing: Mapping[str, str] = field(default_factory=dict)
    privacy_url: str | None = None


def current_texts(session: Session) -> Texts:
    """Return the texts that hold now for the session's tenant."""
    row = session.scalar(select(ConsentText).order_by(ConsentText.version.desc()).limit(1))
    return Texts() if row is None else Texts(row.version, row.service, row.marketing, row.privacy_url)


def save_texts(
    session: Session, *, service: Mapping[str, str], marketing: Mapping[str, str], privacy_url: str | None
) -> Texts:
    """Let these texts hold from now on, as a new version unless they are what holds already; return them.

    Raises `ValidationFailed` naming the field.
    """
    session.get_one(Tenant, current_tenant(), with_for_update={"key_share": True})  # versions are counted one by one
    wanted = Texts(
        service=_by_language("service", service),
        marketing=_by_language("marketing", marketing),
        privacy_url=_link(privacy_url),
    )
    before = current_texts(session)
    if wanted == Texts(BUILT_IN, before.service, before.marketing, before.privacy_url):
        return before
    row = ConsentText(
        version=before.version + 1,
        service=dict(wanted.service),
        marketing=dict(wanted.marketing),
        privacy_url=wanted.privacy_url,
    )
    session.add(row)
    session.flush()
    return current_texts(session)


def record_booking(session: Session, client_id: int, *, version: int, marketing: bool) -> None:
    """Keep what somebody agreed to by booking on the page, having read this version.

    Messages about the appointment follow from booking it, but never undo an earlier refusal. Advertising is only what
    they ticked; what they left unticked says nothing. What is known already in this version is not written again.
    """
    said = {(row.purpose, row.channel): row for row in list_consents(session, client_id)}
    for purpose in (SERVICE, MARKETING) if marketing else (SERVICE,):
        before = said.get((purpose, ANY_CHANNEL))
        if (
            before is not None
            and (purpose == SERVICE or before.given)
            and (not before.given or before.version == version)
        ):
            continue
        record_consent(session, client_id, given=True, source=SOURCE, purpose=purpose, version=version)


def _by_language(name: str, texts: Mapping[str, str]) -> dict[str, str]:
    for language in texts:
        if language not in LANGUAGES:
            raise ValidationFailed(f"{name}.{language}", f"texts are in {', '.join(LANGUAGES)}")
    plain = {language: short_text(f"{name}.{language}", text, LONGEST) for language, text in texts.items()}
    return {language: text for language, text in sorted(plain.items()) if text}


def _link(url: str | None) -> str | None:
    url = short_text("privacy_url", url or "", LONGEST)
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or any(one.isspace() for one in url):
        raise ValidationFailed("privacy_url", "give a whole address, such as https://example.com/privacidad")
    return url
