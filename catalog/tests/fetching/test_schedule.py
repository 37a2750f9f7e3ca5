"""When beat fetches: once a day across both changes of clocks, once after a downtime, whoever else beats."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from catalog.fetching.edit import resume_schedule
from catalog.fetching.fetch import fetch_when_due, sweep_fetches
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


def test_equal_times_that_staff_made_twice_are_no_hindrance(source_at: Callable[..., FeedSource]) -> None:
    """The package lets them be there several times."""
    source = source_at("https://shop.example/feed.xml")
    for timing in (Timing(minutes=7), Timing(at=time(5, 31), time_zone="Asia/Dubai")):
        write_timing(source, timing)
        assert source.job
        for twice in filter(None, (source.job.interval, source.job.crontab)):
            twice.pk = None
            twice.save()
        write_timing(source, timing)
        assert timing_in_words(source) == timing.in_words()


# --- calls that come nowhere ----------------------------------------------------------------------------


def called(source: FeedSource, *, before: timedelta, sent: timedelta) -> None:
    """The schedule's last call that was seen to was so long ago, and beat has sent another one since."""
    now = timezone.now()
    FeedSource.objects.filter(pk=source.pk).update(called_at=now - before)
    PeriodicTask.objects.filter(pk=source.job_id).update(last_run_at=now - sent)


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("is_daily", [True, False])
def test_a_call_of_the_schedule_that_was_lost_is_made_good_once(
    feed: Feed, source_at: Callable[..., FeedSource], is_daily: bool
) -> None:
    source = source_at("https://shop.example/feed.xml")
    due = (timezone.now() - 5 * MINUTE).replace(second=0, microsecond=0)
    daily = Timing(at=due.time(), time_zone="UTC")
    write_timing(source, daily if is_daily else Timing(minutes=10))
    called(source, before=timedelta(days=1) if is_daily else 15 * MINUTE, sent=3 * MINUTE)
    sweep_fetches()
    (row,) = Fetch.objects.all()
    assert (row.reason, row.outcome) == ("schedule", "waiting")
    assert abs(row.due_at - due) < MINUTE
    Fetch.objects.update(outcome=FetchOutcome.UNCHANGED, finished_at=timezone.now())
    sweep_fetches()
    assert fetch_when_due(feed.pk, row.due_at) is None, "the call itself comes at last"
    assert Fetch.objects.count() == 1
    assert fetch_when_due(feed.pk, row.due_at + timedelta(days=1))


@pytest.mark.parametrize(
    ("before", "sent"), [(15 * MINUTE, 1 * MINUTE), (3 * MINUTE, 3 * MINUTE), (15 * MINUTE, 14 * MINUTE)]
)
def test_a_call_that_is_on_its_way_or_came_is_not_lost(
    source_at: Callable[..., FeedSource], before: timedelta, sent: timedelta
) -> None:
    source = source_at("https://shop.example/feed.xml")
    write_timing(source, Timing(minutes=10))
    called(source, before=before, sent=sent)
    sweep_fetches()
    assert not Fetch.objects.exists()


def test_a_new_a_paused_and_no_schedule_have_no_lost_calls(feed: Feed, source_at: Callable[..., FeedSource]) -> None:
    source = source_at("https://shop.example/feed.xml")
    sweep_fetches()
    FeedSource.objects.update(called_at=timezone.now() - timedelta(days=9))
    source.refresh_from_db()
    write_timing(source, Timing(minutes=10))
    PeriodicTask.objects.update(last_run_at=timezone.now() - 3 * MINUTE)
    sweep_fetches()
    called(source, before=15 * MINUTE, sent=3 * MINUTE)
    PeriodicTask.objects.update(enabled=False)
    sweep_fetches()
    resume_schedule(feed, by=None)
    PeriodicTask.objects.update(last_run_at=timezone.now() - 3 * MINUTE)
    sweep_fetches()
    assert not Fetch.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_lost_with_a_call_has_not_seen_to_it(
    source_at: Callable[..., FeedSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_at("https://shop.example/feed.xml")
    write_timing(source, Timing(minutes=10))
    called(source, before=15 * MINUTE, sent=3 * MINUTE)
    with monkeypatch.context() as patch:
        patch.setattr("catalog.fetching.fetch.enqueue_fetch", lambda *_: sys.exit())
        with pytest.raises(SystemExit):
            fetch_due_feed(source.feed_id)
    assert not Fetch.objects.exists()
    sweep_fetches()
    assert Fetch.objects.count() == 1
