"""A receiver on this machine that verifies what it gets with a stranger's library, and Maria, who manages webhooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks
from django.db.models import F

from accounts.models import User
from catalog.models import Webhook, WebhookDelivery, WebhookEvent
from catalog.models.webhooks import write_event
from catalog.tests.factories import person
from catalog.tests.fetching.servers import Request, Wire, serving
from catalog.webhooks.edit import make_webhook

MANAGES = ("view_webhook", "add_webhook", "change_webhook", "delete_webhook")


@pytest.fixture(autouse=True)
def loopback_is_open(settings: Any) -> None:
    settings.FETCH_ALLOW = "127.0.0.0/8"
    settings.FEED_CREDENTIAL_KEYS = ["only-for-the-tests-" + "abcdefghijklmnopqrstuvwxyz0123456789"]


@dataclass
class Receiver:
    """What came, in its order. `moods` are the statuses of the next answers, after which all is well again."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    moods: list[str] = field(default_factory=list)
    also: Callable[[Wire], None] = lambda _wire: None

    def answer(self, wire: Wire) -> None:
        self.requests.append(wire.request)
        self.also(wire)
        mood = self.moods.pop(0) if self.moods else "200 OK"
        wire.answer(f"said {mood}".encode(), mood)

    def types(self) -> list[str]:
        return [json.loads(request.body)["type"] for request in self.requests]

    def numbers(self) -> list[int]:
        return [json.loads(request.body)["data"]["import"] for request in self.requests]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with serving(receiver.answer) as server:
        receiver.url = f"{server.url}/hooks?shop=1"
        yield receiver


@pytest.fixture
def maria(db: None) -> User:
    return person("maria", *MANAGES)


@pytest.fixture
def secrets() -> dict[str, str]:
    """The secret of each webhook that was made, by its name."""
    return {}


@pytest.fixture
def hook(maria: User, receiver: Receiver, secrets: dict[str, str]) -> Callable[..., Webhook]:
    def make(name: str = "shop", address: str = "", events: Any = WebhookEvent.values) -> Webhook:
        webhook, secrets[name] = make_webhook(by=maria, name=name, address=address or receiver.url, events=events)
        return webhook

    return make


def told(number: int, event: str = WebhookEvent.FAILED) -> None:
    """Something happened: `number` says what."""
    write_event(event, f"catalog.importrun:{number}", lambda: {"import": number})


def verified(request: Request, secret: str) -> Any:
    """The body, if it is the sender's. Raises what the library raises."""
    return standardwebhooks.Webhook(secret).verify(request.body, request.headers)


def time_passes(**duration: float) -> None:
    passed = timedelta(**duration)
    WebhookDelivery.objects.update(
        next_try=F("next_try") - passed,
        written_at=F("written_at") - passed,
        waiting_since=F("waiting_since") - passed,
    )
    Webhook.objects.update(old_secret_until=F("old_secret_until") - passed)


def statuses(webhook: Webhook) -> list[str]:
    return list(webhook.deliveries.order_by("pk").values_list("status", flat=True))
