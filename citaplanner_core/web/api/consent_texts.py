"""`/api/v1/consent-texts`."""

from typing import Any

from flask import g

from citaplanner_core.database import work
from citaplanner_core.notifications.consent_texts import current_texts, save_texts
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.policy_schemas import ConsentTextsGiven, ConsentTextsShown

TAG = "consent texts"


@blueprint.get("/consent-texts")
@operation(TAG, ConsentTextsShown)
def show_consent_texts() -> Any:
    """Show what people read about their data before they book, and its version."""
    with work(g.tenant_id, write=False) as session:
        return ConsentTextsShown.model_validate(current_texts(session)).model_dump(mode="json")


@blueprint.put("/consent-texts")
@operation(TAG, ConsentTextsShown)
def put_consent_texts(json: ConsentTextsGiven) -> Any:
    """Say it in the business's own words, as a new version. Consents keep the version that was read."""
    with work(g.tenant_id) as session:
        return ConsentTextsShown.model_validate(save_texts(session, **json.model_dump())).model_dump(mode="json")
