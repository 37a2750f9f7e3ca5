"""Tokens and the logins they belong to: forged, stolen, used twice, used after the end."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import jwt
import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import LoginSession, User
from accounts.sessions import SessionRefreshToken, forget_old_logins
from accounts.tasks import forget_old_sessions
from accounts.tests.conftest import PASSWORD, bearer, check, log_in, make_person, post
from config.tests.problems import said

CHECK = "/auth-protected-check/"
REFRESH = "/token/refresh/"


def refresh(token: str) -> Any:
    return post(REFRESH, {"refresh": token})


# --- a login and its end ------------------------------------------------------------------------------
def test_a_token_opens_and_says_who_it_belongs_to(carl: User) -> None:
    answer = bearer(log_in()["access"]).get(CHECK)
    assert answer.status_code == 200
    assert answer.json()["username"] == "carl"


def test_nobody_gets_in_without_a_token(db: None) -> None:
    answer = APIClient().get(CHECK)
    assert answer.status_code == 401
    assert said(answer).keys() == {"detail"}
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_one_query_finds_the_person_and_the_login(
    carl: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = bearer(log_in()["access"])
    with django_assert_num_queries(1):
        client.get(CHECK)


def test_after_logout_neither_token_is_good(carl: User) -> None:
    tokens = log_in()
    assert bearer(tokens["access"]).post("/logout/").status_code == 200
    assert check(tokens["access"]) == 401
    assert refresh(tokens["refresh"]).status_code == 401
    assert bearer(tokens["access"]).post("/logout/").status_code == 401


def test_logout_ends_one_login_and_leaves_the_others(carl: User) -> None:
    here, elsewhere = log_in(), log_in()
    bearer(here["access"]).post("/logout/")
    assert check(elsewhere["access"]) == 200
    assert refresh(elsewhere["refresh"]).status_code == 200


@pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", "true", "{}", '{"refresh": 1}', "{", ""])
def test_logout_takes_any_body(carl: User, body: str) -> None:
    client = bearer(log_in()["access"])
    assert client.generic("POST", "/logout/", body, content_type="application/json").status_code == 200


def test_a_new_password_ends_every_login_whoever_sets_it(carl: User) -> None:
    tokens = log_in()
    carl.set_password("another one entirely")
    carl.save()
    assert check(tokens["access"]) == 401
    assert refresh(tokens["refresh"]).status_code == 401


def test_deactivation_ends_every_login(carl: User) -> None:
    tokens = log_in()
    User.objects.filter(pk=carl.pk).update(is_active=False)
    assert check(tokens["access"]) == 401
    assert refresh(tokens["refresh"]).status_code == 401


def test_a_login_stays_ended_when_the_person_is_activated_again(carl: User) -> None:
    tokens = log_in()
    for carl.is_active in (False, True):
        carl.save()
    assert check(tokens["access"]) == 401
    assert refresh(tokens["refresh"]).status_code == 401
    assert check(log_in()["access"]) == 200


def test_deletion_ends_every_login(carl: User) -> None:
    tokens = log_in()
    carl.delete()
    assert check(tokens["access"]) == 401
    assert refresh(tokens["refresh"]).status_code == 401


def test_rights_are_those_of_now_and_not_of_the_login(mona: User) -> None:
    session = SessionRefreshToken.for_user(mona).access_token.session
    assert session.user.has_perm("accounts.view_user")
    mona.groups.remove(Group.objects.get(name="manager"))
    assert not SessionRefreshToken.for_user(mona).access_token.session.user.has_perm("accounts.view_user")


def test_a_login_that_nobody_can_refresh_any_more_is_forgotten(carl: User) -> None:
    log_in()
    old = LoginSession.objects.get()
    log_in()
    LoginSession.objects.filter(pk=old.pk).update(refreshed_at=timezone.now() - timedelta(days=8))
    assert forget_old_logins() == 1
    assert LoginSession.objects.count() == 1


# --- refreshing ---------------------------------------------------------------------------------------
def test_a_refresh_gives_the_next_pair(carl: User) -> None:
    answer = refresh(log_in()["refresh"])
    assert answer.status_code == 200
    assert check(answer.json()["access"]) == 200
    assert refresh(answer.json()["refresh"]).status_code == 200


def test_a_refresh_whose_answer_was_lost_gives_the_same_pair_again(carl: User) -> None:
    first, start = log_in(), timezone.now()
    with time_machine.travel(start, tick=False):
        second = refresh(first["refresh"])
    for seconds in (0, 1, 29):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            again = refresh(first["refresh"])
            assert (again.status_code, again.json()) == (200, second.json())
    assert check(second.json()["access"]) == 200


def test_the_old_access_token_says_nothing_about_the_new_pair(carl: User) -> None:
    first = log_in()
    second = refresh(first["refresh"]).json()
    assert check(first["access"]) == 200
    assert refresh(first["refresh"]).json() == second


def lost_for_long(first: Any, second: Any) -> None:
    LoginSession.objects.update(refreshed_at=timezone.now() - timedelta(seconds=31))


def used_to_read(first: Any, second: Any) -> None:
    assert check(second["access"]) == 200


def used_to_refresh(first: Any, second: Any) -> None:
    assert refresh(second["refresh"]).status_code == 200


def used_after_all(first: Any, second: Any) -> None:
    assert refresh(first["refresh"]).json() == second
    assert check(second["access"]) == 200


@pytest.mark.parametrize("happened", [lost_for_long, used_to_read, used_to_refresh, used_after_all])
def test_a_refresh_token_that_comes_back_later_ends_the_whole_family(carl: User, happened: Any) -> None:
    first = log_in()
    second = refresh(first["refresh"]).json()
    happened(first, second)
    answer = refresh(first["refresh"])
    assert (answer.status_code, "used before" in answer.json()["detail"]) == (401, True)
    assert refresh(second["refresh"]).status_code == 401
    assert check(second["access"]) == 401
    assert check(first["access"]) == 401


def test_the_end_of_a_family_leaves_other_logins(carl: User) -> None:
    first, other = log_in(), log_in()
    check(refresh(first["refresh"]).json()["access"])
    assert refresh(first["refresh"]).status_code == 401
    assert check(other["access"]) == 200


def test_a_token_of_two_refreshes_ago_is_never_forgiven(carl: User) -> None:
    first = log_in()
    second = refresh(first["refresh"]).json()
    third = refresh(second["refresh"]).json()
    assert refresh(second["refresh"]).json() == third
    assert refresh(first["refresh"]).status_code == 401
    assert check(third["access"]) == 401


@pytest.mark.django_db(transaction=True)
def test_twenty_refreshes_at_once_get_one_pair() -> None:
    make_person("carl")
    token = log_in()["refresh"]
    barrier = Barrier(20)

    def go(_number: int) -> Any:
        connection.ensure_connection()
        barrier.wait(timeout=20)
        try:
            answer = refresh(token)
            return answer.status_code, tuple(answer.json().values())
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(go, range(20)))
    assert [status for status, _pair in answers] == [200]


def test_an_access_token_does_not_refresh_and_is_not_taken_for_a_used_one(carl: User) -> None:
    token = log_in()["access"]
    assert refresh(token).status_code == 401
    assert check(token) == 200


@pytest.mark.parametrize("body", [[], "text", 1, None, True, {}, {"refresh": None}, {"refresh": [1]}, {"refresh": ""}])
def test_a_refresh_without_a_token_is_a_mistake_in_the_body(db: None, body: object) -> None:
    assert post(REFRESH, body).status_code == 400


# --- forgeries ----------------------------------------------------------------------------------------
KEY = str(settings.SIMPLE_JWT["SIGNING_KEY"])
GONE = object()  # a claim that is left out


def claims(**changed: Any) -> dict[str, Any]:
    """The claims of a good access token of Carl's, but for some."""
    carl = User.objects.get(username="carl")
    good = SessionRefreshToken.for_user(carl).access_token
    audience, issuer = settings.SIMPLE_JWT["AUDIENCE"], settings.SIMPLE_JWT["ISSUER"]
    payload = {**good.payload, "aud": audience, "iss": issuer, **changed}
    return {name: value for name, value in payload.items() if value is not GONE}


