"""What every test of messages starts from: Alice and Bob can be told of something, in the words of `greeting`."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser

from notifications.models import Message
from notifications.outbox import tell


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
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks that were rung for."""
    names: list[str] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **_: names.append(name))
    return names
