"""A big file is read in chunks: rows that say which part of it to read, each read once, by whichever worker is free.

When the file cannot be cut, or a chunk cannot be read apart, all of it is read in one piece, which says best what is
wrong with it.
"""

from __future__ import annotations

import errno
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, fields
from itertools import islice

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F

from catalog.errors import FeedRefused
from catalog.feeds.cleaning.check import MAX_UNKNOWN_NAMES, Occurring
from catalog.feeds.cleaning.values import SIGNS, settled_mark
from catalog.feeds.reading.items import Beside, Start, check_start
from catalog.feeds.reading.slices import are_items, has_frame, slices_of, without
from catalog.feeds.reading.split import PIECE_BYTES, NotInPieces, Piece, Shell, pieces_of, read_piece, shell_of
from catalog.imports.issues import Example, add_issues, add_unknown_names, beside_counts, merge_counts, unknown_examples
from catalog.imports.reading.copy import ItemBatch, clean_items
from catalog.imports.reading.unchanged import FoundItems, digest_items, find_known, forget_piece, note_shapes
from catalog.imports.work.files import NoRoomToUnpack, TookTooLong, Verified, forget_chunks, opened, opened_spool
from catalog.imports.work.metrics import Meter, together
from catalog.imports.work.queue import claimed, failing_in_words
from catalog.models import Chunk, ImportRun, Status

MIN_PIECES = 2
# From so many pieces on each is twice as big: a tenth less work, and still enough of them to share out evenly.
MANY_PIECES = 32
TYPICAL_PACKING_RATIO = 8  # unpacked bytes per packed byte


def is_worth_cutting(run: ImportRun) -> bool:
    """Whether the file may be big enough, as it is or unpacked."""
    return run.file_size * TYPICAL_PACKING_RATIO >= MIN_PIECES * PIECE_BYTES


def cut_file(run: ImportRun) -> Iterator[Chunk]:
    """Cut the run's file and yield each chunk as soon as it may be read. Afterwards the run says whether it was cut."""
    in_chunks = False
    try:
        for chunk in _cut_open_file(run):
            yield chunk
            in_chunks = True
    except (NotInPieces, FeedRefused):
        in_chunks = False
    undecided = ImportRun.objects.filter(pk=run.pk, status=Status.STAGING, in_chunks=None)
    undecided.update(in_chunks=in_chunks)
    run.refresh_from_db()


def _cut_open_file(run: ImportRun) -> Iterator[Chunk]:
    with opened(run) as file:
        verified = Verified(file, run.sha256, time.monotonic() + settings.IMPORT_MAX_SECONDS)
        start = check_start(verified, settings.FEED_LIMITS, run.feed.file_settings)
        if not start.content.is_packed:
            if run.file_size >= MIN_PIECES * PIECE_BYTES:
                yield from _create_chunks(run, start, run.file_size)
                verified.verify()
        elif is_worth_cutting(run):
            # A packed file can only be read from its beginning, so it is unpacked first, if it can then be cut.
            shell_of(start)
            # Known before it is made, so that what a failure leaves of it is deleted, here or after a lost worker.
            run.spool.name = f"spools/{uuid.uuid4()}"
            run.save(update_fields=["spool"])
            try:
                default_storage.save(run.spool.name, UnpackedFeed(start))
            except BaseException as error:
                with suppress(OSError):
                    default_storage.delete(run.spool.name)
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise NoRoomToUnpack from error
                raise
            verified.verify()
            with opened_spool(run) as spool:
                spool_start = check_start(spool, settings.FEED_LIMITS, run.feed.file_settings)
                yield from _create_chunks(run, spool_start, spool.size)


class UnpackedFeed(File):  # type: ignore[type-arg]
    """An unpacked feed, as a storage takes it."""

    def __init__(self, start: Start) -> None:
        super().__init__(None, name="feed")
        self._start = start

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        return self._start.all_chunks()


def _create_chunks(run: ImportRun, start: Start, file_bytes: int) -> Iterator[Chunk]:
    shell = shell_of(start)
    piece_bytes = PIECE_BYTES * (2 if file_bytes >= MANY_PIECES * PIECE_BYTES else 1)
    for piece in pieces_of(start, shell, piece_bytes, settings.FEED_LIMITS):
        if piece.places + piece.room > settings.FEED_LIMITS.items:
            raise NotInPieces("it has too many items")
        if not is_wanted(run):
            return
        yield Chunk.objects.create(run=run, tags=shell.tags, item=shell.item, **asdict(piece))


def is_wanted(run: ImportRun) -> bool:
    """False when the run was discarded meanwhile, or a chunk could not be read apart."""
    return ImportRun.objects.filter(pk=run.pk, status=Status.STAGING, in_chunks=None).exists()


# --- reading one --------------------------------------------------------------------------------------


