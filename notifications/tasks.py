"""Tasks that send: enqueued when a message was written, and by beat each minute. Tasks of beat: digests, deleting."""

from celery import shared_task

from notifications.delivery import deliver
from notifications.digests import send_due
from notifications.outbox import forget_old, write_waiting


@shared_task(name="notifications.deliver")
def deliver_messages() -> str | None:
    """How many were sent, for the page of periodic tasks."""
    write_waiting()
    return _sent_text(deliver())


@shared_task(name="notifications.digest")
def send_digests() -> str | None:
    return _sent_text(send_due())


@shared_task(name="notifications.forget_old")
def forget_old_messages() -> str | None:
    forgotten = forget_old()
    return f"{forgotten} deleted" if forgotten else None


def _sent_text(sent: int) -> str | None:
    return f"{sent} sent" if sent else None
