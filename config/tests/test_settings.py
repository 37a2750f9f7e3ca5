"""What the settings promise, and what production insists on."""

import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.environment import checked_ports
from config.settings import base, local
from devservers import BASE_DIR

PRODUCTION = {
    "DJANGO_SECRET_KEY": "a long secret key for the tests of production, and for nothing else",
    "JWT_SIGNING_KEY": "another long key for the tests of production, and for nothing else",
    "DJANGO_ALLOWED_HOSTS": "catalogue.example.com",
    "SITE_URL": "https://catalogue.example.com",
    "DATABASE_URL": "postgresql://nobody@localhost/none",
    "REDIS_URL": "redis://localhost",
    "EMAIL_URL": "smtp://localhost",
    "DEFAULT_FROM_EMAIL": "catalogue@example.com",
    "ACCOUNT_SIGNUP_OPEN": "0",
    "API_UPLOAD_REVIEW": "1",
    "PROXY_COUNT": "1",
}
SHOW = (
    "from config.settings import production as p; print(p.REST_FRAMEWORK['NUM_PROXIES'], p.SIMPLE_JWT['SIGNING_KEY'])"
)


def start(*command: str, **changed: str | None) -> subprocess.CompletedProcess[str]:
    """Production's settings, or a command with them, in this environment; None leaves a variable out."""
    given = {"PATH": os.environ["PATH"], **PRODUCTION, **changed}
    environment = {name: value for name, value in given.items() if value is not None}
    return subprocess.run(
        [sys.executable, *(command or ("-c", SHOW))], cwd=BASE_DIR, env=environment, capture_output=True, text=True
    )


def refusal(**changed: str | None) -> str:
    """The sentence with which production refuses to start."""
    refused = start(**changed)
    assert refused.returncode == 1, refused.stdout
    return refused.stderr.splitlines()[-1]


def test_production_starts_with_keys_of_its_own_behind_one_proxy() -> None:
    assert start().stdout.split(maxsplit=1) == ["1", PRODUCTION["JWT_SIGNING_KEY"] + "\n"]


def test_production_leaves_django_nothing_to_warn_of() -> None:
    """Hosts, TLS for pages and cookies, and how long browsers insist on it, among others."""
    checked = start(
        "manage.py", "check", "--deploy", "--fail-level", "WARNING", "--settings", "config.settings.production"
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("module", ["config.wsgi", "config.celery"])
def test_production_loads_what_its_processes_start_with(module: str) -> None:
    """In a process of its own: nothing has loaded Django's models before."""
    started = start("-c", f"import {module}")
    assert started.returncode == 0, started.stderr


@pytest.mark.parametrize(
    ("count", "said"), [(None, "Set PROXY_COUNT in the environment"), ("-1", "must be a whole number")]
)
def test_production_does_not_guess_how_many_proxies_there_are(count: str | None, said: str) -> None:
    """A wrong guess lets clients choose the address that their tries are counted by."""
    assert said in refusal(PROXY_COUNT=count)


WEAK = [
    "",
    "short",
    "x" * 60,
    "0123456789" * 6,
    "0123456789abc" * 5,
    "django-insecure-" + "abcdefghijklmnopqrstuvwxyz" * 2,
    local.SECRET_KEY,
]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("JWT_SIGNING_KEY", PRODUCTION["DJANGO_SECRET_KEY"]),
        ("JWT_SIGNING_KEY", local.SIMPLE_JWT["SIGNING_KEY"]),
        *((name, key) for name in ("JWT_SIGNING_KEY", "DJANGO_SECRET_KEY") for key in WEAK),
    ],
)
def test_production_refuses_a_weak_or_borrowed_key(name: str, key: str) -> None:
    assert name in refusal(**{name: key})


@pytest.mark.parametrize(
    "hosts", ["*", "catalogue.example.com,*", "*.example.com", ",", " ", ".com", ".", "..", "a.example.com,.example"]
)
def test_production_refuses_to_answer_to_every_host(hosts: str) -> None:
    assert "DJANGO_ALLOWED_HOSTS" in refusal(DJANGO_ALLOWED_HOSTS=hosts)


@pytest.mark.parametrize("origins", ["https://*", "*", "https://*.com", "https://a.*", "catalogue.example.com"])
def test_production_refuses_forms_of_every_site(origins: str) -> None:
    assert "DJANGO_CSRF_TRUSTED_ORIGINS must name each origin" in refusal(DJANGO_CSRF_TRUSTED_ORIGINS=origins)


def test_production_takes_forms_of_named_sites() -> None:
    named = "https://catalogue.example.com,https://*.example.org"
    assert start(DJANGO_CSRF_TRUSTED_ORIGINS=named).returncode == 0


