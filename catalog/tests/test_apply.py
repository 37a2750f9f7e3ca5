"""Apply: the plan is executed once, whole or not at all, and what changed meanwhile is left alone and counted."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from django.utils import timezone

from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.cleaning.values import settled_mark
from catalog.feeds.reading.items import read_items
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.local import local_queue
from catalog.imports.reading.stage import stage
from catalog.models import CatalogState, Change, Feed, ImportRun, Product, Status
from catalog.models.fields import SHARED
from catalog.tests.factories import (
    add_product,
    allow_changes,
    applied,
    at_once,
    breaking,
    catalogue,
    change,
    counts,
    edit,
    execute,
    feed_of,
    item,
    items,
    planned,
    received,
    somebody_waits,
    wait_until,
)
from config import celery_app

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
FEEDS = Path(__file__).parent / "feeds"


def confirmed(feed: Feed, *items: str, **options: Any) -> ImportRun:
    run = planned(feed, *items, **options)
    with local_queue():
        confirm(run, plan_hash=run.plan_hash, by=None)
    return run


def again(run: ImportRun) -> ImportRun:
    """The run as another worker finds it."""
    return ImportRun.objects.get(pk=run.pk)


def version() -> int:
    return CatalogState.objects.get().version


# --- what is applied is what was planned --------------------------------------------------------------
@pytest.mark.parametrize("path", sorted(FEEDS.glob("*.xml")), ids=lambda path: path.stem)
def test_what_is_applied_is_what_was_read(feed: Feed, path: Path) -> None:
    run = received(feed, path.read_bytes())
    stage(run)
    execute(run)
    with path.open("rb") as file:
        raw_items = [*read_items(file)]
    signs = {name for raw in raw_items for name in check_item(raw, Rules()).more_names}
    rules = Rules(decimal_mark=settled_mark(signs))  # one amount may settle how another is read
    read = [check_item(raw, rules) for raw in raw_items]
    expected = {found.id: (found.values, found.extra) for found in read if found.valid}
    assert {product.id: stored(product) for product in Product.objects.all()} == expected
    assert run.invalid == sum(not found.valid for found in read)


def stored(product: Product) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns that have a value, and the rest, as `check_item` gives them."""
    values = {name: getattr(product, name) for name in ("id", *SHARED)}
    return {name: value for name, value in values.items() if value not in ("", None, [])}, product.extra


def test_everything_planned_is_applied_and_said_so(feed: Feed) -> None:
    applied(feed, item("change"), item("archive"), item("same"))
    run = execute(planned(feed, item("new"), item("change", color="Red"), item("same"), mode="sync"))
    assert dict(run.changes.values_list("product_id", "operation")) == {
        "new": "create",
        "change": "update",
        "archive": "archive",
    }
    assert {*run.changes.values_list("outcome", flat=True)} == {"applied"}
    assert counts(run) == {"items": 3, "created": 1, "changed": 1, "unchanged": 1, "archived": 1}
    assert (run.finished_at is not None, {*run.seconds}) == (True, {"stage", "plan", "apply"})


def test_a_new_product_belongs_to_the_feed_and_begins_with_version_one(feed: Feed) -> None:
    applied(feed, item("1"))
    product = Product.objects.get()
    assert (product.feed, product.version, product.archived_at) == (feed, 1, None)
    assert product.created_at == product.updated_at


def test_only_what_changes_gets_a_new_version_and_time(feed: Feed) -> None:
    applied(feed, item("1"), item("2"), item("3"))
    Product.objects.update(updated_at=LONG_AGO)
    applied(feed, item("1", color="Red"), item("2"), mode="sync")
    assert [(product.version, product.updated_at > LONG_AGO) for product in Product.objects.order_by("id")] == [
        (2, True),
        (1, False),
        (2, True),
    ]


