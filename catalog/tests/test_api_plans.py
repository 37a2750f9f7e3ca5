"""A plan as a program reads it: change by change, item by item, and what an undo or a redo would do."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from catalog.imports.reports import pages
from catalog.models import Feed, ImportRun, Status
from catalog.tests.api import client
from catalog.tests.factories import applied, item, items, planned, undone
from config.tests.problems import said

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(alice: User) -> APIClient:
    return client(alice)


@pytest.fixture
def run(feed: Feed) -> ImportRun:
    """A plan that adds one product, changes the price of another, and has two invalid items."""
    applied(feed, item("1", price="10 AED"), item("2"))
    return planned(feed, item("1", price="12 AED"), item("2"), item("3"), item("x", price="free"), item("y", price="-"))


def get(api: APIClient, run: ImportRun, path: str) -> Any:
    answer = api.get(f"/imports/{run.pk}/{path}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def ids(page: Any) -> list[str]:
    return [one.get("product_id", one.get("id")) for one in page["results"]]


def test_a_plan_is_read_change_by_change(api: APIClient, run: ImportRun) -> None:
    page = get(api, run, "changes/")
    assert (sorted(ids(page)), page["next"]) == (["1", "3"], None)
    changed = next(one for one in page["results"] if one["product_id"] == "1")
    assert (changed["operation"], changed["outcome"]) == ("update", "proposed")
    assert changed["changed_fields"] == [{"operation": "update", "field": "price", "old": "10.00", "new": "12.00"}]
    new = next(one for one in page["results"] if one["product_id"] == "3")
    values = {one["field"]: (one["operation"], one["old"], one["new"]) for one in new["changed_fields"]}
    assert values["price"][:2] == ("create", "")
    assert {"title", "link", "availability"} <= values.keys()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("operation=create", ["3"]),
        ("operation=update", ["1"]),
        ("operation=archive", []),
        ("field=price&operation=update", ["1"]),
        ("q=3", ["3"]),
        ("product_id=1", ["1"]),
        ("outcome=conflict", []),
        ("operation=&q=", ["1", "3"]),
    ],
)
def test_changes_are_filtered_as_on_the_page(api: APIClient, run: ImportRun, asked: str, found: list[str]) -> None:
    assert sorted(ids(get(api, run, f"changes/?{asked}"))) == found


@pytest.mark.parametrize("asked", ["operation=add", "outcome=x", "after=-1", "after=x", "after=²", "page=2", "q=a&q=b"])
def test_a_wrong_filter_is_named(api: APIClient, run: ImportRun, asked: str) -> None:
    answer = api.get(f"/imports/{run.pk}/changes/?{asked}")
    assert answer.status_code == 400
    assert list(said(answer)) == [asked.partition("=")[0]]


def test_the_pages_of_a_long_plan_follow_one_another(
    api: APIClient, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", 3)
    long = planned(
        feed,
        *items(8),
        item("x", price="free"),
        item("y", price="free"),
        *[item(f"z{number}", price="free") for number in range(3)],
    )
    for path, count in (("changes/", 8), ("invalid/", 5), ("issues/price.format/items/", 5)):
        seen, address = [], f"/imports/{long.pk}/{path}"
        while address:
            page = api.get(address).json()
            assert len(page["results"]) <= 3
            seen += ids(page)
            address = page["next"]
        assert len(seen) == len(set(seen)) == count, path


def test_invalid_items_come_with_their_issues(api: APIClient, run: ImportRun) -> None:
    page = get(api, run, "invalid/")
    assert ids(page) == ["x", "y"]
    assert page["results"][0]["issues"][0]["severity"] == "error"
    assert page["results"][0]["issues"][0]["found"] == "free"


def test_the_items_of_an_issue(api: APIClient, run: ImportRun) -> None:
    code = run.issues.filter(attribute="price").first().code  # type: ignore[union-attr]
    assert "x" in ids(get(api, run, f"issues/{code}/items/"))
    assert "x" in ids(get(api, run, f"issues/{code}/items/?attribute=price"))
    assert ids(get(api, run, f"issues/{code}/items/?attribute=brand")) == []
    assert api.get(f"/imports/{run.pk}/issues/no.such/items/").status_code == 404


def test_the_coverage_is_that_of_the_page(api: APIClient, run: ImportRun) -> None:
    coverage = get(api, run, "coverage/")
    title = next(one for one in coverage["attributes"] if one["name"] == "title")
    assert (title["items"], title["share"]) == (run.items, 1)
    assert coverage["previous"] is not None


def test_the_files_are_those_of_the_page(api: APIClient, run: ImportRun) -> None:
    table = b"".join(api.get(f"/imports/{run.pk}/changes.csv")).decode()
    assert "1,update,price,10.00,12.00" in table
    whole = api.get(f"/imports/{run.pk}/file/")
    with run.file.open() as file:
        assert b"".join(whole) == file.read()
    assert whole["Content-Disposition"].startswith("attachment")


def test_a_file_that_is_no_longer_kept_is_refused_in_words(api: APIClient, run: ImportRun) -> None:
    run.file.storage.delete(str(run.file.name))
    answer = api.get(f"/imports/{run.pk}/file/")
    assert (answer.status_code, answer.json()["code"]) == (404, "feed.file_missing")
    assert "Upload it again" in said(answer)["detail"]


def test_while_the_storage_is_away_a_file_is_asked_for_later(
    api: APIClient, run: ImportRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr("catalog.api.plans.opened", away)
    answer = api.get(f"/imports/{run.pk}/file/")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "storage_away", "30")


def test_an_undo_is_previewed_and_held_to_what_was_seen(api: APIClient, feed: Feed) -> None:
    run = applied(feed, item("1"), item("2"))
    applied(feed, item("2", title="Another"))
    preview = get(api, run, "undo/")
    assert (preview["undone"], preview["kept"], preview["gone"], ids(preview)) == (1, 1, 0, ["1"])
    assert ids(get(api, run, "undo/?verdict=kept")) == ["2"]
    assert api.post(f"/imports/{run.pk}/undo/", {"seen": "9-9-9"}).json()["code"] == "prospect_changed"
    assert api.post(f"/imports/{run.pk}/undo/", {"seen": preview["seen"]}).status_code == 202


def test_a_redo_is_previewed_and_requested(api: APIClient, feed: Feed) -> None:
    run = undone(applied(feed, item("1"), item("2")))
    assert get(api, run, "redo/") == {"applied": 2, "conflict": 0, "is_possible": True}
    applied(feed, item("2", title="Somebody else's"), mode="add")
    assert get(api, run, "redo/") == {"applied": 1, "conflict": 1, "is_possible": True}
    assert api.post(f"/imports/{run.pk}/redo/").status_code == 202
    run.refresh_from_db()
    assert run.status == Status.REDOING


def test_a_preview_of_what_cannot_be_is_refused(api: APIClient, run: ImportRun) -> None:
    for path, code in (("undo/", "not_applied"), ("redo/", "not_undone")):
        answer = api.get(f"/imports/{run.pk}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, code)


def test_previews_take_the_permission_to_undo(run: ImportRun, charlie: User) -> None:
    ImportRun.objects.update(uploaded_by=charlie)
    for path in ("undo/", "redo/"):
        assert client(charlie).get(f"/imports/{run.pk}/{path}").status_code == 403


def test_planning_again_gives_a_new_import(api: APIClient, run: ImportRun) -> None:
    answer = api.post(f"/imports/{run.pk}/plan-again/")
    run.refresh_from_db()
    assert answer.status_code == 202
    assert (answer.json()["id"] != run.pk, run.status) == (True, Status.DISCARDED)
    ImportRun.objects.filter(pk=answer.json()["id"]).update(status=Status.DISCARDED, file="")
    gone = api.post(f"/imports/{answer.json()['id']}/plan-again/")
    assert (gone.status_code, gone.json()["code"]) == (409, "file_gone")


@pytest.mark.parametrize(
    "path", ["changes/", "invalid/", "coverage/", "issues/price.format/items/", "changes.csv", "file/", "undo/"]
)
def test_a_strangers_import_is_not_found(run: ImportRun, charlie: User, path: str) -> None:
    assert client(charlie).get(f"/imports/{run.pk}/{path}").status_code == 404
