"""Imports through the API: one's own and nobody else's, and the admin's operations for the admin's people."""

import csv
import json
from io import StringIO
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from catalog.imports.reading.stage import stage
from catalog.models import Feed, ImportRun, Status
from catalog.tests.api import client
from catalog.tests.factories import applied, at_once, feed_of, item, items, person, planned, received
from config.tests.problems import said

pytestmark = pytest.mark.django_db
PARTS = ("", "issues/", "invalid.csv", "invalid.xml")


@pytest.fixture
def api(charlie: User) -> APIClient:
    """Somebody with an account and no role."""
    return client(charlie)


@pytest.fixture
def approver(alice: User) -> APIClient:
    return client(alice)


@pytest.fixture
def run(feed: Feed, charlie: User) -> ImportRun:
    """Charlie's import in review: two new products, one item invalid."""
    made = planned(feed, *items(2), item("free", price="free"), mode="add")
    made.uploaded_by = charlie
    made.save()
    return made


def text_of(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


# --- looking ------------------------------------------------------------------------------------------
def test_an_import_tells_how_far_it_is(api: APIClient, run: ImportRun) -> None:
    told = api.get(f"/imports/{run.pk}/").json()
    assert (told["status"], told["feed"], told["mode"], told["uploaded_by"]) == ("review", "ounass", "add", "charlie")
    assert (told["plan_hash"], told["counts"]) == (run.plan_hash, run.counts)
    assert (told["bytes_read"], told["file_size"]) == (run.file_size, run.file_size)
    assert (told["error"], told["finished_at"], told["holds"]) == (None, None, [])


def test_a_failed_import_says_why(api: APIClient, feed: Feed, charlie: User) -> None:
    run = received(feed, feed_of(item("1"))[:-20])
    stage(run)
    ImportRun.objects.update(uploaded_by=charlie)
    told = api.get(f"/imports/{run.pk}/").json()
    assert (told["status"], told["error"]) == ("failed", run.error)


def test_a_held_import_says_why(api: APIClient, approver: APIClient, run: ImportRun) -> None:
    ImportRun.objects.update(holds=[{"code": "guard.archived", "message": "Too many.", "more": 1}])
    assert api.get(f"/imports/{run.pk}/").json()["holds"] == [{"code": "guard.archived", "message": "Too many."}]


def test_issues_come_with_line_and_advice(api: APIClient, run: ImportRun) -> None:
    page = api.get(f"/imports/{run.pk}/issues/").json()
    assert page["count"] == 1
    (issue,) = page["results"]
    assert (issue["code"], issue["severity"], issue["attribute"]) == ("price.format", "error", "price")
    assert issue["examples"] == [{"line": 4, "id": "free", "found": "free"}]
    assert issue["advice"]


def test_the_invalid_items_come_as_files(api: APIClient, run: ImportRun) -> None:
    table = api.get(f"/imports/{run.pk}/invalid.csv")
    assert table["Content-Disposition"] == f'attachment; filename="import-{run.pk}-invalid.csv"'
    rows = list(csv.reader(StringIO(text_of(table).lstrip("\ufeff"))))
    assert rows[1][:3] == ["4", "free", "price.format"]
    assert "<g:id>free</g:id>" in text_of(api.get(f"/imports/{run.pk}/invalid.xml"))


def test_ones_own_imports_are_listed_the_newest_first(api: APIClient, feed: Feed, charlie: User) -> None:
    for n in "123":
        applied(feed, item(n))
    ImportRun.objects.exclude(pk=ImportRun.objects.latest("pk").pk).update(uploaded_by=charlie)
    first = api.get("/imports/?page_size=1").json()
    assert (first["count"], first["total_pages"]) == (2, 2)
    second = api.get(first["next"]).json()
    assert first["results"][0]["id"] == second["results"][0]["id"] + 1
    assert api.get("/imports/?status=review").json()["results"] == []
    assert api.get("/imports/?page=3").status_code == 404


@pytest.mark.parametrize(
    ("query", "name"),
    [("status=done", "status"), ("page=0", "page"), ("page_size=101", "page_size"), ("format=xml", "format")],
)
def test_a_bad_parameter_is_named(api: APIClient, query: str, name: str) -> None:
    response = api.get(f"/imports/?{query}")
    assert response.status_code == 400
    assert list(said(response)) == [name]


# --- another's ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("part", PARTS)
def test_anothers_import_is_not_there(run: ImportRun, part: str) -> None:
    other = client(person("dora"))
    there, nowhere = other.get(f"/imports/{run.pk}/{part}"), other.get(f"/imports/{run.pk + 1000}/{part}")
    assert there.status_code == nowhere.status_code == 404
    assert said(there) == said(nowhere) == {"detail": "There is no import with this number."}
    assert other.get("/imports/").json()["count"] == 0


@pytest.mark.parametrize("operation", ["apply", "discard", "undo"])
def test_nobody_operates_on_what_they_cannot_see(run: ImportRun, operation: str) -> None:
    approves_blindly = client(person("dora", "confirm_importrun", "discard_importrun", "undo_importrun"))
    body = {"plan_hash": run.plan_hash}
    assert approves_blindly.post(f"/imports/{run.pk}/{operation}/", body).status_code == 404


@pytest.mark.parametrize("part", PARTS)
def test_who_may_look_at_imports_sees_everybodys(bob: User, run: ImportRun, part: str) -> None:
    assert client(bob).get(f"/imports/{run.pk}/{part}").status_code == 200


@pytest.mark.parametrize("part", [*PARTS, "apply/", "discard/", "undo/"])
def test_a_stranger_is_told_to_log_in(run: ImportRun, part: str) -> None:
    for answer in (APIClient().get(f"/imports/{run.pk}/{part}"), APIClient().post(f"/imports/{run.pk}/{part}")):
        assert answer.status_code == 401


@pytest.mark.parametrize("number", ["0", "9" * 18, "9" * 19, "-1", "1.0", "x", "٣", "%00", "1%0A"])
def test_a_number_that_is_no_import_is_not_found(api: APIClient, run: ImportRun, number: str) -> None:
    assert api.get(f"/imports/{number}/").status_code in (400, 404)


# --- operations ---------------------------------------------------------------------------------------
def test_an_approver_lets_the_plan_be_applied(approver: APIClient, run: ImportRun) -> None:
    answer = approver.post(f"/imports/{run.pk}/apply/", {"plan_hash": run.plan_hash})
    assert (answer.status_code, answer.json()["status"]) == (202, "applying")
    run.refresh_from_db()
    assert run.history[-1]["by"] == "alice"


def test_an_importer_throws_a_plan_away(run: ImportRun) -> None:
    importer = client(person("ida", "view_importrun", "discard_importrun"))
    answer = importer.post(f"/imports/{run.pk}/discard/")
    assert (answer.status_code, answer.json()["status"]) == (200, "discarded")


def test_who_may_undo_takes_an_import_back(feed: Feed) -> None:
    run = applied(feed, item("1"))
    answer = client(person("uma", "view_importrun", "undo_importrun")).post(f"/imports/{run.pk}/undo/")
    assert (answer.status_code, answer.json()["status"]) == (202, "undoing")


@pytest.mark.parametrize("operation", ["apply", "discard", "undo"])
def test_ones_own_import_is_still_an_approvers_to_decide(api: APIClient, run: ImportRun, operation: str) -> None:
    answer = api.post(f"/imports/{run.pk}/{operation}/", {"plan_hash": run.plan_hash})
    assert answer.status_code == 403
    run.refresh_from_db()
    assert run.status == Status.REVIEW


def test_a_plan_that_is_another_one_now_is_not_applied(approver: APIClient, run: ImportRun) -> None:
    answer = approver.post(f"/imports/{run.pk}/apply/", {"plan_hash": "0" * 64})
    assert (answer.status_code, "has changed" in answer.json()["detail"]) == (409, True)


def test_what_a_guard_holds_needs_a_reason(approver: APIClient, run: ImportRun) -> None:
    ImportRun.objects.update(holds=[{"code": "guard.archived", "message": "Too many."}])
    body = {"plan_hash": run.plan_hash}
    for reason in ({}, {"reason": ""}, {"reason": "  "}):
        answer = approver.post(f"/imports/{run.pk}/apply/", {**body, **reason})
        assert (answer.status_code, "Say in words why" in answer.json()["detail"]) == (409, True)
    assert approver.post(f"/imports/{run.pk}/apply/", {**body, "reason": "The season is over."}).status_code == 202
    run.refresh_from_db()
    assert run.history[-1]["reason"] == "The season is over."


@pytest.mark.parametrize("operation", ["apply", "discard", "undo"])
def test_what_is_done_is_not_done_again(run: ImportRun, operation: str) -> None:
    approver = client(person("ann", *(f"{verb}_importrun" for verb in ("view", "confirm", "discard", "undo"))))
    body = {"plan_hash": run.plan_hash}
    approver.post(f"/imports/{run.pk}/discard/")
    assert approver.post(f"/imports/{run.pk}/{operation}/", body).status_code == 409


@pytest.mark.django_db(transaction=True)
def test_of_fifty_in_one_instant_one_confirms_and_the_others_are_told(alice: User, run: ImportRun) -> None:
    def confirm() -> Any:
        return client(alice).post(f"/imports/{run.pk}/apply/", {"plan_hash": run.plan_hash})

    answers = sorted(at_once(*[confirm] * 50), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [202] + [409] * 49
    assert {answer.json()["detail"] for answer in answers[1:]} == {
        f"Import {run.pk} cannot be confirmed: alice has already confirmed it."
    }
    run.refresh_from_db()
    assert [step["status"] for step in run.history].count("applying") == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"plan_hash": ""}, {"plan_hash": None}, {"plan_hash": ["x"]}, {"plan_hash": "x" * 65}, [], "x", 1, None],
)
def test_a_body_without_a_plans_hash_is_refused(approver: APIClient, run: ImportRun, body: Any) -> None:
    answer = approver.post(f"/imports/{run.pk}/apply/", body)
    assert answer.status_code == 400
    assert set(said(answer)) & {"plan_hash", "detail"}


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\U0001f457" * 1001])
@pytest.mark.parametrize("field", ["plan_hash", "reason"])
def test_no_text_brings_the_server_down(approver: APIClient, run: ImportRun, field: str, text: str) -> None:
    body = json.dumps({"plan_hash": run.plan_hash, field: text})
    answer = approver.post(f"/imports/{run.pk}/apply/", body, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize("operation", ["apply", "discard", "undo"])
def test_nothing_is_done_by_looking(approver: APIClient, run: ImportRun, operation: str) -> None:
    for method in (approver.put, approver.patch, approver.delete):
        assert method(f"/imports/{run.pk}/{operation}/").status_code == 405
    assert approver.get(f"/imports/{run.pk}/{operation}/").status_code == (409 if operation == "undo" else 405)
    before = run.status
    run.refresh_from_db()
    assert run.status == before
