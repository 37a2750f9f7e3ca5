"""Every call of the API as Schemathesis tries it from the description alone: nothing breaks, and all is as described.

`make fuzz` tries far more than the suite does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import Group
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from accounts.models import User
from accounts.sessions import SessionRefreshToken
from catalog.models import Feed
from catalog.tests.api import product
from catalog.tests.factories import applied, item, planned
from config.middleware import in_utf8

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
ROLES = ("", "user", "viewer", "importer", "approver", "manager", "superuser")
# What no schema can say: whether a file is a feed, a password good, a name still free.
RIGHT_BEYOND_THE_SCHEMA = {
    "login",
    "password_change",
    "password_reset_confirm",
    "signup",
    "upload_products",
    "user_partial_update",
    "verify_email",
}
# A number is taken for its text there.
TAKES_NUMBERS_FOR_TEXTS = {"user_partial_update"}

api = schemathesis.openapi.from_wsgi(
    "/schema/",
    in_utf8(get_wsgi_application()),
    # NUL is refused everywhere, as the tests of each app hold; no schema of theirs says so.
    config=SchemathesisConfig.from_dict(
        {"seed": 1, "generation": {"allow-x00": False}, "phases": {"coverage": {"enabled": bool(EXAMPLES)}}}
    ),
)


@pytest.fixture
def in_the_tests_transaction(db: None) -> Iterator[None]:
    """Requests are served on the test's own connection, which Django would close behind each of them."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def catalogue(in_the_tests_transaction: None) -> None:
    """Something to find: products, an import that is applied and one that waits."""
    feed = Feed.objects.create(name="Ounass", slug="ounass")
    product("1")
    applied(feed, item("2"))
    planned(feed, item("3"), item("free", price="free"))


@pytest.fixture
def everybody(in_the_tests_transaction: None) -> list[dict[str, str]]:
    """What somebody of each role sends with each request."""
    return [headers_of(role) for role in ROLES]


def headers_of(role: str) -> dict[str, str]:
    if not role:
        return {}
    user = User.objects.create_user(role, f"{role}@example.com", is_superuser=role == "superuser")
    user.groups.set(Group.objects.filter(name=role))
    return {"Authorization": f"Bearer {SessionRefreshToken.for_user(user).access_token}"}


def excluded(operation_id: str) -> list[Any]:
    """The checks that do not hold for the call, by what the lists above say."""
    checks = []
    if operation_id in RIGHT_BEYOND_THE_SCHEMA:
        checks.append(positive_data_acceptance)
    if operation_id in TAKES_NUMBERS_FOR_TEXTS:
        checks.append(negative_data_rejection)
    return checks


@api.parametrize()
@settings(
    max_examples=EXAMPLES or 2,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_call_is_as_described_for_everybody(case: Any, everybody: list[dict[str, str]], catalogue: None) -> None:
    for headers in everybody:
        case.call_and_validate(headers=headers, excluded_checks=excluded(case.operation.definition.raw["operationId"]))
