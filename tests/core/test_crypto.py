"""Secrets are unreadable in the database, and keys can be changed."""

import pytest
from flask import Flask
from sqlalchemy import text

from citaplanner_core.crypto import KeyRing, UndecipherableSecret, hash_token, new_token
from citaplanner_core.database import system_work, work
from citaplanner_core.hooks.models import PluginSetting

OLD, NEW = "the-old-key-0123456789", "the-new-key-0123456789"


def test_a_new_key_reads_what_the_old_one_wrote() -> None:
    stored = KeyRing([OLD]).encrypt("token")
    assert KeyRing([NEW, OLD]).decrypt(stored) == "token"
    assert KeyRing([NEW, OLD]).encrypt("token") != stored


def test_a_lost_key_is_said_plainly() -> None:
    stored = KeyRing([OLD]).encrypt("token")
    with pytest.raises(UndecipherableSecret, match="CITAPLANNER_SECRET_KEY"):
        KeyRing([NEW]).decrypt(stored)


def test_a_secret_setting_is_encrypted_at_rest(app: Flask, tenant: int) -> None:
    with work(tenant) as session:
        session.add(PluginSetting(plugin="chatwoot", key="api_token", secret="s3cret-value"))
    with system_work("test") as session:
        raw = session.execute(text("SELECT secret FROM plugin_setting")).scalar_one()
    assert "s3cret-value" not in raw
    with work(tenant, write=False) as session:
        assert session.query(PluginSetting).one().secret == "s3cret-value"


def test_tokens_are_random_and_stored_as_hashes() -> None:
    token, stored = new_token("cp_")
    assert token.startswith("cp_")
    assert stored == hash_token(token) != token
    assert new_token("cp_")[0] != token
