"""When a feed is fetched: a row of django-celery-beat, made from what the feed's page says and shown in words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from celery.utils.time import maybe_make_aware
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from catalog.imports.work.queue import Task
from catalog.models import FeedSource
from schedule.healing import CLOCK_TOLERANCE

CALL_TAKES = timedelta(minutes=2)  # long enough for a message to arrive and be taken up
DAYS = (_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"))
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
WEEKDAYS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Timing:
    """Every so many `minutes`; or, if these are 0, at a time of the day on some `days`, Monday being 1."""

    minutes: int = 0
    at: time = time(5, 30)
    days: tuple[int, ...] = EVERY_DAY
    time_zone: str = ""

    def in_words(self) -> str:
        """As people say it: every day at 05:30 Asia/Dubai."""
        if self.minutes == 1:
            return _("every minute")
        if self.minutes:
            return _("every %(minutes)s minutes") % {"minutes": self.minutes}
        if self.days == EVERY_DAY:
            days = _("every day")
        elif self.days == WEEKDAYS:
            days = _("Monday to Friday")
        else:
            days = ", ".join(DAYS[day - 1] for day in self.days)
        return _("%(days)s at %(time)s %(zone)s") % {"days": days, "time": f"{self.at:%H:%M}", "zone": self.time_zone}


def read_timing(source: FeedSource) -> Timing | None:
    """What the row of the schedule says. None without one, and for one that somebody wrote in cron's own words."""
    job = source.job
    if job is None:
        return None
    if job.interval:
        seconds = job.interval.schedule.run_every.total_seconds()
        return Timing(minutes=int(seconds // 60)) if seconds >= 60 and not seconds % 60 else None
    cron = job.crontab
    if cron is None or (cron.day_of_month, cron.month_of_year) != ("*", "*"):
        return None
    try:
        at = time(int(cron.hour), int(cron.minute))
        days = (
            EVERY_DAY
            if cron.day_of_week == "*"
            else tuple(sorted({int(day) or 7 for day in cron.day_of_week.split(",")}))
        )
    except ValueError:
        return None
    return Timing(at=at, days=days, time_zone=str(cron.timezone))


def timing_in_words(source: FeedSource) -> str:
    """When it is fetched; "" if only on demand."""
    if source.job is None:
        return ""
    timing = read_timing(source)
    return timing.in_words() if timing else str(source.job.crontab or source.job.interval)


def next_fetch_at(source: FeedSource) -> datetime | None:
    """When it is fetched next; None if only on demand, or while its schedule is paused."""
    job = source.job
    if job is None or not job.enabled:
        return None
    now = timezone.now()
    remaining: timedelta = job.schedule.remaining_estimate(maybe_make_aware(job.last_run_at or now))
    return max(now, now + remaining)


def write_timing(source: FeedSource, timing: Timing | None) -> None:
    """Make the row of the schedule what `timing` says, from now on: a time that was missed is not caught up with."""
    with transaction.atomic():
        if timing is None:
            if source.job:
                source.job.delete()
            source.job = None
        else:
            fields: dict[str, Any] = {"interval": None, "crontab": None, "enabled": True, "last_run_at": timezone.now()}
            if timing.minutes:
                every = {"every": timing.minutes, "period": IntervalSchedule.MINUTES}
                known = IntervalSchedule.objects.filter(**every).first()  # there may be several equal ones
                fields["interval"] = known or IntervalSchedule.objects.create(**every)
            else:
                days = "*" if timing.days == EVERY_DAY else ",".join(str(day % 7) for day in timing.days)
                at: dict[str, Any] = {"minute": str(timing.at.minute), "hour": str(timing.at.hour), "day_of_week": days}
                at |= {"day_of_month": "*", "month_of_year": "*", "timezone": ZoneInfo(timing.time_zone)}
                fields["crontab"] = CrontabSchedule.objects.filter(**at).first() or CrontabSchedule.objects.create(**at)
            job = source.job or PeriodicTask(
                name=f"Fetch the feed {source.feed.slug} ({source.feed_id})",
                task=Task.FETCH_DUE.value,
                args=json.dumps([source.feed_id]),
                description=_("Made by the feed's page."),
            )
            for name, value in fields.items():
                setattr(job, name, value)
            job.save()
            source.job = job
        source.paused_at, source.called_at = None, timezone.now()
        source.save(update_fields=["job", "paused_at", "called_at"])


def lost_call(source: FeedSource) -> datetime | None:
    """When beat was to call for a fetch, and did, while the call has come nowhere; None if there is none.

    Calls are messages, which the broker may forget, and a worker may be lost with one. By beat's clock and the
    database's, which may differ by a little.
    """
    job, after = source.job, source.called_at + CLOCK_TOLERANCE
    if job is None or not job.enabled or not job.last_run_at or job.last_run_at > timezone.now() - CALL_TAKES:
        return None
    if job.interval:
        due = source.called_at + job.interval.schedule.run_every
    else:
        start, delta, _now = job.schedule.remaining_delta(maybe_make_aware(after))
        due = start + delta
    return due.astimezone(UTC) if due <= job.last_run_at else None
