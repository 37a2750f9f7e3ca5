"""Tokens of the API, each bound to the row of its login: ending the row invalidates them all, in every process."""

import hashlib
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts.history import forget_old_records
from accounts.models import KnownAddress, LoginSession, User

CLOSED = "This login has ended. Log in again."
USED = "This refresh token was used before, so its login has ended: somebody else may have a copy. Log in again."
FORGIVEN = timedelta(seconds=30)
INVALID = "The token is not valid."


class BoundToken(Token):
    """A token of a login. A bad one raises `TokenError`, whatever its claims are."""

    def __init__(self, token: Any = None, verify: bool = True) -> None:
        try:
            super().__init__(token, verify)
        except (ArithmeticError, AttributeError, OSError, TypeError, ValueError) as error:
            # Only a holder of our key gets this far: an expiry that is not a number, or is thousands of years away.
            raise TokenError(INVALID) from error

    @property
    def session(self) -> LoginSession:
        """The login, with its user, in one query. Raises `TokenError` unless both are still good."""
        try:
            session = LoginSession.objects.select_related("user").get(pk=self["sid"], ended_at=None)
        except (KeyError, TypeError, ValueError, ValidationError, LoginSession.DoesNotExist) as error:
            raise TokenError(CLOSED) from error
        user = session.user
        if session.previous_refresh_id and self.is_newest_of(session):
            LoginSession.objects.filter(pk=session.pk, refresh_id=session.refresh_id).update(previous_refresh_id="")
        same_person = self.get("sub") == str(user.pk)
        same_password = constant_time_compare(session.auth_hash, user.get_session_auth_hash())
        if not (user.is_active and same_person and same_password):
            raise TokenError(CLOSED)
        return session

    def is_newest_of(self, session: LoginSession) -> bool:
        """Whether it is an access token of the login's newest pair."""
        return bool(self["jti"] == access_id_for(session.refresh_id))


def access_id_for(refresh_id: str) -> str:
    """The id of the access token beside this refresh token: the same pair can be made again."""
    return hashlib.sha256(f"access {refresh_id}".encode()).hexdigest()[:32]


class SessionAccessToken(BoundToken, AccessToken):
    """Valid for a few minutes, while its login is open."""


class SessionRefreshToken(BoundToken, RefreshToken):
    """Valid for one refresh, which gives the next token. A second use may be a thief's, so it ends the login.

    Within half a minute, and as long as nobody has used the next pair, it gives the same pair again: its answer was
    lost on the way.
    """

    access_token_class = SessionAccessToken

    @property
    def access_token(self) -> SessionAccessToken:
        access = cast("SessionAccessToken", super().access_token)
        access["jti"] = access_id_for(self["jti"])
        access.set_iat(at_time=self.current_time)
        return access

    @classmethod
    def for_user(cls, user: User) -> "SessionRefreshToken":
        """Log the person in: a new session, and its first refresh token."""
        token: SessionRefreshToken = super().for_user(user)
        session = LoginSession.objects.create(
            user=user, auth_hash=user.get_session_auth_hash(), refresh_id=token["jti"]
        )
        token["sid"] = str(session.pk)
        return token

    def rotate(self) -> None:
        """Become the login's next refresh token. If several callers try with the same one, they get the same."""
        session, presented, now = self.session, self["jti"], timezone.now()
        open_session = LoginSession.objects.filter(pk=session.pk, ended_at=None)
        open_session.filter(refresh_id=presented).update(
            refresh_id=uuid4().hex, previous_refresh_id=presented, refreshed_at=now
        )
        newest = open_session.filter(previous_refresh_id=presented, refreshed_at__gte=now - FORGIVEN).first()
        if newest is None:
            session.end()
            raise TokenError(USED)
        self.current_time = newest.refreshed_at
        self["jti"] = newest.refresh_id
        self.set_exp()
        self.set_iat()


class Claims:
    """Where dj-rest-auth gets the tokens of a login."""

    get_token = SessionRefreshToken.for_user


class SessionAuthentication(JWTAuthentication):
    """`Authorization: Bearer <access>`: the person and their login, with one query."""

    def get_validated_token(self, raw_token: bytes) -> SessionAccessToken:
        try:
            return SessionAccessToken(raw_token)
        except TokenError as error:
            raise InvalidToken(str(error)) from error

    def get_user(self, validated_token: Token) -> User:
        assert isinstance(validated_token, SessionAccessToken)  # noqa: S101  # as made above
        try:
            return validated_token.session.user
        except TokenError as error:
            raise InvalidToken(str(error)) from error


def forget_old_logins(lifetime: timedelta = SessionRefreshToken.lifetime) -> int:
    """Delete the logins whose last refresh token has expired, and old addresses, and the old part of the
    history. Returns how many logins."""
    forget_old_records()
    KnownAddress.objects.filter(used_at__lt=timezone.now() - KnownAddress.LIFETIME).delete()
    deleted, _by_model = LoginSession.objects.filter(refreshed_at__lt=timezone.now() - lifetime).delete()
    return deleted
