"""Who may do what: every row of docs/permissions.md is tried, and every address and action is in one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model
from django.template.response import SimpleTemplateResponse
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from rest_framework.test import APIClient

from accounts.keys import make_key
from accounts.models import LoginRecord, LoginSession, Scope, User
from accounts.sessions import SessionRefreshToken
from catalog.models import FeedSource, Fetch, FetchOutcome, FetchReason, ImportRun
from catalog.tests.factories import item, planned
from devservers import BASE_DIR
from tests.test_themed_admin import SAMPLES, key_in_address

ROLES = ("anonymous", "API user", "another", "viewer", "importer", "approver", "manager", "superuser", "API key")
PAGE = BASE_DIR / "docs" / "permissions.md"
ROW = re.compile(r"^\| (GET|POST|PATCH|action) \| `([^`]+)` \| (.+) \|$", re.MULTILINE)
# They say where else to go, or that there is nothing, and nothing more.
LOGIN_PAGES = (reverse("admin:login"), reverse("account_login"))
# The palette stands in front of the theme's `admin:search`, which is in the table.
UNNAMED = {"", "admin/login/", "admin/password_change/", "admin/search/", "admin/(?P<url>.*)$"}
# Pages of the browser; all others are calls of programs.
PAGES = re.compile("admin:|my-mail|account_|mfa_|usersessions_")
# Samples that would bring another user or feed of the same name.
MADE_HERE = ("accounts.LoginSession", "accounts.LoginRecord", "catalog.ImportRun")


def table() -> dict[tuple[str, str], list[str]]:
    """Each row: method and name of an address, or an action of a list, with what comes of it for each role."""
    return {(method, name): cells.split(" | ") for method, name, cells in ROW.findall(PAGE.read_text())}


# --- every address and action is in the table -----------------------------------------------------------
def addresses(patterns: Any = None, prefix: str = "", space: str = "") -> Iterator[tuple[str, str, list[str]]]:
    """(name, pattern, parameters) of everything that can be asked for."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from addresses(pattern.url_patterns, where, inner)
        elif isinstance(pattern, URLPattern):
            yield (f"{space}{pattern.name}" if pattern.name else ""), where, parameters_of(pattern)


def parameters_of(pattern: URLPattern) -> list[str]:
    return [*pattern.pattern.regex.groupindex]


