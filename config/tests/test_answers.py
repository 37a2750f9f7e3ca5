"""What every answer has, whatever was asked: headers, errors in words, and nothing that should stay inside."""

import logging
import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from catalog.tests.pages import heading, staff, texts, tree
from config import urls
from config.middleware import DATA, PAGES
from config.problems import PROBLEM
from config.tests.problems import said

BROWSER: dict[str, Any] = {"HTTP_ACCEPT": "text/html,application/xhtml+xml"}


def fail(_request: HttpRequest) -> HttpResponse:
    password = "the password in a local variable"  # noqa: F841
    raise RuntimeError("the reason, with the secret key")


class WithFailure:
    urlpatterns = [*urls.urlpatterns, path("fail/", fail)]
    handler400, handler403 = urls.handler400, urls.handler403
    handler404, handler500 = urls.handler404, urls.handler500


@pytest.fixture
def client(db: None, settings: Any) -> Client:
    settings.ROOT_URLCONF = WithFailure
    return Client(raise_request_exception=False)


EVERYWHERE = [
    "/accounts/login/",
    "/docs/",
    "/schema/",
    "/nowhere/",
    "/fail/",
    "/login/",
    "/health-check/",
    "/%00",
    "/user/",
]


@pytest.mark.parametrize("address", EVERYWHERE)
@pytest.mark.parametrize("accept", [BROWSER, {}], ids=["browser", "program"])
def test_every_answer_has_the_headers_that_protect_it(client: Client, address: str, accept: dict[str, Any]) -> None:
    answer = client.get(address, **accept)
    assert answer["Content-Security-Policy"] in (PAGES, DATA)
    assert (answer["Content-Security-Policy"] == PAGES) == answer["Content-Type"].startswith("text/html")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize("address", EVERYWHERE)
def test_over_tls_browsers_are_told_to_stay_with_it(client: Client, settings: Any, address: str) -> None:
    settings.SECURE_HSTS_SECONDS = 31_536_000
    assert (
        "max-age=31536000"
        in Client(raise_request_exception=False).get(address, secure=True)["Strict-Transport-Security"]
    )


def test_scripts_come_from_us_and_nowhere_else() -> None:
    assert "script-src 'self' 'unsafe-eval';" in PAGES
    assert "frame-ancestors 'none'" in PAGES


@pytest.mark.parametrize(("address", "status"), [("/nowhere/", 404), ("/fail/", 500)])
def test_a_program_is_told_in_json_and_a_browser_on_a_page(client: Client, address: str, status: int) -> None:
    for_programs, page = client.get(address), client.get(address, **BROWSER)
    assert (for_programs.status_code, page.status_code) == (status, status)
    assert said(for_programs).keys() == {"detail"}
    assert b"<h1>" in page.content


# Where an error of Django's own would be a page, or the framework's, or nothing at all.
PROBLEMS = [
    ("get", "/nowhere/", 404, "not_found"),
    ("post", "/nowhere/", 404, "not_found"),
    ("post", "/login", 404, "not_found"),
    ("put", "/list-products", 404, "not_found"),
    ("post", "/health-check/", 405, "method_not_allowed"),
    ("delete", "/health-check/ready/", 405, "method_not_allowed"),
    ("put", "/login/", 405, "method_not_allowed"),
    ("post", "/docs/", 405, "method_not_allowed"),
    ("options", "/docs/", 405, "method_not_allowed"),
    ("get", "/fail/", 500, "server_error"),
    ("get", "/user/", 401, "not_authenticated"),
    ("get", "/%00", 400, "nul_in_address"),
    ("get", "/list-products/?" + "brand=a&" * 1001, 400, "too_many_parameters"),
    ("get", "/product-detail/?id=%00", 400, "nul_in_address"),
    ("get", "/list-products?page=0", 301, ""),
]


@pytest.mark.parametrize("is_checkout", [False, True], ids=["production", "checkout"])
@pytest.mark.parametrize(("method", "address", "status", "code"), PROBLEMS)
@pytest.mark.usefixtures("client")
def test_a_program_never_gets_a_page(
    settings: Any, is_checkout: bool, method: str, address: str, status: int, code: str
) -> None:
    settings.DEBUG = is_checkout
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    answer = getattr(client, method)(address)
    assert answer.status_code == status
    assert "html" not in answer.get("Content-Type", "")
    if code:
        said(answer)
        assert answer.json()["code"] == code
        named = getattr(client, method)(address, HTTP_ACCEPT="application/problem+json")
        assert (named.status_code, named["Content-Type"]) == (status, PROBLEM)
        assert named.json().keys() == answer.json().keys()


def test_an_address_without_its_slash_says_so_where_something_is_sent(client: Client) -> None:
    assert "/login/ with a slash" in client.post("/login").json()["detail"]
    assert client.get("/list-products?brand=Noor")["Location"] == "/list-products/?brand=Noor"


def test_a_call_that_is_not_allowed_says_which_are(client: Client) -> None:
    assert client.post("/health-check/")["Allow"] == "GET, HEAD"


def test_in_a_checkout_a_browser_still_gets_the_page_for_developers(client: Client, settings: Any) -> None:
    settings.DEBUG = True
    assert b"Traceback" in client.get("/fail/", **BROWSER).content


