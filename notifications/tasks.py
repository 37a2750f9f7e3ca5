"""Work on messages, by beat."""

from celery import shared_task

from notifications.digests import send_due


@shared_task(name="notifications.digest")
def send_digests() -> str:
    return f"{send_due()} sent"
