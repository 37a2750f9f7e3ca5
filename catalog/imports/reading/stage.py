"""Read the file into staged items: a big one in chunks, by several workers at once, any other in one piece."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from django.conf import settings
from django.core.files.base import File
from django.db import transaction

from catalog.errors import FeedRefused
from catalog.feeds.broken.repair import RepairedStream, Repairs
from catalog.feeds.broken.salvage import SALVAGEABLE, salvage_items
from catalog.feeds.cleaning.check import OWN_TABLE, Item, Occurring
from catalog.feeds.cleaning.values import SIGNS, settled_mark
from catalog.feeds.reading.formats import open_content
from catalog.feeds.reading.items import Beside, read_items
from catalog.imports.issues import add_issues, add_unknown_names, beside_counts, merge_counts, unknown_examples
from catalog.imports.planning.guards import ENCODING_CODE
from catalog.imports.planning.plan import make_plan
from catalog.imports.planning.supplemental import OWN_TABLE_CODE
from catalog.imports.reading.chunks import all_chunks_read, cut_file, gather_chunks, needs_other_amounts, read_chunk
from catalog.imports.reading.copy import ItemBatch, clean_items
from catalog.imports.reading.unchanged import begin_known
from catalog.imports.work.files import Verified, forget_chunks, opened
from catalog.imports.work.metrics import Meter, speed
from catalog.imports.work.queue import Task, claimed, enqueue, failing_in_words
from catalog.models import Chunk, ImportRun, Mode, Reading, Status

BATCH_ITEMS = 2000

ProgressCallback = Callable[[ImportRun], None]


def stage(run: ImportRun, on_progress: ProgressCallback | None = None) -> None:
    """Read the run's file, then plan. Staging changes no product.

    Afterwards the run is in review, or failed with a reason; the run of a big file is once its last chunk is read. A
    second delivery of the same task does nothing. After a lost worker, a file in one piece is read again, and of a file
    in chunks only the unread ones. `on_progress` is called now and then, so that a command can show progress.
    """
    with claimed(run) as free, failing_in_words(run):
        if free and run.status in (Status.RECEIVED, Status.STAGING):
            opened(run).close()  # while the storage is away, nothing is begun
        if free and run.move(Status.RECEIVED, Status.STAGING, to=Status.STAGING):
            unread: Iterable[Chunk] = ()
            if run.in_chunks is None:
                start_over(run, Reading.STRICT)
                begin_known(run)
                unread = cut_file(run)
            elif run.in_chunks:
                unread = run.chunks.filter(is_read=False)  # a lost worker left these
            for chunk in unread:
                enqueue(Task.STAGE_CHUNK, chunk)
            if run.in_chunks is False:
                with Meter() as meter:
                    is_read = _read_whole_file(run, on_progress)
                if is_read:
                    run.metrics["stage"] = meter.figures(run.items)
                    _plan_staged(run)
    finish_staging(run)


def stage_chunk(chunk_id: int) -> ImportRun | None:
    """Read a chunk. After the last one, plan; if it cannot be read apart, have the file read in one piece.

    Returns the run, or None when the chunk is gone.
    """
    run = read_chunk(chunk_id)
    if run and run.status == Status.STAGING:
        if run.in_chunks is False:
            enqueue(Task.STAGE, run)
        else:
            finish_staging(run)
    return run


def finish_staging(run: ImportRun) -> None:
    """Plan once all chunks are read. A worker that has claimed the run calls this before it releases the run."""
    if not all_chunks_read(run):
        return
    again = False
    with claimed(run) as free, failing_in_words(run):
        run.refresh_from_db()
        if free and run.status == Status.STAGING:
            if again := needs_other_amounts(run):
                ImportRun.objects.filter(pk=run.pk, status=Status.STAGING).update(in_chunks=False)
            else:
                gather_chunks(run)
                _plan_staged(run)
    if again:
        enqueue(Task.STAGE, run)


def _plan_staged(run: ImportRun) -> None:
    run.metrics["stage"] = run.metrics.get("stage", {}) | speed(run.seconds_since_first(Status.STAGING), run.items)
    run.seconds["stage"] = run.metrics["stage"]["seconds"]
    make_plan(run)


def start_over(run: ImportRun, reading: Reading) -> None:
    """Forget what a lost worker staged, or an earlier way of reading for which the file was too broken."""
    forget_chunks(run)
    with transaction.atomic():
        run.staged.all().delete()
        run.known.all().delete()
        run.issues.all().delete()
        run.items = run.invalid = run.bytes_read = 0
        run.reading = reading
        run.save(update_fields=["items", "invalid", "bytes_read", "reading"])


# --- in one piece -------------------------------------------------------------------------------------


def _read_whole_file(run: ImportRun, on_progress: ProgressCallback | None) -> bool:
    """Read the file as it is. If it is not well-formed, read it repaired; if that is not enough, item by item.

    Returns False if the run was discarded meanwhile.
    """
    refused: FeedRefused | None = None
    deadline = time.monotonic() + settings.IMPORT_MAX_SECONDS
    for reading in Reading:
        if refused and reading == Reading.REPAIRED and refused.code != "feed.not_well_formed":
            continue  # no repair makes an item smaller
        cannot_sync = FeedRefused(
            "feed.salvage_in_sync",
            f"{refused.message if refused else ''} Whole items could be read one by one, but sync would archive the "
            "products of the others. Correct the file, or import it in the mode update.",
        )
        is_salvaged_sync = reading == Reading.SALVAGED and run.mode == Mode.SYNC
        if is_salvaged_sync and refused and refused.code == "feed.not_well_formed":
            raise cannot_sync
        start_over(run, reading)
        try:
            beside = _read_once(run, on_progress, deadline)
            if beside and is_salvaged_sync and not (beside.has_end and _has_all_ids(run)):
                raise cannot_sync
            return beside is not None
        except FeedRefused as error:
            if refused and reading == Reading.SALVAGED and error.code == "feed.no_items":
                raise refused from None  # where it broke and what to look for says more
            if error.code not in SALVAGEABLE or reading == Reading.SALVAGED:
                raise
            refused = error
    raise AssertionError("the last way to read a file returns or raises")


def _has_all_ids(run: ImportRun) -> bool:
    """Whether nothing but limits cost an item, and the product of each is known, which a sync must not archive."""
    lost = run.issues.filter(code="item.not_well_formed").exists()
    return not lost and not run.staged.filter(product_id="").exists()


def _read_once(
    run: ImportRun, on_progress: ProgressCallback | None, deadline: float, decimal_mark: str = ""
) -> Beside | None:
    """Copy every item in, reading as `run.reading` says. Returns what else is in the file; None for a discarded run.

    When the file's amounts settle how others in it are to be read, all of it is read again.
    """
    limits, file_settings = settings.FEED_LIMITS, run.feed.file_settings
    rules = replace(run.feed.rules, decimal_mark=decimal_mark)
    occurring, repairs, beside = Occurring(rules), Repairs(file_settings.encoding), Beside()
    with opened(run) as file:
        verified = Verified(file, run.sha256, deadline)
        if run.reading == Reading.STRICT:
            raw_items = read_items(verified, limits, file_settings, beside)
        elif run.reading == Reading.REPAIRED:
            unpacked = open_content(verified, limits, file_settings).from_the_start()
            raw_items = read_items(RepairedStream(unpacked, repairs), limits, file_settings, beside)
        else:
            unpacked = open_content(verified, limits, file_settings).from_the_start()
            raw_items = salvage_items(unpacked, repairs, limits, file_settings, beside)
        items = clean_items(raw_items, rules, occurring)
        while _copy_batch(run, items, file):
            if on_progress:
                on_progress(run)
        if run.status != Status.STAGING:
            run.refresh_from_db()
            return None
        verified.verify()
    mark = settled_mark(occurring.names)
    if mark and not decimal_mark:
        start_over(run, Reading(run.reading))
        return _read_once(run, on_progress, deadline, mark)
    run.names = sorted(occurring.names - SIGNS - {OWN_TABLE})
    if OWN_TABLE in occurring.names:
        add_issues(run, {(OWN_TABLE_CODE, ""): (1, [])})
    repaired = {}
    for code, count in repairs.counts.items():
        places = [{"line": line, "product_id": "", "found": found} for line, found in repairs.examples[code]]
        repaired[code, ""] = (count, places)
    if proposal := repairs.proposed_encoding():
        places = [{"line": line, "product_id": "", "found": found} for line, found in proposal.examples]
        repaired[ENCODING_CODE, ""] = (len(places), places)
    add_issues(run, merge_counts(repaired, beside_counts(beside)))
    add_unknown_names(run, unknown_examples(occurring))
    return beside


@transaction.atomic
def _copy_batch(run: ImportRun, items: Iterator[Item], file: File[bytes]) -> bool:
    """Add the items of a batch, their issues and the run's progress in one transaction. False after the last batch."""
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
