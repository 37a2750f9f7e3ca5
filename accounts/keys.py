"""Keys of machines: what a key may do, how one is made, and how a request proves that it has one.

A key acts for its owner, within its scopes: `User.has_perm` answers yes where the owner has the permission and a scope
of the key covers it. Each call also names the scopes that open it, in `key_scopes`; no key opens one that names none.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.history import note_key
from accounts.limits import Limit, NotCounted, client_address
from accounts.models import ApiKey, User
from events.log import log_event

WORD = b"api-key"
SECRET_BEGINS = "opm_"  # noqa: S105  # so that programs that look for leaked secrets know one
SHOWN_CHARS = 10
CALLS = Limit("key-calls", 600, 60)
INVALID = "The API key is not valid, has expired or was revoked."
NOT_COVERED = "This API key is not for that. Make one with another scope, or log in."
# The last use is written as often, and not with each request.
USE_NOTED_AFTER = timedelta(minutes=1)


class KeyRefused(AuthenticationFailed):
    default_code = "key_not_valid"
    default_detail = INVALID


def make_key(owner: User, *, name: str, scopes: Collection[str], feeds: Collection[str], days: int, by: User) -> str:
    """Make a key for the owner. Returns its secret, which is stored nowhere and shown once."""
    secret = SECRET_BEGINS + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        owner=owner,
        made_by=by,
        name=name,
        scopes=list(scopes),
        feeds=list(feeds),
        expires_at=timezone.now() + timedelta(days=days),
        digest=digest_of(secret),
        beginning=secret[:SHOWN_CHARS],
    )
    log_event("key_made", by=by, key=key.pk, person=owner.username)
    return secret


def revoke_keys(keys: Iterable[ApiKey], *, by: User) -> int:
    """End the keys from the next request on. Returns how many were still good."""
    revoked = 0
    for key in keys:
        if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            log_event("key_revoked", by=by, key=key.pk, person=key.owner.username)
            revoked += 1
    return revoked


def digest_of(secret: str) -> str:
    """What is stored of a secret. It has 256 random bits, so that a quick hash is as good as a slow one."""
    return hashlib.sha256(secret.encode()).hexdigest()


# --- a request with a key -----------------------------------------------------------------------------
class KeyAuthentication(BaseAuthentication):
    """`Authorization: Api-Key <secret>`: the owner, who has the rights of the key, and the key."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        word, _space, secret = get_authorization_header(request).partition(b" ")
        if word.lower() != WORD:
            return None
        key = find_key(secret.strip().decode("ascii", "replace"))
        if key is None:
            log_event("key_refused", level=logging.WARNING)
            raise KeyRefused
        require_scope(key, request.parser_context["view"])  # here, because a view may choose its own permissions
        with suppress(NotCounted):  # a secret cannot be guessed, so nothing is lost while the cache is away
            CALLS.take(key.pk)
        note_use(key, request._request)
        key.owner.api_key = key
        return key.owner, key

    def authenticate_header(self, request: Request) -> str:
        return "Api-Key"


def find_key(secret: str) -> ApiKey | None:
    """The key with this secret, if it is still good, and its owner is active."""
    good = Q(revoked_at=None, expires_at__gt=timezone.now(), owner__is_active=True)
    return ApiKey.objects.select_related("owner").filter(good, digest=digest_of(secret)).first()


def note_use(key: ApiKey, request: HttpRequest) -> None:
    """Keep when the key was used last; in its owner's history, each other address that it was used from."""
    now, address = timezone.now(), client_address(request)
    due = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED_AFTER)
    if key.last_used_at is None or key.last_used_at <= now - USE_NOTED_AFTER:
        noted = ApiKey.objects.filter(due, pk=key.pk).update(last_used_at=now, last_used_from=address)
        if noted and key.last_used_from != address:
            note_key(request, key.owner)


def require_scope(key: ApiKey, view: Any) -> None:
    """Raise `PermissionDenied` unless the call names one of the key's scopes, in `key_scopes`."""
    wanted = getattr(view, "key_scopes", ())
    if isinstance(wanted, dict):
        wanted = wanted.get(getattr(view, "action", ""), ())
    if not {*wanted} & {*key.scopes}:
        raise PermissionDenied(NOT_COVERED, code="key_scope")


# --- the feeds that a key can be for --------------------------------------------------------------------
_FEED_NAMES: list[Callable[[], list[tuple[str, str]]]] = []


def offer_feeds(names: Callable[[], list[tuple[str, str]]]) -> None:
    """Let the forms of keys offer these feeds: short name and name. This app knows none itself."""
    _FEED_NAMES[:] = [names]


def feed_choices() -> list[tuple[str, str]]:
    return [choice for names in _FEED_NAMES for choice in names()]
