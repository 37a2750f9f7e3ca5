"""`/api/v1/…` carries every call, and links stay in the form that the client came by."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import resolve, reverse
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from accounts.api.urls import urlpatterns as about_accounts
from catalog.api.urls import urlpatterns as about_catalogue
from catalog.models import Feed
from catalog.tests.api import client, product, upload
from catalog.tests.factories import feed_of, item, person

pytestmark = pytest.mark.django_db


def test_every_call_is_at_both_addresses() -> None:
    for pattern in [*about_accounts, *about_catalogue]:
        plain = "/" + re.sub(r"<[^>]+>", "1", str(pattern.pattern))
        assert resolve(plain).func is resolve(f"/api/v1{plain}").func is pattern.callback


def test_names_lead_to_the_addresses_of_the_original() -> None:
    assert reverse("list-products") == "/list-products/"
    assert reverse("import", args=[7]) == "/imports/7/"


@pytest.mark.parametrize("form", ["", "/api/v1"])
def test_links_have_the_form_of_the_address(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    api = client(person("bob", "view_importrun", "view_feed"))
    monkeypatch.setattr("catalog.tests.api.UPLOAD", f"{form}/upload-products/")
    taken = upload(api, feed_of(item("1")))
    site = f"http://testserver{form}"
    number = taken.json()["id"]
    assert taken.json()["url"] == taken["Location"] == f"{site}/imports/{number}/"
    run = api.get(taken["Location"]).json()
    assert run["issues_url"] == f"{site}/imports/{number}/issues/"
    product("a")
    product("b")
    page = api.get(f"{form}/list-products/?page_size=1").json()
    assert page["next"] == f"{site}/list-products/?page=2&page_size=1"
    changes = api.get(f"{form}/products/changes/?since=0&page_size=1").json()
    assert changes["next"].startswith(f"{site}/products/changes/?")
    assert api.get(changes["next"]).status_code == 200


def test_links_to_fetches_do_too() -> None:
    feed = Feed.objects.create(name="Noor", slug="noor")
    api = client(person("bob", "view_feed"))
    rows: Any = api.get("/api/v1/feeds/").json()["results"]
    assert [row["fetches_url"] for row in rows] == [f"http://testserver/api/v1/feeds/{feed.slug}/fetches/"]


def test_an_error_there_is_a_problem_document() -> None:
    assert APIClient().get("/api/v1/nothing/").json()["code"] == "not_found"
    assert APIClient().get("/api/v1/list-products/").status_code == 401


def test_the_schema_has_each_call_once() -> None:
    schema: Any = SchemaGenerator().get_schema(request=None, public=True)
    assert schema["servers"] == [{"url": "/api/v1"}]
    assert not [path for path in schema["paths"] if path.startswith("/api")]
