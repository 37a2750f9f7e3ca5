"""A machine with a key at the calls about the catalogue."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.keys import make_key
from accounts.models import Scope, User
from accounts.tests.conftest import make_person
from catalog.models import Feed, ImportRun, Mode
from catalog.tests.api import product, upload
from catalog.tests.factories import feed_of, item, planned

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna(db: None) -> User:
    return make_person("anna", "approver", is_staff=True)


@pytest.fixture
def feed(db: None) -> Feed:
    return Feed.objects.create(name="Noor", slug="noor")


def machine(owner: User, *scopes: str, feeds: Any = ()) -> APIClient:
    client = APIClient()
    secret = make_key(owner, name="shop", scopes=scopes, feeds=feeds, days=1, by=owner)
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {secret}")
    return client


CALLS = {
    "/list-products/": {Scope.READ},
    "/products/export/": {Scope.READ},
    "/product-detail/1/": {Scope.READ},
    "/product-detail/?id=1": {Scope.READ},
    "/filter-options/": {Scope.READ},
    "/markets/": {Scope.READ},
    "/imports/": {Scope.UPLOAD, Scope.CONFIRM},
    "/feeds/": {Scope.UPLOAD, Scope.CONFIRM},
    "/user/": set(),
}


@pytest.mark.parametrize("scope", Scope.values)
def test_a_scope_opens_its_calls_and_no_others(anna: User, scope: str) -> None:
    product("1")
    client = machine(anna, scope)
    for path, scopes in CALLS.items():
        answer = client.get(path)
        assert answer.status_code == (200 if scope in scopes else 403), path
        assert b"".join(answer) if answer.streaming else answer.content


@pytest.mark.parametrize(
    ("scopes", "mode", "status"),
    [
        ([Scope.READ, Scope.CONFIRM], Mode.ADD, 403),
        ([Scope.UPLOAD], Mode.ADD, 202),
        ([Scope.UPLOAD], Mode.UPDATE, 403),
        ([Scope.UPLOAD], Mode.SYNC, 403),
        ([Scope.UPLOAD, Scope.CONFIRM], Mode.SYNC, 202),
    ],
)
def test_an_upload_that_changes_products_takes_the_scope_to_confirm(
    anna: User, scopes: list[str], mode: str, status: int
) -> None:
    answer = upload(machine(anna, *scopes), feed_of(item("1")), mode=mode)
    assert answer.status_code == status, answer.content


def test_a_key_confirms_the_plan_that_it_uploaded(anna: User, feed: Feed) -> None:
    run = planned(feed, item("1"))
    path, body = f"/imports/{run.pk}/apply/", {"plan_hash": run.plan_hash}
    assert machine(anna, Scope.UPLOAD).post(path, body).status_code == 403
    assert machine(anna, Scope.CONFIRM).post(path, body).status_code == 202
    run.refresh_from_db()
    assert run.history[-1]["by"] == "anna"


def test_a_key_of_an_importer_confirms_nothing(feed: Feed) -> None:
    ivo = make_person("ivo", "importer", is_staff=True)
    run = planned(feed, item("1"))
    answer = machine(ivo, Scope.CONFIRM).post(f"/imports/{run.pk}/apply/", {"plan_hash": run.plan_hash})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


def test_a_key_for_a_feed_sees_no_other(anna: User, feed: Feed) -> None:
    other = Feed.objects.create(name="Zari", slug="zari")
    mine, foreign = planned(feed, item("1")), planned(other, item("2"))
    client = machine(anna, Scope.UPLOAD, Scope.CONFIRM, feeds=["noor"])
    assert [one["id"] for one in client.get("/imports/").json()["results"]] == [mine.pk]
    assert [one["slug"] for one in client.get("/feeds/").json()["results"]] == ["noor"]
    for path in (f"/imports/{foreign.pk}/", f"/imports/{foreign.pk}/invalid.csv", "/feeds/zari/fetches/"):
        assert client.get(path).status_code == 404, path
    body = {"plan_hash": foreign.plan_hash}
    assert client.post(f"/imports/{foreign.pk}/apply/", body).status_code == 404
    assert client.post(f"/imports/{foreign.pk}/discard/").status_code == 404
    assert client.post("/feeds/zari/fetch/").status_code == 404
    assert client.get(f"/imports/{mine.pk}/").status_code == 200


def test_a_key_for_a_feed_uploads_to_no_other(anna: User, feed: Feed) -> None:
    client = machine(anna, Scope.UPLOAD, feeds=["noor"])
    for named in ({}, {"feed": "api"}, {"feed": "zari"}):
        answer = upload(client, feed_of(item("1")), **named)
        assert (answer.status_code, answer.json()["code"]) == (403, "key_feed"), named
    assert not ImportRun.objects.exists()
    assert upload(client, feed_of(item("1")), feed="noor").status_code == 202
