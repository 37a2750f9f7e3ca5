"""Addresses that are told what happens, and each thing that they are told: written with it, and sent by a worker."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError as BrokerError

from events.log import current_request_id
from notifications.rendering import public_url
from schedule.queue import enqueue_now

log = logging.getLogger(__name__)
TASK = "catalog.deliver_webhooks"


class WebhookEvent(models.TextChoices):
    REVIEW = "import.review", _("An import waits for a person")
    APPLIED = "import.applied", _("An import was applied")
    FAILED = "import.failed", _("An import failed, or its undo")
    UNDONE = "import.undone", _("An import was undone")
    QUIET = "feed.quiet", _("A feed brings nothing new")
    CHANGED = "products.changed", _("Products were changed")


# What the button of an address sends. Nobody chooses it.
TEST_EVENT = "webhook.test"


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def due(self) -> WebhookQuerySet:
        """Those whose first waiting delivery may be sent now, the longest due first."""
        waiting = WebhookDelivery.objects.filter(webhook=OuterRef("pk"), status=DeliveryStatus.WAITING).order_by("pk")
        due_at = Subquery(waiting.values("next_try")[:1])
        return self.filter(is_active=True).annotate(due_at=due_at).filter(due_at__lte=Now()).order_by("due_at")


class Webhook(models.Model):
    """An address that is told of some events. Its secrets are encrypted; while two are valid, both sign."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    address = models.TextField(_("address"))
    events = ArrayField(models.TextField(choices=WebhookEvent), verbose_name=_("events"))
    is_active = models.BooleanField(_("active"), default=True, help_text=_("An address that is not gets nothing new."))
    off_because = models.TextField(blank=True, default="", editable=False)
    secret = models.TextField(editable=False)
    old_secret = models.TextField(blank=True, default="", editable=False)
    old_secret_until = models.DateTimeField(null=True, editable=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("made by")
    )
    created_at = models.DateTimeField(_("made"), db_default=Now())

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("webhook")
        constraints = [
            models.CheckConstraint(condition=Q(events__contained_by=WebhookEvent.values), name="webhook_events_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_two_secrets(self) -> bool:
        return self.old_secret_until is not None and self.old_secret_until > timezone.now()


class DeliveryStatus(models.TextChoices):
    """Waiting → sent, or given up until a person sends it again."""

    WAITING = "waiting", _("Waiting")
    SENT = "sent", _("Sent")
    PARKED = "parked", _("Parked")


class WebhookDelivery(models.Model):
    """One thing that one address is told. The row waits for a sender, and stays as the record.

    An address gets its deliveries in the order of their ids, one after the other. `body` is what is signed and sent,
    the same at each attempt; `key` is its id there.
    """

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries", verbose_name=_("webhook"))
    key = models.UUIDField(default=uuid.uuid4, editable=False)
    event = models.TextField(_("event"))
    about = models.TextField(_("about"), help_text=_("What it is about, for example catalog.importrun:12."))
    body = models.TextField(_("body"))
    request_id = models.TextField(blank=True, default="", editable=False)  # that it comes from

    status = models.TextField(_("status"), choices=DeliveryStatus, default=DeliveryStatus.WAITING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_try = models.DateTimeField(_("next attempt"), db_default=Now())
    written_at = models.DateTimeField(_("written"), db_default=Now())
    waiting_since = models.DateTimeField(db_default=Now(), editable=False)  # or since it was to be sent again
    tried_at = models.DateTimeField(_("last attempt"), null=True)
    finished_at = models.DateTimeField(_("sent or given up"), null=True)
    seconds = models.FloatField(_("took"), null=True)
    answer_status = models.PositiveIntegerField(_("status of the answer"), null=True)
    answer = models.TextField(_("answer"), blank=True, default="")
    error = models.TextField(_("error"), blank=True, default="")

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        default_permissions = ()
        constraints = [
            # an import that comes to a state is told once, however often a worker or the sweep comes by
            models.UniqueConstraint(
                fields=["webhook", "event", "about"],
                condition=Q(event__startswith="import."),
                name="delivery_told_once",
            ),
            models.CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="delivery_status_known"),
        ]
        indexes = [
            # the senders: the first that waits at an address
            models.Index("webhook", "id", name="delivery_waiting", condition=Q(status=DeliveryStatus.WAITING)),
            # the list of one address, and the last one of it
            models.Index(fields=["webhook", "-id"], name="delivery_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.event} ({self.about})"

    @property
    def message_id(self) -> str:
        return f"msg_{self.key.hex}"


def write_event(event: str, about: str, facts: Callable[[], dict[str, Any]]) -> None:
    """Write this for each address that wants it, in the caller's transaction. It is sent after the commit.

    `facts` is called if there is such an address, and gives what the event's `data` is.

    An import is told once of each `about`. Changed products that nobody tried to send yet are told together with the
    next ones: an address that is away for long has one such delivery to come, and not thousands.
    """
    webhooks = list(Webhook.objects.filter(is_active=True, events__contains=[event]).order_by("pk"))
    if not webhooks:
        return
    data = facts()
    if event == WebhookEvent.CHANGED:
        webhooks = [webhook for webhook in webhooks if not _add_to_last(webhook, about, data)]
    body = body_of(event, data)
    WebhookDelivery.objects.bulk_create(
        (
            WebhookDelivery(webhook=webhook, event=event, about=about, body=body, request_id=current_request_id())
            for webhook in webhooks
        ),
        ignore_conflicts=True,
    )
    transaction.on_commit(enqueue_deliveries)


def _add_to_last(webhook: Webhook, about: str, data: dict[str, Any]) -> bool:
    """Widen the address's last delivery, if that is of products of this market too and was never tried.

    The market's version is locked by then, so no two transactions do this at the same time.
    """
    last = WebhookDelivery.objects.filter(webhook=webhook).order_by("-pk").first()
    if last is None or (last.event, last.about) != (WebhookEvent.CHANGED, about):
        return False
    since = json.loads(last.body)["data"]["since"]
    wider = {**data, "since": since, "import": None, "url": changes_url(data["market"], since)}
    untried = WebhookDelivery.objects.filter(pk=last.pk, status=DeliveryStatus.WAITING, tried_at=None)
    return bool(untried.update(body=body_of(WebhookEvent.CHANGED, wider)))


def changes_url(market: str, since: int) -> str:
    """Where the API says which of the market's products changed since the version."""
    return public_url(f"{reverse('products-changes')}?{urlencode({'since': since, 'market': market})}")


def body_of(event: str, data: dict[str, Any]) -> str:
    moment = timezone.now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": event, "timestamp": moment, "data": data}, separators=(",", ":"), ensure_ascii=False)


def enqueue_deliveries() -> None:
    """Have a worker send what is due. If the broker does not answer, the next sweep does."""
    try:
        enqueue_now(TASK)
    except BrokerError as error:
        log.error("The broker does not answer; webhooks wait for the sweep: %s", error)
