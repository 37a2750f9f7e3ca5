"""The page of periodic tasks: what came of each, and a button to run it now."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from schedule.models import JobRun, Outcome

pytestmark = pytest.mark.django_db
TASKS = reverse("admin:django_celery_beat_periodictask_changelist")


@pytest.fixture
def job() -> PeriodicTask:
    PeriodicTask.objects.filter(task="catalog.sweep").update(name="Sweep up")
    return PeriodicTask.objects.get(task="catalog.sweep")


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **options: calls.append((name, options)))
    return calls


def browser(role: str) -> Client:
    user = get_user_model().objects.create_user(role or "vera", f"{role or 'vera'}@example.com", is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client


def press(client: Client, job: PeriodicTask) -> Any:
    return client.post(reverse("admin:schedule_run_now", args=[job.pk]), follow=True)


def test_the_list_says_what_came_of_the_last_run(admin_client: Client, job: PeriodicTask) -> None:
    run = JobRun.claim_period(job.pk, job.date_changed, "1")
    assert run
    run.finish(Outcome.FAILED, 1.25, "ValueError: <no way>")
    page = admin_client.get(TASKS).content.decode()
    assert "1.25\xa0s" in page
    assert "Failed" in page
    assert "ValueError: &lt;no way&gt;" in page


def test_the_list_says_in_words_when_each_runs(admin_client: Client) -> None:
    page = admin_client.get(TASKS).content.decode()
    assert "every day" in page
    assert "every 5 minutes" in page
    assert "At 03:20" in page
    assert "1440 minutes" not in page


def test_times_are_short_and_of_24_hours(admin_client: Client, job: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=job.pk).update(last_run_at=datetime(2026, 11, 30, 17, 5, tzinfo=UTC))
    page = admin_client.get(reverse("admin:django_celery_beat_periodictask_change", args=[job.pk])).content.decode()
    assert "30 Nov 2026, 21:05" in page


def test_a_manager_runs_a_job_now(job: PeriodicTask, called: list[Any]) -> None:
    page = press(browser("manager"), job)
    assert [name for name, _ in called] == ["catalog.sweep"]
    assert "“Sweep up” was started." in str(next(iter(page.context["messages"])))


@pytest.mark.parametrize("role", ["", "viewer", "approver"])
def test_nobody_else_runs_a_job(role: str, job: PeriodicTask, called: list[Any]) -> None:
    assert press(browser(role), job).status_code == 403
    assert called == []


def test_a_look_runs_nothing(admin_client: Client, job: PeriodicTask, called: list[Any]) -> None:
    assert admin_client.get(reverse("admin:schedule_run_now", args=[job.pk])).status_code == 405
    assert called == []


def test_a_broker_that_is_away_is_said(admin_client: Client, job: PeriodicTask, monkeypatch: Any) -> None:
    from kombu.exceptions import OperationalError

    def away(*_args: Any, **_options: Any) -> None:
        raise OperationalError

    monkeypatch.setattr("celery.current_app.send_task", away)
    assert "broker does not answer" in str(next(iter(press(admin_client, job).context["messages"])))


def form_of(job: PeriodicTask, **fields: Any) -> dict[str, Any]:
    kept = {"name": job.name, "task": job.task, "interval": job.interval_id, "args": "[]", "kwargs": "{}"}
    return {**kept, "enabled": "on", **fields}


def test_a_manager_says_when_and_never_what(job: PeriodicTask) -> None:
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    change = reverse("admin:django_celery_beat_periodictask_change", args=[job.pk])
    wanted = form_of(job, interval=hourly.pk, task="catalog.apply", args="[7]", kwargs='{"a": 1}', name="Other")
    assert browser("manager").post(change, wanted).status_code == 302
    job.refresh_from_db()
    assert job.interval == hourly
    assert (job.task, job.args, job.kwargs, job.name) == ("catalog.sweep", "[]", "{}", "Sweep up")


def test_a_superuser_says_what_as_well(admin_client: Client, job: PeriodicTask) -> None:
    change = reverse("admin:django_celery_beat_periodictask_change", args=[job.pk])
    assert admin_client.post(change, form_of(job, task="catalog.apply", args="[7]")).status_code == 302
    job.refresh_from_db()
    assert (job.task, job.args) == ("catalog.apply", "[7]")


# --- the warning --------------------------------------------------------------------------------------
INDEX = reverse("admin:index")
WARNING = "Periodic tasks have problems"


def ended(job: PeriodicTask, outcome: Outcome, at: int) -> None:
    run = JobRun.claim_period(job.pk, job.date_changed + timedelta(minutes=at), str(at))
    assert run
    run.finish(outcome, 1.0, "")


def test_the_first_page_names_tasks_that_failed_until_they_end_well(admin_client: Client, job: PeriodicTask) -> None:
    ended(job, Outcome.FAILED, at=1)
    assert "The last run of “Sweep up” failed." in admin_client.get(INDEX).content.decode()
    ended(job, Outcome.DONE, at=2)
    assert WARNING not in admin_client.get(INDEX).content.decode()


def test_the_first_page_says_when_beat_starts_nothing(admin_client: Client, job: PeriodicTask) -> None:
    for minutes, silent in ((5, False), (15, True)):
        last = timezone.now() - timedelta(minutes=minutes)
        PeriodicTask.objects.filter(task="schedule.canary").update(last_run_at=last)
        assert ("Check that beat runs." in admin_client.get(INDEX).content.decode()) == silent


@pytest.mark.parametrize(("role", "warned"), [("manager", True), ("approver", False)])
def test_who_may_look_at_tasks_is_warned(role: str, warned: bool, job: PeriodicTask) -> None:
    ended(job, Outcome.FAILED, at=1)
    assert (WARNING in browser(role).get(INDEX).content.decode()) == warned


def test_the_first_page_says_when_a_clock_was_ahead(admin_client: Client, job: PeriodicTask) -> None:
    for ahead, told in ((timedelta(seconds=20), False), (timedelta(hours=2), True)):
        PeriodicTask.objects.filter(pk=job.pk).update(last_run_at=timezone.now() + ahead)
        assert ("which is in the future" in admin_client.get(INDEX).content.decode()) == told


# --- required jobs ------------------------------------------------------------------------------------
RESTORE = reverse("admin:schedule_restore")


@pytest.fixture
def silenced(job: PeriodicTask) -> None:
    PeriodicTask.objects.filter(task="schedule.canary").delete()
    PeriodicTask.objects.filter(pk=job.pk).update(enabled=False)


def test_the_first_page_names_what_is_missing_and_a_manager_restores_it(silenced: None) -> None:
    manager = browser("manager")
    page = manager.get(INDEX).content.decode()
    assert "“Show that a worker works”" in page
    assert f'action="{RESTORE}"' in page
    answer = manager.post(RESTORE, follow=True)
    assert len(list(answer.context["messages"])) == 2
    assert PeriodicTask.objects.filter(enabled=True, task__in=["schedule.canary", "catalog.sweep"]).count() == 2
    assert WARNING not in manager.get(INDEX).content.decode()


@pytest.mark.parametrize("role", ["", "viewer", "approver"])
def test_nobody_else_restores_a_job(role: str, silenced: None) -> None:
    client = browser(role)
    assert f'action="{RESTORE}"' not in client.get(INDEX).content.decode()
    assert client.post(RESTORE).status_code == 403
    assert not PeriodicTask.objects.filter(task="schedule.canary").exists()


def test_a_look_restores_nothing(admin_client: Client, silenced: None) -> None:
    assert admin_client.get(RESTORE).status_code == 405