def signed(key: str = KEY, algorithm: str = "HS256", headers: Any = None, **changed: Any) -> str:
    return jwt.encode(claims(**changed), key, algorithm, headers)


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def unsigned(algorithm: str) -> str:
    return f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(claims())}."


FORGERIES: dict[str, Callable[[], str]] = {
    "algorithm none": lambda: unsigned("none"),
    "algorithm None": lambda: unsigned("None"),
    "no signature": lambda: signed().rpartition(".")[0] + ".",
    "another key": lambda: signed("x" * 40),
    "Django's key": lambda: signed(settings.SECRET_KEY),
    "the header says HS512": lambda: signed(algorithm="HS512"),
    "a key id that is a path": lambda: signed("x" * 40, headers={"kid": "../../../dev/null"}),
    "other claims under a good signature": lambda: ".".join(
        part if place != 1 else encoded(claims(sub="x")) for place, part in enumerate(signed().split("."))
    ),
    "a refresh token": lambda: str(SessionRefreshToken.for_user(User.objects.get(username="carl"))),
    "another issuer": lambda: signed(iss="https://evil.example"),
    "another audience": lambda: signed(aud="another-api"),
    "no issuer": lambda: signed(iss=GONE),
    "no audience": lambda: signed(aud=GONE),
    "expired": lambda: signed(exp=1),
    "no expiry": lambda: signed(exp=GONE),
    "issued tomorrow": lambda: signed(iat=int(timezone.now().timestamp()) + 86_400),
    "not yet valid": lambda: signed(nbf=int(timezone.now().timestamp()) + 86_400),
    "100 kB": lambda: signed("x" * 40, more="x" * 100_000),
    "no text at all": lambda: "....",
    # With the right key, which nobody else has: still no crash.
    "an expiry in text": lambda: signed(exp="9999999999"),
    "an expiry in Arabic digits": lambda: signed(exp="٩٩٩٩٩٩٩٩٩٩"),
    "an expiry with underscores": lambda: signed(exp="9_999_999_999"),
    "an expiry in 3 million years": lambda: signed(exp=10**14),
    "an infinite expiry": lambda: signed(exp=float("inf")),
    "an expiry that is a list": lambda: signed(exp=[1]),
    "nobody's id": lambda: signed(sub=str(uuid4())),
    "an id that is none": lambda: signed(sub="abc"),
    "an id that is a number": lambda: signed(sub=7),
    "no id": lambda: signed(sub=GONE),
    "nobody's login": lambda: signed(sid=str(uuid4())),
    "a login that is none": lambda: signed(sid="abc"),
    "a login that is a list": lambda: signed(sid=[]),
    "a login with a NUL": lambda: signed(sid="\0"),
    "no login": lambda: signed(sid=GONE),
    "no type": lambda: signed(token_type=GONE),
    "no token id": lambda: signed(jti=GONE),
}


