"""Lost calls and lost workers only delay an import."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog.imports.sweep import sweep
from catalog.imports.work.queue import claimed
from catalog.models import Feed, ImportRun, Status
from catalog.tests.factories import at_once


def waiting(feed: Feed, status: Status, minutes: int) -> ImportRun:
    run = ImportRun.objects.create(feed=feed, mode="update", file="x", file_name="x", file_size=1, status=status)
    ImportRun.objects.filter(pk=run.pk).update(changed_at=timezone.now() - timedelta(minutes=minutes))
    return run


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> Any:
    """Sweep, and give the tasks that the broker was asked to run."""
    calls: list[tuple[str, int]] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, args, **_: calls.append((name, *args)))

    def run_sweep() -> list[tuple[str, int]]:
        with django_capture_on_commit_callbacks(execute=True):
            sweep()
        return calls

    return run_sweep


def test_work_that_nobody_holds_is_rung_for_again(feed: Feed, rung: Any) -> None:
    received, staging, applying = (
        waiting(feed, status, minutes=3) for status in (Status.RECEIVED, Status.STAGING, Status.APPLYING)
    )
    assert rung() == [
        ("catalog.stage", received.pk),
        ("catalog.stage", staging.pk),
        ("catalog.apply", applying.pk),
    ]


def test_a_call_gets_time_to_arrive(feed: Feed, rung: Any) -> None:
    waiting(feed, Status.RECEIVED, minutes=1)
    assert rung() == []


def test_an_import_that_waits_for_a_person_or_is_over_is_left_alone(feed: Feed, rung: Any) -> None:
    for status in (Status.APPLIED, Status.FAILED, Status.DISCARDED):
        waiting(feed, status, minutes=60)
    ImportRun.objects.filter(pk=waiting(feed, Status.REVIEW, minutes=60).pk).update(items=1, created=1)
    assert rung() == []


@pytest.mark.django_db(transaction=True)
def test_an_import_that_a_worker_holds_is_left_alone(feed: Feed) -> None:
    run = waiting(feed, Status.STAGING, minutes=60)
    with claimed(run):
        assert at_once(sweep) == [[]]
    assert [found.pk for found in sweep()] == [run.pk]


def test_a_plan_that_needs_no_person_goes_on(feed: Feed, rung: Any) -> None:
    run = waiting(feed, Status.REVIEW, minutes=3)
    assert rung() == [("catalog.apply", run.pk)]
    assert ImportRun.objects.get(pk=run.pk).status == Status.APPLYING
