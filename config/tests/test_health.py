"""Alive, and able to work: what each of the two checks looks at."""

from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from celery import current_app
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.tests.conftest import make_person
from catalog.imports.work.queue import claimed
from catalog.models import Feed, ImportRun, Status
from catalog.tests.factories import feed_of, item, received
from config.health import PROBLEMS, Storage
from notifications.models import Message, Outage
from schedule.models import JobRun, Outcome
from schedule.tasks import CANARY

READY = "/health-check/ready/"


@pytest.fixture
def feed(db: None) -> Feed:
    return Feed.objects.create(name="Ounass", slug="ounass")


def beat_sent(ago: timedelta = timedelta()) -> PeriodicTask:
    canary = PeriodicTask.objects.get(task=CANARY)
    PeriodicTask.objects.filter(pk=canary.pk).update(last_run_at=timezone.now() - ago)
    return canary


def worker_sang(outcome: Outcome = Outcome.DONE, ago: timedelta = timedelta()) -> None:
    run = JobRun.claim_period(PeriodicTask.objects.get(task=CANARY).pk, timezone.now(), "1")
    assert run
    run.finish(outcome, 0.01, "")
    JobRun.objects.filter(pk=run.pk).update(started_at=timezone.now() - ago)


def ready() -> tuple[int, Any]:
    answer = Client().get(READY)
    return answer.status_code, answer.json()


def test_being_alive_touches_nothing() -> None:
    """Without the database fixture a query would be an error."""
    assert Client().get("/health-check/").json() == {"status": "ok"}


WELL = dict.fromkeys(("status", "broker", "storage", "database", "worker", "beat", "schedule", "imports", "mail"), "ok")


def lacking(part: str) -> dict[str, Any]:
    """The answer when this part alone is missing: it is named, and a sentence says what to look at."""
    return {**WELL, "status": "unavailable", part: "missing", "problems": [PROBLEMS[part]]}


def test_it_is_ready_when_everything_works(db: None, settings: Any) -> None:
    beat_sent()
    worker_sang()
    assert ready() == (200, WELL)
    assert not [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]


@pytest.mark.parametrize("ago", [timedelta(minutes=4), timedelta(days=1)])
def test_a_worker_that_did_nothing_lately_is_missing(db: None, ago: timedelta) -> None:
    beat_sent()
    worker_sang(ago=ago)
    status, said = ready()
    assert status == 503
    assert said == lacking("worker")


@pytest.mark.parametrize("outcome", [Outcome.RUNNING, Outcome.FAILED])
def test_a_worker_that_did_not_finish_is_missing(db: None, outcome: Outcome) -> None:
    beat_sent()
    worker_sang(outcome)
    assert ready()[1]["worker"] == "missing"


def test_without_beat_nobody_asks_the_workers(db: None) -> None:
    beat_sent(ago=timedelta(minutes=4))
    worker_sang(ago=timedelta(minutes=4))
    status, said = ready()
    assert (status, said["beat"], said["worker"]) == (503, "missing", "unknown")


def test_a_beat_of_the_future_is_not_taken_for_one_that_runs(db: None) -> None:
    beat_sent(ago=-timedelta(hours=2))
    assert ready()[1]["beat"] == "missing"
    worker_sang()
    assert ready() == (200, WELL)


@pytest.mark.parametrize("task", [CANARY, "catalog.sweep", "notifications.deliver"])
@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_required_job_that_is_gone_or_switched_off_is_named(db: None, task: str, is_deleted: bool) -> None:
    beat_sent()
    worker_sang()
    job = PeriodicTask.objects.filter(task=task)
    job.delete() if is_deleted else job.update(enabled=False)
    status, said = ready()
    assert (status, said["schedule"], said["missing_jobs"]) == (503, "missing", [task])
    assert said["beat"] == ("unknown" if task == CANARY else "ok")


@pytest.mark.parametrize("address", ["redis://127.0.0.1:1/0", "redis+socket:///nowhere/broker.sock"])
def test_a_broker_that_does_not_answer_is_missing(db: None, settings: Any, address: str) -> None:
    settings.CELERY_BROKER_URL = address
    beat_sent()
    worker_sang()
    status, said = ready()
    assert (status, said["broker"]) == (503, "missing")


def test_a_storage_that_takes_nothing_makes_it_not_ready(db: None, settings: Any) -> None:
    settings.MEDIA_ROOT = "/proc/nowhere"
    beat_sent()
    worker_sang()
    assert ready() == (503, lacking("storage"))


def test_a_storage_that_does_not_answer_is_missing_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, over = [], Event()

    def hang(name: str, _content: Any) -> None:
        asked.append(name)
        over.wait()

    monkeypatch.setattr("config.health.ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("config.health.default_storage.save", hang)
    storage = Storage()
    assert [storage.current_state() for _ in range(3)] == ["missing"] * 3
    over.set()
    assert len(asked) == 1


@pytest.mark.parametrize("status", [Status.RECEIVED, Status.STAGING, Status.APPLYING, Status.UNDOING])
def test_imports_that_wait_while_no_worker_has_any_are_missing(feed: Feed, status: Status) -> None:
    beat_sent()
    worker_sang()
    run = received(feed, feed_of(item("1")))
    for minutes, expected in ((2, 200), (4, 503)):
        ImportRun.objects.filter(pk=run.pk).update(status=status, changed_at=Now() - timedelta(minutes=minutes))
        assert ready()[0] == expected
    assert ready()[1] == lacking("imports")


def test_imports_that_wait_for_a_busy_worker_or_for_the_catalogue_are_well(feed: Feed) -> None:
    beat_sent()
    worker_sang()
    run = received(feed, feed_of(item("1")))
    ImportRun.objects.update(changed_at=Now() - timedelta(hours=1))
    with claimed(received(feed, feed_of(item("2")))):
        assert ready() == (200, WELL)
    ImportRun.objects.filter(pk=run.pk).update(status=Status.APPLYING, next_try_at=Now() - timedelta(seconds=9))
    assert ready() == (200, WELL)
    ImportRun.objects.filter(pk=run.pk).update(next_try_at=Now() - timedelta(minutes=4))
    assert ready()[1]["imports"] == "missing"


@pytest.mark.parametrize("minutes", [9, 11])
def test_mails_that_do_not_get_out_are_missing(db: None, minutes: int) -> None:
    beat_sent()
    worker_sang()
    expected = (200, WELL) if minutes == 9 else (503, lacking("mail"))
    Outage.begin("Connection refused")
    Outage.objects.update(since=Now() - timedelta(minutes=minutes))
    assert ready() == expected
    Outage.end()
    assert ready() == (200, WELL)
    message = Message.objects.create(name="digest", recipient=make_person("alice"), about="a day")
    Message.objects.filter(pk=message.pk).update(next_try=Now() - timedelta(minutes=minutes))
    assert ready() == expected  # nobody sends it


def test_a_database_that_does_not_answer_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("could not connect to server: secret.host")

    monkeypatch.setattr("django.db.models.query.QuerySet.exists", away)
    status, said = ready()
    assert (status, said["database"]) == (503, "missing")
    assert "secret" not in str(said)


def test_the_canary_is_a_task_that_workers_know() -> None:
    current_app.loader.import_default_modules()
    assert CANARY in current_app.tasks


def test_nothing_between_keeps_the_answer(db: None) -> None:
    assert "no-store" in Client().get(READY)["Cache-Control"]
