"""Sending what webhooks are to be told: each address in order, and each delivery again until it is accepted or parked.

The row is the job, as for mails. docs/decisions/0039 says what is promised.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models.functions import Now

from catalog.errors import CatalogError
from catalog.fetching.addresses import parse_place
from catalog.fetching.connections import Pace
from catalog.fetching.failures import FetchRefused, clean_words
from catalog.fetching.http import Exchange, seconds_to_wait, user_agent
from catalog.imports.sql import fetch_row
from catalog.imports.work.attempts import attempted
from catalog.models import DeliveryStatus, Webhook, WebhookDelivery
from catalog.models.webhooks import enqueue_deliveries
from catalog.webhooks.signing import signatures, valid_secrets
from events.log import log_event

WEBHOOK_LOCK = 7  # the first number of an advisory lock, see catalog.imports.work.queue
SENDER_LOCK = 8
# So many senders at a time: mails have the other threads of their worker.
MAX_SENDERS = 2
# After so many deliveries of one address the others have their turn.
DELIVERIES_IN_TURN = 20
MAX_SECONDS = 15.0
ANSWER_CHARS = 500
# Between two attempts. Together they last a day; then it is parked. The first is longer than an attempt takes.
PAUSES = [timedelta(seconds=30), *(timedelta(minutes=minutes) for minutes in (2, 10, 30, 60, 120, 240, 480, 480))]
MAX_ATTEMPTS = len(PAUSES) + 1
JITTER = 0.2
# What has waited for so long is parked when an attempt fails: an address that is away for days gets no old news.
PARKED_AFTER = timedelta(days=1)
GONE = 410


def deliver() -> int:
    """Send what is due, and return how many deliveries were accepted. Several may do this at the same time."""
    accepted = 0
    with _sender_slot() as is_free:
        is_busy = is_free
        while is_busy:
            is_busy = False
            for webhook in Webhook.objects.due():
                with attempted(None, WEBHOOK_LOCK, webhook.pk % 2**31, enqueue_deliveries) as attempt:
                    tried = _send_in_turn(webhook) if attempt else []
                is_busy = is_busy or bool(tried)
                accepted += sum(tried)
    return accepted


@contextmanager
def _sender_slot() -> Iterator[bool]:
    """Whether this may be one of the senders. If not, those that there are find what is due, or the sweep does."""
    lock = "SELECT pg_try_advisory_lock(%(kind)s, %(number)s)"
    slot = next((number for number in range(MAX_SENDERS) if fetch_row(lock, kind=SENDER_LOCK, number=number)[0]), None)
    try:
        yield slot is not None
    finally:
        if slot is not None:
            with suppress(DatabaseError, InterfaceError):  # then the lock went with its connection
                fetch_row("SELECT pg_advisory_unlock(%(kind)s, %(number)s)", kind=SENDER_LOCK, number=slot)


def _send_in_turn(webhook: Webhook) -> list[bool]:
    """Send what waits at the address, one after the other. Ends with the first that is not accepted."""
    tried: list[bool] = []
    while len(tried) < DELIVERIES_IN_TURN and (delivery := claim_first(webhook)):
        tried.append(send(delivery))
        if not tried[-1]:
            break
    return tried


def claim_first(webhook: Webhook) -> WebhookDelivery | None:
    """The delivery that waits first at the address; None if there is none, or it is not due yet.

    The attempt is counted, and the next one planned, before the first byte is sent. No transaction is open afterwards.
    """
    waiting = webhook.deliveries.filter(status=DeliveryStatus.WAITING, webhook__is_active=True)
    with transaction.atomic():
        while first := waiting.order_by("pk").values_list("pk", flat=True).first():
            due = waiting.filter(pk=first, next_try__lte=Now()).select_related("webhook")
            delivery = due.select_for_update(skip_locked=True, of=("self",)).first()
            if delivery is None:
                return None
            if delivery.attempts >= MAX_ATTEMPTS:
                _park(delivery, "Given up: each worker that sent it ended unexpectedly.")
                continue
            delivery.attempts += 1
            planned = Now() + pause_after(delivery.attempts)
            _update_row(delivery, attempts=delivery.attempts, tried_at=Now(), next_try=planned)
            return delivery
    return None


def send(delivery: WebhookDelivery) -> bool:
    """Send it, record the result, and return whether it was accepted."""
    answer = post(delivery)
    facts = answer.facts()
    if answer.is_success:
        _update_row(delivery, status=DeliveryStatus.SENT, finished_at=Now(), **facts)
        log_delivery(delivery, DeliveryStatus.SENT, answer)
        return True
    if answer.status == GONE:
        _switch_off(delivery.webhook)
    waited = WebhookDelivery.objects.filter(pk=delivery.pk, waiting_since__lt=Now() - PARKED_AFTER)
    if answer.status == GONE or delivery.attempts >= MAX_ATTEMPTS or waited.exists():
        _park(delivery, **facts)
        _park_old_ones(delivery.webhook)
        log_delivery(delivery, DeliveryStatus.PARKED, answer)
    else:
        pause = max(pause_after(delivery.attempts), timedelta(seconds=answer.wait))
        _update_row(delivery, next_try=Now() + pause, **facts)
        log_delivery(delivery, DeliveryStatus.WAITING, answer)
    return False


def _switch_off(webhook: Webhook) -> None:
    reason = "It answered 410: it wants no more webhooks."
    if Webhook.objects.filter(pk=webhook.pk, is_active=True).update(is_active=False, off_because=reason):
        log_event("webhook_changed", level=logging.WARNING, webhook=webhook.pk, what="off")


def _park(delivery: WebhookDelivery, error: str = "", **facts: Any) -> None:
    _update_row(delivery, status=DeliveryStatus.PARKED, finished_at=Now(), **{"error": error, **facts})


def _park_old_ones(webhook: Webhook) -> None:
    """What was held back for a day by one that is parked now is old news as well."""
    old = webhook.deliveries.filter(status=DeliveryStatus.WAITING, waiting_since__lt=Now() - PARKED_AFTER)
    reason = "Not sent: for a day the address accepted nothing. Send it again if it still matters."
    old.update(status=DeliveryStatus.PARKED, finished_at=Now(), error=reason)


def pause_after(attempts: int) -> timedelta:
    """How long a delivery waits after so many attempts; up to a fifth longer, so that many do not come at once."""
    return PAUSES[min(attempts, len(PAUSES)) - 1] * random.uniform(1, 1 + JITTER)  # noqa: S311


def log_delivery(delivery: WebhookDelivery, status: DeliveryStatus, answer: Answered) -> None:
    """What became of the attempt, with the request that the event comes from."""
    log_event(
        "webhook",
        level=logging.INFO if status == DeliveryStatus.SENT else logging.WARNING,
        webhook=delivery.webhook_id,
        delivery=delivery.pk,
        type=delivery.event,
        about=delivery.about,
        status=status.value,
        answer=answer.status,
        attempt=delivery.attempts,
        seconds=answer.seconds,
        request_id=delivery.request_id,
    )


def _update_row(delivery: WebhookDelivery, **fields: Any) -> None:
    """Update the row. The answer is not lost when the database's connection broke meanwhile."""
    row = WebhookDelivery.objects.filter(pk=delivery.pk)
    try:
        row.update(**fields)
    except (DatabaseError, InterfaceError):
        if connection.in_atomic_block:
            raise
        connection.close()
        row.update(**fields)


