"""Read the file into staged items: a big one in chunks, by several workers at once, any other in one piece."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from django.conf import settings
from django.core.files.base import File
from django.db import transaction

from catalog.errors import FeedRefused
from catalog.feeds.broken.repair import Repaired, Repairs
from catalog.feeds.broken.salvage import SALVAGEABLE, salvage_items
from catalog.feeds.cleaning.check import Item, Occurring
from catalog.feeds.reading.formats import open_content
from catalog.feeds.reading.items import RawItem, Stream, read_items
from catalog.imports.issues import add_issues, add_unknown_names, unknown_examples
from catalog.imports.planning.plan import make_plan
from catalog.imports.reading import chunks
from catalog.imports.reading.copy import ItemBatch, clean_items
from catalog.imports.work.files import Verified, forget_chunks, opened
from catalog.imports.work.metrics import Meter, speed
from catalog.imports.work.queue import Task, claimed, enqueue, failing_in_words
from catalog.models import Chunk, ImportRun, Mode, Reading, Status

BATCH_ITEMS = 2000

Watch = Callable[[ImportRun], None]


def stage(run: ImportRun, on_progress: Watch | None = None) -> None:
    """Read the run's file, then plan. Staging changes no product.

    The run ends in review, or failed with a reason; that of a big file when the last worker has read its chunk. A
    second delivery of the same task does nothing; one after a lost worker starts over, or has the rest of the chunks
    read. `on_progress` is called now and then, for a face that watches from this process.
    """
    with claimed(run) as free, failing_in_words(run):
        if free and run.move(Status.RECEIVED, Status.STAGING, to=Status.STAGING):
            for chunk in _unread_chunks(run):
                enqueue(Task.STAGE_CHUNK, chunk)
            if run.in_chunks is False:
                _stage_in_one_piece(run, on_progress)
    finish_staging(run)


def _unread_chunks(run: ImportRun) -> Iterable[Chunk]:
    """Those into which the file is cut, or that a lost worker left. After them the run says whether it is in chunks."""
    if run.in_chunks is None:
        _start_over(run, Reading.STRICT)
        return chunks.cut(run)
    return run.chunks.filter(is_read=False) if run.in_chunks else ()


def stage_chunk(chunk_id: int) -> ImportRun | None:
    """Read a chunk. Who reads the last one plans; who cannot read it apart has the file read in one piece.

    Returns the run, or None when the chunk is gone.
    """
    run = chunks.read_chunk(chunk_id)
    if run and run.status == Status.STAGING:
        if run.in_chunks is False:
            enqueue(Task.STAGE, run)
        else:
            finish_staging(run)
    return run


def finish_staging(run: ImportRun) -> None:
    """Plan, once, when all chunks are read. Whoever holds the run does so before letting go of it."""
    if not chunks.all_read(run):
        return
    with claimed(run) as free, failing_in_words(run):
        run.refresh_from_db()
        if free and run.status == Status.STAGING:
            chunks.gather(run)
            _plan(run)


def _plan(run: ImportRun) -> None:
    run.metrics["stage"] = run.metrics.get("stage", {}) | speed(run.seconds_in_status(), run.items)
    run.seconds["stage"] = run.metrics["stage"]["seconds"]
    make_plan(run)


# --- in one piece -------------------------------------------------------------------------------------


def _stage_in_one_piece(run: ImportRun, on_progress: Watch | None) -> None:
    with Meter() as meter:
        is_read = _read(run, on_progress)
    if is_read:
        run.metrics["stage"] = meter.figures(run.items)
        _plan(run)


def _read(run: ImportRun, on_progress: Watch | None) -> bool:
    """Read the file as it is; repaired when it is not well-formed; item by item when repairs are not enough.

    False when the run was discarded meanwhile.
    """
    refused: FeedRefused | None = None
    deadline = time.monotonic() + settings.IMPORT_MAX_SECONDS
    for reading in Reading:
        if refused and reading == Reading.REPAIRED and refused.code != "feed.not_well_formed":
            continue  # no repair makes an item smaller
        if refused and reading == Reading.SALVAGED and run.mode == Mode.SYNC:
            raise _needs_update(refused)
        _start_over(run, reading)
        try:
            return _read_once(run, on_progress, deadline)
        except FeedRefused as error:
            if refused and reading == Reading.SALVAGED and error.code == "feed.no_items":
                raise refused from None  # where it broke and what to look for says more
            if error.code not in SALVAGEABLE or reading == Reading.SALVAGED:
                raise
            refused = error
    raise AssertionError("the last way to read a file returns or raises")


def _needs_update(refused: FeedRefused) -> FeedRefused:
    return FeedRefused(
        "feed.salvage_in_sync",
        f"{refused.message} Whole items could be read one by one, but sync would archive the products of the others: "
        "correct the file, or import it in the mode update.",
    )


def _start_over(run: ImportRun, reading: Reading) -> None:
    """Forget what a lost attempt left, or one that the file was too broken for."""
    forget_chunks(run)
    with transaction.atomic():
        run.staged.all().delete()
        run.issues.all().delete()
        run.items = run.invalid = run.bytes_read = 0
        run.reading = reading
        run.save(update_fields=["items", "invalid", "bytes_read", "reading"])


def _read_once(run: ImportRun, on_progress: Watch | None, deadline: float) -> bool:
    """Copy every item in, reading as the run says. False when the run was discarded meanwhile."""
    occurring = Occurring(run.feed.rules)
    with opened(run) as file:
        stored = Verified(file, run.sha256, deadline)
        repairs = Repairs()
        items = clean_items(_raw_items(run, stored, repairs), run.feed.rules, occurring)
        while _save(run, items, file):
            if on_progress:
                on_progress(run)
        if run.status != Status.STAGING:
            run.refresh_from_db()
            return False
        stored.verify()
    run.names = sorted(occurring.names)
    _count_repairs(run, repairs)
    add_unknown_names(run, unknown_examples(occurring))
    return True


def _raw_items(run: ImportRun, file: Stream, repairs: Repairs) -> Iterator[RawItem]:
    limits = settings.FEED_LIMITS
    if run.reading == Reading.STRICT:
        return read_items(file, limits, run.feed.table_encoding)
    unpacked = open_content(file, limits).from_the_start()
    if run.reading == Reading.REPAIRED:
        return read_items(Repaired(unpacked, repairs), limits)
    return salvage_items(unpacked, repairs, limits)


@transaction.atomic
def _save(run: ImportRun, items: Iterator[Item], file: File[bytes]) -> bool:
    """Add a batch: its items, its issues and the run's progress, all or nothing. False when there is no more to do."""
    batch = ItemBatch(run, items, BATCH_ITEMS)
    batch.copy()
    run.items += batch.count
    run.invalid += batch.invalid
    run.bytes_read = file.tell()
    progress = {"items": run.items, "invalid": run.invalid, "bytes_read": run.bytes_read}
    if not ImportRun.objects.filter(pk=run.pk, status=Status.STAGING).update(**progress):
        transaction.set_rollback(True)
        run.status = Status.DISCARDED
        return False
    add_issues(run, batch.tally.counts())
    return bool(batch.count)


def _count_repairs(run: ImportRun, repairs: Repairs) -> None:
    """What was repaired in the file, beside the issues of its items."""
    places = {
        code: [{"line": line, "product_id": "", "found": found} for line, found in examples]
        for code, examples in repairs.examples.items()
    }
    add_issues(run, {(code, ""): (count, places[code]) for code, count in repairs.counts.items()})
