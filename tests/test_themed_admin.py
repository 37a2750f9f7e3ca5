"""Every page of the admin, whoever registers it: in one look, and shut to those who may not enter."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from celery import shared_task
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from unfold.admin import ModelAdmin, StackedInline, TabularInline

from accounts.models import ApiKey, Invitation, LoginRecord, LoginSession, RoleGroup, User
from catalog.models import (
    DEFAULT_MARKET,
    Export,
    Feed,
    ImportRun,
    Market,
    Product,
    RefusedFile,
    Webhook,
    WebhookDelivery,
)
from catalog.tests.factories import add_product
from notifications.models import Message

pytestmark = pytest.mark.django_db


@shared_task(name="tidy.up")
def tidy_up() -> None:
    """A registered task, as the schedule's form asks for."""


def sample_feed() -> Feed:
    return Feed.objects.create(name="Ounass", slug="ounass")


def sample_webhook() -> Webhook:
    address = "http://10.0.0.1/hooks"  # of no open network, so that nothing is sent there
    fields = {"address": address, "events": ["import.applied"]}
    return Webhook.objects.get_or_create(name="shop", defaults=fields)[0]


def sample_interval() -> IntervalSchedule:
    return IntervalSchedule.objects.create(every=5, period=IntervalSchedule.MINUTES)


# One row of each model, so that its change page can be opened. A new model in the admin needs a line here.
SAMPLES: dict[str, Callable[[], Model]] = {
    "accounts.User": lambda: User.objects.create_user("carl", "carl@example.com"),
    "accounts.LoginSession": lambda: LoginSession.objects.create(
        user=User.objects.create_user("carl", "carl@example.com"), auth_hash="x", refresh_id="x"
    ),
    "accounts.LoginRecord": lambda: LoginRecord.objects.create(
        user=User.objects.create_user("carl", "carl@example.com"), to="api", how="password", address="192.0.2.1"
    ),
    "accounts.ApiKey": lambda: ApiKey.objects.create(
        owner=User.objects.create_user("kim", "kim@example.com"),
        name="shop",
        digest="x",
        scopes=["read"],
        expires_at=timezone.now() + timedelta(days=1),
    ),
    "accounts.Invitation": lambda: Invitation.objects.create(
        email="dora@example.com",
        role=Group.objects.get(name="viewer"),
        expires_at=timezone.now() + Invitation.LIFETIME,
    ),
    "catalog.Export": lambda: Export.objects.create(market_id=DEFAULT_MARKET, format="csv", status="ready"),
    "catalog.Feed": sample_feed,
    "catalog.Market": lambda: Market.objects.create(code="sa-ar", name="Saudi Arabia, Arabic"),
    "catalog.ImportRun": lambda: ImportRun.objects.create(feed=sample_feed(), mode="update", file_size=1),
    "catalog.RefusedFile": lambda: RefusedFile.objects.create(file_name="page.xml", file_size=1, sentence="A page."),
    "catalog.Product": lambda: add_product(id="205042570_242", title="Silk dress"),
    "catalog.Webhook": sample_webhook,
    "catalog.WebhookDelivery": lambda: WebhookDelivery.objects.create(
        webhook=sample_webhook(), event="import.applied", about="catalog.importrun:1", body="{}"
    ),
    "notifications.Message": lambda: Message.objects.create(name="greeting", about="dress:1", subject="A", html="<p>A"),
    "accounts.RoleGroup": lambda: RoleGroup.objects.create(name="auditors"),
    "django_celery_beat.CrontabSchedule": lambda: CrontabSchedule.objects.create(hour="4"),
    "django_celery_beat.IntervalSchedule": sample_interval,
    "django_celery_beat.PeriodicTask": lambda: PeriodicTask.objects.create(
        name="tidy up", task="tidy.up", interval=sample_interval()
    ),
}
ADMINS = {model._meta.label: model_admin for model, model_admin in admin.site._registry.items()}
every_model = pytest.mark.parametrize("label", sorted(ADMINS))


def key_in_address(row: Any) -> Any:
    """What the pages of a row are found by: a product by its id."""
    return row.id if isinstance(row, Product) else row.pk


def named_pages(label: str) -> Iterator[tuple[str, str]]:
    """(name, path) of every page that the model's admin offers, its own additions included."""
    row = SAMPLES[label]()
    for pattern in ADMINS[label].get_urls():
        if pattern.name:
            arguments = dict.fromkeys(pattern.pattern.converters, quote(key_in_address(row)))
            yield pattern.name, reverse(f"admin:{pattern.name}", kwargs=arguments)


@pytest.fixture
def nobody_special(client: Client) -> Client:
    """Staff without a single permission."""
    client.force_login(User.objects.create_user("vera", "vera@example.com", is_staff=True))
    return client