def test_the_forger_can_make_a_good_token(carl: User) -> None:
    """Else what follows would show nothing."""
    assert check(signed()) == 200


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_no_forgery_opens(carl: User, forge: Callable[[], str]) -> None:
    assert check(forge()) == 401


@pytest.mark.parametrize(
    "changed", [{"exp": "text"}, {"exp": 10**14}, {"sid": []}, {"jti": 7}, {"jti": []}, {"sub": 1}]
)
def test_no_odd_claim_refreshes(carl: User, changed: dict[str, Any]) -> None:
    assert refresh(signed(token_type="refresh", **changed)).status_code == 401


def test_another_persons_name_in_a_token_does_not_lend_their_login(carl: User, olga: User) -> None:
    assert check(signed(sub=str(olga.pk))) == 401


def test_an_access_token_lasts_a_quarter_of_an_hour(carl: User) -> None:
    tokens = log_in()
    with time_machine.travel(timezone.localtime() + timedelta(minutes=16)):
        assert check(tokens["access"]) == 401
        assert refresh(tokens["refresh"]).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["{0}", "Basic {0}", "Token", "Token {0} {0}", "Bearer", "Bearer {0} {0}", "Bearer {0},Bearer {0}", "Bearer \xff"],
)
def test_the_header_is_as_the_standard_says_or_opens_nothing(carl: User, header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header.format(log_in()["access"]))
    assert client.get(CHECK).status_code == 401


def test_a_token_is_good_in_the_header_only(carl: User) -> None:
    token = log_in()["access"]
    client = APIClient()
    for name in ("access", "token", "jwt", "sessionid"):
        client.cookies[name] = token
    assert client.get(CHECK, {"access": token, "token": token, "jwt": token}).status_code == 401


def test_an_old_token_keeps_nobody_from_a_new_login(carl: User) -> None:
    body = {"username": "carl", "password": PASSWORD}
    assert bearer("an.old.token").post("/login/", body).status_code == 200


def test_the_tokens_key_is_their_own() -> None:
    assert settings.SECRET_KEY != KEY
    assert len(KEY.encode()) >= 32


def test_the_sessions_of_browsers_go_when_their_time_is_over(db: None) -> None:
    over, valid = SessionStore(), SessionStore()
    over.set_expiry(-1)
    for session in (over, valid):
        session.save()
    forget_old_sessions()
    assert [*Session.objects.values_list("session_key", flat=True)] == [valid.session_key]
