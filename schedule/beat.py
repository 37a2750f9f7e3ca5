"""The scheduler of beat: the package's, with a period on each call so that two beats do a job once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from celery.schedules import crontab
from celery.utils.time import maybe_make_aware
from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from schedule.running import headers_for


class Scheduler(DatabaseScheduler):
    """After a downtime each job runs once, however many times it was missed."""

    def enabled_models_qs(self) -> QuerySet[PeriodicTask]:
        """Every job. The package leaves out crontabs of other hours, and so never makes up for one it missed."""
        jobs: QuerySet[PeriodicTask] = PeriodicTask.objects.enabled()
        return jobs

    def apply_async(self, entry: ModelEntry, producer: Any = None, advance: bool = True, **options: Any) -> Any:
        now = datetime.now(UTC)
        headers = {**entry.options["headers"], **headers_for(entry.model, period_of(entry, now))}
        entry.options = {**entry.options, "headers": headers}
        if not isinstance(entry.schedule, crontab):
            # While no worker runs, calls would pile up: each is worth nothing once the next one is there.
            entry.options.setdefault("expires", _every(entry))
        return super().apply_async(entry, producer=producer, advance=advance, **options)


def period_of(entry: ModelEntry, now: datetime) -> datetime:
    """When the call that is due now was due first: the same for every beat, whenever it wakes up.

    Intervals are counted from 1970, so that beats which were not started together agree.
    """
    if not isinstance(entry.schedule, crontab):
        every = _every(entry)
        return datetime.fromtimestamp(now.timestamp() // every * every, UTC)
    start, delta, _now = entry.schedule.remaining_delta(maybe_make_aware(entry.last_run_at))
    due: datetime = start + delta
    return due.astimezone(UTC)


def _every(entry: ModelEntry) -> float:
    """The seconds of an interval. Nothing needs to run more often than once in a second."""
    return max(float(entry.schedule.run_every.total_seconds()), 1.0)
