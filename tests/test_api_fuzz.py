"""Every call of the API as Schemathesis tries it from the description alone: nothing breaks, and all is as described.

`make fuzz` tries far more than the suite does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connection, transaction
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.hooks import HookContext
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from werkzeug.sansio.multipart import Event, MultipartEncoder, State

from accounts.keys import make_key
from accounts.models import Scope, User
from accounts.sessions import SessionRefreshToken
from catalog.models import Feed, ImportRun
from catalog.tests.api import product
from catalog.tests.factories import applied, item, planned
from config.middleware import in_utf8

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
ROLES = ("", "user", "viewer", "importer", "approver", "manager", "superuser", "key")
# What no schema can say: whether a file is a feed, a password good, a name still free, a version known.
RIGHT_BEYOND_THE_SCHEMA = {
    "login",
    "login_second_factor",
    "password_change",
    "password_reset_confirm",
    "product_changes",
    "signup",
    "upload_products",
    "user_change",
    "verify_email",
}
# What is there to be found: an import that is applied, one that waits, and two products.
IMPORTS, PRODUCTS = (1, 2), ("1", "a/b")

api = schemathesis.openapi.from_wsgi(
    "/schema/",
    in_utf8(get_wsgi_application()),
    # NUL is refused everywhere, as the tests of each app hold; no schema of theirs says so.
    config=SchemathesisConfig.from_dict(
        {
            **({} if EXAMPLES else {"seed": 1}),
            "generation": {"allow-x00": False},
            "phases": {"coverage": {"enabled": bool(EXAMPLES)}},
        }
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


@api.hook
def map_path_parameters(context: HookContext, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Lead two thirds of the well-formed calls about one import or product to one that is there."""
    about_products = context.operation is not None and "product" in context.operation.path
    match (path_parameters or {}).get("id"):
        case int(number) if not about_products and type(number) is int and 0 < number < 10**18:
            return {**(path_parameters or {}), "id": (*IMPORTS, number)[number % 3]}
        case str(text) if about_products and 0 < len(text) <= 500:
            return {**(path_parameters or {}), "id": (*PRODUCTS, text)[len(text) % 3]}
    return path_parameters


@api.hook
def filter_query(_context: HookContext, query: dict[str, Any] | None) -> bool:
    """Leave out empty parameters: Schemathesis takes them for wrong, whatever `allowEmptyValue` says."""
    values = [one for value in (query or {}).values() for one in (value if isinstance(value, list) else [value])]
    return all(one not in ("", None) for one in values)


@pytest.fixture
def catalogue(in_the_tests_transaction: None, everybody: dict[str, dict[str, str]]) -> None:
    """Something to find: products, and two imports of somebody without a role."""
    feed = Feed.objects.create(name="Ounass", slug="ounass")
    for id in PRODUCTS:
        product(id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(pg_get_serial_sequence('catalog_importrun', 'id'), 1, false)")
    runs = applied(feed, item("2")), planned(feed, item("3"), item("free", price="free"))
    assert tuple(run.pk for run in runs) == IMPORTS
    ImportRun.objects.update(uploaded_by=User.objects.get(username="user"))


@pytest.fixture
def everybody(in_the_tests_transaction: None) -> dict[str, dict[str, str]]:
    """What somebody of each role sends with each request."""
    return {role: headers_of(role) for role in ROLES}


@pytest.fixture(autouse=True)
def _whole_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Werkzeug leaves out the line that ends the head of an empty field, which then is none."""
    send = MultipartEncoder.send_event

    def whole(self: MultipartEncoder, event: Event) -> bytes:
        ends_the_head = self.state == State.DATA_START
        return send(self, event) or b"\r\n" * ends_the_head

    monkeypatch.setattr(MultipartEncoder, "send_event", whole)


def headers_of(role: str) -> dict[str, str]:
    if not role:
        return {}
    user = User.objects.create_user(role, f"{role}@example.com", is_superuser=role == "superuser")
    user.groups.set(Group.objects.filter(name="approver" if role == "key" else role))
    if role == "key":
        secret = make_key(user, name="shop", scopes=Scope.values, feeds=[], days=1, by=user)
        return {"Authorization": f"Api-Key {secret}"}
    return {"Authorization": f"Bearer {SessionRefreshToken.for_user(user).access_token}"}


def ask_existing_market(case: Any) -> None:
    """Have a call that names a market name the one that there is: which codes there are, no schema can say."""
    code = (case.query or {}).get("market")
    if isinstance(code, str) and re.fullmatch("[-a-zA-Z0-9_]{1,50}", code):
        case.query = {**case.query, "market": "default"}


def status_is_named(_context: Any, response: Any, case: Any) -> None:
    """The description has `default` for what happens to every call; what a call itself answers it has by its number."""
    if case.method == case.operation.method.upper():
        assert str(response.status_code) in case.operation.definition.raw["responses"], "The status is not described."


@contextmanager
def undone() -> Iterator[None]:
    """What a call did is undone: the next one finds everybody logged in, nothing counted and the import waiting."""
    cache.clear()
    with transaction.atomic():
        try:
            yield
        finally:
            transaction.set_rollback(True)


def test_every_exception_is_of_a_call_that_there_is() -> None:
    calls = [call for place in api.raw_schema["paths"].values() for call in place.values()]
    assert {call["operationId"] for call in calls} >= RIGHT_BEYOND_THE_SCHEMA


@api.parametrize()
@settings(
    max_examples=EXAMPLES or 2,
    deadline=None,
    derandomize=not EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_call_is_as_described_for_everybody(
    case: Any, everybody: dict[str, dict[str, str]], catalogue: None
) -> None:
    ask_existing_market(case)
    excluded = []
    if case.operation.definition.raw["operationId"] in RIGHT_BEYOND_THE_SCHEMA:
        excluded.append(positive_data_acceptance)
    if isinstance(case.body, dict) and case.body.get("review") in (0, 1):
        excluded.append(negative_data_rejection)  # all is text in a form, where these are booleans
    for headers in everybody.values():
        with undone():
            case.call_and_validate(
                headers=headers,
                additional_checks=[status_is_named],
                excluded_checks=excluded,
            )
