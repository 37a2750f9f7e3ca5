"""Make and change webhooks, try one out, and send deliveries again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from catalog.errors import NotPossible
from catalog.fetching.addresses import check_place, parse_place
from catalog.fetching.credentials import encrypt_text
from catalog.imports.permissions import require
from catalog.models import DeliveryStatus, Webhook, WebhookDelivery
from catalog.models.webhooks import TEST_EVENT, body_of, enqueue_deliveries
from catalog.webhooks.deliver import log_delivery, post
from catalog.webhooks.signing import new_secret
from events.log import log_event

MAKES, CHANGES, DELETES = "catalog.add_webhook", "catalog.change_webhook", "catalog.delete_webhook"
# So long the secret before the newest one signs as well, unless somebody ends it.
OLD_SECRET_LIFETIME = timedelta(days=1)


def check_address(address: str) -> str:
    """The address as it is kept. Raises `FetchRefused` or `NotPossible` for one that webhooks are not sent to."""
    place = parse_place(address)
    if place.scheme not in ("https", "http"):
        raise NotPossible("not_web", "Webhooks are sent to a web address, for example https://example.com/webhooks.")
    if place.username or place.password:
        raise NotPossible("login", "Enter the address without a login: what is sent is signed instead.")
    check_place(place)
    return place.url


@transaction.atomic
def make_webhook(*, by: Any, name: str, address: str, events: Collection[str]) -> tuple[Webhook, str]:
    """The webhook, and its secret, which is shown once."""
    require(by, MAKES)
    secret = new_secret()
    webhook = Webhook.objects.create(
        name=name, address=check_address(address), events=[*events], secret=encrypt_text(secret), made_by=by
    )
    log_event("webhook_changed", by=by, webhook=webhook.pk, what="made")
    return webhook, secret


@transaction.atomic
def change_webhook(
    webhook: Webhook, *, by: Any, name: str, address: str, events: Collection[str], is_active: bool
) -> None:
    """What waits for the address is sent to the new one, or when it is active again."""
    require(by, CHANGES)
    webhook.name, webhook.address, webhook.events = name, check_address(address), [*events]
    webhook.is_active, webhook.off_because = is_active, "" if is_active else webhook.off_because
    webhook.save(update_fields=["name", "address", "events", "is_active", "off_because"])
    log_event("webhook_changed", by=by, webhook=webhook.pk, what="saved")
    transaction.on_commit(enqueue_deliveries)


@transaction.atomic
def rotate_secret(webhook: Webhook, *, by: Any) -> str:
    """A new secret, which is shown once. For a day what is sent is signed with the one before, too."""
    require(by, CHANGES)
    secret = new_secret()
    locked = Webhook.objects.select_for_update().get(pk=webhook.pk)
    locked.old_secret, locked.secret = locked.secret, encrypt_text(secret)
    locked.old_secret_until = timezone.now() + OLD_SECRET_LIFETIME
    locked.save(update_fields=["secret", "old_secret", "old_secret_until"])
    webhook.refresh_from_db()
    log_event("webhook_changed", by=by, webhook=webhook.pk, what="secret_made")
    return secret


def end_old_secret(webhook: Webhook, *, by: Any) -> None:
    """Sign with the newest secret only, from now on."""
    require(by, CHANGES)
    Webhook.objects.filter(pk=webhook.pk).update(old_secret="", old_secret_until=None)
    log_event("webhook_changed", by=by, webhook=webhook.pk, what="old_secret_ended")


@transaction.atomic
def delete_webhook(webhook: Webhook, *, by: Any) -> None:
    """With its deliveries, also those that wait."""
    require(by, DELETES)
    log_event("webhook_changed", by=by, webhook=webhook.pk, what="deleted")
    webhook.delete()


def send_test(webhook: Webhook, *, by: Any) -> WebhookDelivery:
    """Send an event at once that says nothing, whatever waits and also when it is not active. It is not tried again.

    Raises `NotPossible` when the webhook was deleted meanwhile.
    """
    require(by, CHANGES)
    delivery = WebhookDelivery.objects.create(
        webhook=webhook,
        event=TEST_EVENT,
        about=f"catalog.webhook:{webhook.pk}",
        body=body_of(TEST_EVENT, {"webhook": webhook.name}),
        status=DeliveryStatus.PARKED,
        attempts=1,
        tried_at=timezone.now(),
    )
    answer = post(delivery)
    delivery.status = DeliveryStatus.SENT if answer.is_success else DeliveryStatus.PARKED
    delivery.finished_at = timezone.now()
    for name, value in answer.facts().items():
        setattr(delivery, name, value)
    fields = ("status", "finished_at", *answer.facts())
    if not WebhookDelivery.objects.filter(pk=delivery.pk).update(**{name: getattr(delivery, name) for name in fields}):
        raise NotPossible("webhook_gone", "The webhook was deleted while its address was asked.")
    log_delivery(delivery, DeliveryStatus(delivery.status), answer)
    return delivery


def send_again(deliveries: QuerySet[WebhookDelivery], *, by: Any) -> int:
    """Send these once more, before what waits and was written later; return how many. They keep their id."""
    require(by, CHANGES)
    with transaction.atomic():
        count = deliveries.update(
            status=DeliveryStatus.WAITING, attempts=0, next_try=Now(), waiting_since=Now(), finished_at=None
        )
        transaction.on_commit(enqueue_deliveries)
    return count
