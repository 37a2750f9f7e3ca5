"""Beat's scheduler: the package's, but each task carries the period it is due for, so that two beats run it once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from celery.schedules import crontab
from celery.utils.time import maybe_make_aware
from django.db import DatabaseError, InterfaceError
from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from schedule.healing import bring_back_from_future
from schedule.running import headers_for


class Scheduler(DatabaseScheduler):
    """After a downtime each job runs once, however many times it was missed."""

    def enabled_models_qs(self) -> QuerySet[PeriodicTask]:
        """Every job. The package leaves out crontabs of other hours, and so never catches up on one it missed."""
        jobs: QuerySet[PeriodicTask] = PeriodicTask.objects.enabled()
        return jobs

    def schedule_changed(self) -> bool:
        """Asked every few seconds. True also when the clock was ahead and came back: then beat reads all jobs again."""
        changed = bool(super().schedule_changed())
        try:
            was_ahead = bring_back_from_future()
        except (DatabaseError, InterfaceError):
            return changed  # which the package has logged
        if was_ahead:
            self._dirty.clear()  # times in the future that are not saved yet
        return changed or was_ahead

    def apply_async(self, entry: ModelEntry, producer: Any = None, advance: bool = True, **options: Any) -> Any:
        now = datetime.now(UTC)
        headers = {**entry.options["headers"], **headers_for(entry.model, due_period(entry, now))}
        entry.options = {**entry.options, "headers": headers}
        if not isinstance(entry.schedule, crontab):
            # While no worker runs, tasks would pile up: each is worth nothing once the next one is there.
            entry.options.setdefault("expires", interval_seconds(entry))
        return super().apply_async(entry, producer=producer, advance=advance, **options)


def due_period(entry: ModelEntry, now: datetime) -> datetime:
    """When the task that is due now was first due: the same for every beat, whenever it wakes up.

    Intervals are counted from 1970, so that beats which were not started together agree.
    """
    if not isinstance(entry.schedule, crontab):
        seconds = interval_seconds(entry)
        return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
    start, delta, _now = entry.schedule.remaining_delta(maybe_make_aware(entry.last_run_at))
    due: datetime = start + delta
    return due.astimezone(UTC)


def interval_seconds(entry: ModelEntry) -> float:
    """At least 1: nothing needs to run more often than once in a second."""
    return max(float(entry.schedule.run_every.total_seconds()), 1.0)
