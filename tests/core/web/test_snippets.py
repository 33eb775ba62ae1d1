"""Scripts that plugins add to the public booking page."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from citaplanner_core.hooks import lifecycle
from citaplanner_core.hooks.registry import Registry, registry
from citaplanner_core.hooks.types import Snippet
from tests.core.web.support import Business

pytestmark = pytest.mark.parametrize("engine", ["sqlite"])
HOOK = "public_page_snippets"
CHAT = Snippet(
    "email-chat",
    "https://chat.example:8443/packs/sdk.js?v=1",
    {"website-token": 'abc"><script>'},
    ("wss://chat.example:8443",),
)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, business: Business) -> Callable[[Any], None]:
    """Let the plugin `email`, which the business has, return this from the hook."""
    lifecycle.enable("email", business.tenant)

    def give(result: Any) -> None:
        def snippets(tenant: int) -> Any:
            assert tenant == business.tenant
            if isinstance(result, Exception):
                raise result
            return result

        usual = Registry.implementations

        def implementations(self: Registry, hook: str) -> Any:
            return [("email", snippets, ("tenant",))] if hook == HOOK else usual(self, hook)

        monkeypatch.setattr(Registry, "implementations", implementations)

    return give


Given = Callable[[Any], None]


def test_a_script_is_written_by_us_and_let_through(app: Flask, business: Business, given: Given) -> None:
    given([CHAT])
    page = app.test_client().get("/b/clinic")
    written = (
        '<script id="email-chat" src="https://chat.example:8443/packs/sdk.js?v=1" data-website-token="abc&#34;&gt;'
    )
    assert written in page.text
    rules = dict(rule.strip().partition(" ")[::2] for rule in page.headers["Content-Security-Policy"].split(";"))
    assert rules["script-src"] == "https://chat.example:8443"
    assert rules["connect-src"] == rules["frame-src"] == "https://chat.example:8443 wss://chat.example:8443"
    assert rules["default-src"] == "'none'"
    assert rules["img-src"].startswith("'self' data: https://chat.example:8443")


def test_other_pages_and_other_tenants_run_no_script(
    app: Flask, business: Business, other: Business, given: Given
) -> None:
    given([CHAT])
    client = app.test_client()
    for address in ("/b/spa", "/", "/admin/sign-in"):
        page = client.get(address)
        assert "<script" not in page.text
        assert "script-src" not in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "wrong",
    [
        RuntimeError("boom"),
        ["<script>"],
        "<script>",
        [Snippet("chat", "https://chat.example/sdk.js")],
        [Snippet("email-chat onload=x", "https://chat.example/sdk.js")],
        [Snippet("email-chat", "http://chat.example/sdk.js")],
        [Snippet("email-chat", "javascript:alert(1)")],
        [Snippet("email-chat", "//chat.example/sdk.js")],
        [Snippet("email-chat", "https://chat.example; script-src */x.js")],
        [Snippet("email-chat", "https://a:b@chat.example/sdk.js")],
        [Snippet("email-chat", "https://chat.example/sdk.js", {"x onload": "y"})],
        [Snippet("email-chat", "https://chat.example/sdk.js", {"x": 1})],  # type: ignore[dict-item]  # wrong on purpose
        [Snippet("email-chat", "https://chat.example/sdk.js", {}, ("*",))],
        [Snippet("email-chat", "https://chat.example/sdk.js", {}, ("https://x.example; script-src *",))],
        [Snippet("email-chat", 7)],  # type: ignore[arg-type]  # wrong on purpose
        [Snippet("email-chat", "https://chat.example/sdk.js", ["x"])],  # type: ignore[arg-type]  # wrong on purpose
    ],
)
def test_what_is_unsound_is_left_out_and_named(app: Flask, business: Business, given: Given, wrong: Any) -> None:
    given(wrong)
    page = app.test_client().get("/b/clinic")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert ("email", HOOK) in registry().troubles


def test_a_script_of_this_site_needs_no_other(app: Flask, business: Business, given: Given) -> None:
    given([Snippet("email-hello", "/static/email/hello.js")])
    policy = app.test_client().get("/b/clinic").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "connect-src 'self'" in policy
