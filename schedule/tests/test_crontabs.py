"""Crontabs: Sunday may be 7, and whatever beat does not load is named."""

from importlib import import_module
from typing import Any

import pytest
from celery.schedules import crontab
from django.apps import apps
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from config import celery_app
from schedule.beat import Scheduler
from schedule.crontabs import weekdays_of_celery
from schedule.warnings import schedule_warnings

pytestmark = pytest.mark.django_db

SUNDAYS = [
    ("7", "0"),
    ("0-7", "*"),
    ("1-7", "*"),
    ("5-7", "0,5,6"),
    ("6-7", "0,6"),
    ("7-7", "0"),
    ("7-2", "0,1,2"),
    ("1,7", "0,1"),
    ("0, 7", "0"),
    ("07", "0"),
    ("5-7/2", "0,5"),
    ("0-3,5-7", "0,1,2,3,5,6"),
    ("mon,7", "0,mon"),
]


def job_on(days: str, name: str = "tidy") -> PeriodicTask:
    schedule = CrontabSchedule.objects.create(minute="30", hour="4", day_of_week=days)
    return PeriodicTask.objects.create(name=name, task="tidy.up", crontab=schedule)


def loaded() -> set[str]:
    return set(Scheduler(celery_app, lazy=True).all_as_schedule())


@pytest.mark.parametrize(("written", "stored"), SUNDAYS)
def test_a_sunday_that_is_7_is_stored_as_celery_understands_it(written: str, stored: str) -> None:
    job = job_on(written)
    job.crontab.refresh_from_db()
    assert job.crontab.day_of_week == stored
    schedule: Any = crontab(day_of_week=stored)
    assert 0 in schedule.day_of_week
    assert "tidy" in loaded()


@pytest.mark.parametrize("days", ["*", "0", "1-5", "mon-fri", "sun", "*/7", "*/2", "0-6", "4-7/0", "7/2/1"])
def test_other_days_are_left_as_they_are_written(days: str) -> None:
    assert weekdays_of_celery(days) == days


def test_what_an_earlier_version_stored_is_put_right() -> None:
    schedule = job_on("0").crontab
    CrontabSchedule.objects.filter(pk=schedule.pk).update(day_of_week="5-7")
    import_module("schedule.migrations.0004_sunday_is_0").store_sundays_as_0(apps, None)
    schedule.refresh_from_db()
    assert schedule.day_of_week == "0,5,6"


# --- what beat does not load --------------------------------------------------------------------------
@pytest.mark.parametrize("wrong", [{"day_of_week": "7"}, {"day_of_week": "9"}, {"minute": "60"}, {"hour": "a"}])
def test_the_first_page_names_each_enabled_job_that_beat_does_not_load(
    admin_client: Client, wrong: dict[str, str]
) -> None:
    job_on("1", "Paint <the> shop")
    schedule = CrontabSchedule.objects.filter(pk=job_on("2", "Tidy up").crontab.pk)
    assert not schedule_warnings()
    schedule.update(**wrong)
    assert "Tidy up" not in loaded()
    (warning,) = schedule_warnings()
    assert warning.startswith("“Tidy up” (")
    assert "never runs: beat does not understand its crontab" in warning
    assert "“Tidy up”" in admin_client.get(reverse("admin:index")).content.decode()
    PeriodicTask.objects.filter(name="Tidy up").update(enabled=False)
    assert not schedule_warnings()


def test_every_required_job_is_loaded() -> None:
    assert set(PeriodicTask.objects.filter(enabled=True).values_list("name", flat=True)) <= loaded()


# --- the form -----------------------------------------------------------------------------------------
FIELDS = {"minute": "0", "hour": "4", "day_of_month": "*", "month_of_year": "*", "timezone": "Asia/Dubai"}


def add(client: Client, **values: str) -> Any:
    inline = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    return client.post(reverse("admin:django_celery_beat_crontabschedule_add"), {**FIELDS, **inline, **values})


def test_the_form_takes_7_for_a_sunday(admin_client: Client) -> None:
    assert add(admin_client, day_of_week="6-7").status_code == 302
    assert CrontabSchedule.objects.filter(day_of_week="0,6", hour="4").exists()


@pytest.mark.parametrize("days", ["3/7", "#/7", "7-mon", "9"])
def test_the_form_refuses_what_beat_would_not_load(admin_client: Client, days: str) -> None:
    answer = add(admin_client, day_of_week=days)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
