"""What every installation schedules."""

from typing import Any

import pytest
from celery import current_app
from django.core.management import call_command
from django_celery_beat.models import PeriodicTask

pytestmark = pytest.mark.django_db


def jobs() -> list[Any]:
    return list(PeriodicTask.objects.order_by("pk").values("pk", "enabled", "description", "interval", "crontab"))


def test_every_job_is_a_task_that_workers_know() -> None:
    current_app.loader.import_default_modules()
    assert {*PeriodicTask.objects.values_list("task", flat=True)} <= current_app.tasks.keys()


def test_jobs_are_made_once_and_stay_as_staff_left_them() -> None:
    PeriodicTask.objects.update(enabled=False, description="Ours")
    left = jobs()
    call_command("migrate", verbosity=0)
    assert jobs() == left
