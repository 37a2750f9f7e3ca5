"""The senders' side: rung for when something was told, and by beat each minute."""

from celery import shared_task

from notifications.delivery import deliver


@shared_task(name="notifications.deliver")
def deliver_messages() -> str | None:
    """How many were sent, for the page of the schedule."""
    sent = deliver()
    return f"{sent} sent" if sent else None
