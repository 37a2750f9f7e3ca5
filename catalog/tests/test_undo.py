"""Undo: what an import did is taken back where nobody changed it since, and may be brought back the same way."""

from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from catalog.errors import NotAllowed, NotPossible
from catalog.imports.discard import clean_up
from catalog.imports.sweep import sweep
from catalog.imports.undo import Prospect, changes_by_verdict, prospect, redo, request_redo, request_undo, undo
from catalog.models import CatalogState, Feed, ImportRun, Product, Status
from catalog.tests.conftest import Worker
from catalog.tests.factories import (
    add_product,
    allow_changes,
    applied,
    at_once,
    breaking,
    change,
    counts,
    edit,
    execute,
    feed_of,
    item,
    items,
    person,
    planned,
    received,
    redone,
    rows_read,
    undone,
)

# What an undo cannot give back: it is a change of its own.
MOVING = ("key", "version", "change_number", "updated_at", "created_at", "search")


def contents() -> dict[str, dict[str, Any]]:
    """Every product by its id, without what tells versions apart."""
    return {
        row["id"]: {name: value for name, value in row.items() if name not in MOVING}
        for row in Product.objects.values()
    }


def version() -> int:
    return CatalogState.objects.get().version


@pytest.fixture
def run(feed: Feed) -> ImportRun:
    """An import that added, changed and archived a product, and brought one back from the archive."""
    applied(feed, item("changed", note="old", c__heel="70"), item("archived"), item("back", color="Red"))
    applied(feed, item("changed", note="old", c__heel="70"), item("archived"), mode="sync")
    return applied(feed, item("new"), item("changed", price="9 AED", note="new"), item("back"), mode="sync")


# --- taken back ---------------------------------------------------------------------------------------
def test_an_undo_leaves_the_catalogue_as_it_was(feed: Feed) -> None:
    applied(feed, item("changed", note="old", c__heel="70"), item("archived"), item("same"))
    before = contents()
    run = applied(feed, item("new"), item("changed", price="9 AED", brand="Other"), item("same"), mode="sync")
    assert contents() != before
    undone(run)
    assert contents() == before
    assert (counts(run)["undone"], run.kept, run.gone) == (3, 0, 0)


def test_what_an_import_brought_back_goes_to_the_archive_again(run: ImportRun) -> None:
    undone(run)
    back = Product.objects.get(id="back")
    assert (back.archived_at is not None, back.color) == (True, "Red")
    assert Product.objects.get(id="archived").archived_at is None
    assert not Product.objects.filter(id="new").exists()


def test_an_undo_is_a_change_like_any_other(run: ImportRun) -> None:
    before = version()
    undone(run)
    assert Product.objects.get(id="changed").version == 3
    assert version() == before + 1
    assert [step["status"] for step in run.history][-2:] == ["undoing", "undone"]
    assert "undo" in run.seconds


def test_what_was_edited_since_is_kept(run: ImportRun) -> None:
    edit("new", color="Green")
    edit("changed", color="Green")
    undone(run)
    assert {*Product.objects.filter(color="Green").values_list("id", flat=True)} == {"new", "changed"}
    assert (counts(run)["undone"], run.kept) == (2, 2)
    assert (change(run, "new").outcome, change(run, "archived").outcome) == ("kept", "undone")


def test_what_a_later_import_changed_is_kept(feed: Feed, run: ImportRun) -> None:
    applied(feed, item("changed", price="8 AED"))
    undone(run)
    assert Product.objects.get(id="changed").price == 8
    assert change(run, "changed").outcome == "kept"


def test_what_is_gone_is_counted(run: ImportRun) -> None:
    Product.objects.filter(id__in=["new", "archived"]).delete()
    undone(run)
    assert (counts(run)["undone"], run.gone) == (2, 2)
    assert not Product.objects.filter(id__in=["new", "archived"]).exists()


def test_another_product_by_the_same_id_is_kept(feed: Feed) -> None:
    first = applied(feed, item("1"))
    Product.objects.all().delete()
    applied(feed, item("1", color="Red"))
    undone(first)
    assert Product.objects.get().color == "Red"
    assert change(first, "1").outcome == "kept"


