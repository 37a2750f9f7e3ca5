"""What changed since a version of the catalogue."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from catalog.api import exports
from catalog.imports.retention import forget_old
from catalog.models import CatalogState, CatalogVersion, Feed, Market, Product, RemovedProduct
from catalog.tests.api import client, product
from catalog.tests.factories import applied, edit, item, person, redone, undone
from config.tests.problems import said

pytestmark = pytest.mark.django_db
CHANGES = "/products/changes/"
STREAM: dict[str, Any] = {"since": 0, "format": "jsonl"}


@pytest.fixture
def api(db: None) -> APIClient:
    return client(person("bob"))


def get(api: APIClient, since: Any = "", **query: Any) -> Any:
    answer = api.get(CHANGES, {"since": since, **query})
    assert answer.status_code == 200, answer.content
    return answer.json()


def places(page: Any) -> list[tuple[int, str, str]]:
    return [(row["version"], row["id"], row["state"]) for row in page["results"]]


def follow(api: APIClient, since: Any, page_size: int = 100) -> tuple[list[Any], str]:
    """All rows since then, and the cursor to go on from."""
    rows: list[Any] = []
    page = get(api, since, page_size=page_size)
    while True:
        rows += page["results"]
        if page["next"] is None:
            return rows, page["cursor"]
        page = api.get(page["next"]).json()


def test_each_product_comes_once_at_the_version_that_changed_it_last(api: APIClient) -> None:
    for id in ("a", "b", "c"):
        product(id)
    edit("a", title="Wool dress")
    page = get(api, 0)
    assert places(page) == [(2, "b", "listed"), (3, "c", "listed"), (4, "a", "listed")]
    listed = {one["id"]: one for one in api.get("/list-products/").json()["results"]}
    assert [row["product"] for row in page["results"]] == [listed["b"], listed["c"], listed["a"]]
    assert (page["version"], page["next"]) == (4, None)
    assert places(get(api, 3)) == [(4, "a", "listed")]
    assert places(get(api, 4)) == []


def test_archived_and_removed_products_are_among_them(api: APIClient, feed: Feed) -> None:
    product("archived")
    product("deleted")
    run = applied(feed, item("undone"))
    begin = get(api)["cursor"]
    edit("archived", archived_at=timezone.now())
    Product.objects.get(id="deleted").delete()
    undone(run)
    page = get(api, begin)
    assert places(page) == [(4, "archived", "archived"), (5, "deleted", "removed"), (6, "undone", "removed")]
    assert [row["product"] for row in page["results"]] == [None, None, None]


def test_a_product_that_comes_back_is_removed_no_longer(api: APIClient, feed: Feed) -> None:
    run = applied(feed, item("a"), item("b"))
    undone(run)
    product("b")
    assert places(get(api, 0)) == [(2, "a", "removed"), (3, "b", "listed")]
    redone(run)
    assert places(get(api, 0)) == [(3, "b", "listed"), (4, "a", "listed")]
    assert not RemovedProduct.objects.exists()
    edit("a", archived_at=timezone.now())
    edit("a", archived_at=None)
    assert places(get(api, 4)) == [(6, "a", "listed")]


def test_without_a_place_it_says_where_to_begin(api: APIClient) -> None:
    product("a")
    page = get(api)
    assert (page["results"], page["next"], page["version"]) == ([], None, 1)
    product("b")
    assert places(get(api, page["cursor"])) == [(2, "b", "listed")]


def test_pages_follow_each_other_within_a_version_and_across_versions(api: APIClient, feed: Feed) -> None:
    applied(feed, *(item(id) for id in ("é/1", "b", "c d", "\N{DRESS}", "a")))
    product("z")
    expected = [(1, id) for id in sorted(["é/1", "b", "c d", "\N{DRESS}", "a"], key=lambda id: id.encode())] + [
        (2, "z")
    ]
    for size in (1, 2, 3, 6):
        rows, cursor = follow(api, 0, size)
        assert [(row["version"], row["id"]) for row in rows] == expected
        assert cursor == "default.2"
        for place, row in enumerate(rows):
            again, _ = follow(api, row["cursor"])
            assert [(row["version"], row["id"]) for row in again] == expected[place + 1 :]


def test_the_stream_says_the_same_in_lines(api: APIClient, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "_STREAMS", BoundedSemaphore(exports.MAX_STREAMS))
    monkeypatch.setattr("catalog.api.changes.ROWS_AT_ONCE", 2)
    run = applied(feed, *(item(id) for id in "abc"))
    undone(run)
    product("é", extra={"c:heel": "عالٍ"}, price="1.25", currency="KWD")
    product("x", archived_at=timezone.now())
    answer = api.get(CHANGES, STREAM)
    assert (answer["Content-Type"], answer["Catalogue-Version"]) == ("application/x-ndjson", "4")
    assert answer["Content-Disposition"] == 'attachment; filename="changes-default.jsonl"'
    sent = answer.getvalue()
    lines = [json.loads(line) for line in sent.decode().splitlines()]
    assert lines == get(api, 0)["results"]
    assert len(lines) == 5
    packed = api.get(CHANGES, STREAM, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.getvalue()) == sent


def test_streams_share_the_places_of_exports(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "_STREAMS", BoundedSemaphore(1))
    first = api.get(CHANGES, STREAM)
    refused = api.get(CHANGES, STREAM)
    assert (refused.status_code, refused["Retry-After"]) == (503, "30")
    assert first.getvalue() == b""
    assert api.get(CHANGES, STREAM).getvalue() == b""


def test_an_export_says_from_which_version_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "_STREAMS", BoundedSemaphore(exports.MAX_STREAMS))
    api = client(person("vera", "view_product", "export_product"))
    product("a")
    answer = api.get("/products/export/")
    product("b")
    assert answer.getvalue()
    assert places(get(api, answer["Catalogue-Version"])) == [(2, "b", "listed")]


# --- markets ------------------------------------------------------------------------------------------
def test_each_market_has_its_own_versions_and_cursors(api: APIClient) -> None:
    saudi = Market.objects.create(code="sa-en", name="Saudi Arabia, English")
    product("a")
    product("a", market=saudi)
    product("b", market=saudi)
    assert places(get(api, 0)) == [(1, "a", "listed")]
    page = get(api, 0, market="sa-en", page_size=1)
    assert places(page) == [(1, "a", "listed")]
    assert page["results"][0]["product"]["market"] == "sa-en"
    assert places(get(api, page["cursor"])) == [(2, "b", "listed")]  # the cursor names its market
    assert places(api.get(page["next"]).json()) == [(2, "b", "listed")]
    wrong = api.get(CHANGES, {"since": page["cursor"], "market": "default"})
    assert said(wrong) == {"since": ["This cursor is of the market sa-en."]}
    unknown = api.get(CHANGES, {"since": "om-en.1"})
    assert said(unknown) == {"since": ['There is no market "om-en". Use one of these: default, sa-en.']}


@pytest.mark.parametrize(
    "since", ["-1", "x", "1.", "default.", "default.1.", "default.1.a", "default.1.!", "default.1._w", "١", "1" * 19]
)
def test_what_is_no_cursor_is_refused(api: APIClient, since: str) -> None:
    answer = api.get(CHANGES, {"since": since})
    assert answer.status_code == 400
    assert "is neither a version nor a cursor" in said(answer)["since"][0]


# --- what is known no longer ----------------------------------------------------------------------------
def forgotten(api: APIClient, since: Any) -> Any:
    answer = api.get(CHANGES, {"since": since})
    assert answer.status_code == 410, answer.content
    assert answer.json()["code"] == "changes_forgotten"
    return answer.json()["detail"]


def test_versions_are_forgotten_after_a_time(api: APIClient, settings: Any) -> None:
    for id in "abc":
        product(id)
    Product.objects.get(id="a").delete()
    product("d")
    middle = get(api, 2, page_size=1)["cursor"]
    settings.RETENTION_VERSIONS_DAYS = 90
    CatalogVersion.objects.filter(version__lte=4).update(made_at=timezone.now() - timedelta(days=91))
    assert forget_old()["versions"] == 4
    assert not RemovedProduct.objects.exists()
    assert forgotten(api, 3) == (
        "What changed since version 3 is not known any more, only since version 4. "
        "Load all products again, then go on from there."
    )
    forgotten(api, middle)
    assert api.get(CHANGES, {**STREAM, "since": 3}).status_code == 410
    assert places(get(api, 4)) == [(5, "d", "listed")]
    product("e")
    assert places(get(api, 4)) == [(5, "d", "listed"), (6, "e", "listed")]
    settings.RETENTION_VERSIONS_DAYS = 0
    CatalogVersion.objects.update(made_at=timezone.now() - timedelta(days=1000))
    assert forget_old()["versions"] == 0


def test_a_version_that_is_not_there_yet_is_of_another_catalogue(api: APIClient) -> None:
    product("a")
    assert "There is no version 2: the market default is at 1." in forgotten(api, 2)
    forgotten(api, "default.2.YQ")
    get(api, 1)


def test_what_changed_products_without_saying_which_ends_what_is_known(api: APIClient, feed: Feed) -> None:
    CatalogState.bump(feed.market_id)
    forgotten(api, 0)
    product("a")
    CatalogState.bump(feed.market_id)
    forgotten(api, 2)
    product("b")
    assert places(get(api, 3)) == [(4, "b", "listed")]


# --- who, and again -------------------------------------------------------------------------------------
def test_it_takes_a_login() -> None:
    assert APIClient().get(CHANGES).status_code == 401


def test_nothing_is_sent_to_who_has_it(api: APIClient) -> None:
    product("a")
    answer = api.get(CHANGES, {"since": 0})
    again = api.get(CHANGES, {"since": 0}, headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again["Catalogue-Version"]) == (304, "1")
    product("b")
    assert api.get(CHANGES, {"since": 0}, headers={"If-None-Match": answer["ETag"]}).status_code == 200
