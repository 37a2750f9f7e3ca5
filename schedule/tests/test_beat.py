"""Each job once per period, however many beats there are and however long none was there."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from celery import shared_task
from celery.exceptions import Retry
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from config import celery_app
from schedule.beat import Scheduler, due_period
from schedule.healing import bring_back_from_future, jobs_in_future
from schedule.models import JobRun, Outcome
from schedule.running import headers_for, run_now

pytestmark = pytest.mark.django_db
DONE: list[str] = []


@shared_task(name="tests.count")
def count(word: str = "done") -> str:
    DONE.append(word)
    return word


@shared_task(name="tests.break")
def break_down() -> None:
    raise ValueError("no way")


@shared_task(name="tests.come_again")
def come_again() -> None:
    DONE.append("again")
    raise Retry


@pytest.fixture(autouse=True)
def clean_start(monkeypatch: pytest.MonkeyPatch) -> None:
    DONE.clear()
    # A beat of the suite shares the test's connection, and has nothing to write at the end of the process.
    monkeypatch.setattr("django_celery_beat.schedulers.close_old_connections", lambda: None)
    monkeypatch.setattr("django_celery_beat.schedulers.Finalize", lambda *_args, **_options: None)


@pytest.fixture
def job() -> PeriodicTask:
    PeriodicTask.objects.all().delete()
    every_minute, _ = IntervalSchedule.objects.get_or_create(every=1, period="minutes")
    return PeriodicTask.objects.create(name="Count", task="tests.count", interval=every_minute)


@pytest.fixture
def nightly(job: PeriodicTask) -> PeriodicTask:
    at_three = CrontabSchedule.objects.create(hour="3", minute="0", timezone="Asia/Dubai")
    PeriodicTask.objects.filter(pk=job.pk).update(interval=None, crontab=at_three)
    return PeriodicTask.objects.get(pk=job.pk)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The calls that beats make, instead of the broker."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(count, "apply_async", lambda args, kwargs, **options: calls.append(options))
    return calls


def beat() -> Scheduler:
    return Scheduler(app=celery_app, lazy=True)


def run_for(beats: list[Scheduler], since: datetime, minutes: int) -> None:
    """Let the beats go on for so many minutes; each looks every ten seconds, not in the same instant."""
    for second in range(0, minutes * 60, 10):
        for index, each in enumerate(beats):
            with time_machine.travel(since + timedelta(seconds=second + 3 * index), tick=False):
                look(each)


def look(beat: Scheduler) -> None:
    """Call for what is due now."""
    for entry in beat.schedule.values():
        if entry.is_due().is_due:
            beat.schedule[entry.name] = beat.reserve(entry)
            beat.apply_entry(entry)


def work(calls: list[dict[str, Any]]) -> None:
    for number, options in enumerate(calls):
        count.apply(headers=options["headers"], task_id=f"call {number}")


START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def last_ran(job: PeriodicTask, at: datetime) -> None:
    PeriodicTask.objects.filter(pk=job.pk).update(last_run_at=at)


def test_two_beats_do_a_job_once_in_a_period(job: PeriodicTask, sent: list[Any]) -> None:
    last_ran(job, START)
    run_for([beat(), beat()], START, minutes=10)
    work(sent)
    assert len(sent) == 18
    assert len(DONE) == 9
    assert JobRun.objects.filter(outcome=Outcome.DONE).count() == 9


def test_after_a_downtime_a_job_is_caught_up_with_once(job: PeriodicTask, sent: list[Any]) -> None:
    last_ran(job, START - timedelta(hours=3))
    run_for([beat()], START, minutes=1)
    work(sent)
    assert len(DONE) == 1


@pytest.mark.parametrize("days", [0, 3])
def test_a_nightly_job_that_was_missed_is_made_up_for_at_any_hour(
    nightly: PeriodicTask, sent: list[Any], days: int
) -> None:
    last_ran(nightly, START - timedelta(days=days, hours=14))
    run_for([beat(), beat()], START, minutes=2)
    work(sent)
    assert DONE == ["done"]
    assert JobRun.objects.get().period == datetime(2026, 2, 28, 23, tzinfo=UTC) - timedelta(days=days)


def test_a_nightly_job_waits_for_its_night(nightly: PeriodicTask, sent: list[Any]) -> None:
    last_ran(nightly, START - timedelta(hours=2))
    run_for([beat()], START, minutes=2)
    assert sent == []


def test_every_beat_calls_a_nightly_period_by_the_same_name(nightly: PeriodicTask) -> None:
    last_ran(nightly, START - timedelta(hours=14))
    (entry,) = beat().schedule.values()
    due = datetime(2026, 2, 28, 23, 0, tzinfo=UTC)
    for later in (0, 1, 300):
        with time_machine.travel(START + timedelta(minutes=later)):
            assert due_period(entry, START) == due


def test_a_call_that_nobody_took_in_its_period_is_worth_nothing(job: PeriodicTask, sent: list[Any]) -> None:
    last_ran(job, START - timedelta(minutes=5))
    run_for([beat()], START, minutes=1)
    assert sent[0]["expires"] == 60


# --- a clock that was ahead -----------------------------------------------------------------------------
def test_a_clock_that_jumped_ahead_and_came_back_silences_nobody(
    job: PeriodicTask, sent: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    last_ran(job, START - timedelta(minutes=1))
    beats = [beat()]
    run_for(beats, START, minutes=1)
    run_for(beats, START + timedelta(hours=2), minutes=3)
    work(sent)
    done, sent[:] = len(DONE), []
    run_for(beats, START + timedelta(minutes=1), minutes=10)
    work(sent)
    assert len(DONE) - done in (9, 10)
    assert "The clock was ahead: the last run of Count was in the future" in caplog.text
    assert not JobRun.objects.filter(period__gt=START + timedelta(minutes=11)).exists()
    with time_machine.travel(START + timedelta(minutes=11)):
        assert not jobs_in_future().exists()


def test_a_beat_that_starts_after_the_clock_came_back_is_not_silent(job: PeriodicTask, sent: list[Any]) -> None:
    last_ran(job, START + timedelta(hours=2))
    run_for([beat()], START, minutes=3)
    assert len(sent) in (2, 3)


def test_clocks_that_differ_a_little_are_left_alone(job: PeriodicTask, sent: list[Any]) -> None:
    last_ran(job, START + timedelta(seconds=20))
    with time_machine.travel(START):
        assert not bring_back_from_future()


# --- a run --------------------------------------------------------------------------------------------
def test_a_run_says_how_long_it_took_and_what_came_of_it(job: PeriodicTask) -> None:
    count.apply(args=("fine",), headers=headers_for(job, START), task_id="1")
    run = JobRun.objects.get()
    assert (run.outcome, run.result, run.period) == (Outcome.DONE, "fine", START)
    assert run.seconds is not None


def test_a_run_that_fails_says_why(job: PeriodicTask) -> None:
    break_down.apply(headers=headers_for(job, START), task_id="1")
    run = JobRun.objects.get()
    assert (run.outcome, run.result) == (Outcome.FAILED, "ValueError: no way")


def test_a_run_that_is_tried_again_is_the_same_run(job: PeriodicTask) -> None:
    for _ in range(2):
        come_again.apply(headers=headers_for(job, START), task_id="1")
    assert DONE == ["again", "again"]
    assert JobRun.objects.get().outcome == Outcome.RUNNING


def test_the_call_of_a_lost_worker_is_taken_up_again(job: PeriodicTask) -> None:
    assert JobRun.claim_period(job.pk, START, "lost")
    count.apply(headers=headers_for(job, START), task_id="other")
    assert DONE == []
    count.apply(headers=headers_for(job, START), task_id="lost")
    assert DONE == ["done"]


def test_a_call_that_is_delivered_again_after_its_end_does_nothing(job: PeriodicTask) -> None:
    for _ in range(2):
        count.apply(headers=headers_for(job, START), task_id="1")
    assert DONE == ["done"]


def test_the_call_of_a_job_that_is_gone_does_nothing(job: PeriodicTask) -> None:
    headers = headers_for(job, START)
    job.delete()
    count.apply(headers=headers, task_id="1")
    assert DONE == []


def test_what_nobody_scheduled_runs_as_ever() -> None:
    assert count("plain") == "plain"
    assert count.apply().get() == "done"
    assert not JobRun.objects.exists()


def test_runs_of_more_than_a_week_before_are_forgotten(job: PeriodicTask) -> None:
    old = JobRun.objects.create(job=job, period=START, task_id="old")
    count.apply(headers=headers_for(job, START + timedelta(days=300)), task_id="1")
    assert not JobRun.objects.filter(pk=old.pk).exists()


def test_the_button_pressed_twice_calls_once(job: PeriodicTask, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **options: calls.append(options))
    with time_machine.travel(START):
        run_now(job)
        run_now(job)
    work(calls)
    assert DONE == ["done"]