def test_what_was_a_conflict_has_nothing_to_take_back(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    run = planned(feed, item("1", color="Red"), item("2", color="Red"))
    edit("1", color="Blue")
    undone(execute(run))
    assert (run.undone, run.conflict) == (1, 1)
    assert change(run, "1").outcome == "conflict"
    assert Product.objects.get(id="1").color == "Blue"


# --- and brought back ---------------------------------------------------------------------------------
@pytest.mark.parametrize("swept", [True, False])
def test_an_undo_of_an_undo_restores(run: ImportRun, swept: bool) -> None:
    before = contents()
    if swept:
        clean_up(run)
    undone(run)
    redone(run)
    after = contents()
    assert {id: row for id, row in after.items() if id != "archived"} == {
        id: row for id, row in before.items() if id != "archived"
    }
    assert after["archived"]["archived_at"] is not None
    assert (counts(run)["created"], run.changed, run.archived, run.undone) == (1, 2, 1, 0)


def test_there_and_back_as_often_as_anybody_likes(run: ImportRun) -> None:
    applied_state = contents().keys()
    for _ in range(3):
        undone(run)
        assert not Product.objects.filter(id="new").exists()
        redone(run)
        assert contents().keys() == applied_state
    assert Product.objects.get(id="changed").version == 8


def test_what_was_edited_after_the_undo_is_a_conflict(run: ImportRun) -> None:
    undone(run)
    edit("changed", color="Green")
    add_product(id="new", title="By hand")
    redone(run)
    assert (counts(run)["conflict"], run.created, run.changed) == (2, 0, 1)
    assert Product.objects.get(id="new").title == "By hand"
    assert Product.objects.get(id="changed").price == 100


def test_what_was_kept_stays_applied(run: ImportRun) -> None:
    edit("changed", color="Green")
    undone(run)
    redone(run)
    assert (change(run, "changed").outcome, run.changed, run.conflict) == ("applied", 2, 0)
    assert Product.objects.get(id="changed").color == "Green"


def test_values_stay_while_an_import_is_undone_and_no_longer(run: ImportRun) -> None:
    clean_up(run)
    undone(run)
    clean_up(run)
    assert [*run.staged.values_list("product_id", flat=True)] == ["new"]
    clean_up(redone(run))
    assert not run.staged.exists()


def test_without_the_values_of_what_it_added_it_is_not_applied_again(run: ImportRun) -> None:
    undone(run)
    run.staged.all().delete()
    before = contents()
    with pytest.raises(NotPossible, match="the values of the products that it had added are kept no longer"):
        request_redo(run, by=None)
    run.refresh_from_db()
    assert (run.status, contents()) == ("undone", before)


def test_an_import_that_added_nothing_is_applied_again_without_values(feed: Feed) -> None:
    applied(feed, item("1"))
    run = undone(applied(feed, item("1", color="Red")))
    run.staged.all().delete()
    assert (redone(run).changed, Product.objects.get().color) == (1, "Red")


def test_a_plan_made_before_is_not_laid_over_another_product_by_the_same_id(feed: Feed, other_feed: Feed) -> None:
    first = applied(feed, item("1"))
    plan = planned(allow_changes(other_feed), item("1", color="Red"))
    undone(first)
    applied(feed, item("1", title="Another"))
    execute(plan)
    assert (Product.objects.get().color, change(plan, "1").outcome) == ("", "conflict")


# --- the preview --------------------------------------------------------------------------------------
def test_the_prospect_is_what_the_undo_does(run: ImportRun) -> None:
    edit("changed", color="Green")
    Product.objects.filter(id="archived").delete()
    before = prospect(run)
    assert before == Prospect(undone=2, kept=1, gone=1)
    lists = {verdict: {*changes_by_verdict(run, verdict)} for verdict in ("undone", "kept", "gone")}
    assert [len(rows) for rows in lists.values()] == [2, 1, 1]
    undone(run)
    assert Prospect(run.undone, run.kept, run.gone) == before
    assert lists == {verdict: {*run.changes.filter(outcome=verdict)} for verdict in lists}


@pytest.mark.parametrize("edited", [0, 1, 3])
def test_as_many_products_are_looked_at_as_were_changed(feed: Feed, edited: int) -> None:
    run = applied(feed, *items(1000))
    for id in ("00007", "00008", "00009")[:edited]:
        edit(id, color="Green")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as asked:
        assert prospect(run) == Prospect(undone=1000 - edited, kept=edited)
        assert len(changes_by_verdict(run, "kept")) == edited
    assert max(rows_read(query["sql"]) for query in asked.captured_queries) <= 10


@pytest.mark.parametrize("edited", [0, 1])
def test_what_was_kept_once_is_kept_in_the_prospect_of_the_next_undo(run: ImportRun, edited: int) -> None:
    for id in ["changed"][:edited]:
        edit(id, color="Green")
    redone(undone(run))
    assert prospect(run) == Prospect(undone=4 - edited, kept=edited)


def test_looking_at_an_undo_changes_nothing(run: ImportRun) -> None:
    before = contents(), version(), [*run.changes.values()]
    prospect(run)
    assert (contents(), version(), [*run.changes.values()]) == before


def test_another_prospect_than_the_one_looked_at_is_refused(run: ImportRun) -> None:
    seen = str(prospect(run))
    edit("changed", color="Green")
    with pytest.raises(NotPossible) as refused:
        request_undo(run, by=None, seen=seen)
    assert refused.value.code == "prospect_changed"
    assert run.status == Status.APPLIED


# --- who, when and how often --------------------------------------------------------------------------
def test_who_may_undo_does_and_is_named(run: ImportRun, alice: User) -> None:
    request_undo(run, by=alice)
    assert (run.status, run.history[-1]["by"]) == (Status.UNDOING, "alice")


@pytest.mark.parametrize("name", ["bob", "charlie", "ida"])
def test_who_may_not_undo_is_refused(run: ImportRun, name: str, request: pytest.FixtureRequest) -> None:
    by = person("ida", "confirm_importrun") if name == "ida" else request.getfixturevalue(name)
    with pytest.raises(NotAllowed, match=f"{name} .*catalog.undo_importrun"):
        request_undo(run, by=by)
    undone(run)
    with pytest.raises(NotAllowed, match=f"{name} .*catalog.undo_importrun"):
        request_redo(run, by=by)
    assert run.status == Status.UNDONE


@pytest.mark.parametrize("made", [planned, lambda feed, *items: received(feed, feed_of(*items))])
def test_only_what_was_applied_is_undone(feed: Feed, made: Any) -> None:
    run = made(feed, item("1"))
    status = run.status
    with pytest.raises(NotPossible, match="cannot be undone: its status is"):
        request_undo(run, by=None)
    with pytest.raises(NotPossible, match="cannot be applied again: its status is"):
        request_redo(run, by=None)
    undo(run)
    redo(run)
    assert run.status == status


def test_an_import_that_changed_nothing_has_nothing_to_undo(feed: Feed) -> None:
    applied(feed, item("1"))
    with pytest.raises(NotPossible, match="nothing to undo"):
        request_undo(applied(feed, item("1")), by=None)


@pytest.mark.django_db(transaction=True)
def test_two_undos_in_one_instant_undo_once(feed: Feed) -> None:
    applied(feed, *items(100))
    run = applied(feed, *items(100, color="Red"))
    copies = [ImportRun.objects.get(pk=run.pk) for _ in range(5)]
    outcomes = at_once(*[lambda c=c: request_undo(c, by=None) for c in copies])
    assert sum(isinstance(outcome, NotPossible) for outcome in outcomes) == 4
    assert at_once(*[lambda c=c: undo(c) for c in copies]) == [None] * 5
    assert (counts(run)["undone"], {*Product.objects.values_list("version", "color")}) == (100, {(3, "")})


@pytest.mark.django_db(transaction=True)
def test_a_worker_undoes_and_sweeps_what_is_not_needed(run: ImportRun, alice: User, worker: Worker) -> None:
    request_undo(run, by=alice)
    assert worker.work() == ["catalog.undo", "catalog.clean_up"]
    run.refresh_from_db()
    assert run.status == Status.UNDONE
    request_redo(run, by=alice)
    assert worker.work() == ["catalog.redo", "catalog.clean_up"]
    run.refresh_from_db()
    assert (run.status, run.staged.count()) == (Status.APPLIED, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["catalog_stageditem", "catalog_product", "catalog_change", "catalog_importrun"])
def test_an_undo_that_is_cut_off_changes_nothing_and_is_taken_up_again(run: ImportRun, table: str) -> None:
    clean_up(run)
    request_undo(run, by=None)
    before = contents(), version()
    with breaking(table), pytest.raises(OperationalError):
        undo(ImportRun.objects.get(pk=run.pk))
    assert (contents(), version()) == before
    undo(ImportRun.objects.get(pk=run.pk))
    assert counts(run)["undone"] == 4


def test_an_undo_that_breaks_leaves_the_import_applied_and_says_why(run: ImportRun) -> None:
    before = contents(), version()
    request_undo(run, by=None)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # of the test's own transaction
        cursor.execute("ALTER TABLE catalog_product ADD CHECK (id <> 'archived' OR archived_at IS NOT NULL)")
    with pytest.raises(IntegrityError):
        undo(run)
    assert (run.status, run.error_code, contents(), version()) == (Status.APPLIED, "internal_error", *before)
    assert "No product was changed. Try again" in run.error
    request_undo(run, by=None)
    assert run.error == ""


def test_an_undo_that_nobody_works_on_is_rung_for_again(
    run: ImportRun, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    rung: list[str] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **_: rung.append(name))
    for status in (Status.UNDOING, Status.REDOING):
        sums = {"undone": 4, "kept": 0, "gone": 0}
        ImportRun.objects.filter(pk=run.pk).update(status=status, changed_at="2001-01-01T00:00Z", **sums)
        with django_capture_on_commit_callbacks(execute=True):
            sweep()
    assert rung == ["catalog.undo", "catalog.redo"]