@pytest.mark.parametrize(
    ("name", "address"),
    [
        *(("SITE_URL", address) for address in ("nonsense", "catalogue.example.com", "ftp://example.com", "https://")),
        *(("REDIS_URL", address) for address in ("nonsense", "http://valkey", "redis://", "redis:/")),
        *(("DATABASE_URL", address) for address in ("nonsense", "mysql://x:canary@y/z", "sqlite:///x.db")),
    ],
)
def test_production_refuses_what_is_no_such_address(name: str, address: str) -> None:
    said = refusal(**{name: address})
    assert f"{name} must be an address that begins with" in said
    assert "canary" not in said


@pytest.mark.parametrize("name", ["ACCOUNT_SIGNUP_OPEN", "API_UPLOAD_REVIEW"])
def test_production_does_not_guess_what_strangers_may_do(name: str) -> None:
    assert f"Set {name} in the environment" in refusal(**{name: None})


@pytest.mark.parametrize("name", ["ACCOUNT_SIGNUP_OPEN", "API_UPLOAD_REVIEW", "DJANGO_SSL_REDIRECT"])
def test_a_misspelt_yes_is_not_taken_for_a_no(name: str) -> None:
    assert f"{name} must be 1 or 0" in refusal(**{name: "ture"})


@pytest.mark.parametrize("value", ["0", "-5", "1e6", "many", "٣"])
@pytest.mark.parametrize("name", ["FEED_MAX_BYTES", "IMPORT_MAX_SECONDS", "FEED_MAX_RATIO"])
def test_a_limit_that_limits_nothing_stops_the_start(name: str, value: str) -> None:
    assert f"{name} must be a whole number of 1 or more" in refusal(**{name: value})


PORTS = {"": [], "8081": [8081], " 8081, 9000 ,": [8081, 9000], "1,65535": [1, 65535]}


@pytest.mark.parametrize(("given", "used"), PORTS.items())
def test_ports_of_the_house_are_listed_with_commas(given: str, used: list[int]) -> None:
    assert checked_ports(given) == used


@pytest.mark.parametrize("given", ["http", "0", "65536", "-1", "80-90", "80;90", "8081 9000", "٣", "1e3"])
def test_what_is_no_list_of_ports_stops_the_start(given: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="FETCH_PORTS must list ports"):
        checked_ports(given)


def test_production_reads_what_feeds_may_be_fetched_from() -> None:
    show = "from config.settings import production as p; print(p.FETCH_PORTS, p.FETCH_ALLOW)"
    said = start("-c", show, FETCH_PORTS="8081,9000", FETCH_ALLOW="10.1.0.0/16").stdout
    assert said.split() == ["[8081,", "9000]", "10.1.0.0/16"]
    assert "FETCH_PORTS must list ports" in refusal(FETCH_PORTS="http")
    assert "FETCH_ALLOW must list networks" in refusal(FETCH_ALLOW="10.1.0.0/99")


@pytest.mark.parametrize(("given", "used"), [(None, "mandatory"), ("", "mandatory"), ("none", "none")])
def test_in_production_sign_up_does_not_say_which_addresses_are_known(given: str | None, used: str) -> None:
    show = "from config.settings import production as p; print(p.ACCOUNT_EMAIL_VERIFICATION)"
    assert start("-c", show, ACCOUNT_EMAIL_VERIFICATION=given).stdout.strip() == used


def test_a_checkout_takes_strangers_and_applies_what_they_add() -> None:
    show = "from config.settings import local as s; print(s.ACCOUNT_SIGNUP_OPEN, s.API_UPLOAD_REVIEW)"
    assert start("-c", show, ACCOUNT_SIGNUP_OPEN=None, API_UPLOAD_REVIEW=None).stdout.split() == ["True", "False"]


def test_a_refusal_never_shows_the_value() -> None:
    assert "short" not in start(JWT_SIGNING_KEY="short").stderr


def test_an_unknown_kind_of_verification_stops_the_start() -> None:
    assert "none, optional or mandatory" in refusal(ACCOUNT_EMAIL_VERIFICATION="sometimes")


def test_every_process_counts_tries_in_the_same_place() -> None:
    assert base.CACHES["default"]["BACKEND"].endswith("RedisCache")


def test_tokens_never_travel_in_cookies() -> None:
    assert not {"JWT_AUTH_COOKIE", "JWT_AUTH_REFRESH_COOKIE"} & base.REST_AUTH.keys()
    assert base.REST_AUTH["SESSION_LOGIN"] is False


def test_no_page_of_another_site_calls_the_api_unless_it_is_named() -> None:
    assert base.CORS_ALLOWED_ORIGINS == []
    assert not hasattr(base, "CORS_ALLOW_CREDENTIALS")