def actions() -> Iterator[str]:
    """Every action of every list, as who may do everything sees them."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    for model, model_admin in admin.site._registry.items():
        for action in model_admin.get_actions(request):
            yield f"{model._meta.label_lower}:{action}"


PARAMETERS = {name: parameters for name, _where, parameters in addresses() if name}


def test_every_address_is_in_the_table() -> None:
    listed = {name for method, name in table() if method != "action"}
    assert listed == PARAMETERS.keys(), "docs/permissions.md has to say who may go there"


def test_what_has_no_name_leads_elsewhere_or_stands_for_what_has_one() -> None:
    unnamed = {where for name, where, _parameters in addresses() if not name}
    assert {where for where in unnamed if not re.fullmatch(r"admin/\w+/\w+/<path:object_id>/", where)} == UNNAMED


@pytest.mark.django_db
def test_every_action_is_in_the_table() -> None:
    assert {name for method, name in table() if method == "action"} == set(actions())


# --- and every row is tried -----------------------------------------------------------------------------
class House:
    """People of every role, and something of everything for them to try."""

    def __init__(self) -> None:
        self.people = {role: self._person(role) for role in ROLES[1:-1]}
        self.sessions = {role: _logged_in(person) for role, person in self.people.items()}
        self.tokens = {role: f"Bearer {_token(person)}" for role, person in self.people.items()}
        approver = self.people["approver"]
        secret = make_key(approver, name="shop", scopes=Scope.values, feeds=[], days=1, by=approver)
        self.tokens["API key"] = f"Api-Key {secret}"
        self.rows = {label.lower(): make() for label, make in SAMPLES.items() if label not in MADE_HERE}
        carl: Any = self.rows["accounts.user"]
        self.rows["accounts.loginsession"] = LoginSession.objects.create(user=carl, auth_hash="x", refresh_id="x")
        self.rows["accounts.loginrecord"] = LoginRecord.objects.create(user=carl, to="api", address="192.0.2.1")
        feed: Any = self.rows["catalog.feed"]
        run = planned(feed, item("new"), item("free", price="free"))
        run.uploaded_by = self.people["API user"]
        run.save()
        self.rows["catalog.importrun"] = run
        self.issue = run.issues.get().pk
        FeedSource.objects.create(feed=feed, address="http://10.0.0.1/feed.xml")
        self.fetch = Fetch.objects.create(feed=feed, reason=FetchReason.SCHEDULE, outcome=FetchOutcome.UNCHANGED)

    def _person(self, role: str) -> User:
        name = role.replace(" ", "")
        staff = role not in ("API user", "another")
        superuser = role == "superuser"
        user = User.objects.create_user(name, f"{name}@example.com", "x", is_staff=staff, is_superuser=superuser)
        user.groups.set(Group.objects.filter(name=role))
        return user

    def browser(self, role: str) -> Client:
        client = Client(raise_request_exception=False)
        if role not in self.people and role in self.tokens:
            client.defaults["HTTP_AUTHORIZATION"] = self.tokens[role]
        if role in self.sessions:
            client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[role]
        return client

    def program(self, role: str) -> APIClient:
        client = APIClient(raise_request_exception=False)
        if role in self.tokens:
            client.credentials(HTTP_AUTHORIZATION=self.tokens[role])
        return client

    def address(self, name: str) -> str:
        address = reverse(name, kwargs={parameter: self._argument(name, parameter) for parameter in PARAMETERS[name]})
        feed = self.rows["catalog.feed"]
        return f"{address}?feed={feed.pk}" if name == "admin:catalog_product_look" else address

    def body(self, name: str) -> dict[str, Any]:
        """What is sent to a call that looks at it before it asks who sends it."""
        run: Any = self.rows["catalog.importrun"]
        return {"plan_hash": run.plan_hash} if name == "import-apply" else {}

    def _argument(self, name: str, parameter: str) -> Any:
        fixed = {
            "position": 2,
            "code": "price.format",
            "issue": self.issue,
            "example": 0,
            "token": "x",
            "uidb36": "0",
            "key": "set-password",
            "app_label": "catalog",
            "content_type_id": ContentType.objects.get_for_model(ImportRun).pk,
        }
        if parameter in fixed:
            return fixed[parameter]
        if parameter == "slug":
            return self.rows["catalog.feed"].slug  # type: ignore[attr-defined]
        if name == "feed-fetch-detail":
            return self.fetch.pk
        row = self._row(name)
        key = key_in_address(row)
        return quote(key) if parameter == "object_id" else key

    def _row(self, name: str) -> Model:
        if name == "product-detail":
            return self.rows["catalog.product"]
        if name == "admin:auth_user_password_change":
            return self.rows["accounts.user"]
        if name == "admin:schedule_run_now":
            return self.rows["django_celery_beat.periodictask"]
        words = name.removeprefix("admin:")
        return next(
            (row for label, row in self.rows.items() if words.startswith(f"{label.replace('.', '_')}_")),
            self.rows["catalog.importrun"],
        )


def _logged_in(person: User) -> str:
    client = Client()
    client.force_login(person)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def _token(person: User) -> str:
    return str(SessionRefreshToken.for_user(person).access_token)


def outcome(house: House, method: str, name: str, role: str) -> str:
    """What comes of it: yes, no, or 404 where it is not there for them. What it did is undone."""
    person = house.people.get(role)
    with transaction.atomic():
        try:
            if method == "action":
                return _offered(name, person)
            is_page = PAGES.match(name)
            client = house.browser(role) if is_page else house.program(role)
            send = getattr(client, method.lower())
            address = house.address(name)
            answer = (
                send(address) if is_page or method == "GET" else send(address, house.body(name), format=_format(name))
            )
        finally:
            transaction.set_rollback(True)
    return _said(answer)


def _offered(name: str, person: User | None) -> str:
    label, action = name.split(":")
    model_admin = next(each for model, each in admin.site._registry.items() if model._meta.label_lower == label)
    request = RequestFactory().get("/")
    request.user = person or User()
    can_open = person is not None and person.is_staff and model_admin.has_view_permission(request)
    return "yes" if can_open and action in model_admin.get_actions(request) else "no"


def _format(name: str) -> str:
    return "multipart" if name == "upload-products" else "json"


def _said(answer: Any) -> str:
    assert answer.status_code < 500 or answer.status_code == 503, answer.content  # there is no worker here
    to_log_in = (
        answer.status_code == 302 and answer["Location"].startswith(LOGIN_PAGES) and "next=" in answer["Location"]
    )
    if to_log_in or answer.status_code in (401, 403):
        return "no"
    return "404" if answer.status_code == 404 else "yes"


@pytest.fixture
def house(db: None, tmp_path: Path) -> House:
    return House()


def test_everybody_may_do_what_the_table_says_and_nothing_else(
    house: House, subtests: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", "")  # pages take most of the time
    for (method, name), cells in table().items():
        with subtests.test(f"{method} {name}"):
            assert dict(zip(ROLES, cells, strict=True)) == {role: outcome(house, method, name, role) for role in ROLES}


def test_what_is_tried_leaves_nothing_behind(house: House) -> None:
    assert [outcome(house, "POST", "logout", "viewer") for _ in range(2)] == ["yes", "yes"]
    assert not LoginSession.objects.exclude(ended_at=None).exists()
