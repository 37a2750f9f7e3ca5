"""Who makes and changes webhooks, and what an address may be."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from catalog.errors import CatalogError, NotAllowed, NotPossible
from catalog.models import DeliveryStatus, Webhook, WebhookDelivery
from catalog.tests.factories import person
from catalog.tests.webhooks.conftest import Receiver, statuses, told, verified
from catalog.webhooks.deliver import deliver
from catalog.webhooks.edit import (
    change_webhook,
    check_address,
    delete_webhook,
    end_old_secret,
    make_webhook,
    rotate_secret,
    send_again,
    send_test,
)

pytestmark = pytest.mark.django_db

Hook = Callable[..., Webhook]


def given(**changed: Any) -> dict[str, Any]:
    return {"name": "shop", "address": "https://shop.example/hooks", "events": ["import.applied"], **changed}


def test_a_secret_is_32_random_bytes(maria: User) -> None:
    _webhook, secret = make_webhook(by=maria, **given())
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


DOES: dict[str, Callable[[Any, Webhook], Any]] = {
    "make": lambda by, _webhook: make_webhook(by=by, **given(name="other")),
    "change": lambda by, webhook: change_webhook(webhook, by=by, **given(), is_active=False),
    "rotate": lambda by, webhook: rotate_secret(webhook, by=by),
    "end": lambda by, webhook: end_old_secret(webhook, by=by),
    "delete": lambda by, webhook: delete_webhook(webhook, by=by),
    "test": lambda by, webhook: send_test(webhook, by=by),
    "again": lambda by, _webhook: send_again(WebhookDelivery.objects.all(), by=by),
}


@pytest.mark.parametrize("what", DOES)
def test_who_may_only_look_is_refused(hook: Hook, receiver: Receiver, what: str) -> None:
    webhook = hook()
    with pytest.raises(NotAllowed):
        DOES[what](person("vera", "view_webhook"), webhook)
    assert receiver.requests == []
    assert Webhook.objects.get().is_active


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("sftp://shop.example/", "web address"),
        ("folder:noor", "web address"),
        ("gopher://shop.example/", "forbidden"),
        ("https://user:word@shop.example/", "without a login"),
        ("http://10.0.0.1/", "private"),
        ("http://[::1]/", "this machine's own"),
        ("http://169.254.169.254/", "credentials"),
        ("https://8.8.8.8:25/", "25"),
        ("shop", "does not begin with"),
    ],
)
def test_such_an_address_is_refused(address: str, words: str, settings: Any) -> None:
    settings.FETCH_ALLOW = ""
    with pytest.raises(CatalogError, match=words):
        check_address(address)


def test_without_a_key_no_secret_is_kept(maria: User, settings: Any) -> None:
    settings.FEED_CREDENTIAL_KEYS = []
    with pytest.raises(NotPossible, match="FEED_CREDENTIAL_KEYS"):
        make_webhook(by=maria, **given())
    assert not Webhook.objects.exists()


def test_a_test_is_sent_at_once_and_only_once(
    hook: Hook, receiver: Receiver, secrets: dict[str, str], maria: User
) -> None:
    webhook = hook()
    told(1)
    delivery = send_test(webhook, by=maria)
    assert (delivery.status, delivery.answer_status) == (DeliveryStatus.SENT, 200)
    assert receiver.types() == ["webhook.test"]
    assert verified(receiver.requests[0], secrets["shop"])["data"] == {"webhook": "shop"}
    receiver.moods = ["500 Oops"]
    assert send_test(webhook, by=maria).status == DeliveryStatus.PARKED
    assert deliver() == 1
    assert statuses(webhook) == ["sent", "sent", "parked"]


def test_a_new_address_gets_what_waits(hook: Hook, receiver: Receiver, maria: User) -> None:
    webhook = hook(address="http://127.0.0.1:9999/")
    told(1)
    deliver()
    WebhookDelivery.objects.update(next_try=webhook.created_at)
    change_webhook(webhook, by=maria, **given(address=receiver.url), is_active=True)
    assert deliver() == 1


def test_what_was_off_is_on_again_without_its_reason(hook: Hook, maria: User) -> None:
    webhook = hook()
    Webhook.objects.update(is_active=False, off_because="It answered 410.")
    webhook.refresh_from_db()
    change_webhook(webhook, by=maria, **given(), is_active=True)
    webhook.refresh_from_db()
    assert (webhook.is_active, webhook.off_because) == (True, "")


def test_a_webhook_goes_with_its_deliveries(hook: Hook, maria: User) -> None:
    webhook = hook()
    told(1)
    delete_webhook(webhook, by=maria)
    assert not WebhookDelivery.objects.exists()
