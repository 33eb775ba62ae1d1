"""What plugins know about a client: data they return, checked here, shown by our own template."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import Panel

HOOK = "client_panel"


def panels_of(session: Session, client_id: int, language: str) -> Sequence[Panel]:
    """Return the panels of a client from the tenant's plugins; one that fails is recorded and left out."""
    if not registry().implementations(HOOK):
        return []
    allowed = dispatch.enabled_plugins(session)
    given = {"clients": (client_id,), "language": language}
    found = []
    for plugin, result in dispatch.each_in_savepoint(session, HOOK, allowed, **given):
        panel = result.get(client_id) if isinstance(result, Mapping) else result
        if panel is None:
            continue
        if isinstance(panel, Panel) and _is_sound(panel):
            found.append(panel)
        else:
            registry().record(plugin, HOOK, "returned something else than a mapping of client ids to sound panels")
    return found


def _is_sound(panel: Panel) -> bool:
    texts = [panel.title, *(text for row in panel.rows for text in row), *(action.label for action in panel.actions)]
    return all(isinstance(text, str) for text in texts) and all(_may_lead_to(action.url) for action in panel.actions)


def _may_lead_to(url: str) -> bool:
    """Whether a link is one of the web, or of this site."""
    place = urlsplit(url)
    local = not place.scheme and not place.netloc and url.startswith("/")
    return local or (place.scheme in ("http", "https") and bool(place.netloc))
