"""Secrets: the key ring, the encrypted column type, hashed tokens."""

import base64
import hashlib
import secrets
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask, current_app
from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

EXTENSION = "citaplanner.key_ring"


class UndecipherableSecret(Exception):
    """A stored secret was written with a key that is no longer in CITAPLANNER_SECRET_KEY."""


def _derive(key: str, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"citaplanner {purpose}".encode()).derive(key.encode())


class KeyRing:
    """Encrypts with the newest key, decrypts with any. Keys are texts, newest first."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("a key ring needs a key")
        self._fernet = MultiFernet(
            [Fernet(base64.urlsafe_b64encode(_derive(key, "credentials at rest"))) for key in keys]
        )
        self.session_keys = tuple(_derive(key, "sessions") for key in keys)

    def encrypt(self, text: str) -> str:
        """Return the text encrypted with the newest key."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return what `encrypt` was given; raise `UndecipherableSecret` when no key fits."""
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise UndecipherableSecret("no key in CITAPLANNER_SECRET_KEY opens a stored secret") from None


def init_crypto(app: Flask, keys: Sequence[str]) -> None:
    """Give the app its key ring; the newest key also signs sessions."""
    ring = KeyRing(keys)
    app.extensions[EXTENSION] = ring
    app.config["SECRET_KEY"] = ring.session_keys[0]
    app.config["SECRET_KEY_FALLBACKS"] = list(ring.session_keys[1:])


def key_ring() -> KeyRing:
    """Return the current app's key ring."""
    ring: KeyRing = current_app.extensions[EXTENSION]
    return ring


class EncryptedText(TypeDecorator[str]):
    """A text column encrypted at rest with the app's key ring."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else key_ring().encrypt(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else key_ring().decrypt(value)


def new_token(prefix: str = "", *, size: int = 32) -> tuple[str, str]:
    """Return a random URL-safe token of `size` bytes, and the hash to store in its place."""
    token = prefix + secrets.token_urlsafe(size)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    """Return the SHA-256 of a token, in hex. Enough for random tokens; passwords need argon2."""
    return hashlib.sha256(token.encode()).hexdigest()
