"""The schedule's own task."""

from celery import shared_task

CANARY = "schedule.canary"


@shared_task(name=CANARY)
def sing_canary() -> None:
    """Do nothing. Its row shows that a worker ran it, and the readiness check looks for that row."""
