"""The secrets of webhooks, and what they sign, as Standard Webhooks 1.0 says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from catalog.fetching.credentials import decrypt_text
from catalog.models import Webhook

BEGINNING = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    return BEGINNING + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def valid_secrets(webhook: Webhook) -> list[str]:
    """The newest first. Raises `NotPossible` or `FetchFailed` if they cannot be read."""
    kept = [webhook.secret, *([webhook.old_secret] if webhook.has_two_secrets else [])]
    return [decrypt_text(secret) for secret in kept]


def signatures(valid: list[str], message_id: str, moment: int, body: str) -> str:
    """The header `webhook-signature`: one signature with each secret."""
    content = f"{message_id}.{moment}.{body}".encode()
    keys = (base64.b64decode(secret.removeprefix(BEGINNING)) for secret in valid)
    digests = (hmac.new(key, content, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
