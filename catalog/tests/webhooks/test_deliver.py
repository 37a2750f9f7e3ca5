"""What an address gets: each delivery, in order, signed, again until it is accepted or parked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError
from standardwebhooks import WebhookVerificationError

from accounts.models import User
from catalog.imports.retention import forget_old
from catalog.models import DeliveryStatus, Webhook, WebhookDelivery, WebhookEvent
from catalog.tasks import deliver_webhooks
from catalog.tests.fetching.servers import Wire, serving
from catalog.tests.webhooks.conftest import Receiver, statuses, time_passes, told, verified
from catalog.webhooks import deliver as delivering
from catalog.webhooks.deliver import MAX_ATTEMPTS, PAUSES, deliver
from catalog.webhooks.edit import end_old_secret, rotate_secret, send_again

pytestmark = pytest.mark.django_db

Hook = Callable[..., Webhook]
SENT, WAITING, PARKED = DeliveryStatus.SENT, DeliveryStatus.WAITING, DeliveryStatus.PARKED


def test_a_stranger_s_library_verifies_what_comes(hook: Hook, receiver: Receiver, secrets: dict[str, str]) -> None:
    webhook = hook()
    told(7)
    assert deliver() == 1
    (request,) = receiver.requests
    body = verified(request, secrets["shop"])
    assert (body["type"], body["data"]) == ("import.failed", {"import": 7})
    assert body["timestamp"].endswith("Z")
    assert request.path == "/hooks?shop=1"
    assert request.headers["content-type"] == "application/json"
    delivery = webhook.deliveries.get()
    assert (delivery.status, delivery.answer_status, delivery.answer) == (SENT, 200, "said 200 OK")
    assert request.headers["webhook-id"] == delivery.message_id
    assert deliver() == 0


@pytest.mark.parametrize("change", ["body", "id", "secret"])
def test_nothing_else_is_verified(hook: Hook, receiver: Receiver, secrets: dict[str, str], change: str) -> None:
    hook()
    told(7)
    deliver()
    (request,) = receiver.requests
    secret = secrets["shop"]
    if change == "body":
        request.body = request.body.replace(b"7", b"8")
    elif change == "id":
        request.headers["webhook-id"] = "msg_1"
    else:
        secret = "whsec_" + secret[:-7:-1] * 8
    with pytest.raises(WebhookVerificationError):
        verified(request, secret)


# --- rotation -----------------------------------------------------------------------------------------
def test_for_a_day_two_secrets_are_valid(hook: Hook, receiver: Receiver, secrets: dict[str, str], maria: User) -> None:
    webhook = hook()
    old, new = secrets["shop"], rotate_secret(webhook, by=maria)
    told(1)
    deliver()
    assert verified(receiver.requests[0], old) == verified(receiver.requests[0], new)
    assert len(receiver.requests[0].headers["webhook-signature"].split(" ")) == 2
    time_passes(hours=25)
    told(2)
    deliver()
    assert verified(receiver.requests[1], new)["data"] == {"import": 2}
    with pytest.raises(WebhookVerificationError):
        verified(receiver.requests[1], old)


def test_the_old_secret_can_be_ended_at_once(
    hook: Hook, receiver: Receiver, secrets: dict[str, str], maria: User
) -> None:
    webhook = hook()
    new = rotate_secret(webhook, by=maria)
    end_old_secret(webhook, by=maria)
    told(1)
    deliver()
    assert verified(receiver.requests[0], new)
    with pytest.raises(WebhookVerificationError):
        verified(receiver.requests[0], secrets["shop"])


def test_of_three_secrets_the_first_is_over(
    hook: Hook, receiver: Receiver, secrets: dict[str, str], maria: User
) -> None:
    webhook = hook()
    second, third = rotate_secret(webhook, by=maria), rotate_secret(webhook, by=maria)
    told(1)
    deliver()
    assert verified(receiver.requests[0], second) == verified(receiver.requests[0], third)
    with pytest.raises(WebhookVerificationError):
        verified(receiver.requests[0], secrets["shop"])


def test_no_secret_is_in_the_database_as_it_is(hook: Hook, secrets: dict[str, str]) -> None:
    webhook = hook()
    bare = secrets["shop"].removeprefix("whsec_")
    assert bare not in json.dumps(list(Webhook.objects.values()), default=str)
    assert webhook.secret


def test_a_secret_whose_key_is_gone_is_said(hook: Hook, receiver: Receiver, settings: Any) -> None:
    webhook = hook()
    told(1)
    settings.FEED_CREDENTIAL_KEYS = ["another-key-" + "abcdefghijklmnopqrstuvwxyz0123456789"]
    assert deliver() == 0
    assert "another key" in webhook.deliveries.get().error
    assert receiver.requests == []


# --- in order, again, parked --------------------------------------------------------------------------
def test_one_that_fails_holds_back_those_behind_it(hook: Hook, receiver: Receiver) -> None:
    webhook = hook()
    for number in (1, 2, 3):
        told(number)
    receiver.moods = ["200 OK", "500 Oops"]
    assert deliver() == 1
    assert statuses(webhook) == [SENT, WAITING, WAITING]
    assert deliver() == 0
    assert receiver.numbers() == [1, 2]
    time_passes(seconds=40)
    assert deliver() == 2
    assert receiver.numbers() == [1, 2, 2, 3]
    first, again = receiver.requests[1:3]
    assert (first.headers["webhook-id"], first.body) == (again.headers["webhook-id"], again.body)


def test_another_address_does_not_wait_for_one_that_fails(hook: Hook, receiver: Receiver) -> None:
    hook("down", address="http://127.0.0.1:9999/")
    hook("up")
    told(1)
    told(2)
    assert deliver() == 2
    assert receiver.numbers() == [1, 2]


def test_the_pauses_grow_to_a_day_and_then_it_is_parked(hook: Hook, receiver: Receiver) -> None:
    webhook = hook()
    told(1)
    receiver.moods = ["503 Busy"] * MAX_ATTEMPTS
    for pause in PAUSES:
        deliver()
        delivery = webhook.deliveries.get()
        assert delivery.status == WAITING
        waits = delivery.next_try - timezone.now()
        assert pause - timedelta(seconds=5) < waits < pause * 1.2 + timedelta(seconds=1)
        WebhookDelivery.objects.update(next_try=timezone.now())
    deliver()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts, delivery.answer_status) == (PARKED, MAX_ATTEMPTS, 503)
    assert delivery.error == "127.0.0.1 answered 503."
    assert sum(PAUSES, timedelta()) > timedelta(hours=23)


def test_a_parked_one_lets_those_behind_it_pass(hook: Hook, receiver: Receiver) -> None:
    webhook = hook()
    told(1)
    told(2)
    webhook.deliveries.filter(about="catalog.importrun:1").update(attempts=MAX_ATTEMPTS - 1)
    receiver.moods = ["500 Oops"]
    assert deliver() == 1
    assert statuses(webhook) == [PARKED, SENT]
    assert receiver.numbers() == [1, 2]


def test_after_days_what_waits_is_parked_at_the_next_failure(hook: Hook, receiver: Receiver) -> None:
    webhook = hook()
    told(1)
    told(2)
    time_passes(hours=25)
    told(3)
    receiver.moods = ["500 Oops"]
    assert deliver() == 1
    assert statuses(webhook) == [PARKED, PARKED, SENT]
    assert receiver.numbers() == [1, 3]


def test_what_waited_for_days_is_sent_if_the_address_is_well(hook: Hook, receiver: Receiver) -> None:
    hook()
    told(1)
    time_passes(days=5)
    assert deliver() == 1


def test_an_address_that_is_gone_is_switched_off(hook: Hook, receiver: Receiver) -> None:
    webhook = hook()
    told(1)
    told(2)
    receiver.moods = ["410 Gone"]
    deliver()
    webhook.refresh_from_db()
    assert not webhook.is_active
    assert "410" in webhook.off_because
    told(3)
    assert statuses(webhook) == [PARKED, WAITING]
    assert deliver() == 0


def test_an_address_that_asks_to_wait_is_left_alone(hook: Hook) -> None:
    with serving(lambda wire: wire.answer(b"", "429 Slow down", Retry_After="900")) as server:
        webhook = hook(address=server.url)
        told(1)
        deliver()
    assert webhook.deliveries.get().next_try > timezone.now() + timedelta(minutes=14)


def test_a_redirect_is_not_followed(hook: Hook, receiver: Receiver) -> None:
    with serving(lambda wire: wire.answer(b"", "302 Found", Location=receiver.url)) as server:
        webhook = hook(address=server.url)
        told(1)
        assert deliver() == 0
    assert receiver.requests == []
    assert webhook.deliveries.get().answer_status == 302


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (lambda wire: wire.wait(20), "No answer came within 1 seconds."),
        (lambda wire: wire.connection.close(), "broke off"),
        (lambda wire: wire.send(b"HELLO\r\n\r\n"), "did not answer as a web server does"),
    ],
)
def test_what_is_no_answer_is_said(
    hook: Hook, script: Callable[[Wire], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "MAX_SECONDS", 1.0)
    with serving(script) as server:
        webhook = hook(address=server.url)
        told(1)
        assert deliver() == 0
    delivery = webhook.deliveries.get()
    assert delivery.status == WAITING
    assert words in delivery.error or "web server" in delivery.error


def test_of_a_long_answer_the_beginning_is_kept(hook: Hook) -> None:
    with serving(lambda wire: wire.answer(b"\x00\xff" + b"a" * 100_000)) as server:
        webhook = hook(address=server.url)
        told(1)
        assert deliver() == 1
    answer = webhook.deliveries.get().answer
    assert len(answer) == 500
    assert "\0" not in answer


def test_an_address_of_this_network_gets_nothing(hook: Hook, receiver: Receiver, settings: Any) -> None:
    webhook = hook()
    told(1)
    settings.FETCH_ALLOW = ""
    assert deliver() == 0
    assert receiver.requests == []
    assert "this machine's own" in webhook.deliveries.get().error


def test_a_name_that_leads_into_this_network_gets_nothing(
    hook: Hook, receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FETCH_ALLOW = ""
    monkeypatch.setattr("catalog.fetching.addresses.resolve", lambda *_asked: ["127.0.0.1"])
    webhook = hook(address="http://shop.example:8080/")
    told(1)
    assert deliver() == 0
    assert "this machine's own" in webhook.deliveries.get().error


# --- resend, off, retention ---------------------------------------------------------------------------
def test_a_parked_one_is_sent_again_with_its_id(hook: Hook, receiver: Receiver, maria: User) -> None:
    webhook = hook()
    told(1)
    WebhookDelivery.objects.update(status=PARKED, attempts=MAX_ATTEMPTS, finished_at=timezone.now())
    time_passes(days=9)
    assert send_again(webhook.deliveries.all(), by=maria) == 1
    receiver.moods = ["500 Oops"]
    deliver()
    assert statuses(webhook) == [WAITING]  # it has its day again
    time_passes(minutes=1)
    assert deliver() == 1
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


def test_an_address_that_is_off_gets_nothing_until_it_is_on(hook: Hook, receiver: Receiver) -> None:
    webhook = hook()
    told(1)
    Webhook.objects.update(is_active=False)
    told(2)
    assert deliver() == 0
    Webhook.objects.update(is_active=True)
    assert deliver() == 1
    assert receiver.numbers() == [1]
    assert webhook.deliveries.count() == 1


def test_deliveries_are_kept_as_long_as_mails(hook: Hook, settings: Any) -> None:
    settings.RETENTION_MESSAGES_DAYS = 30
    webhook = hook()
    for number in (1, 2):
        told(number)
    WebhookDelivery.objects.filter(about="catalog.importrun:1").update(status=SENT)
    time_passes(days=31)
    assert forget_old()["webhook deliveries"] == 1
    assert statuses(webhook) == [WAITING]
    Webhook.objects.update(is_active=False)
    assert forget_old()["webhook deliveries"] == 1


# --- writing ------------------------------------------------------------------------------------------
def test_what_is_rolled_back_is_told_nobody(hook: Hook) -> None:
    hook()
    with transaction.atomic():
        told(1)
        transaction.set_rollback(True)
    assert not WebhookDelivery.objects.exists()


def test_each_address_is_told_of_what_it_wants(hook: Hook, receiver: Receiver) -> None:
    both, one, none = hook("both"), hook("one", events=["import.applied"]), hook("none", events=["feed.quiet"])
    told(1, WebhookEvent.FAILED)
    told(2, WebhookEvent.APPLIED)
    assert [each.deliveries.count() for each in (both, one, none)] == [2, 1, 0]


def test_the_same_is_told_once(hook: Hook) -> None:
    webhook = hook()
    told(1)
    told(1)
    assert webhook.deliveries.count() == 1


def test_a_worker_is_enqueued_after_the_commit(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    hook()
    names: list[str] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **_: names.append(name))
    with django_capture_on_commit_callbacks(execute=True):
        told(1)
        assert names == []
    assert names == ["catalog.deliver_webhooks"]


def test_a_broker_that_is_away_leaves_webhooks_to_the_sweep(
    hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    hook()
    monkeypatch.setattr("celery.current_app.send_task", Mock(side_effect=BrokerError("away")))
    with django_capture_on_commit_callbacks(execute=True):
        told(1)
    assert deliver_webhooks() == "1 sent"
    assert receiver.numbers() == [1]


def test_a_worker_that_never_notes_anything_gives_up(hook: Hook, receiver: Receiver) -> None:
    webhook = hook()
    told(1)
    WebhookDelivery.objects.update(attempts=MAX_ATTEMPTS)
    assert deliver() == 0
    delivery = webhook.deliveries.get()
    assert (delivery.status, delivery.error) == (PARKED, "Given up: each worker that sent it ended unexpectedly.")
    assert receiver.requests == []
