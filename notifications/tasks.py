"""The senders' side: rung for when something was told, and by beat each minute."""

from celery import shared_task

from notifications.delivery import deliver


@shared_task(name="notifications.deliver")
def deliver_messages() -> None:
    deliver()