def read_chunk(chunk_id: int) -> ImportRun | None:
    """Read a chunk once, however often the task is delivered. A lost worker leaves nothing of it behind.

    Returns its run, or None when the chunk is gone. When the chunk cannot be read apart, the run's `in_chunks` is False
    afterwards.
    """
    chunk = Chunk.objects.select_related("run__feed").filter(pk=chunk_id).first()
    if chunk is None:
        return None
    with claimed(chunk) as free, failing_in_words(chunk.run):
        if free and chunk.run.status == Status.STAGING:
            if chunk.run.seconds_in_status() > settings.IMPORT_MAX_SECONDS:
                raise TookTooLong
            try:
                stage_items(chunk)
            except (NotInPieces, FeedRefused):
                ImportRun.objects.filter(pk=chunk.run_id, status=Status.STAGING).update(in_chunks=False)
    chunk.run.refresh_from_db()
    return chunk.run


@transaction.atomic
def stage_items(chunk: Chunk) -> None:
    """Write the chunk's items, its issues, the names in it and the run's progress: all or nothing."""
    if not Chunk.objects.select_for_update().filter(pk=chunk.pk, is_read=False).exists():
        return
    run, rules, limits = chunk.run, chunk.run.feed.rules, settings.FEED_LIMITS
    beside = Beside()
    with Meter() as meter, opened_spool(run) if run.spool else opened(run) as file:
        file.seek(chunk.start)
        data = file.read(chunk.end - chunk.start)
        piece = Piece(*(getattr(chunk, field.name) for field in fields(Piece)))
        shell = Shell(chunk.tags, chunk.item)
        slices = slices_of(data, piece, shell)
        digested = digest_items(data, slices, piece, shell, rules)
        earlier = run.chunks.filter(start__lt=chunk.start, is_read=True).exclude(unknown={})
        reported = {name for names in earlier.values_list("unknown", flat=True) for name in names}
        occurring = Occurring(rules, reported)
        is_framed = not slices or has_frame(data, slices)
        known = find_known(run, digested[is_framed:], occurring)
        others = [item for item in slices if item.position not in known.positions]
        rest = without(data, slices, [item.line for item in digested], known.positions)
        if slices and not are_items(data, others, shell, rest, slices[0].start):
            slices, digested, rest, is_framed = [], [], data, True
            forget_piece(run, piece)
            occurring, known = Occurring(rules, reported), FoundItems()
        # Only the others are read; where the text does not tell the items, all are.
        positions = [item.position for item in others] if slices else None
        raw_items = read_piece(rest, piece, shell, limits, positions, beside) if is_framed or others else iter(())
        items = clean_items(raw_items, rules, occurring)
        batch = ItemBatch(run, items, digests={item.position: item.digest for item in digested})
        batch.copy()
        note_shapes(batch)
        bytes_read = (chunk.end - chunk.start) * run.file_size // file.size
    count = len(known.positions) + batch.count
    names = {"names": sorted(occurring.names), "unknown": unknown_examples(occurring)}
    Chunk.objects.filter(pk=chunk.pk).update(is_read=True, cost=meter.figures(count), **names)
    read = merge_counts(batch.tally.counts(), beside_counts(beside))
    add_issues(run, merge_counts(known.tally.counts(), read))
    progress = {"items": count, "invalid": known.invalid + batch.invalid, "bytes_read": bytes_read}
    wanted = ImportRun.objects.filter(pk=run.pk, status=Status.STAGING).exclude(in_chunks=False)
    if not wanted.update(**{name: F(name) + number for name, number in progress.items()}):
        transaction.set_rollback(True)


# --- afterwards ---------------------------------------------------------------------------------------


def all_chunks_read(run: ImportRun) -> bool:
    """Whether the run's file was cut into chunks, and all of them are read."""
    return bool(run.in_chunks) and not run.chunks.filter(is_read=False).exists()


def needs_other_amounts(run: ImportRun) -> bool:
    """Whether an amount has to be read again by what those of other chunks have shown: then in one piece."""
    return bool(settled_mark({name for names in run.chunks.values_list("names", flat=True) for name in names}))


@transaction.atomic
def gather_chunks(run: ImportRun) -> None:
    """Put together what the chunks say about the whole file, and forget them: both or neither, and once."""
    if not run.chunks.exists():
        return  # done before, by a worker that was lost before it had planned
    names: set[str] = set()
    unknown: dict[str, Example] = {}
    costs = []
    for chunk in run.chunks.order_by("start"):
        names.update(chunk.names)
        unknown |= {name: first for name, first in chunk.unknown.items() if name not in unknown}
        costs.append(chunk.cost)
    run.names = sorted(names - SIGNS)
    add_unknown_names(run, dict(islice(unknown.items(), MAX_UNKNOWN_NAMES)))
    run.metrics["stage"] = together(costs)
    run.save(update_fields=["names", "metrics"])
    forget_chunks(run)