def test_a_form_without_its_token_is_a_problem_for_programs() -> None:
    answer = Client(enforce_csrf_checks=True).post("/admin/login/")
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        ("/admin/nowhere/", 404, "The address may be mistyped"),
        ("/admin/catalog/importrun/999/live/", 404, "The address may be mistyped"),
        ("/admin/accounts/user/", 403, "You may not do this."),
    ],
)
def test_in_the_admin_an_error_has_its_navigation_and_the_way_back(
    client: Client, address: str, status: int, sentence: str
) -> None:
    client.force_login(staff("bob"))
    page = client.get(address, HTTP_REFERER="http://testserver/admin/catalog/product/?q=silk", **BROWSER)
    assert page.status_code == status
    assert heading(page).startswith(sentence)
    links = tree(page).xpath("//main//a/@href|//div[@class='actions']//a/@href")
    assert "http://testserver/admin/catalog/product/?q=silk" in links
    assert "/admin/" in links
    assert texts(page, "//*[@id='nav-sidebar-apps']//a")
    elsewhere = client.get(address, HTTP_REFERER="https://evil.example/", **BROWSER)
    assert "evil.example" not in elsewhere.content.decode()
    assert said(client.get(address)).keys() == {"detail"}


def test_strangers_see_nothing_of_the_admin_in_an_error(client: Client) -> None:
    page = client.get("/admin/catalog/importrun/999/live/", **BROWSER)
    assert page.status_code == 302
    page = client.get("/nowhere/", **BROWSER)
    assert not tree(page).xpath("//*[@id='nav-sidebar-apps']")


@pytest.mark.django_db
def test_a_form_that_is_too_old_says_so_in_the_admin() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff("alice"))
    page = client.post("/admin/catalog/importrun/1/confirm/", **BROWSER)
    assert page.status_code == 403
    assert heading(page).startswith("This form is too old")


def test_no_page_offers_a_site_that_is_only_the_admin_again(client: Client) -> None:
    client.force_login(staff("alice"))
    for address in ("/admin/", "/admin/password_change/"):
        assert "View site" not in client.get(address).content.decode()
    assert "Return to site" not in Client().get("/admin/login/").content.decode()


@pytest.mark.parametrize("is_checkout", [False, True], ids=["production", "checkout"])
def test_an_unknown_host_is_refused_in_the_same_shape(client: Client, settings: Any, is_checkout: bool) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = is_checkout, ["testserver"]
    answer = client.get("/user/", HTTP_HOST="evil.example")
    assert answer.status_code == 400
    assert said(answer) == {"detail": "The request cannot be read."}


@pytest.mark.parametrize("accept", [BROWSER, {}], ids=["browser", "program"])
def test_an_error_shows_nothing_from_inside(client: Client, accept: dict[str, Any]) -> None:
    text = client.get("/fail/", **accept).content.decode()
    for secret in (
        "the reason",
        "local variable",
        "Traceback",
        settings.SECRET_KEY,
        settings.SIMPLE_JWT["SIGNING_KEY"],
    ):
        assert str(secret) not in text


def test_the_description_of_the_api_holds_no_secret(client: Client) -> None:
    text = client.get("/schema/").content.decode() + client.get("/docs/").content.decode()
    for secret in (settings.SECRET_KEY, settings.SIMPLE_JWT["SIGNING_KEY"], str(settings.BASE_DIR)):
        assert str(secret) not in text


def test_no_password_and_no_token_is_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for address in ("/login/", "/signup/", "/token/refresh/", "/password/reset/confirm/", "/fail/"):
        body = {"username": "carl", "password": "canary-password", "refresh": "canary.refresh.token"}
        client.post(address, body, content_type="application/json", headers={"Authorization": "Bearer canary.access"})
    assert "canary" not in caplog.text


# --- pages of other sites -----------------------------------------------------------------------------
SHOP = "https://shop.example.com"


def preflight(client: Client, origin: str, address: str = "/user/") -> HttpResponse:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    return client.options(address, headers=headers)  # type: ignore[return-value]


def test_no_other_site_reads_our_answers(client: Client) -> None:
    for origin in (SHOP, "null", "https://evil.example"):
        assert not [name for name in preflight(client, origin).headers if name.lower().startswith("access-control")]


def test_a_site_that_is_named_reads_the_apis_answers_and_no_other_does(client: Client, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [SHOP]
    allowed = preflight(client, SHOP)
    assert allowed["Access-Control-Allow-Origin"] == SHOP
    assert "authorization" in allowed["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in allowed
    for origin in ("null", "https://evil.example", f"{SHOP}.evil.example", "http://shop.example.com"):
        assert "Access-Control-Allow-Origin" not in preflight(client, origin)
    assert "Access-Control-Allow-Origin" not in preflight(client, SHOP, "/accounts/login/")


# --- the API's page -----------------------------------------------------------------------------------
def test_the_apis_page_loads_nothing_from_another_site(client: Client) -> None:
    page = client.get("/docs/").content.decode()
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(loaded) == 5
    for address in loaded:
        if address.startswith("/static/"):
            assert finders.find(address.removeprefix("/static/")), address
        else:
            assert address == "/docs/?script="


def test_the_apis_page_keeps_the_policy_and_shows_our_schema(client: Client) -> None:
    page, script = client.get("/docs/").content.decode(), client.get("/docs/?script=")
    assert all(tag.endswith("></script>") for tag in re.findall(r"<script.*", page)), "an inline script is refused"
    assert script["Content-Type"].startswith("application/javascript")
    assert 'url: "/schema/"' in script.content.decode()
    assert '"validatorUrl": null' in script.content.decode(), "else another site is asked to check the schema"


def test_the_description_of_the_api_has_no_warning() -> None:
    from django.core.management import call_command

    call_command("spectacular", validate=True, fail_on_warn=True, file="/dev/null")
