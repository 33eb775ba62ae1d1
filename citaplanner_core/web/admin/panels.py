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
    try:
        pairs = [(name, value) for name, value in panel.rows]
        links = [(action.label, action.url) for action in panel.actions]
        texts = [panel.title, *(text for pair in (*pairs, *links) for text in pair)]
        return all(isinstance(text, str) for text in texts) and all(_may_lead_to(url) for _, url in links)
    except (AttributeError, TypeError, ValueError):
        return False


def _may_lead_to(url: str) -> bool:
    """Whether a link is one of the web, or of this site."""
    place = urlsplit(url)
    if place.scheme or place.netloc:
        return place.scheme in ("http", "https") and bool(place.netloc)
    return url.startswith("/") and not url.startswith("/\\")
