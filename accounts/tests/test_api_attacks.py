"""Every call about accounts, with what nobody means."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver

from accounts.api.urls import urlpatterns
from accounts.models import User
from accounts.tests.conftest import bearer, log_in

PATHS = {f"/{pattern.pattern}": pattern.callback.cls for pattern in urlpatterns}
CONTRACT = {
    "/signup/": {"POST"},
    "/signup/verify-email/": {"POST"},
    "/signup/resend-email/": {"POST"},
    "/login/": {"POST"},
    "/login/second-factor/": {"POST"},
    "/logout/": {"POST"},
    "/auth-protected-check/": {"GET", "HEAD"},
    "/token/refresh/": {"POST"},
    "/password/reset/": {"POST"},
    "/password/reset/confirm/": {"POST"},
    "/password/change/": {"POST"},
    "/user/": {"GET", "HEAD", "PATCH"},
}
OPEN = {path for path, view in PATHS.items() if view.authentication_classes == ()}
FIELDS = """username email password first_name last_name refresh key uid token old_password new_password1
new_password2""".split()
VALUES: list[Any] = [
    {"a": 1},
    [],
    [None],
    1,
    10**400,
    True,
    None,
    "",
    "\0",
    "\ud800",
    "\u202e\ufffe",
    "\0@example.com",
    "a@\u202e.com",
    "x" * 100_000,
]
NO_OBJECTS = ["", "{", "[]", "[[]]", "null", "true", "0", "1e999", "NaN", '"text"', '"\\ud800"', '{"a":' * 50_000]
BODIES = [*NO_OBJECTS, *(json.dumps(dict.fromkeys(FIELDS, value)) for value in VALUES)]


def send(path: str, method: str, body: str, client: Any = None, content_type: str = "application/json") -> Any:
    return (client or Client()).generic(method, path, body, content_type=content_type)


@pytest.fixture
def insider(carl: User) -> Any:
    return bearer(log_in()["access"])


def test_the_paths_are_those_of_the_contract() -> None:
    assert set(PATHS) == set(CONTRACT)


@pytest.mark.parametrize("path", CONTRACT)
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_no_body_is_an_error_of_ours(insider: Any, path: str, body: str) -> None:
    for method in CONTRACT[path] - {"HEAD"}:
        answer = send(path, method, body, insider)
        assert answer.status_code < 500, answer.content
        assert answer["Content-Type"] == "application/json"
        assert isinstance(answer.json(), dict)


@pytest.mark.parametrize("charset", ["zlib", "hex", "rot13", "utf-16", "nonsense", "utf-8; charset=zlib"])
def test_no_charset_is_an_error_of_ours(insider: Any, charset: str) -> None:
    for path in CONTRACT:
        answer = send(path, "POST", "{}", insider, f"application/json; charset={charset}")
        assert answer.status_code < 500


@pytest.mark.parametrize("path", CONTRACT)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_not_allowed(insider: Any, path: str, method: str) -> None:
    if method not in CONTRACT[path]:
        answer = send(path, method, "", insider)
        assert answer.status_code == 405
        assert set(answer["Allow"].split(", ")) == CONTRACT[path] | {"OPTIONS"}


@pytest.mark.parametrize("path", CONTRACT)
def test_a_method_in_a_header_or_a_field_is_not_one(insider: Any, path: str) -> None:
    answer = insider.get(path, {"_method": "PATCH"}, HTTP_X_HTTP_METHOD_OVERRIDE="PATCH")
    assert answer.status_code == (200 if "GET" in CONTRACT[path] else 405)


@pytest.mark.parametrize("path", sorted(set(CONTRACT) - OPEN))
def test_what_is_not_open_asks_for_a_token_first(db: None, path: str) -> None:
    for method in CONTRACT[path]:
        assert send(path, method, "{").status_code == 401


def test_what_is_open_is_what_strangers_need() -> None:
    assert {
        "/signup/",
        "/signup/verify-email/",
        "/signup/resend-email/",
        "/login/",
        "/login/second-factor/",
        "/token/refresh/",
        "/password/reset/",
        "/password/reset/confirm/",
    } == OPEN


@pytest.mark.parametrize("path", CONTRACT)
def test_nobody_gets_html(insider: Any, path: str) -> None:
    answer = insider.get(path, HTTP_ACCEPT="text/html")
    assert "html" not in answer.get("Content-Type", "")


def test_nothing_of_the_packages_own_calls_is_mounted() -> None:
    mounted = "".join(str(pattern.pattern) for pattern in get_resolver().url_patterns)
    for name in ("registration", "social", "token/verify", "api-auth"):
        assert name not in mounted
