"""Review: a plan is confirmed by who may, as it was read, once; what needs nobody goes on by itself."""

import re
from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from catalog.errors import NotAllowed, NotPossible
from catalog.imports.apply import apply
from catalog.imports.discard import discard
from catalog.imports.review import confirm
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.conftest import Worker
from catalog.tests.factories import applied, at_once, counts, execute, feed_of, item, person, planned, received
from config import celery_app


def confirmed(run: ImportRun, by: User | None = None) -> ImportRun:
    confirm(run, plan_hash=run.plan_hash, by=by, in_background=False)
    return run


def test_who_may_approve_confirms(feed: Feed, alice: User) -> None:
    run = confirmed(planned(feed, item("1")), by=alice)
    assert run.status == Status.APPLYING
    assert (run.history[-1]["status"], run.history[-1]["by"]) == ("applying", "alice")


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_who_may_not_approve_is_refused(feed: Feed, name: str, request: pytest.FixtureRequest) -> None:
    run = planned(feed, item("1"))
    with pytest.raises(NotAllowed, match=f"{name} .*catalog.apply_importrun"):
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


@pytest.mark.parametrize("end", [execute, lambda run: discard(run, by=None, in_background=False)])
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
    people = [person(f"approver{n}", "apply_importrun") for n in range(50)]
    run = planned(feed, item("1"))
    copies = [ImportRun.objects.get(pk=run.pk) for _ in people]
    outcomes = at_once(*[lambda c=c, p=p: confirmed(c, by=p) for c, p in zip(copies, people, strict=True)])
    (winner,) = (p for p, outcome in zip(people, outcomes, strict=True) if outcome == run)
    refusals = [str(outcome) for outcome in outcomes if isinstance(outcome, NotPossible)]
    assert len(refusals) == 49
    assert all(re.search(rf"“applying” by {winner.username}\b", refusal) for refusal in refusals)
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
            lambda: discard(other, by=alice, in_background=False),  # noqa: B023
        )
        assert sum(isinstance(outcome, NotPossible) for outcome in outcomes) == 1
        run.refresh_from_db()
        assert run.status in (Status.APPLYING, Status.DISCARDED)


# --- through the tasks --------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_plan_with_changes_waits_for_a_person(feed: Feed, worker: Worker) -> None:
    run = received(feed, feed_of(item("1")), in_background=True)
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
    run = received(feed, feed_of(item("1")), auto_apply=True, in_background=True)
    assert worker.work() == ["catalog.stage", "catalog.apply", "catalog.clean_up"]
    run.refresh_from_db()
    assert run.status == Status.APPLIED
    assert Product.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_plan_without_changes_needs_nobody(feed: Feed, worker: Worker) -> None:
    applied(feed, item("1"))
    run = received(feed, feed_of(item("1"), item("2", price="free")), in_background=True)
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
    discard(runs[-1], by=None, in_background=False)
    before = [(run.status, counts(run)) for run in runs]
    for run in runs[1:] if task == "catalog.stage" else runs:
        celery_app.tasks[task](run.pk)
    assert [(run.status, counts(run)) for run in runs] == before
