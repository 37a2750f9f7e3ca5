"""Review: a plan is confirmed by who may, as it was read, once; what needs nobody goes on by itself."""

import re
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from catalog.errors import NotAllowed, NotPossible
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm, edited_since, go_on
from catalog.imports.reports.changes import changes_with
from catalog.imports.reports.pages import PAGE_ROWS, read_page
from catalog.models import CatalogVersion, Change, Feed, ImportRun, Product, Status
from catalog.tests.conftest import Worker
from catalog.tests.factories import (
    add_product,
    allow_changes,
    applied,
    at_once,
    counts,
    discarded,
    edit,
    execute,
    feed_of,
    item,
    items,
    person,
    planned,
    received,
    rows_read,
    uploaded,
)
from config import celery_app


def confirmed(run: ImportRun, by: User | None = None) -> ImportRun:
    confirm(run, plan_hash=run.plan_hash, by=by)
    return run


def test_who_may_approve_confirms(feed: Feed, alice: User) -> None:
    run = confirmed(planned(feed, item("1")), by=alice)
    assert run.status == Status.APPLYING
    assert (run.history[-1]["status"], run.history[-1]["by"]) == ("applying", "alice")


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_who_may_not_approve_is_refused(feed: Feed, name: str, request: pytest.FixtureRequest) -> None:
    run = planned(feed, item("1"))
    with pytest.raises(NotAllowed, match=f"{name} .*catalog.confirm_importrun"):
        confirmed(run, by=request.getfixturevalue(name))
    run.refresh_from_db()
    assert run.status == Status.REVIEW


@pytest.mark.parametrize("plan_hash", ["", "0" * 64])
def test_another_plan_than_the_one_read_is_refused(feed: Feed, alice: User, plan_hash: str) -> None:
    run = planned(feed, item("1"))
    with pytest.raises(NotPossible) as refused:
        confirm(run, plan_hash=plan_hash, by=alice)
    assert refused.value.code == "plan_changed"
    run.refresh_from_db()
    assert run.status == Status.REVIEW


def test_before_a_plan_is_made_there_is_nothing_to_confirm(feed: Feed, alice: User) -> None:
    run = received(feed, feed_of(item("1")))
    with pytest.raises(NotPossible, match="waiting") as refused:
        confirm(run, plan_hash="", by=alice)
    assert refused.value.code == "not_in_review"


def test_a_plan_that_somebody_confirms_meanwhile_need_not_go_on_by_itself(feed: Feed, alice: User) -> None:
    run = planned(feed, item("1"), auto_apply=True)
    seen = ImportRun.objects.get(pk=run.pk)
    confirmed(run, by=alice)
    go_on(seen)
    assert [step["by"] for step in seen.history if step["status"] == Status.APPLYING] == ["alice"]


@pytest.mark.parametrize("end", [execute, lambda run: discarded(run)])
def test_after_its_end_there_is_nothing_to_confirm(feed: Feed, alice: User, end: Any) -> None:
    run = planned(feed, item("1"))
    end(run)
    status = run.status
    with pytest.raises(NotPossible, match=run.get_status_display().lower()):
        confirmed(run, by=alice)
    run.refresh_from_db()
    assert run.status == status


@pytest.mark.django_db(transaction=True)
def test_of_fifty_who_confirm_in_one_instant_one_wins_and_is_named(feed: Feed) -> None:
    people = [person(f"approver{n}", "confirm_importrun") for n in range(50)]
    run = planned(feed, item("1"))
    copies = [ImportRun.objects.get(pk=run.pk) for _ in people]
    outcomes = at_once(*[lambda c=c, p=p: confirmed(c, by=p) for c, p in zip(copies, people, strict=True)])
    (winner,) = (p for p, outcome in zip(people, outcomes, strict=True) if outcome == run)
    refusals = [str(outcome) for outcome in outcomes if isinstance(outcome, NotPossible)]
    assert len(refusals) == 49
    assert all(re.search(rf"\b{winner.username} has already confirmed it", refusal) for refusal in refusals)
    run.refresh_from_db()
    assert [step["status"] for step in run.history] == ["staging", "review", "applying"]
    at_once(*[lambda c=c: apply(c) for c in copies])
    run.refresh_from_db()
    assert [step["status"] for step in run.history].count("applied") == 1
    assert Product.objects.get().version == 1


@pytest.mark.django_db(transaction=True)
def test_of_confirming_and_discarding_in_one_instant_one_wins(feed: Feed, alice: User) -> None:
    for n in range(3):
        run = planned(feed, item(f"{n}"))
        other = ImportRun.objects.get(pk=run.pk)
        outcomes = at_once(
            lambda: confirmed(run, by=alice),  # noqa: B023 - called at once
            lambda: discarded(other, by=alice),  # noqa: B023
        )
        assert sum(isinstance(outcome, NotPossible) for outcome in outcomes) == 1
        run.refresh_from_db()
        assert run.status in (Status.APPLYING, Status.DISCARDED)


