"""What every installation schedules, and how that comes back."""

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.core.management import call_command
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from schedule.healing import missing_jobs, restore_jobs
from schedule.jobs import required_jobs
from schedule.tasks import CANARY

pytestmark = pytest.mark.django_db
SWEEP = "catalog.sweep"


def jobs() -> list[Any]:
    return list(PeriodicTask.objects.order_by("pk").values("pk", "name", "description", "interval", "crontab"))


def missing() -> list[str]:
    return [job.task for job in missing_jobs()]


def test_every_job_is_a_task_that_workers_know() -> None:
    current_app.loader.import_default_modules()
    required = {job.task for job in required_jobs()}
    assert {*PeriodicTask.objects.values_list("task", flat=True)} == required
    assert required <= current_app.tasks.keys()


def test_jobs_are_made_once_and_stay_as_staff_left_them() -> None:
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    PeriodicTask.objects.update(description="Ours", interval=hourly, crontab=None)
    left = jobs()
    call_command("migrate", verbosity=0)
    assert jobs() == left


SILENCED = {
    "switched off": {"enabled": False},
    "expired": {"expires": timezone.now() - timedelta(minutes=1)},
    "put off": {"start_time": timezone.now() + timedelta(days=9)},
    "sent where nobody listens": {"queue": "nowhere"},
    "sent by a key of its own": {"routing_key": "nowhere"},
    "called with an argument": {"args": "[1]"},
    "called with a named one": {"kwargs": '{"x": 1}'},
}


@pytest.mark.parametrize("fields", SILENCED.values(), ids=SILENCED)
def test_a_job_that_was_silenced_is_missing_until_migrate_restores_it(fields: dict[str, Any]) -> None:
    job = PeriodicTask.objects.get(task=SWEEP)
    PeriodicTask.objects.filter(pk=job.pk).update(description="Ours", **fields)
    assert missing() == [SWEEP]
    call_command("migrate", verbosity=0)
    assert missing() == []
    restored = PeriodicTask.objects.get(task=SWEEP)
    assert (restored.pk, restored.description, restored.interval) == (job.pk, "Ours", job.interval)
    assert (restored.queue, restored.args, restored.kwargs) == (None, "[]", "{}")


def test_jobs_deleted_with_their_times_are_restored() -> None:
    before = {(job["name"], job["description"]) for job in jobs()}
    IntervalSchedule.objects.all().delete()
    CrontabSchedule.objects.all().delete()
    assert not PeriodicTask.objects.exists()
    assert missing() == [job.task for job in required_jobs()]
    call_command("migrate", verbosity=0)
    assert {(job["name"], job["description"]) for job in jobs()} == before
    assert PeriodicTask.objects.get(task=SWEEP).interval.every == 1
    assert PeriodicTask.objects.get(task="catalog.forget_old").crontab.hour == "3"


def test_a_job_is_restored_beside_a_stranger_of_its_name() -> None:
    job = PeriodicTask.objects.get(task=CANARY)
    PeriodicTask.objects.filter(pk=job.pk).update(task=SWEEP)
    assert [restored.task for restored in restore_jobs()] == [CANARY]
    assert PeriodicTask.objects.get(task=CANARY).name == f"{job.name} ({CANARY})"


def test_a_second_row_that_runs_the_task_is_enough() -> None:
    job = PeriodicTask.objects.get(task=SWEEP)
    PeriodicTask.objects.create(name="Sweep at night", task=SWEEP, interval=job.interval)
    PeriodicTask.objects.filter(pk=job.pk).update(enabled=False)
    assert missing() == []
