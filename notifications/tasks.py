"""The senders' side: rung for when something was told, and by beat each minute; and the digests, by beat."""

from celery import shared_task

from notifications.delivery import deliver
from notifications.digests import send_due
from notifications.outbox import forget_old


@shared_task(name="notifications.deliver")
def deliver_messages() -> str | None:
    """How many were sent, for the page of the schedule."""
    return _told(deliver())


@shared_task(name="notifications.digest")
def send_digests() -> str | None:
    return _told(send_due())


@shared_task(name="notifications.forget_old")
def forget_old_messages() -> str | None:
    forgotten = forget_old()
    return f"{forgotten} forgotten" if forgotten else None


def _told(sent: int) -> str | None:
    return f"{sent} sent" if sent else None
