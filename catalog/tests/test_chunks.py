"""A big file is read in chunks: the same rows as in one piece, once each, whoever reads them and is lost."""

import errno
import gzip
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError
from django.db.models import F

from catalog.errors import FeedRefused
from catalog.feeds.reading import split
from catalog.imports.items import items_at
from catalog.imports.local import stage_locally
from catalog.imports.reading import chunks
from catalog.imports.reading.stage import stage, stage_chunk
from catalog.imports.reports.downloads import changes_csv, invalid_csv
from catalog.imports.sweep import sweep
from catalog.models import Chunk, Feed, ImportRun, Product, Reading, StagedItem, Status
from catalog.tests.conftest import Worker
from catalog.tests.factories import (
    at_once,
    counts,
    cutting_off,
    discarded,
    execute,
    feed_of,
    item,
    items,
    planned,
    received,
    uploaded,
)

PIECE = 4_000  # bytes: some seven items
MANY = [
    *items(40, material="x" * 201),
    item("free", price="free"),
    *items(3, price=None, heel="high"),
    *items(40, c__note="two\nlines"),
    item("last", unheard="of"),
]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of ten thousand bytes are big."""
    monkeypatch.setattr(chunks, "PIECE_BYTES", PIECE)


def rows(run: ImportRun) -> list[Any]:
    """But for what items are known by the next time, which is for those of chunks only."""
    unimportant = {"run_id": 0, "digest": "", "shape": 0}
    positions = range(1, run.items * 2 + 100)  # a comment may have one
    fields = [field.attname for field in StagedItem._meta.concrete_fields]
    return [{name: getattr(item, name) for name in fields} | unimportant for item in items_at(run, positions)]


def everything(run: ImportRun) -> dict[str, Any]:
    """All that a page can say about an import that was planned."""
    changes = run.changes.values("product_id", "operation", "before", "after", "pinned", "base_version", "line")
    return {
        "counts": run.counts | {"pinned": run.pinned},
        "names": run.names,
        "coverage": run.coverage,
        "holds": run.holds,
        "items": rows(run),
        "issues": issues(run),
        "lists": [
            *run.item_issues.order_by("code", "attribute", "position").values_list(
                "code", "attribute", "position", "found", "times"
            )
        ],
        "changes": [*changes.order_by("product_id")],
        "meaning": run.meaning,
        "downloads": [*changes_csv(run), *invalid_csv(run)],
        "fields": [*run.changed_fields.order_by("operation", "name").values_list("operation", "name", "number")],
    }


def plan_of(run: ImportRun) -> list[Any]:
    return list(run.changes.order_by("product_id").values_list("product_id", "operation", "position"))


def issues(run: ImportRun) -> list[Any]:
    return list(run.issues.order_by("code", "attribute").values("code", "attribute", "severity", "count", "examples"))


def in_one_piece(feed: Feed, content: bytes, monkeypatch: pytest.MonkeyPatch, **options: Any) -> ImportRun:
    with monkeypatch.context() as patch:
        patch.setattr(chunks, "PIECE_BYTES", 10**9)
        run = received(feed, content, **options)
        stage_locally(run)
    assert run.in_chunks is False
    return run


def same(one: ImportRun, other: ImportRun) -> bool:
    """Whether both runs hold the same items, changes, issues and names."""
    return all(found(one) == found(other) for found in (rows, plan_of, issues, lambda run: run.names))


@pytest.mark.parametrize("packed", [False, True], ids=["as it is", "gzip"])
def test_chunks_give_the_rows_of_the_whole(feed: Feed, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "TYPICAL_PACKING_RATIO", 1000)
    content = feed_of(*MANY)
    whole = in_one_piece(feed, content, monkeypatch, mode="add")
    run = received(feed, gzip.compress(content) if packed else content)
    stage_locally(run)
    assert run.in_chunks
    assert same(run, whole)
    assert not Chunk.objects.exists()
    assert not run.spool
    assert default_storage.listdir("")[0] == ["feeds", *(["spools"] if packed else [])]


@pytest.mark.parametrize("packed", [False, True], ids=["as it is", "gzip"])
def test_chunks_of_a_much_bigger_file_are_twice_as_big(
    feed: Feed, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "TYPICAL_PACKING_RATIO", 1000)
    content = feed_of(*MANY)
    sizes = []
    for pieces in (len(content) // PIECE + 1, len(content) // PIECE):
        monkeypatch.setattr(chunks, "MANY_PIECES", pieces)
        run = received(feed, gzip.compress(content) if packed else content)
        stage(run)
        first = run.chunks.order_by("pk")[0]
        sizes.append((first.end - first.start) // PIECE)
        run.delete()
    assert sizes == [1, 2]


def test_reading_in_chunks_ends_in_time(feed: Feed, settings: Any) -> None:
    run = received(feed, feed_of(*MANY))
    stage(run)
    first = run.chunks.order_by("pk")[0]
    settings.IMPORT_MAX_SECONDS = 1
    ImportRun.objects.update(changed_at=F("changed_at") - timedelta(seconds=9))
    stage_chunk(first.pk)
    run.refresh_from_db()
    assert (run.status, run.error_code) == (Status.FAILED, "time_limit")
    assert not run.staged.exists()


def test_a_section_that_runs_on_is_found_in_a_chunk(feed: Feed) -> None:
    open_ended = item("open").replace("<g:title>", "<g:title><![CDATA[")
    closed = item("closed").replace("<g:title>", "<g:title><![CDATA[").replace("</g:title>", "]]></g:title>")
    run = received(feed, feed_of(*MANY, open_ended, closed, *MANY))
    stage_locally(run)
    assert (run.status, run.reading) == (Status.REVIEW, Reading.REPAIRED)
    assert run.staged.filter(product_id__in=["open", "closed"], state="valid").count() == 2
    assert run.issues.get(code="feed.repaired.section_open").count == 1


FOREIGN = '<m:item xmlns:m="urn:menu"><m:id>9</m:id></m:item>'
LARGE = item("large", pattern="x" * 100_000)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("more", "in_chunks"), [(FOREIGN, True), (LARGE, False)], ids=["foreign", "too large"])
def test_a_file_in_chunks_is_read_as_it_is_whole(feed: Feed, settings: Any, more: str, in_chunks: bool) -> None:
    settings.FEED_LIMITS = replace(settings.FEED_LIMITS, item_bytes=90_000)
    content = feed_of(*MANY, more, *MANY, more)
    found = []
    for cut in (True, False):
        run = received(feed, content)
        if not cut:
            run.in_chunks = False
            run.save(update_fields=["in_chunks"])
        stage_locally(run)
        assert (run.status, run.in_chunks) == (Status.REVIEW, cut and in_chunks)
        items = list(run.staged.order_by("position").values_list("line", "product_id", "state", "issues"))
        found.append((items, sorted(run.issues.values_list("code", "count"))))
        discarded(run)
    assert found[0] == found[1]
    assert dict(found[0][1])["feed.foreign_item" if more is FOREIGN else "item.too_large"] == 2


@pytest.mark.django_db(transaction=True)
def test_a_number_of_workers_read_them(feed: Feed, worker: Worker) -> None:
    run = uploaded(feed, feed_of(*MANY))
    done = worker.work()
    assert done.count("catalog.stage") == 1
    assert done.count("catalog.stage_chunk") > 5
    run.refresh_from_db()
    assert run.status == Status.REVIEW
    assert sum(counts(run).values()) == 2 * len(MANY)


@pytest.mark.django_db(transaction=True)
def test_processes_of_this_machine_read_them(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.imports.reading.processes.count_cores", lambda: 2)
    seen: list[int] = []
    run = received(feed, feed_of(*MANY))
    stage_locally(run, lambda run: seen.append(run.items))
    assert run.in_chunks
    assert same(run, in_one_piece(feed, feed_of(*MANY), monkeypatch, mode="add"))
    assert seen[-1] == len(MANY)


@pytest.mark.django_db(transaction=True)
def test_a_killed_process_of_this_machine_is_not_missed(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.imports.reading.processes.count_cores", lambda: 2)
    parent, read = os.getpid(), chunks.stage_items

    def kill_once(chunk: Chunk) -> None:
        read(chunk)
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(chunks, "stage_items", kill_once)
    run = received(feed, feed_of(*MANY))
    stage_locally(run)
    assert (run.status, run.items) == (Status.REVIEW, len(MANY))


# --- files that only look as if they could be cut -----------------------------------------------------
BORDER = "</item>\n<item><g:id>no item</g:id></item>"


@pytest.mark.parametrize(
    "hiding",
    [
        pytest.param(lambda text: f"<![CDATA[{text}]]>", id="CDATA"),
        pytest.param(lambda text: f"<!--{text}-->", id="comment"),
        pytest.param(lambda text: f"<?php {text}?>", id="instruction"),
        pytest.param(lambda text: f"<g:x a='{text.replace('<', '&lt;')}'/>", id="attribute"),
        pytest.param(lambda text: f"<item>{text}</item>" * 2, id="nested"),
    ],
)
def test_borders_inside_something_else_cut_nothing(
    feed: Feed, hiding: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = hiding("x" * PIECE + BORDER * 3 + "y" * split._NEAR_BYTES + BORDER)
    content = feed_of(*items(3), item("4").replace("</g:id>", f"</g:id>{hidden}"), *items(9, color="Red"))
    whole = in_one_piece(feed, content, monkeypatch, mode="add")
    run = received(feed, content)
    stage_locally(run)
    assert same(run, whole)


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_another_encoding_is_read_in_one_piece(feed: Feed, encoding: str) -> None:
    content = f'<?xml version="1.0" encoding="{encoding}"?>{feed_of(*items(40, color="rosé")).decode()}'
    run = received(feed, content.encode(encoding))
    stage_locally(run)
    assert (run.in_chunks, run.items) == (False, 40)
    assert {row["color"] for row in rows(run)} == {"rosé"}


def test_a_second_container_with_other_namespaces_is_read_in_one_piece(feed: Feed) -> None:
    content = feed_of(*items(30), '</channel><channel xmlns:g="http://example.com/other">', *items(30)).decode()
    run = received(feed, content.encode())
    stage_locally(run)
    assert run.in_chunks is False
    assert {row["product_id"] for row in rows(run)[30:]} == {""}


def test_a_broken_file_is_refused_with_its_line_as_ever(feed: Feed) -> None:
    run = received(feed, feed_of(*MANY)[:-100], mode="sync")
    stage_locally(run)
    assert (run.status, run.error_code) == (Status.FAILED, "feed.salvage_in_sync")
    assert run.error.startswith("Line 126, column")
    assert not run.staged.exists()
    assert not Chunk.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_broken_file_is_salvaged_by_the_workers(feed: Feed, worker: Worker) -> None:
    run = uploaded(feed, feed_of(*MANY, "<item><g:id>left open", item("after")))
    worker.work()
    run.refresh_from_db()
    assert (run.status, run.reading, run.in_chunks) == (Status.REVIEW, "salvaged", False)
    assert run.items == len(MANY) + 2


# --- workers that come twice, late, or not back -------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_chunk_delivered_twice_is_read_once(feed: Feed) -> None:
    run = received(feed, feed_of(*MANY))
    stage(run)
    for pk in [*run.chunks.values_list("pk", flat=True)]:
        at_once(partial(stage_chunk, pk), partial(stage_chunk, pk))
    run.refresh_from_db()
    assert (run.status, run.items) == (Status.REVIEW, len(MANY))
    assert run.staged.count() == len(MANY)


@pytest.mark.django_db(transaction=True)
def test_all_chunks_at_once_are_planned_once(feed: Feed) -> None:
    run = received(feed, feed_of(*MANY))
    stage(run)
    done = at_once(*(partial(stage_chunk, chunk.pk) for chunk in run.chunks.all()))
    assert not [found for found in done if isinstance(found, Exception)]
    run.refresh_from_db()
    assert (run.status, run.items) == (Status.REVIEW, len(MANY))
    assert [step["status"] for step in run.history] == ["staging", "review"]


@pytest.mark.django_db(transaction=True)
def test_a_worker_lost_at_a_chunk_leaves_nothing_of_it(
    feed: Feed, halfway: Callable[..., Any], worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = received(feed, feed_of(*MANY))
    stage(run)
    halfway(cutting_off())
    pks = [*run.chunks.values_list("pk", flat=True)]
    with pytest.raises(OperationalError):
        [stage_chunk(pk) for pk in pks]
    assert 0 < run.staged.count() < len(MANY)
    monkeypatch.setattr("catalog.imports.sweep.WAITING_TIME", run.changed_at - run.changed_at)
    worker.work()  # what was rung so far is taken up, or comes to nothing
    sweep()
    worker.work()
    run.refresh_from_db()
    assert (run.status, run.items, run.staged.count()) == (Status.REVIEW, len(MANY), len(MANY))


def test_a_worker_lost_before_the_plan_takes_nothing_of_what_the_chunks_said_along(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = feed_of(*MANY, item("odd", g__oddity="x"))
    whole = in_one_piece(feed, content, monkeypatch, mode="add")
    run = received(feed, content)
    stage(run)
    for chunk in run.chunks.all():
        chunks.read_chunk(chunk.pk)
    chunks.gather_chunks(ImportRun.objects.get(pk=run.pk))
    run.refresh_from_db()
    stage_locally(run)
    assert run.status == Status.REVIEW
    assert same(run, whole)


def test_chunks_of_a_discarded_import_come_to_nothing(feed: Feed) -> None:
    run = received(feed, feed_of(*MANY))
    stage(run)
    first, second, *_ = run.chunks.all()
    stage_chunk(first.pk)
    discarded(run)
    assert stage_chunk(second.pk) is None
    assert not run.staged.exists()
    assert not Product.objects.exists()


def test_the_file_of_chunks_is_verified(feed: Feed) -> None:
    run = received(feed, feed_of(*MANY))
    path = Path(run.file.path)
    path.write_bytes(path.read_bytes().replace(b"100.00", b"999.00"))
    stage_locally(run)
    assert (run.status, run.error_code) == (Status.FAILED, "feed.file_changed")
    assert not run.staged.exists()


@pytest.mark.parametrize(
    ("first", "rest", "last_price", "amount", "in_chunks"),
    [
        ("12.500 AED", "155 AED", "155.00 AED", "12.500", False),
        ("12.500 AED", "155 AED", "155,00 AED", "12500.000", False),
        ("12.500 AED", "155.00 AED", "155,00 AED", None, True),
        ("12,500 AED", "155 AED", "155,00 AED", None, False),
        ("12,500 AED", "155.00 AED", "155.00 AED", "12500.000", True),
    ],
)
def test_amounts_of_another_chunk_settle_one_as_in_one_piece(
    first: str,
    rest: str,
    last_price: str,
    amount: str | None,
    in_chunks: bool,
    feed: Feed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = feed_of(item("first", price=first), *items(40, price=rest), item("last", price=last_price))
    whole = in_one_piece(feed, content, monkeypatch, mode="add")
    run = received(feed, content)
    stage_locally(run)
    assert (run.status, run.in_chunks) == (Status.REVIEW, in_chunks)
    assert same(run, whole)
    assert run.items == 42
    staged = run.staged.get(position=1)
    assert (staged.state, staged.price) == (("valid", Decimal(amount)) if amount else ("invalid", None))
    assert not [name for name in run.names if name.startswith("#")]


def test_a_recalled_item_still_shows_how_its_amount_is_written(feed: Feed) -> None:
    usual = items(40, price="155.00 AED")
    assert execute(planned(feed, item("first", price="12 AED"), *usual)).status == Status.APPLIED
    run = planned(feed, item("first", price="12.500 AED"), *usual)
    assert run.staged.get(position=1).price == Decimal("12.5")


@pytest.mark.parametrize("full", [False, True], ids=["broken off", "full storage"])
def test_an_unpacked_copy_that_fails_is_deleted(feed: Feed, full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "TYPICAL_PACKING_RATIO", 1000)
    failure = OSError(errno.ENOSPC, "No space left on device") if full else FeedRefused("feed.broken", "It ends.")

    def break_off(_feed: chunks.UnpackedFeed, _size: int | None = None) -> Iterator[bytes]:
        yield b"<rss>"
        raise failure

    monkeypatch.setattr(chunks.UnpackedFeed, "chunks", break_off)
    run = received(feed, gzip.compress(feed_of(*MANY)))
    stage(run)
    run.refresh_from_db()
    if full:
        assert (run.status, run.error_code) == (Status.FAILED, "storage")
        assert "no room left to unpack" in run.error
    else:
        assert run.status == Status.REVIEW  # read in one piece
    assert not run.spool
    assert default_storage.listdir("spools")[1] == []
