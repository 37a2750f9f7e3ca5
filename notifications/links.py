"""Addresses that stand in e-mails."""

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core import signing
from django.urls import reverse

_SALT = "notifications.stop"


def public_url(path: str) -> str:
    """The whole address of a page, as it is reached from a mailbox."""
    return f"{settings.SITE_URL.rstrip('/')}{path}"


def stop_url(person: AbstractUser, name: str) -> str:
    """Where the person, and whoever the mail was passed on to, can stop `name`. It does not expire, as mails do not."""
    token = signing.dumps([str(person.pk), name], salt=_SALT, compress=True)
    return public_url(reverse("stop-mail", args=[token]))


def read_stop_token(token: str) -> tuple[AbstractUser, str] | None:
    """Who stops what; None when the token is not one of ours, or the person is gone."""
    try:
        pk, name = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return None
    person = get_user_model()._default_manager.filter(pk=pk).first()
    return (person, name) if person else None


def stop_headers(person: AbstractUser, name: str) -> dict[str, str]:
    """What lets a mail program offer the same with one click (RFC 8058)."""
    return {
        "List-Unsubscribe": f"<{stop_url(person, name)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
