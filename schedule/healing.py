"""What keeps the schedule from running, and its cure: required jobs that are missing, and times in the future."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from schedule.jobs import Job, required_jobs
from schedule.models import JobRun

log = logging.getLogger(__name__)

AS_MADE = {"args": "[]", "kwargs": "{}", "queue": None, "exchange": None, "routing_key": None}
CLOCK_TOLERANCE = timedelta(minutes=1)  # by which the clocks of two machines may differ


# --- jobs -----------------------------------------------------------------------------------------------


def missing_jobs() -> list[Job]:
    """The required jobs that no row runs: deleted, with their crontab too, switched off, expired or put off.

    So is one with arguments, which it has none of, or with a queue of its own, which no worker listens to.
    """
    now = timezone.now()
    is_running = (
        Q(enabled=True) & (Q(expires=None) | Q(expires__gt=now)) & (Q(start_time=None) | Q(start_time__lte=now))
    )
    for field, usual in AS_MADE.items():
        is_running &= Q(**{field: usual}) | Q(**{field: ""}) | Q(**{f"{field}__isnull": True})
    running = set(PeriodicTask.objects.filter(is_running).values_list("task", flat=True))
    return [job for job in required_jobs() if job.task not in running]


@transaction.atomic
def restore_jobs() -> list[Job]:
    """Make the jobs that are missing, or switch them on again; when they run stays as staff have set it."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE django_celery_beat_periodictask IN SHARE ROW EXCLUSIVE MODE")  # one at a time
    missing = missing_jobs()
    for job in missing:
        left = PeriodicTask.objects.filter(task=job.task).order_by("pk").first()
        row = left or PeriodicTask(task=job.task, name=_free_name(job), description=job.description, **_times(job))
        row.enabled, row.one_off, row.start_time, row.expires = True, False, None, None
        for field, usual in AS_MADE.items():
            setattr(row, field, usual)
        row.save()  # which has beat read the schedule again
    if missing:
        log.info("Restored the periodic tasks %s", ", ".join(job.task for job in missing))
    return missing


def _free_name(job: Job) -> str:
    is_taken = PeriodicTask.objects.filter(name=job.name).exists()
    return f"{job.name} ({job.task})" if is_taken else job.name


def _times(job: Job) -> dict[str, Any]:
    """An equal row may be there several times: the package does not keep them apart."""
    if job.every:
        interval = {"every": round(job.every.total_seconds() / 60), "period": IntervalSchedule.MINUTES}
        known = IntervalSchedule.objects.filter(**interval).first()
        return {"interval": known or IntervalSchedule.objects.create(**interval)}
    at_night = {"minute": "20", "hour": "3", "day_of_week": "*", "day_of_month": "*", "month_of_year": "*"}
    at_night["timezone"] = settings.TIME_ZONE
    return {"crontab": CrontabSchedule.objects.filter(**at_night).first() or CrontabSchedule.objects.create(**at_night)}


def restore_after_migrating(verbosity: int = 1, **_: Any) -> None:
    """After `migrate`, which may have gone back to before there was a schedule."""
    if PeriodicTask._meta.db_table not in connection.introspection.table_names():
        return
    if (restored := restore_jobs()) and verbosity:
        print(f"Periodic tasks made or switched on: {', '.join(job.name for job in restored)}")


# --- times ----------------------------------------------------------------------------------------------


def jobs_in_future() -> QuerySet[PeriodicTask]:
    """Those that ran later than now, because a clock was wrong. Beat waits until it is that late again."""
    jobs: QuerySet[PeriodicTask] = PeriodicTask.objects.filter(last_run_at__gt=timezone.now() + CLOCK_TOLERANCE)
    return jobs


def bring_back_from_future() -> bool:
    """Have jobs that ran in the future be due again, and forget what they did there. Whether there were any.

    Periods are forgotten, too: when their time came, the job would be taken for done.
    """
    names = sorted(jobs_in_future().values_list("name", flat=True))
    if names:
        log.warning("The clock was ahead: the last run of %s was in the future, and counts as now", ", ".join(names))
        jobs_in_future().update(last_run_at=timezone.now())
        JobRun.objects.filter(period__gt=timezone.now() + CLOCK_TOLERANCE).delete()
    return bool(names)