def test_an_import_with_changes_makes_one_new_version_of_the_catalogue(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    before = version()
    applied(feed, item("1", color="Red"), item("3"), mode="sync")
    assert version() == before + 1


def test_a_plan_of_many_batches_is_applied_whole(feed: Feed) -> None:
    run = applied(feed, *items(4_500))
    assert counts(run) == {"items": 4_500, "created": 4_500}
    assert Product.objects.count() == 4_500


# --- edited since the plan ----------------------------------------------------------------------------
def test_an_edited_product_is_left_alone_and_counted(feed: Feed) -> None:
    applied(feed, item("edited"), item("1"))
    run = planned(feed, item("edited", color="Red"), item("1", color="Red"), item("2"))
    edit("edited", color="Blue")
    execute(run)
    assert counts(run) == {"items": 3, "created": 1, "changed": 1, "conflict": 1}
    assert (change(run, "edited").outcome, change(run, "1").outcome) == ("conflict", "applied")
    assert [*Product.objects.order_by("id").values_list("color", flat=True)] == ["Red", "", "Blue"]


def test_an_edited_product_is_not_archived_and_counted_beside(feed: Feed) -> None:
    applied(feed, item("edited"), item("missing"), item("1"))
    run = planned(feed, item("1"), mode="sync")
    edit("edited", color="Blue")
    execute(run)
    assert counts(run) == {"items": 1, "unchanged": 1, "archived": 1, "archive_conflict": 1}
    assert [*Product.objects.active().order_by("id").values_list("id", flat=True)] == ["1", "edited"]


def test_a_deleted_product_does_not_come_back(feed: Feed) -> None:
    applied(feed, item("changed"), item("missing"), item("1"))
    run = planned(feed, item("changed", color="Red"), item("1"), mode="sync")
    Product.objects.filter(id__in=["changed", "missing"]).delete()
    execute(run)
    assert counts(run) == {"items": 2, "unchanged": 1, "conflict": 1, "archive_conflict": 1}
    assert Product.objects.get().id == "1"


def test_a_product_made_by_hand_since_stays_as_it_is(feed: Feed) -> None:
    run = planned(feed, item("1"), item("2"))
    add_product(id="1", title="By hand")
    execute(run)
    assert counts(run) == {"items": 2, "created": 1, "conflict": 1}
    assert Product.objects.get(id="1").title == "By hand"


def test_a_product_archived_or_restored_since_is_a_conflict(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    applied(feed, item("1"), mode="sync")
    run = planned(feed, item("1", color="Red"), item("2", color="Red"))
    edit("1", archived_at=timezone.now())
    edit("2", archived_at=None)
    execute(run)
    assert counts(run) == {"items": 2, "conflict": 2}
    assert not Product.objects.filter(color="Red").exists()


# --- once ---------------------------------------------------------------------------------------------
def test_an_import_is_applied_once(feed: Feed) -> None:
    run = execute(planned(feed, item("1")))
    Product.objects.all().delete()
    apply(again(run))
    assert not Product.objects.exists()
    assert len(again(run).history) == len(run.history)


@pytest.mark.django_db(transaction=True)
def test_two_deliveries_in_one_instant_apply_once(feed: Feed) -> None:
    applied(feed, *items(300))
    before = version()
    run = confirmed(feed, *items(300, color="Red"))
    copies = again(run), again(run)
    assert at_once(*[lambda c=c: apply(c) for c in copies]) == [None, None]
    assert counts(run) == {"items": 300, "changed": 300}
    assert {*Product.objects.values_list("version", flat=True)} == {2}
    assert version() == before + 1
    assert [step["status"] for step in run.history].count("applied") == 1


@pytest.mark.parametrize("made", [planned, lambda feed, *items: received(feed, feed_of(*items))])
def test_what_is_not_confirmed_is_not_applied(feed: Feed, made: Any) -> None:
    run = made(feed, item("1"))
    status = run.status
    apply(run)
    assert again(run).status == status
    assert not Product.objects.exists()


# --- whole, or not at all -----------------------------------------------------------------------------
def test_an_apply_that_breaks_changes_nothing(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    run = confirmed(feed, item("1", color="Red"), item("3", title="poison"), mode="sync")
    before = catalogue(), version()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # of the test's own transaction
        cursor.execute("ALTER TABLE catalog_product ADD CHECK (title <> 'poison')")
    with pytest.raises(IntegrityError):
        apply(run)
    assert (run.status, run.error_code) == (Status.FAILED, "internal_error")
    assert re.search(r"\[[0-9a-f]{8}\]. No product was changed", run.error)
    assert (catalogue(), version()) == before
    assert not Change.objects.filter(run=run).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["catalog_product", "catalog_change", "catalog_importrun"])
def test_an_apply_that_is_cut_off_changes_nothing_and_is_taken_up_again(feed: Feed, table: str) -> None:
    applied(feed, item("1"), item("2"))
    run = confirmed(feed, item("1", color="Red"), item("3"), mode="sync")
    before = catalogue(), version()
    with breaking(table), pytest.raises(OperationalError):
        apply(again(run))
    assert (again(run).status, catalogue(), version()) == (Status.APPLYING, *before)
    apply(again(run))
    assert counts(run) == {"items": 2, "created": 1, "changed": 1, "archived": 1}
    assert version() == before[1] + 1


@pytest.mark.django_db(transaction=True)
def test_a_commit_whose_answer_was_lost_is_not_repeated(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    applied(feed, item("1"))
    run, before = confirmed(feed, item("2")), version()
    wrapper: Any = connections["default"]
    with monkeypatch.context() as patch:
        commit = wrapper._commit

        def commit_and_lose() -> None:
            commit()
            connection.connection.close()
            raise OperationalError("server closed the connection unexpectedly")

        patch.setattr(wrapper, "_commit", commit_and_lose)
        with pytest.raises(OperationalError):
            apply(again(run))
    apply(again(run))
    assert counts(run) == {"items": 1, "created": 1}
    assert (run.status, version(), Product.objects.get(id="2").version) == (Status.APPLIED, before + 1, 1)


@pytest.fixture
def broken_bell() -> Iterator[None]:
    class Broken(Celery):
        def send_task(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("of the bell")

    Broken("broken", set_as_current=False).set_current()
    yield
    celery_app.set_current()


@pytest.mark.django_db(transaction=True)
def test_what_is_applied_stays_so_whatever_the_bell_does(feed: Feed, broken_bell: None) -> None:
    run = confirmed(feed, item("1"), item("2", price="free"))
    with pytest.raises(RuntimeError):
        apply(run)
    assert counts(run) == {"items": 2, "created": 1, "invalid": 1}
    assert run.status == Status.APPLIED
    assert run.staged.filter(state="invalid").count() == 1


# --- beside each other --------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_two_imports_of_the_same_products_end_as_one_after_the_other(feed: Feed, other_feed: Feed) -> None:
    allow_changes(other_feed)
    applied(feed, *items(200))
    before = deadlocks()
    for n in range(5):
        news = item(f"new {n}", color="New")
        red = confirmed(feed, *items(200, color=f"Red {n}"), news)
        blue = confirmed(other_feed, news, *reversed(items(200, color=f"Blue {n}")))
        assert at_once(lambda: apply(red), lambda: apply(blue)) == [None, None]  # noqa: B023 - called at once
        for waiting in (red, blue):
            apply(waiting)  # the one that found the catalogue's lock taken is called again
        winner, loser = (red, blue) if counts(red).get("changed") else (blue, red)
        assert counts(winner) == {"items": 201, "created": 1, "changed": 200}
        assert counts(loser) == {"items": 201, "conflict": 201}
        color = {red: f"Red {n}", blue: f"Blue {n}"}[winner]
        assert {*Product.objects.exclude(color="New").values_list("color", flat=True)} == {color}
    assert deadlocks() == before  # nor one that was tried again


def deadlocks() -> int:
    """How many PostgreSQL has broken in this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_imports_are_read_and_planned_beside_each_other(feed: Feed) -> None:
    runs = [received(feed, feed_of(*items(200, color=str(n)))) for n in range(6)]
    assert at_once(*[lambda r=run: stage(r) for run in runs]) == [None] * 6
    assert [counts(run) for run in runs] == [{"items": 200, "created": 200}] * 6


@pytest.mark.django_db(transaction=True)
def test_nobody_sees_an_import_half_applied(feed: Feed) -> None:
    applied(feed, item("1"), item("missing"))
    run = confirmed(feed, item("1", color="Red"), item("2"), mode="sync")
    before = catalogue()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Product.objects.select_for_update().get(id="missing")  # the archiving, which comes last, waits for it
            applying = pool.submit(at_once, lambda: apply(run))
            wait_until(somebody_waits)
            assert catalogue() == before
        assert applying.result() == [None]
    assert catalogue() != before


def moved_rows() -> int:
    """How many changes were written anew in this transaction, and into another place than every index knows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_tup_upd - n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'catalog_change'"
        )
        return int(cursor.fetchone()[0])


def test_applying_a_change_moves_it_in_no_index(feed: Feed) -> None:
    applied(feed, *items(10))
    run = planned(feed, *items(20, color="Red"))
    before = moved_rows()
    execute(run)
    assert (run.changed, run.created) == (10, 10)
    assert moved_rows() == before
