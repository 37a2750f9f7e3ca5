"""Every request has an id, and a line in the log."""

import io
import logging
from typing import Any, TypeAlias

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from accounts.tests.conftest import PASSWORD, log_in, make_person, post
from catalog.tests import api, pages
from config.middleware import limit_reading
from config.tests.test_answers import BROWSER, EVERYWHERE, WithFailure
from events.log import EVENTS, HEADER

ID = "0123456789abcdef"
Log: TypeAlias = pytest.LogCaptureFixture


def events(log: Log, name: str) -> list[dict[str, Any]]:
    """The fields of each event of that name."""
    return [record.__dict__["fields"] for record in log.records if (record.name, record.msg) == (EVENTS, name)]


def deny(_request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


class WithRefusal(WithFailure):
    urlpatterns = [*WithFailure.urlpatterns, path("deny/", deny, name="deny")]


@pytest.fixture
def log(caplog: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    """What is logged, as if every transaction were committed at once: a test's own never is."""
    monkeypatch.setattr("events.log.transaction.on_commit", lambda write, **_: write())
    caplog.set_level(logging.INFO)
    return caplog


@pytest.fixture
def client(db: None, settings: Any) -> Client:
    settings.ROOT_URLCONF = WithRefusal
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("address", EVERYWHERE)
@pytest.mark.parametrize("accept", [BROWSER, {}], ids=["browser", "program"])
def test_every_answer_has_the_id_of_its_request(client: Client, address: str, accept: dict[str, Any]) -> None:
    assert client.get(address, HTTP_X_REQUEST_ID=ID, **accept)[HEADER] == ID
    first, second = (client.get(address, **accept)[HEADER] for _ in range(2))
    assert first != second
    assert len(first) == 32


@pytest.mark.parametrize("address", ["/nowhere/", "/fail/", "/deny/", "/admin/%00"])
def test_a_page_about_an_error_shows_the_id(client: Client, address: str) -> None:
    page = client.get(address, HTTP_X_REQUEST_ID=ID, **BROWSER)
    assert page.status_code >= 400
    assert ID in page.content.decode() or page["Content-Type"] == "text/plain"


def test_a_form_that_is_refused_shows_the_id(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    page = strict.post("/accounts/login/", {"username": "x"}, HTTP_X_REQUEST_ID=ID, **BROWSER)
    assert page.status_code == 403
    assert ID in page.content.decode()
    assert "Load the page again" in page.content.decode()


def test_a_program_reads_the_id_of_a_failure(client: Client) -> None:
    assert client.get("/fail/", HTTP_X_REQUEST_ID=ID).json()["detail"].endswith(f"Request {ID}.")


def test_a_foreign_id_is_not_repeated(client: Client) -> None:
    answer = client.get("/nowhere/", HTTP_X_REQUEST_ID="<script>alert(1)</script>", **BROWSER)
    assert "alert" not in answer[HEADER] + answer.content.decode()


def test_a_body_that_finds_no_room_is_answered_with_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    def application(request: dict[str, Any], start_response: Any) -> list[bytes]:
        with pytest.raises(OSError, match="Too many"):
            request["wsgi.input"].read()
        start_response("408 Request Timeout", [("Content-Type", "application/json"), (HEADER, ID)])
        return []

    monkeypatch.setattr("config.middleware.MAX_BODIES", 0)
    answers: list[Any] = []
    body = {"CONTENT_LENGTH": "9", "wsgi.input": io.BytesIO(b"something")}
    limit_reading(application)(body, lambda *answer: answers.extend(answer))
    assert answers[0] == "503 Service Unavailable"
    assert dict(answers[1])[HEADER] == ID


# --- lines --------------------------------------------------------------------------------------------
def test_a_request_is_logged_without_what_it_asks_for(client: Client, log: Log) -> None:
    client.get("/nowhere/?key=canary")
    (line,) = events(log, "request")
    assert line.pop("seconds") < 60
    assert len(line.pop("request_id")) == 32
    assert line == {"address": "127.0.0.1", "method": "GET", "path": "/nowhere/", "status": 404}


def test_a_token_in_an_address_is_not_logged(client: Client, log: Log) -> None:
    client.get("/mail/stop/?token=canary-token")
    assert events(log, "request")[0]["path"] == "/mail/stop/"
    assert "canary" not in log.text + str([record.__dict__.get("fields") for record in log.records])


def test_a_request_is_logged_with_who_sent_it(client: Client, log: Log) -> None:
    carl, staff = make_person("carl"), pages.browser("bob")
    api.client(carl).get("/user/")
    staff.get("/admin/")
    client.get("/health-check/")
    assert [line.get("account") for line in events(log, "request")] == ["carl", "bob", None]


def test_nobody_is_looked_up_for_the_log(client: Client, log: Log, django_assert_num_queries: Any) -> None:
    browser = pages.browser("bob")
    with django_assert_num_queries(0):
        browser.get("/health-check/")


def test_the_address_is_the_one_that_the_outermost_proxy_saw(client: Client, log: Log, settings: Any) -> None:
    for proxies, seen in ((0, "127.0.0.1"), (1, "2001:db8::7"), (2, "192.0.2.1")):
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
        log.clear()
        client.get("/health-check/", HTTP_X_FORWARDED_FOR="203.0.113.9, 192.0.2.1, 2001:db8::7")
        assert events(log, "request")[0]["address"] == seen


@pytest.mark.parametrize(
    ("address", "view", "account"),
    [("/deny/", "deny", None), ("/admin/catalog/feed/add/", "admin:catalog_feed_add", "bob")],
)
def test_a_refusal_names_what_and_who(client: Client, log: Log, address: str, view: str, account: str | None) -> None:
    browser = pages.browser("bob")
    browser.get(address)
    (line,) = events(log, "permission_refused")
    assert (line["view"], line["method"], line.get("account")) == (view, "GET", account)


def test_what_the_api_refuses_is_logged_too(client: Client, log: Log) -> None:
    answer = api.upload(api.client(make_person("carl")), b"<a/>", feed="outlet")
    assert answer.status_code == 403
    (line,) = events(log, "permission_refused")
    assert (line["view"], line["method"], line["account"]) == ("upload-products", "POST", "carl")


# --- logging in ---------------------------------------------------------------------------------------
def log_in_here(client: Client, username: str, password: str = PASSWORD) -> Any:
    return client.post("/accounts/login/", {"username": username, "password": password})


def test_a_login_is_logged_and_through_what(client: Client, log: Log) -> None:
    make_person("vera", is_staff=True)
    log_in("vera@example.com")
    log_in_here(client, "VERA")
    assert [(line["account"], line["to"]) for line in events(log, "login")] == [("vera", "api"), ("vera", "browser")]
    assert events(log, "login_refused") == []


def test_a_refused_login_says_why_and_never_what_was_typed(client: Client, log: Log, settings: Any) -> None:
    make_person("carl")
    make_person("gone", is_active=False)
    for username, password in (("carl", "canary"), ("gone", PASSWORD), ("canary", PASSWORD)):
        assert post("/login/", {"username": username, "password": password}).status_code == 401
    assert [(line.get("account"), line["reason"]) for line in events(log, "login_refused")] == [
        ("carl", "wrong_password"),
        ("gone", "deactivated"),
        (None, "unknown"),
    ]
    assert "canary" not in str([record.__dict__.get("fields") for record in log.records])


def test_too_many_tries_are_logged(client: Client, log: Log) -> None:
    for _ in range(6):
        post("/login/", {"username": "carl", "password": "wrong"})
    assert [line["reason"] for line in events(log, "login_refused")] == [*["unknown"] * 5, "too_many_tries"]


def test_who_has_not_confirmed_their_address_is_logged(client: Client, log: Log, settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    person = {"username": "dora", "email": "dora@example.com", "password": PASSWORD}
    assert post("/signup/", person).status_code == 201
    assert post("/login/", {"username": "dora", "password": PASSWORD}).status_code == 401
    assert [line["account"] for line in events(log, "signup")] == ["dora"]
    (line,) = events(log, "login_refused")
    assert (line["account"], line["reason"]) == ("dora", "unconfirmed")
