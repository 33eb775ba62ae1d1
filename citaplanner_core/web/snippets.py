"""Scripts that plugins add to public pages: checked data, written into the page and its headers by us."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.registry import registry
from citaplanner_core.hooks.types import Snippet

HOOK = "public_page_snippets"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ORIGIN = re.compile(r"(https|wss)://[a-z0-9.-]+(:\d+)?|http://(localhost|127\.0\.0\.1)(:\d+)?")
_PATH = re.compile(r"/[A-Za-z0-9._~/?&=%+-]*")
_FETCHED = ("connect-src", "frame-src", "img-src", "media-src", "style-src", "font-src")


def snippets_of(session: Session, tenant_id: int) -> Sequence[Snippet]:
    """Return the scripts of the tenant's plugins for its public page; a plugin with an unsound one is left out."""
    if not registry().implementations(HOOK):
        return []
    allowed = dispatch.enabled_plugins(session)
    found = dispatch.collect_items_inside(session, HOOK, Snippet, allowed, tenant=tenant_id)
    unsound = {plugin: wrong for plugin, snippet in found if (wrong := _trouble(plugin, snippet))}
    for plugin, wrong in unsound.items():
        registry().record(plugin, HOOK, wrong)
    return [snippet for plugin, snippet in found if plugin not in unsound]


def policy(base: str, snippets: Iterable[Snippet]) -> str:
    """Return the Content-Security-Policy of a page with these scripts: `base`, and what each needs."""
    scripts = {_origin(snippet.script_url) for snippet in snippets}
    origins = sorted(scripts.union(*(snippet.origins for snippet in snippets))) if scripts else []
    if not origins:
        return base
    rules = dict(rule.strip().partition(" ")[::2] for rule in base.split(";"))
    rules["script-src"] = " ".join(sorted(scripts))
    for name in _FETCHED:
        rules[name] = " ".join([*rules.get(name, "").split(), *origins])
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _trouble(plugin: str, snippet: Snippet) -> str | None:
    try:
        return _what_is_wrong(plugin, snippet)
    except (AttributeError, TypeError, ValueError) as error:
        return f"a Snippet with something else than texts in it: {error}"


def _what_is_wrong(plugin: str, snippet: Snippet) -> str | None:
    if not _NAME.fullmatch(str(snippet.html_id)) or not snippet.html_id.startswith(f"{plugin}-"):
        return f"html_id {snippet.html_id!r} must begin with {plugin + '-'!r}, in small letters, digits and dashes"
    if not _is_address(str(snippet.script_url)):
        return f"script_url {snippet.script_url!r} must be https (http on this machine) or a path of this site"
    for name, value in snippet.data.items():
        if not _NAME.fullmatch(str(name)) or not isinstance(value, str):
            return f"data {name!r} must be named in small letters and dashes, and be text"
    for origin in snippet.origins:
        if not _ORIGIN.fullmatch(str(origin)):
            return f"origin {origin!r} must be written like https://chat.example.com"
    return None


def _is_address(url: str) -> bool:
    if _PATH.fullmatch(url) and not url.startswith("//"):
        return True
    return bool(_ORIGIN.fullmatch(_origin(url)) and _PATH.fullmatch(url.removeprefix(_origin(url)) or "/"))


def _origin(url: str) -> str:
    """Where a script comes from, in the words of a policy."""
    place = urlsplit(url)
    return f"{place.scheme}://{place.netloc}" if place.netloc else "'self'"
