"""What every test of messages starts from: Alice and Bob can be told of something, in the words of `greeting`."""

import copy
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db.models import F

from notifications.models import Message, Outage
from notifications.outbox import tell
from notifications.tests.postoffice import PostOffice


@pytest.fixture(autouse=True)
def greeting(settings: Any) -> None:
    """The e-mail `greeting`, whose words are these tests' own."""
    templates = copy.deepcopy(settings.TEMPLATES)
    templates[0]["DIRS"].append(Path(__file__).parent / "templates")
    settings.TEMPLATES = templates


@pytest.fixture
def alice(db: None) -> AbstractUser:
    return get_user_model().objects.create_user("alice", "alice@example.com")


@pytest.fixture
def bob(db: None) -> AbstractUser:
    return get_user_model().objects.create_user("bob", "bob@example.com")


@pytest.fixture
def told(db: None) -> Callable[..., Message]:
    """Tell somebody something: `told(alice, "A dress came in")`."""

    def tell_one(
        person: AbstractUser, title: str = "A dress came in", about: str = "dress:1", **options: Any
    ) -> Message:
        tell([person], "greeting", about, {"title": title}, **options)
        return Message.objects.get(recipient=person.pk, about=about)

    return tell_one


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks that were enqueued."""
    names: list[str] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **_: names.append(name))
    return names


@pytest.fixture
def office(settings: Any) -> Iterator[PostOffice]:
    """A real mail server, which this process's mail goes to."""
    with PostOffice() as office:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", office.port
        settings.EMAIL_TIMEOUT = 10
        settings.DEFAULT_FROM_EMAIL = "Catalogue <catalogue@shop.example>"
        yield office


@pytest.fixture
def impatience(office: PostOffice, settings: Any) -> None:
    """A silent server is soon given up."""
    settings.EMAIL_TIMEOUT = 0.4


def time_passes(**duration: float) -> None:
    """Let everything that waits have waited for so much longer."""
    passed = timedelta(**duration)
    Message.objects.update(next_try=F("next_try") - passed, told_at=F("told_at") - passed)
    Outage.objects.update(next_try=F("next_try") - passed, since=F("since") - passed)
