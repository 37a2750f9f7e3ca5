"""Tokens and the logins they belong to."""

from typing import Any

import pytest
from django.conf import settings
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient
from rest_framework_simplejwt.exceptions import TokenError

from accounts.models import LoginSession, User
from accounts.sessions import SessionRefreshToken

CHECK = "/auth-protected-check/"


def bearer(token: object) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def check(token: object) -> Any:
    return bearer(token).get(CHECK)


@pytest.fixture
def refresh(carl: User) -> SessionRefreshToken:
    return SessionRefreshToken.for_user(carl)


def test_a_token_opens_and_says_who_it_belongs_to(refresh: SessionRefreshToken) -> None:
    answer = check(refresh.access_token)
    assert answer.status_code == 200
    assert answer.json()["username"] == "carl"


def test_nobody_gets_in_without_a_token(db: None) -> None:
    answer = APIClient().get(CHECK)
    assert answer.status_code == 401
    assert answer.json().keys() == {"detail"}
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_one_query_finds_the_person_and_the_login(
    refresh: SessionRefreshToken, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = bearer(refresh.access_token)
    with django_assert_num_queries(1):
        client.get(CHECK)


def test_the_end_of_a_login_is_the_end_of_its_tokens(refresh: SessionRefreshToken) -> None:
    LoginSession.objects.get().end()
    assert check(refresh.access_token).status_code == 401
    with pytest.raises(TokenError):
        SessionRefreshToken(str(refresh)).rotate()


def test_a_new_password_ends_every_login_whoever_sets_it(refresh: SessionRefreshToken, carl: User) -> None:
    carl.set_password("another one entirely")
    carl.save()
    assert check(refresh.access_token).status_code == 401


def test_deactivation_ends_every_login(refresh: SessionRefreshToken, carl: User) -> None:
    User.objects.filter(pk=carl.pk).update(is_active=False)
    assert check(refresh.access_token).status_code == 401


def test_the_tokens_key_is_their_own() -> None:
    key = str(settings.SIMPLE_JWT["SIGNING_KEY"])
    assert key != settings.SECRET_KEY
    assert len(key.encode()) >= 32