# --- reading the plan ---------------------------------------------------------------------------------
@pytest.fixture
def long_plan(feed: Feed) -> ImportRun:
    """A plan of 3,000 changes of two kinds, after another feed's of as many."""
    earlier, run = planned(feed, item("1")), planned(feed, item("2"))
    kinds = {earlier: ("create",), run: ("update", "create", "archive")}
    for each, operations in kinds.items():
        each.changes.all().delete()
        Change.objects.bulk_create(
            Change(run=each, product_id=f"{n}", operation=operations[n * len(operations) // 3000]) for n in range(3000)
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE catalog_change")
    return run


@pytest.mark.parametrize(
    "at", [{}, {"before": 2**62}, {"operation": "create"}, {"operation": "archive", "before": 2**62}]
)
def test_a_page_is_found_without_the_others(long_plan: ImportRun, at: dict[str, Any]) -> None:
    place = {name: value for name, value in at.items() if name != "operation"}
    with CaptureQueriesContext(connection) as asked:
        shown = read_page(changes_with(long_plan, operation=at.get("operation", "")), "id", **place)
    assert len(shown.rows) == PAGE_ROWS
    assert max(rows_read(query["sql"]) for query in asked.captured_queries) <= 3 * (PAGE_ROWS + 1)


@pytest.mark.parametrize("at", [{}, {"before": 2**62}, {"operation": "update"}])
def test_so_are_the_few_that_were_left_alone(long_plan: ImportRun, at: dict[str, Any]) -> None:
    few = {id for id in (*range(7), *range(2990, 3000)) if at.get("operation") != "update" or id < 1000}
    long_plan.changes.filter(product_id__in=few).update(outcome="conflict")
    place = {name: value for name, value in at.items() if name != "operation"}
    with CaptureQueriesContext(connection) as asked:
        shown = read_page(changes_with(long_plan, outcome="conflict", operation=at.get("operation", "")), "id", **place)
    assert [int(change.product_id) for change in shown.rows] == sorted(few)
    assert max(rows_read(query["sql"]) for query in asked.captured_queries) <= len(few)


def test_pages_go_through_all_kinds_of_changes_in_one_order(long_plan: ImportRun) -> None:
    met: list[int] = []
    while (shown := read_page(changes_with(long_plan), "id", after=met[-1] if met else None)).rows:
        met += [change.pk for change in shown.rows]
    assert met == [*long_plan.changes.order_by("id").values_list("id", flat=True)]
    back = read_page(changes_with(long_plan), "id", before=met[-1])
    assert [change.pk for change in back.rows] == met[-PAGE_ROWS - 1 : -1]


# --- what was edited since ----------------------------------------------------------------------------
@pytest.fixture
def aged(feed: Feed, other_feed: Feed) -> ImportRun:
    """A plan over 301 products, of which two were edited since, one came to be, one is gone, another import did one."""
    applied(feed, *items(300))
    run = planned(feed, *items(300, color="Red"), item("new"))
    assert edited_since(run) == 0
    edit("00001", title="By hand")
    edit("00002")
    add_product(id="new")
    Product.objects.get(id="00003").delete()
    applied(allow_changes(other_feed), item("00004", size="M"), item("another"))
    return run


def test_the_products_that_were_changed_since_are_counted(aged: ImportRun) -> None:
    assert edited_since(aged) == 5
    assert counts(execute(aged))["conflict"] == 5


@pytest.mark.parametrize("unknown", ["many", "by whom"])
def test_each_is_looked_at_where_it_is_not_known_which(
    aged: ImportRun, unknown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if unknown == "many":
        monkeypatch.setattr(CatalogVersion, "MAX_LISTED_PRODUCTS", 4)
    else:
        CatalogVersion.objects.latest("version").delete()
    assert aged.products_changed_since() is None
    assert edited_since(aged) == 5


def test_as_many_products_are_looked_at_as_were_changed(aged: ImportRun) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as asked:
        edited_since(aged)
    assert max(rows_read(query["sql"]) for query in asked.captured_queries) <= 10


# --- through the tasks --------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_plan_with_changes_waits_for_a_person(feed: Feed, worker: Worker) -> None:
    run = uploaded(feed, feed_of(item("1")))
    assert worker.work() == ["catalog.stage"]
    run.refresh_from_db()
    assert run.status == Status.REVIEW
    assert not Product.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_confirmed_plan_is_applied_and_cleaned_up_by_workers(feed: Feed, alice: User, worker: Worker) -> None:
    run = planned(feed, item("1"))
    confirm(run, plan_hash=run.plan_hash, by=alice)
    assert worker.work() == ["catalog.apply", "catalog.clean_up"]
    run.refresh_from_db()
    assert run.status == Status.APPLIED
    assert not run.staged.exists()


@pytest.mark.django_db(transaction=True)
def test_a_run_that_applies_by_itself_needs_nobody(feed: Feed, worker: Worker) -> None:
    run = uploaded(feed, feed_of(item("1")), auto_apply=True)
    assert worker.work() == ["catalog.stage", "catalog.apply", "catalog.clean_up"]
    run.refresh_from_db()
    assert run.status == Status.APPLIED
    assert Product.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_plan_without_changes_needs_nobody(feed: Feed, worker: Worker) -> None:
    applied(feed, item("1"))
    run = uploaded(feed, feed_of(item("1"), item("2", price="free")))
    assert worker.work() == ["catalog.stage", "catalog.apply", "catalog.clean_up"]
    assert counts(run) == {"items": 2, "unchanged": 1, "invalid": 1}
    assert run.status == Status.APPLIED


@pytest.mark.django_db(transaction=True)
def test_the_doorbell_rings_only_for_what_is_committed(feed: Feed, worker: Worker) -> None:
    run = planned(feed, item("1"))
    with transaction.atomic():
        confirm(run, plan_hash=run.plan_hash, by=None)
        assert worker.work() == []
    assert worker.work() == ["catalog.apply", "catalog.clean_up"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("task", ["catalog.stage", "catalog.apply", "catalog.clean_up"])
def test_a_task_that_is_late_or_early_does_no_harm(feed: Feed, worker: Worker, task: str) -> None:
    runs = [received(feed, feed_of(item("1"))), planned(feed, item("2")), applied(feed, item("3"))]
    runs.append(planned(feed, item("4")))
    discarded(runs[-1])
    before = [(run.status, counts(run)) for run in runs]
    for run in runs[1:] if task == "catalog.stage" else runs:
        celery_app.tasks[task](run.pk)
    assert [(run.status, counts(run)) for run in runs] == before
