"""Nobody reads a secret out of a list of the admin by asking which rows have one that begins with a."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from accounts.models import KnownAddress, LoginSession, User

SECRET = re.compile(r"password|auth_hash|refresh_id|digest|token|secret")
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)


def secrets_of(model: type[Model], steps: int = 3) -> Iterator[str]:
    """The way to each secret field that a look-up could go, through other tables too."""
    for field in model._meta.get_fields():
        other: Any = field.related_model
        if other and steps > 1:
            yield from (f"{field.name}__{rest}" for rest in secrets_of(other, steps - 1))
        elif not field.is_relation and SECRET.search(field.name):
            yield field.name


def test_the_ways_to_secrets_are_found() -> None:
    assert {"password", "login_sessions__auth_hash"} <= {*secrets_of(User)}
    assert {"auth_hash", "refresh_id", "user__password", "user__known_addresses__digest"} <= {*secrets_of(LoginSession)}
    assert {*secrets_of(LogEntry, 2)} == {"user__password"}
    assert {*secrets_of(KnownAddress, 1)} == {"digest"}


@every_model
@pytest.mark.parametrize("lookup", ["", "__startswith", "__regex", "__gt", "__in", "__isnull"])
def test_no_list_is_filtered_by_a_secret(admin_user: User, rf: Any, model: type[Model], lookup: str) -> None:
    request = rf.get("/")
    request.user = admin_user
    allowed = admin.site._registry[model].lookup_allowed
    assert [name for name in secrets_of(model) if allowed(name + lookup, "x", request)] == []


@every_model
def test_whoever_tries_is_refused(admin_client: Client, model: type[Model]) -> None:
    changelist = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    for name in {name for name in secrets_of(model) if name.count("__") < 2}:
        assert admin_client.get(changelist, {f"{name}__startswith": "a"}).status_code == 400, name
        assert admin_client.get(changelist, {"_to_field": name}).status_code == 400, name


@every_model
def test_no_list_is_searched_or_ordered_by_a_secret(admin_user: User, rf: Any, model: type[Model]) -> None:
    request = rf.get("/")
    request.user = admin_user
    model_admin = admin.site._registry[model]
    shown = [*model_admin.get_list_display(request), *model_admin.get_search_fields(request)]
    ordering = [getattr(getattr(model_admin, str(name), None), "admin_order_field", None) for name in shown]
    named = [str(name) for name in (*shown, *ordering, *(model_admin.get_ordering(request) or ()))]
    assert [name for name in named if SECRET.search(name)] == []
