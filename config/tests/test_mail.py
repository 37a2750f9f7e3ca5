"""What EMAIL_URL may say, and what a checkout does without it."""

import os
import subprocess
import sys
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

import devservers
from config import celery_app
from config.mail import checked_sender, mail_settings
from config.management.commands import dev
from config.management.commands.dev import where_mail_goes

SMTP = "django.core.mail.backends.smtp.EmailBackend"


def server(host: str, port: int, user: str = "", password: str = "", *, tls: bool = False, ssl: bool = False) -> Any:
    return {
        "EMAIL_BACKEND": SMTP,
        "EMAIL_HOST": host,
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": user,
        "EMAIL_HOST_PASSWORD": password,
        "EMAIL_USE_TLS": tls,
        "EMAIL_USE_SSL": ssl,
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://localhost", server("localhost", 25)),
        ("smtp://[::1]:2525", server("::1", 2525)),
        (
            "smtp+tls://shop%40example.com:p%2Fw%3A@mail.example.com",
            server("mail.example.com", 587, "shop@example.com", "p/w:", tls=True),
        ),
        ("smtps://shop:pw@mail.example.com:4650", server("mail.example.com", 4650, "shop", "pw", ssl=True)),
        ("console:", {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}),
        (
            "file:///a%20folder/mail",
            {"EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend", "EMAIL_FILE_PATH": "/a folder/mail"},
        ),
    ],
)
def test_an_address_says_where_mail_goes(url: str, expected: Any) -> None:
    assert mail_settings(url) == expected


@pytest.mark.parametrize(
    "url", ["mail.example.com", "smtp://", "smtp://host:pw", "http://secret:pw@host", "file:", "smtp://[host"]
)
def test_an_address_that_is_none_stops_the_start_and_shows_no_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL") as refused:
        mail_settings(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("value", ["catalogue@example.com", "Our Catalogue <catalogue@example.com>"])
def test_mails_come_from_an_address(value: str) -> None:
    assert checked_sender(value) == value


@pytest.mark.parametrize("value", ["catalogue", "Our Catalogue", "<>"])
def test_a_sender_that_is_no_address_stops_the_start(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DEFAULT_FROM_EMAIL is not an address"):
        checked_sender(value)


def test_mails_of_a_checkout_stay_on_the_machine() -> None:
    taken = {name: value for name, value in os.environ.items() if name not in ("EMAIL_URL", "DJANGO_SETTINGS_MODULE")}
    asked = "from config.settings import local; print(local.EMAIL_BACKEND, local.EMAIL_FILE_PATH, local.EMAIL_TIMEOUT)"
    done = subprocess.run(
        [sys.executable, "-c", asked], check=True, cwd=devservers.BASE_DIR, env=taken, capture_output=True, text=True
    )
    assert done.stdout.split() == [
        "django.core.mail.backends.filebased.EmailBackend",
        str(devservers.STATE / "mail"),
        "10",
    ]


@pytest.mark.parametrize("missing", ["EMAIL_URL", "DEFAULT_FROM_EMAIL"])
def test_production_does_not_start_without_a_mail_server(missing: str) -> None:
    names = "DJANGO_SECRET_KEY JWT_SIGNING_KEY DJANGO_ALLOWED_HOSTS SITE_URL".split()
    given = dict.fromkeys(names, "x" * 40) | {
        "DATABASE_URL": "postgresql://a/b",
        "REDIS_URL": "redis://a",
        "EMAIL_URL": "smtp://a",
        "DEFAULT_FROM_EMAIL": "a@example.com",
        "PROXY_COUNT": "1",
        missing: "",
    }
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings.production"],
        check=False,
        cwd=devservers.BASE_DIR,
        env=os.environ | given,
        capture_output=True,
        text=True,
    )
    assert f"Set {missing} in the environment" in done.stderr


def test_make_run_says_where_mail_goes(settings: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "mail.example.com", 587
    assert where_mail_goes() == "Mail is sent to mail.example.com:587"
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "…filebased.EmailBackend", "/x/mail"
    assert where_mail_goes() == "Mail stays on this machine: read it in the admin under Messages, as files in /x/mail"


def test_mail_has_a_queue_that_only_its_own_worker_serves() -> None:
    assert celery_app.amqp.router.route({}, "notifications.deliver")["queue"].name == "mail"
    workers = {name: command for name, command in dev.process_commands(8000).items() if "worker" in command}
    assert {name for name, command in workers.items() if "--queues=mail" in command} == {"mail"}
    composed = (devservers.BASE_DIR / "docker-compose.yml").read_text()
    assert f"[celery, -A, config, --quiet, worker, {', '.join(dev.MAIL_WORKER)}, " in composed