@every_model
def test_every_page_has_the_same_look(label: str) -> None:
    assert isinstance(ADMINS[label], ModelAdmin)
    assert all(issubclass(inline, (StackedInline, TabularInline)) for inline in ADMINS[label].inlines)


@every_model
def test_a_superuser_opens_every_page(label: str, admin_client: Client) -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.get(is_superuser=True)
    may_add = ADMINS[label].has_add_permission(request)
    for name, path in named_pages(label):
        status = admin_client.get(path).status_code
        if name.endswith("_add"):
            assert status == (200 if may_add else 403), path
        elif name.endswith(("_changelist", "_change", "_history", "_reference", "_xml", "_csv")):
            assert status == 200, path
        else:
            assert status < 500, path


@every_model
def test_a_button_of_what_is_gone_is_no_error_of_ours(label: str, admin_client: Client) -> None:
    pages = list(named_pages(label))
    ADMINS[label].model._default_manager.order_by("pk").last().delete()
    for name, path in pages:
        status = admin_client.post(path, headers={"accept": "text/html"}).status_code
        assert status < 500, f"{name} {path}: {status}"


@every_model
def test_a_stranger_is_sent_to_log_in(label: str, client: Client) -> None:
    for _name, path in named_pages(label):
        for response in (client.get(path), client.post(path)):
            assert response.status_code == 302, path
            assert response["Location"].startswith(reverse("admin:login")), path


@every_model
def test_staff_without_the_permission_are_refused(label: str, nobody_special: Client) -> None:
    for _name, path in named_pages(label):
        for response in (nobody_special.get(path), nobody_special.get(path, {"q": "a"}), nobody_special.post(path)):
            assert response.status_code in (403, 405), path


@every_model
def test_no_form_is_taken_without_its_token(label: str, admin_user: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    for _name, path in named_pages(label):
        assert browser.post(path).status_code in (403, 405), path


def test_staff_without_permissions_see_an_empty_menu(nobody_special: Client) -> None:
    page = nobody_special.get(reverse("admin:index"))
    assert page.status_code == 200
    for label in ADMINS:
        assert reverse(f"admin:{label.lower().replace('.', '_')}_changelist") not in page.content.decode()


@pytest.mark.parametrize("model", [EmailAddress, SolarSchedule, ClockedSchedule])
def test_what_staff_have_no_use_for_has_no_page(model: type[Model]) -> None:
    assert not admin.site.is_registered(model)
    with pytest.raises(NoReverseMatch):
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


# --- periodic tasks -------------------------------------------------------------------------------
TASKS = reverse("admin:django_celery_beat_periodictask_changelist")


def with_rights(client: Client, *codenames: str) -> Client:
    user = User.objects.create_user("sam", "sam@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


@pytest.fixture
def task() -> PeriodicTask:
    return PeriodicTask.objects.create(name="tidy up", task="tidy.up", interval=sample_interval())


def test_a_task_is_scheduled_by_the_form(admin_client: Client) -> None:
    add = reverse("admin:django_celery_beat_periodictask_add")
    form = {"name": "tidy up", "task": "tidy.up", "interval": sample_interval().pk, "args": "[]", "kwargs": "{}"}
    assert admin_client.post(add, {**form, "enabled": "on"}).status_code == 302
    assert PeriodicTask.objects.get(name="tidy up").enabled


def test_only_a_registered_task_is_scheduled(admin_client: Client) -> None:
    add = reverse("admin:django_celery_beat_periodictask_add")
    form = {"name": "odd", "task": "no.such.task", "interval": sample_interval().pk, "args": "[]", "kwargs": "{}"}
    assert "task" in admin_client.post(add, form).context["adminform"].form.errors
    assert not PeriodicTask.objects.filter(name="odd").exists()


@pytest.mark.parametrize("action", ["disable_tasks", "toggle_tasks", "run_tasks", "delete_selected"])
def test_who_may_only_look_at_tasks_neither_switches_nor_runs_them(
    client: Client, task: PeriodicTask, action: str
) -> None:
    viewer = with_rights(client, "view_periodictask")
    page = viewer.post(TASKS, {"action": action, "_selected_action": [task.pk], "post": "yes"}, follow=True)
    task.refresh_from_db()
    assert task.enabled
    assert not list(page.context["messages"])


def test_who_may_change_tasks_switches_them_off(client: Client, task: PeriodicTask) -> None:
    keeper = with_rights(client, "view_periodictask", "change_periodictask")
    keeper.post(TASKS, {"action": "disable_tasks", "_selected_action": [task.pk]})
    task.refresh_from_db()
    assert not task.enabled
