"""When beat fetches: once a day across both changes of clocks, once after a downtime, whoever else beats."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django_celery_beat.models import PeriodicTask

from catalog.fetching.fetch import fetch_when_due
from catalog.fetching.schedule import Timing, read_timing, timing_in_words, write_timing
from catalog.models import Feed, FeedSource, Fetch, FetchOutcome
from catalog.tasks import fetch_due_feed
from config import celery_app
from schedule.beat import Scheduler, due_period
from schedule.models import JobRun

pytestmark = pytest.mark.django_db


def periods(timing: Timing, begin: datetime, end: datetime, source: FeedSource, step: timedelta) -> list[datetime]:
    """The periods that a beat, which looks every so often, would enqueue the feed's job for."""
    found = []
    with time_machine.travel(begin, tick=False) as clock:
        write_timing(source, timing)
        while datetime.now(UTC) < end:
            clock.shift(step)
            scheduler = Scheduler(celery_app, lazy=True)  # as if it was just started: what it knows is in the row
            entry = next(each for each in scheduler.all_as_schedule().values() if each.model.pk == source.job_id)
            is_due, _next = entry.schedule.is_due(entry.last_run_at)
            if is_due:
                found.append(due_period(entry, datetime.now(UTC)))
                PeriodicTask.objects.filter(pk=source.job_id).update(last_run_at=datetime.now(UTC))
    return found


@pytest.mark.parametrize("at", [time(1, 30), time(2, 30), time(3, 30), time(5, 30)])
@pytest.mark.parametrize("day", [datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 10, 23, 12, tzinfo=UTC)])
def test_a_daily_feed_is_fetched_once_a_day_across_both_changes_of_clocks(
    at: time, day: datetime, source_at: Callable[..., FeedSource]
) -> None:
    source = source_at("https://shop.example/feed.xml")
    timing = Timing(at=at, time_zone="Europe/Berlin")
    found = periods(timing, day, day + timedelta(days=3), source, timedelta(minutes=30))
    local = [moment.astimezone(ZoneInfo("Europe/Berlin")).day for moment in found]
    assert local == [day.day + 1, day.day + 2, day.day + 3], found


def test_after_a_downtime_a_daily_feed_is_due_once(source_at: Callable[..., FeedSource]) -> None:
    source = source_at("https://shop.example/feed.xml")
    begin = datetime(2026, 6, 1, 12, tzinfo=UTC)
    timing = Timing(at=time(5, 30), time_zone="Asia/Dubai")
    found = periods(timing, begin, begin + timedelta(days=3), source, timedelta(days=3))
    assert found == [datetime(2026, 6, 2, 1, 30, tzinfo=UTC)]


def test_only_weekdays_are_weekdays(source_at: Callable[..., FeedSource]) -> None:
    source = source_at("https://shop.example/feed.xml")
    begin = datetime(2026, 6, 5, 12, tzinfo=UTC)  # a Friday
    timing = Timing(at=time(5, 30), days=(1, 2, 3, 4, 5), time_zone="Asia/Dubai")
    found = periods(timing, begin, begin + timedelta(days=4), source, timedelta(hours=1))
    assert [moment.strftime("%a") for moment in found] == ["Mon", "Tue"]


def test_two_beats_begin_one_fetch(feed: Feed, source_at: Callable[..., FeedSource], monkeypatch: Any) -> None:
    """Each period has one row, and the fetch of a period that is over is not begun again."""
    source = source_at("https://shop.example/feed.xml")
    write_timing(source, Timing(minutes=10))
    assert source.job_id
    period = datetime(2026, 6, 5, 12, tzinfo=UTC)
    assert JobRun.claim_period(source.job_id, period, "one")
    assert JobRun.claim_period(source.job_id, period, "two") is None


def test_what_the_schedule_calls_begins_a_fetch(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    source_at("https://shop.example/feed.xml")
    assert fetch_due_feed(feed.pk) == f"Fetch {Fetch.objects.get().pk} of Ounass"
    assert Fetch.objects.get().outcome == FetchOutcome.WAITING


def test_the_row_keeps_how_late_it_began(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    source_at("https://shop.example/feed.xml")
    due = datetime(2026, 6, 5, 12, tzinfo=UTC)
    row = fetch_when_due(feed.pk, due)
    assert row
    row.started_at = due + timedelta(minutes=7)
    assert (row.due_at, row.late_seconds) == (due, 420)


def test_a_schedule_in_crons_own_words_is_shown_and_left(source_at: Callable[..., FeedSource]) -> None:
    source = source_at("https://shop.example/feed.xml")
    write_timing(source, Timing(at=time(5, 30), time_zone="Asia/Dubai"))
    assert source.job
    source.job.crontab.minute = "*/7"
    assert read_timing(source) is None
    assert "*/7" in timing_in_words(source)
