"""Discard: a plan is thrown away while that is possible, and the catalogue stays as it is."""

from collections.abc import Callable

import pytest
from django.db import transaction

from accounts.models import User
from catalog.errors import NotAllowed, NotPossible
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.discard import clean_up, discard
from catalog.models import CatalogState, Change, Feed, ImportRun, StagedItem, Status
from catalog.tests.conftest import Worker
from catalog.tests.factories import applied, at_once, catalogue, discarded, execute, feed_of, item, planned, received


def waiting(feed: Feed) -> ImportRun:
    return received(feed, feed_of(item("1", color="Red"), item("2")))


def being_read(feed: Feed) -> ImportRun:
    run = waiting(feed)
    run.move(Status.RECEIVED, to=Status.STAGING)
    return run


def in_review(feed: Feed) -> ImportRun:
    return planned(feed, item("1", color="Red"), item("2"), mode="sync")


def confirmed(feed: Feed) -> ImportRun:
    run = in_review(feed)
    confirm(run, plan_hash=run.plan_hash, by=None)
    return run


@pytest.mark.parametrize("made", [waiting, being_read, in_review])
def test_what_is_not_confirmed_is_discarded_and_changes_nothing(
    feed: Feed, alice: User, made: Callable[[Feed], ImportRun]
) -> None:
    applied(feed, item("1"), item("3"))
    before, version = catalogue(), CatalogState.objects.get().version
    run = made(feed)
    discarded(run, by=alice)
    assert (run.status, run.history[-1]["by"]) == (Status.DISCARDED, "alice")
    assert run.finished_at is not None
    assert not run.staged.exists()
    assert not run.changes.exists()
    assert (catalogue(), CatalogState.objects.get().version) == (before, version)


def test_what_is_confirmed_is_not_discarded(feed: Feed, alice: User) -> None:
    run = confirmed(feed)
    with pytest.raises(NotPossible, match="applying") as refused:
        discard(run, by=alice)
    assert refused.value.code == "not_discardable"
    assert run.status == Status.APPLYING
    assert run.changes.exists()


def test_what_is_applied_is_not_discarded_and_the_refusal_says_by_whom(feed: Feed, alice: User) -> None:
    run = in_review(feed)
    confirm(run, plan_hash=run.plan_hash, by=alice)
    apply(run)
    before = catalogue()
    with pytest.raises(NotPossible, match="alice has already applied it"):
        discard(run, by=None)
    assert catalogue() == before


def test_a_second_discard_says_who_was_first(feed: Feed, alice: User) -> None:
    run = in_review(feed)
    discarded(run, by=alice)
    with pytest.raises(NotPossible, match="alice has already discarded it"):
        discard(run, by=None)


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_who_may_not_discard_is_refused(feed: Feed, name: str, request: pytest.FixtureRequest) -> None:
    run = in_review(feed)
    with pytest.raises(NotAllowed, match=f"{name} .*catalog.discard_importrun"):
        discard(run, by=request.getfixturevalue(name))
    run.refresh_from_db()
    assert run.status == Status.REVIEW


# --- what stays, and what goes ------------------------------------------------------------------------
def test_cleaning_up_keeps_what_is_still_listed(feed: Feed) -> None:
    run = execute(planned(feed, item("1"), item("1"), item("2", price="free")))
    clean_up(run)
    assert [*run.staged.values_list("product_id", "state")] == [("2", "invalid")]
    assert [*run.changes.values_list("product_id", "outcome")] == [("1", "applied")]
    assert {issue.code for issue in run.issues.all()} == {"id.duplicate", "price.format"}


def test_discarding_keeps_the_list_of_invalid_items(feed: Feed) -> None:
    run = planned(feed, item("1"), item("2", price="free"))
    discarded(run)
    assert [*run.staged.values_list("product_id", "state")] == [("2", "invalid")]


@pytest.mark.parametrize("made", [waiting, being_read, in_review, confirmed])
def test_an_open_run_is_not_cleaned_up(feed: Feed, made: Callable[[Feed], ImportRun]) -> None:
    run = made(feed)
    before = [StagedItem.objects.count(), Change.objects.count()]
    clean_up(run)
    assert [StagedItem.objects.count(), Change.objects.count()] == before


@pytest.mark.django_db(transaction=True)
def test_a_worker_cleans_up_after_a_discard(feed: Feed, alice: User, worker: Worker) -> None:
    run = in_review(feed)
    discard(run, by=alice)
    assert run.staged.exists()
    assert worker.work() == ["catalog.clean_up"]
    assert not StagedItem.objects.exists()
    assert not Change.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", [execute, lambda run: discard(run, by=None)])
def test_cleaning_up_holds_no_other_import_up(feed: Feed, end: Callable[[ImportRun], object]) -> None:
    run = planned(feed, item("1"), item("2", price="free"))
    end(run)
    with transaction.atomic():
        clean_up(run)
        (other,) = at_once(lambda: applied(feed, item("3")))
        assert other.status == Status.APPLIED
    assert not run.staged.filter(state="valid").exists()
