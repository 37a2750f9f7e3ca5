"""What is old goes; products, their history and the numbers of imports stay."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from catalog.errors import NotPossible
from catalog.imports.discard import clean_up
from catalog.imports.local import local_queue
from catalog.imports.receive import plan_again
from catalog.imports.retention import forget_old
from catalog.imports.work.queue import fail
from catalog.models import Change, Feed, ImportRun, Product, StagedItem, Status
from catalog.models.runs import OPEN
from catalog.tasks import forget_what_is_old
from catalog.tests.factories import (
    applied,
    counts,
    discarded,
    execute,
    feed_of,
    item,
    planned,
    received,
    redone,
    undone,
)
from catalog.tests.pages import browser, text_of, texts, tree, url, with_class

pytestmark = pytest.mark.django_db


def aged(run: ImportRun, days: float) -> ImportRun:
    """The run as it will be after so many days in its state."""
    then = timezone.now() - timedelta(days=days)
    ended = {} if run.status in OPEN else {"finished_at": then}
    ImportRun.objects.filter(pk=run.pk).update(changed_at=then, **ended)
    run.refresh_from_db()
    return run


def done() -> dict[str, int]:
    """What there was to do, by kind."""
    return {what: number for what, number in forget_old().items() if number}


# --- files ------------------------------------------------------------------------------------------------
def test_the_file_of_an_old_import_goes_and_its_page_stays(feed: Feed) -> None:
    run = applied(feed, item("1"))
    clean_up(run)
    path = Path(run.file.path)
    assert done() == {}
    aged(run, 91)
    assert done() == {"files": 1, "lists of facets": 1}
    assert not path.exists()
    page = browser("bob").get(url(run))
    assert "deleted since" in text_of(tree(page).xpath(f"//p[{with_class('facts')}]")[0])
    assert counts(run) == {"items": 1, "created": 1}
    assert done() == {}


def test_the_file_of_an_open_import_stays(feed: Feed, settings: Any) -> None:
    settings.RETENTION_PLANS_DAYS = 0
    runs = [aged(planned(feed, item("1")), 1000), aged(received(feed, feed_of(item("2"))), 1000)]
    assert done() == {}
    assert all(Path(run.file.path).exists() for run in runs)


def test_what_an_undo_removed_can_be_added_again_for_as_long(feed: Feed) -> None:
    run = aged(undone(applied(feed, item("1"))), 89)
    done()
    assert run.staged.count() == 1
    aged(run, 91)
    assert done()["lists of items"] == 1
    with pytest.raises(NotPossible, match="kept no longer"):
        redone(run)


def test_the_file_of_an_import_that_was_planned_again_stays_as_long_as_that_one_needs_it(feed: Feed) -> None:
    run = aged(applied(feed, item("1")), 91)
    clean_up(run)
    again = plan_again(run, by=None)
    assert done() == {"lists of facets": 1}
    assert Path(again.file.path).exists()


def test_a_file_that_is_gone_already_is_in_nobodys_way(feed: Feed) -> None:
    run = aged(applied(feed, item("1")), 91)
    clean_up(run)
    Path(run.file.path).unlink()
    assert done() == {"files": 1, "lists of facets": 1}


def orphan(name: str, days: float) -> None:
    path = Path(default_storage.path(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"<rss>")
    os.utime(path, (time.time() - days * 86400,) * 2)


def test_what_a_killed_upload_left_goes_after_a_day(feed: Feed) -> None:
    run = received(feed, feed_of(item("1")))
    for name, days in {"feeds/2026/11/old": 1.1, "feeds/2026/11/new": 0.9, "spools/old": 2, "others/old": 9}.items():
        orphan(name, days)
    os.utime(run.file.path, (0, 0))
    assert done() == {"orphaned files": 2}
    left = {name: default_storage.exists(name) for name in ("feeds/2026/11/new", "others/old")}
    assert left == {"feeds/2026/11/new": True, "others/old": True}
    assert Path(run.file.path).exists()


# --- rows -------------------------------------------------------------------------------------------------
def test_invalid_items_of_an_old_import_go_and_are_told_of(feed: Feed) -> None:
    run = applied(feed, item("1"), item("2", price="free"))
    clean_up(run)
    aged(run, 89)
    assert done() == {}
    aged(run, 91)
    assert done() == {"files": 1, "lists of items": 1, "lists of facets": 1}
    assert not StagedItem.objects.exists()
    assert (run.issues.count(), run.item_issues.count()) == (1, 0)
    page = browser("bob").get(f"{url(run)}?tab=invalid")
    assert texts(page, f"//p[{with_class('empty')}]") == ["The invalid items of this import were deleted."]


@pytest.mark.parametrize("end", ["applied", "discarded", "failed"])
def test_what_nobody_cleaned_up_is_cleaned_up(feed: Feed, end: str) -> None:
    run = planned(feed, item("1"), item("2"))
    if end == "applied":
        execute(run)
    elif end == "discarded":
        run.move(Status.REVIEW, to=Status.DISCARDED)
    else:
        run.move(Status.REVIEW, to=Status.FAILED, error="Lost.", error_code="lost")
    assert done() == {}
    aged(run, 2)
    assert done() == {"imports cleaned up": 1}
    assert not StagedItem.objects.exists()
    assert Change.objects.count() == (2 if end == "applied" else 0)
    assert done() == {}


def test_a_plan_that_nobody_confirmed_is_discarded_in_words(feed: Feed) -> None:
    run = aged(planned(feed, item("1")), 29)
    assert done() == {}
    aged(run, 31)
    with local_queue() as work:
        assert done() == {"plans": 1}
        work()
    run.refresh_from_db()
    assert run.status == Status.DISCARDED
    assert not run.changes.exists()
    assert "nobody confirmed it for 30 days" in text_of(tree(browser("bob").get(url(run))))


def test_history_and_numbers_stay_for_ever(feed: Feed) -> None:
    run = aged(applied(feed, item("1"), item("2", price="free")), 10_000)
    forget_old()
    assert run.changes.count() == 1
    assert counts(run) == {"items": 2, "created": 1, "invalid": 1}
    assert Product.objects.count() == 1


def test_nought_keeps_everything(feed: Feed, settings: Any) -> None:
    settings.RETENTION_FILES_DAYS = settings.RETENTION_ITEMS_DAYS = settings.RETENTION_PLANS_DAYS = 0
    run = applied(feed, item("1"), item("2", price="free"))
    clean_up(run)
    aged(run, 10_000)
    aged(planned(feed, item("3")), 10_000)
    refused = planned(feed, item("4"))
    discarded(refused)
    aged(refused, 10_000)
    assert done() == {}


def test_the_job_says_what_it_did(feed: Feed) -> None:
    run = received(feed, feed_of(item("1")))
    fail(run, "worker_lost", "Lost.")
    aged(run, 100)
    assert forget_what_is_old() == "files: 1"
    assert forget_what_is_old() == ""
