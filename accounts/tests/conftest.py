"""A small cast: Olga owns the place, Mona manages it, Vera may only look, Carl is a customer of the API."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from notifications.models import Message, Status
from notifications.tasks import deliver_messages

PASSWORD = "correct horse battery"


def make_person(username: str, *roles: str, **more: object) -> User:
    person = User.objects.create_user(username, f"{username}@example.com", PASSWORD, **more)
    person.groups.set(Group.objects.filter(name__in=roles))
    return person


def logged_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def bearer(token: object) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def post(path: str, body: Any = None, **headers: Any) -> Any:
    """A stranger's call."""
    return APIClient().post(path, body, **headers)


def log_in(username: str = "carl", password: str = PASSWORD) -> dict[str, Any]:
    """The tokens of a new login."""
    answer = post("/login/", {"username": username, "password": password})
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def check(token: object) -> int:
    """The status with which a call with that token is answered."""
    return bearer(token).get("/auth-protected-check/").status_code


@pytest.fixture
def worker() -> Callable[[], list[str]]:
    """Sends the mails that wait, as the mail worker would, and says their names."""

    def work() -> list[str]:
        before = set(Message.objects.filter(status=Status.SENT).values_list("pk", flat=True))
        deliver_messages()
        sent = Message.objects.filter(status=Status.SENT).exclude(pk__in=before)
        return list(sent.order_by("sent_at").values_list("name", flat=True))

    return work


@pytest.fixture
def olga(db: None) -> User:
    return make_person("olga", is_staff=True, is_superuser=True)


@pytest.fixture
def mona(db: None) -> User:
    return make_person("mona", "manager", is_staff=True)


@pytest.fixture
def vera(db: None) -> User:
    return make_person("vera", "viewer", is_staff=True)


@pytest.fixture
def carl(db: None) -> User:
    return make_person("carl")
