"""Credentials of sources: written once, encrypted at rest, and bound to the place that they were entered for.

The secrets of webhooks are encrypted with the same keys.
"""

from __future__ import annotations

import base64
import hashlib
import json

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.checks import CheckMessage, Info

from catalog.errors import NotPossible
from catalog.fetching.addresses import Place
from catalog.fetching.failures import FetchFailed
from catalog.fetching.targets import Login


def encrypt(login: Login, origin: str) -> str:
    """The login as the database keeps it. Raises `NotPossible` where no key is configured."""
    content = {
        "origin": origin,
        "username": login.username,
        "secret": login.secret,
        "passphrase": login.passphrase,
    }
    return encrypt_text(json.dumps(content))


def encrypt_text(text: str) -> str:
    """A secret as the database keeps it. Raises `NotPossible` where no key is configured."""
    return _cipher().encrypt(text.encode()).decode()


def decrypt_text(text: str) -> str:
    """Raises `NotPossible` where no key is configured, `FetchFailed` if it was encrypted with one that is gone."""
    try:
        return _cipher().decrypt(text.encode()).decode()
    except InvalidToken as error:
        raise FetchFailed(
            "credentials",
            "The credentials were encrypted with another key than those in FEED_CREDENTIAL_KEYS. Enter them anew.",
            again=False,
        ) from error


def why_unreadable(credentials: str) -> str:
    """Why kept credentials cannot be read, in a sentence; `""` if they can, or if there are none."""
    try:
        if credentials:
            _cipher().decrypt(credentials.encode())
    except NotPossible:
        return "FEED_CREDENTIAL_KEYS is not set, so its credentials cannot be read."
    except InvalidToken:
        return "Its credentials were encrypted with a key that FEED_CREDENTIAL_KEYS does not have any more."
    return ""


def check_keys(**_: object) -> list[CheckMessage]:
    """For `manage.py check --deploy`."""
    if settings.FEED_CREDENTIAL_KEYS:
        return []
    return [
        Info(
            "FEED_CREDENTIAL_KEYS is not set: feeds cannot be fetched from where a login is needed.",
            hint="See .env.example.",
            id="catalog.I001",
        )
    ]


def decrypt(credentials: str, kind: str, origin: str) -> Login:
    """The login. Raises `FetchFailed` when it was entered for another place, or with a key that is gone."""
    if kind == "none" or not credentials:
        return Login()
    content = json.loads(decrypt_text(credentials))
    if content["origin"] != origin:
        raise FetchFailed(
            "credentials", "The credentials belong to another host. Enter them anew for this address.", again=False
        )
    return Login(kind, content["username"], content["secret"], content["passphrase"])


def check_private_key(text: str, passphrase: str) -> None:
    """Raise `ValueError` with a sentence unless this is a private key that the passphrase opens."""
    import asyncssh  # large, and needed by the form of an SFTP source only

    try:
        asyncssh.import_private_key(text, passphrase or None)
    except asyncssh.KeyEncryptionError as error:
        raise ValueError("The passphrase does not open this key.") from error
    except (asyncssh.KeyImportError, ValueError) as error:
        raise ValueError("This is not a private key in OpenSSH's or in PEM format.") from error


def origin_of(place: Place, endpoint: Place | None) -> str:
    """The scheme, host and port that get the credentials: a bucket's are its endpoint's."""
    return f"s3+{endpoint.origin}" if place.scheme == "s3" and endpoint else place.origin


def _cipher() -> MultiFernet:
    if not settings.FEED_CREDENTIAL_KEYS:
        raise NotPossible(
            "no_key", "Credentials cannot be kept here: FEED_CREDENTIAL_KEYS is not set. See .env.example."
        )
    keys = [hashlib.sha256(b"feed credentials " + key.encode()).digest() for key in settings.FEED_CREDENTIAL_KEYS]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
