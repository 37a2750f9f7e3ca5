"""The pages of webhooks: made, tried out, rotated, and each delivery with its answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from catalog.models import Webhook, WebhookDelivery
from catalog.tests.factories import person
from catalog.tests.webhooks.conftest import Receiver, told, verified
from catalog.tests.webhooks.conftest import hook as hook
from catalog.tests.webhooks.conftest import loopback_is_open as loopback_is_open
from catalog.tests.webhooks.conftest import maria as maria
from catalog.tests.webhooks.conftest import receiver as receiver
from catalog.tests.webhooks.conftest import secrets as secrets
from catalog.webhooks.deliver import deliver, post

pytestmark = pytest.mark.django_db

ADD = reverse("admin:catalog_webhook_add")


@pytest.fixture
def managing(client: Client, maria: User) -> Client:
    return staff(client, maria)


def staff(client: Client, user: User) -> Client:
    user.is_staff = True
    user.save()
    client.force_login(user)
    return client


def page_of(webhook: Webhook, name: str = "change") -> str:
    return reverse(f"admin:catalog_webhook_{name}", args=[webhook.pk])


def posted(url: str, **changed: Any) -> dict[str, Any]:
    return {"name": "shop", "address": url, "events": ["import.failed", "products.changed"], **changed}


def secret_on(page: Any) -> str:
    found = re.search(r"<code>(whsec_[^<]+)</code>", page.content.decode())
    assert found
    assert "no-store" in page["Cache-Control"]
    return found[1]


def test_a_webhook_is_made_and_its_secret_shown_once(managing: Client, receiver: Receiver) -> None:
    secret = secret_on(managing.post(ADD, posted(receiver.url)))
    webhook = Webhook.objects.get()
    assert (webhook.name, webhook.events) == ("shop", ["import.failed", "products.changed"])
    assert webhook.made_by == User.objects.get(username="maria")
    assert "whsec_" not in managing.get(page_of(webhook)).content.decode()
    told(1)
    deliver()
    assert verified(receiver.requests[0], secret)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"address": "http://10.1.2.3/"}, "private"),
        ({"address": "ftp://shop.example/"}, "web address"),
        ({"events": []}, "required"),
        ({"events": ["import.burnt"]}, "not one of the available choices"),
        ({"name": ""}, "required"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(managing: Client, changed: dict[str, Any], words: str) -> None:
    page = managing.post(ADD, posted("https://shop.example/", **changed))
    assert words in page.content.decode()
    assert not Webhook.objects.exists()


def test_without_a_key_the_page_says_so(managing: Client, settings: Any) -> None:
    settings.FEED_CREDENTIAL_KEYS = []
    page = managing.post(ADD, posted("https://shop.example/"), follow=True)
    assert "FEED_CREDENTIAL_KEYS is not set" in page.content.decode()
    assert not Webhook.objects.exists()


def test_a_webhook_is_changed_and_switched_off(managing: Client, hook: Callable[..., Webhook]) -> None:
    webhook = hook()
    managing.post(page_of(webhook), posted("https://shop.example/new", events=["feed.quiet"]))
    webhook.refresh_from_db()
    assert (webhook.address, webhook.events, webhook.is_active) == ("https://shop.example/new", ["feed.quiet"], False)
    assert "It is off" in managing.get(page_of(webhook)).content.decode()


def test_a_test_shows_the_answer(managing: Client, hook: Callable[..., Webhook], receiver: Receiver) -> None:
    webhook = hook()
    page = managing.post(page_of(webhook, "test"), follow=True).content.decode()
    assert "The address accepted the test. It answered 200." in page
    assert "said 200 OK" in page
    receiver.moods = ["500 Oops"]
    page = managing.post(page_of(webhook, "test"), follow=True).content.decode()
    assert "127.0.0.1 answered 500." in page
    assert receiver.types() == ["webhook.test"] * 2


def test_a_webhook_that_is_deleted_while_it_is_tested_is_said_to_be_gone(
    managing: Client, hook: Callable[..., Webhook], monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = hook()

    def post_slowly(delivery: WebhookDelivery) -> Any:
        answer = post(delivery)
        Webhook.objects.filter(pk=webhook.pk).delete()  # in another tab
        return answer

    monkeypatch.setattr("catalog.webhooks.edit.post", post_slowly)
    page: Any = managing.post(page_of(webhook, "test"), follow=True)
    assert "The webhook was deleted while its address was asked." in page.content.decode()
    assert not WebhookDelivery.objects.exists()


def test_a_new_secret_is_shown_and_the_old_one_ended(managing: Client, hook: Callable[..., Webhook]) -> None:
    webhook = hook()
    assert secret_on(managing.post(page_of(webhook, "secret")))
    assert "Two secrets are valid" in managing.get(page_of(webhook)).content.decode()
    page = managing.post(page_of(webhook, "old_secret"), follow=True).content.decode()
    assert "Only the newest secret signs" in page
    assert "Two secrets are valid" not in page


def test_a_new_secret_without_a_key_is_refused(managing: Client, hook: Callable[..., Webhook], settings: Any) -> None:
    webhook = hook()
    settings.FEED_CREDENTIAL_KEYS = []
    page = managing.post(page_of(webhook, "secret"), follow=True).content.decode()
    assert "FEED_CREDENTIAL_KEYS is not set" in page


def test_the_page_says_what_holds_the_others_back(
    managing: Client, hook: Callable[..., Webhook], receiver: Receiver
) -> None:
    webhook = hook()
    told(1)
    told(2)
    receiver.moods = ["503 Busy"]
    deliver()
    page = managing.get(page_of(webhook)).content.decode()
    assert "2 deliveries wait" in page
    assert "127.0.0.1 answered 503. It is tried again at" in page


def test_a_delivery_shows_its_answer_and_is_sent_again(
    managing: Client, hook: Callable[..., Webhook], receiver: Receiver
) -> None:
    webhook = hook()
    told(1)
    receiver.moods = ["500 <b>Oops"]
    deliver()
    delivery = WebhookDelivery.objects.get()
    address = reverse("admin:catalog_webhookdelivery_change", args=[delivery.pk])
    page = managing.get(address).content.decode()
    assert "said 500 &lt;b&gt;Oops" in page
    assert delivery.message_id in page
    WebhookDelivery.objects.update(status="parked")
    again = managing.post(reverse("admin:catalog_webhookdelivery_again", args=[delivery.pk]), follow=True)
    assert "1 delivery is sent again." in again.content.decode()
    assert deliver() == 1
    listed = managing.get(reverse("admin:catalog_webhookdelivery_changelist"), {"webhook__id__exact": webhook.pk})
    assert "import.failed" in listed.content.decode()


def test_selected_deliveries_are_sent_again(managing: Client, hook: Callable[..., Webhook], receiver: Receiver) -> None:
    hook()
    for number in (1, 2):
        told(number)
    WebhookDelivery.objects.update(status="parked")
    keys = list(WebhookDelivery.objects.values_list("pk", flat=True))
    managing.post(
        reverse("admin:catalog_webhookdelivery_changelist"),
        {"action": "send_selected_again", "_selected_action": keys},
    )
    assert deliver() == 2


def test_a_webhook_is_deleted_with_its_deliveries(managing: Client, hook: Callable[..., Webhook]) -> None:
    webhook = hook()
    told(1)
    assert "1 delivery" in managing.get(page_of(webhook, "delete")).content.decode().lower()
    managing.post(page_of(webhook, "delete"), {"post": "yes"})
    assert not Webhook.objects.exists()
    assert not WebhookDelivery.objects.exists()


def test_an_address_in_a_list_has_no_secret(managing: Client, hook: Callable[..., Webhook]) -> None:
    hook(address="https://shop.example/hooks?token=hush")
    assert "hush" not in managing.get(reverse("admin:catalog_webhook_changelist")).content.decode()


def test_who_may_only_look_changes_nothing(client: Client, hook: Callable[..., Webhook], receiver: Receiver) -> None:
    webhook = hook()
    told(1)
    staff(client, person("vera", "view_webhook"))
    page = client.get(page_of(webhook)).content.decode()
    assert "Send a test" not in page
    for name in ("test", "secret", "old_secret"):
        assert client.post(page_of(webhook, name)).status_code == 403
    delivery = WebhookDelivery.objects.get()
    assert client.post(reverse("admin:catalog_webhookdelivery_again", args=[delivery.pk])).status_code == 403
    shown = client.get(reverse("admin:catalog_webhookdelivery_change", args=[delivery.pk])).content.decode()
    assert "Send this delivery again" not in shown
    assert receiver.requests == []


def test_a_delivery_that_is_not_there_is_not_found(managing: Client) -> None:
    assert managing.get(reverse("admin:catalog_webhookdelivery_change", args=[99])).status_code == 404


def test_each_list_costs_as_much_however_long_it_is(
    managing: Client, hook: Callable[..., Webhook], django_assert_max_num_queries: Any
) -> None:
    for name in "abcdef":
        hook(name)
    for number in range(6):
        told(number)
    with django_assert_max_num_queries(12):
        managing.get(reverse("admin:catalog_webhook_changelist"))
    with django_assert_max_num_queries(14):
        managing.get(reverse("admin:catalog_webhookdelivery_changelist"))