# --- one request --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    """What came of a request: an answer with its beginning, or why there was none."""

    status: int | None = None
    beginning: str = ""
    error: str = ""
    seconds: float = 0.0
    wait: int = 0  # seconds that the address asks to be left alone

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def facts(self) -> dict[str, Any]:
        """As the delivery's row has them."""
        return {
            "answer_status": self.status,
            "answer": self.beginning,
            "error": self.error,
            "seconds": round(self.seconds, 3),
        }


def post(delivery: WebhookDelivery) -> Answered:
    """Post the delivery to its address, signed. Redirects are not followed: they are answers like others."""
    pace = Pace(MAX_SECONDS)
    try:
        place = parse_place(delivery.webhook.address)
        if place.scheme not in ("https", "http"):
            raise FetchRefused("forbidden_scheme", "A webhook is sent to a web address.")
        headers = _headers_of(delivery, int(time.time()))
        with pace.running(), Exchange(place, headers, pace, body=delivery.body.encode()) as answer:
            beginning = clean_words(answer.beginning().decode(errors="replace"), ANSWER_CHARS)
            error = "" if 200 <= answer.status < 300 else f"{place.shown_host} answered {answer.status}."
            return Answered(answer.status, beginning, error, pace.seconds, seconds_to_wait(answer) or 0)
    except CatalogError as error:
        return Answered(error=_reason_of(error), seconds=pace.seconds)


def _headers_of(delivery: WebhookDelivery, moment: int) -> list[tuple[bytes, bytes]]:
    signed = signatures(valid_secrets(delivery.webhook), delivery.message_id, moment, delivery.body)
    return [
        (b"User-Agent", user_agent()),
        (b"Content-Type", b"application/json"),
        (b"webhook-id", delivery.message_id.encode()),
        (b"webhook-timestamp", str(moment).encode()),
        (b"webhook-signature", signed.encode()),
    ]


def _reason_of(error: CatalogError) -> str:
    if error.code == "fetch.too_long":
        return f"No answer came within {MAX_SECONDS:.0f} seconds."
    if error.code == "fetch.credentials":
        return "The secret was encrypted with another key than those in FEED_CREDENTIAL_KEYS. Make a new secret."
    return error.message
