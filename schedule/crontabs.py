"""Crontabs as Celery understands them: the package's form accepts more, and beat leaves such a job out silently.

findings/celery-beat-sunday.sh shows it.
"""

from __future__ import annotations

import re
from typing import Any

from celery.schedules import ParseException, crontab
from django.db.models.signals import pre_save
from django_celery_beat.models import CrontabSchedule, PeriodicTask

FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_DAYS = re.compile(r"0?([0-7])(?:-0?([0-7]))?(?:/([1-9][0-9]?))?")
_EVERY_DAY = range(7)


def weekdays_of_celery(text: str) -> str:
    """The days of the week with Sunday as 0: Celery does not take it for 7, in no list and no range."""
    parts = [part.strip() for part in text.split(",")]
    found = [_DAYS.fullmatch(part) for part in parts]
    if not any(match and "7" in match.group(1, 2) for match in found):
        return text
    written = [_with_sunday_first(match) if match else part for match, part in zip(found, parts, strict=True)]
    days = ",".join(written).split(",")
    return "*" if set(map(str, _EVERY_DAY)) <= set(days) else ",".join(sorted(set(days)))


def _with_sunday_first(match: re.Match[str]) -> str:
    """The numbers of the days from the first to the last, each `step` of them; 7-2 begins on a Sunday."""
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if first == 7:
        first, last = 0, last % 7
    return ",".join(str(day % 7) for day in range(first, last + 1, step))


def is_understood(schedule: CrontabSchedule) -> bool:
    try:
        crontab(**{name: getattr(schedule, name) for name in FIELDS})
    except (ValueError, ParseException):
        return False
    return True


def jobs_not_loaded() -> list[PeriodicTask]:
    """The enabled jobs that beat leaves out, because Celery does not understand when they run."""
    jobs = PeriodicTask.objects.filter(enabled=True, crontab__isnull=False).select_related("crontab").order_by("name")
    return [job for job in jobs if not is_understood(job.crontab)]


def store_for_celery(instance: CrontabSchedule, **_signal: Any) -> None:
    """Before a crontab is saved, in whichever way."""
    instance.day_of_week = weekdays_of_celery(instance.day_of_week)


def connect() -> None:
    pre_save.connect(store_for_celery, sender=CrontabSchedule, dispatch_uid="schedule.crontabs")
