"""Who asked for work and lost the right to it before a worker came is not obeyed."""

from collections.abc import Callable

import pytest

from accounts.models import User
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm, go_on
from catalog.imports.reading.stage import stage
from catalog.imports.sweep import sweep
from catalog.imports.undo import redo, request_redo, request_undo, undo
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.factories import applied, feed_of, item, person, planned, received
from notifications.models import Message


def demoted(user: User) -> None:
    user.user_permissions.clear()


def deactivated(user: User) -> None:
    user.is_active = False
    user.save()


def removed(user: User) -> None:
    user.delete()


@pytest.mark.parametrize("withdraw", [demoted, deactivated, removed])
def test_a_plan_whose_confirmer_may_not_any_more_waits_for_somebody_who_may(
    feed: Feed, alice: User, withdraw: Callable[[User], None]
) -> None:
    run = planned(feed, item("1"))
    confirm(run, plan_hash=run.plan_hash, by=alice)
    withdraw(alice)
    apply(run)
    assert (run.status, run.holds[0]["message"][:5]) == (Status.REVIEW, "alice")
    assert not Product.objects.exists()
    confirm(run, plan_hash=run.plan_hash, by=person("dora", "confirm_importrun"))
    apply(run)
    assert (run.status, Product.objects.count()) == (Status.APPLIED, 1)


def test_those_who_follow_imports_are_told_each_time(feed: Feed, alice: User) -> None:
    run = planned(feed, item("1"))
    User.objects.create_superuser("root", "root@example.com", "x")
    for name in ("dora", "emil"):
        approver = person(name, "confirm_importrun")
        confirm(run, plan_hash=run.plan_hash, by=approver)
        demoted(approver)
        apply(run)
    assert len(run.holds) == 1
    assert Message.objects.filter(name="import_needs_review").count() == 2


@pytest.mark.parametrize("withdraw", [demoted, deactivated])
def test_a_file_applies_by_itself_only_while_its_uploader_may_have_that(
    feed: Feed, alice: User, withdraw: Callable[[User], None]
) -> None:
    run = planned(feed, item("1"), by=alice, auto_apply=True)
    withdraw(alice)
    go_on(run)
    apply(run)
    assert (run.status, Product.objects.count()) == (Status.REVIEW, 0)
    sweep()
    run.refresh_from_db()
    assert run.status == Status.REVIEW


def test_a_feed_that_applies_by_itself_asks_no_uploader_for_the_right_to_confirm(feed: Feed) -> None:
    feed.auto_apply = True
    feed.save()
    run = received(feed, feed_of(item("1")), by=person("dora", "add_importrun"))
    stage(run)
    go_on(run)
    apply(run)
    assert run.status == Status.APPLIED


@pytest.mark.parametrize("withdraw", [demoted, deactivated, removed])
def test_an_undo_and_a_redo_whose_asker_may_not_any_more_leave_the_import_as_it_was(
    feed: Feed, alice: User, withdraw: Callable[[User], None]
) -> None:
    run = applied(feed, item("1"))
    other = applied(feed, item("2"))
    request_undo(other, by=None)
    undo(other)
    request_undo(run, by=alice)
    request_redo(other, by=alice)
    withdraw(alice)
    undo(run)
    redo(other)
    assert [(each.status, each.error_code) for each in (run, other)] == [
        (Status.APPLIED, "mandate_withdrawn"),
        (Status.UNDONE, "mandate_withdrawn"),
    ]
    assert list(Product.objects.values_list("id", flat=True)) == ["1"]


def test_what_the_system_asked_for_is_done(feed: Feed) -> None:
    run: ImportRun = planned(feed, item("1"), auto_apply=True)
    go_on(run)
    apply(run)
    assert run.status == Status.APPLIED
