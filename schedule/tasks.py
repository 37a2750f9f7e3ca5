"""The schedule's own work."""

from celery import shared_task


@shared_task(name="schedule.canary")
def canary() -> None:
    """Nothing: that a worker did it stands in its row, which the readiness check looks for."""
