"""What the settings promise, and what production insists on."""

import os
import subprocess
import sys

import pytest

from config.settings import base
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


def test_production_starts_with_keys_of_its_own_behind_one_proxy() -> None:
    assert start().stdout.split(maxsplit=1) == ["1", PRODUCTION["JWT_SIGNING_KEY"] + "\n"]


def test_production_leaves_django_nothing_to_warn_of() -> None:
    """Hosts, TLS for pages and cookies, and how long browsers insist on it, among others."""
    checked = start(
        "manage.py", "check", "--deploy", "--fail-level", "WARNING", "--settings", "config.settings.production"
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(("count", "said"), [(None, "Set PROXY_COUNT in the environment"), ("-1", "must be 0 or more")])
def test_production_does_not_guess_how_many_proxies_there_are(count: str | None, said: str) -> None:
    """A wrong guess lets clients choose the address that their tries are counted by."""
    refused = start(PROXY_COUNT=count)
    assert refused.returncode == 1
    assert said in refused.stderr.splitlines()[-1]


@pytest.mark.parametrize("key", ["", "short", PRODUCTION["DJANGO_SECRET_KEY"]])
def test_production_refuses_a_weak_or_borrowed_key_for_tokens(key: str) -> None:
    refused = start(JWT_SIGNING_KEY=key)
    assert refused.returncode == 1
    assert "JWT_SIGNING_KEY" in refused.stderr.splitlines()[-1]


def test_a_refusal_never_shows_the_value() -> None:
    assert "short" not in start(JWT_SIGNING_KEY="short").stderr


def test_an_unknown_kind_of_verification_stops_the_start() -> None:
    refused = start(ACCOUNT_EMAIL_VERIFICATION="sometimes")
    assert "none, optional or mandatory" in refused.stderr.splitlines()[-1]


def test_every_process_counts_tries_in_the_same_place() -> None:
    assert base.CACHES["default"]["BACKEND"].endswith("RedisCache")


def test_tokens_never_travel_in_cookies() -> None:
    assert not {"JWT_AUTH_COOKIE", "JWT_AUTH_REFRESH_COOKIE"} & base.REST_AUTH.keys()
    assert base.REST_AUTH["SESSION_LOGIN"] is False


def test_no_page_of_another_site_calls_the_api_unless_it_is_named() -> None:
    assert base.CORS_ALLOWED_ORIGINS == []
    assert not hasattr(base, "CORS_ALLOW_CREDENTIALS")
