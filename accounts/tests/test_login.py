"""The door: one page for staff and others, to which the admin's own login leads."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.tests.conftest import PASSWORD, logged_in

LOGIN = reverse("account_login")
REFUSED = "The username, e-mail address or password is wrong, or this account may not log in here."
ELSEWHERE = [
    "//evil.test",
    "https://evil.test/",
    "https:evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "javascript:alert(1)",
]


def log_in(username: str, password: str = PASSWORD, **more: str) -> Any:
    return Client().post(LOGIN, {"username": username, "password": password, **more})


@pytest.mark.parametrize("typed", ["vera", "VERA", "vera@example.com", "Vera@Example.COM"])
def test_one_logs_in_by_username_or_email_in_any_case(vera: User, typed: str) -> None:
    response = log_in(typed)
    assert response.status_code == 302
    assert response["Location"] == reverse("admin:index")


def test_every_refusal_reads_the_same(vera: User, carl: User) -> None:
    """Unknown, wrong, deactivated: nobody learns which accounts exist."""
    User.objects.filter(pk=vera.pk).update(is_active=False)
    for username, password in [("nobody", PASSWORD), ("carl", "wrong"), ("vera", PASSWORD)]:
        response = log_in(username, password)
        assert response.status_code == 200
        assert REFUSED in response.content.decode()


def test_the_form_says_what_may_be_typed(db: None) -> None:
    assert "Username or e-mail address" in Client().get(LOGIN).content.decode()


def test_a_nul_character_is_refused_like_any_other_wrong_name(db: None) -> None:
    assert log_in("ve\x00ra").status_code == 200


@pytest.mark.parametrize("target", ELSEWHERE)
def test_login_sends_nobody_elsewhere(vera: User, target: str) -> None:
    assert log_in("vera", next=target)["Location"] == reverse("admin:index")


@pytest.mark.parametrize("target", ELSEWHERE)
def test_logout_sends_nobody_elsewhere(vera: User, target: str) -> None:
    response = logged_in(vera).post(reverse("admin:logout"), {"next": target})
    assert "evil" not in response.get("Location", "")
    assert "alert" not in response.get("Location", "")


def test_logging_in_needs_the_token_of_the_form(vera: User) -> None:
    response = Client(enforce_csrf_checks=True).post(LOGIN, {"username": "vera", "password": PASSWORD})
    assert response.status_code == 403
