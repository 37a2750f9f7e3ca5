"""Read the file into staged items."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.db import connection, transaction

from catalog.errors import FeedRefused
from catalog.feeds import formats
from catalog.feeds.check import Item, Rules, check, names_of, report_unknown
from catalog.feeds.issues import severity
from catalog.feeds.items import CHUNK_BYTES, RawItem, Stream, read_items
from catalog.feeds.limits import too_slow
from catalog.feeds.repair import Repaired, Repairs
from catalog.feeds.salvage import SALVAGEABLE, salvage_items
from catalog.imports.background import failing_in_words, held, timed
from catalog.imports.plan import plan
from catalog.imports.rows import COPY, row
from catalog.models import ImportRun, Mode, Reading, RunIssue, Status

BATCH_ITEMS = 2000
PIECE_ITEMS = 50  # so many at a time go to PostgreSQL


def stage(run: ImportRun, on_progress: Callable[[ImportRun], None] | None = None) -> None:
    """Read the run's file, then plan. Staging changes no product.

    The run ends in review, or failed with a reason. A second delivery of the same task does nothing; one after a lost
    worker starts over. `on_progress` is called after every batch, for a face that watches from this process.
    """
    with held(run) as free, failing_in_words(run):
        if not free or not run.move(Status.RECEIVED, Status.STAGING, to=Status.STAGING):
            return
        with timed(run, "stage"):
            if not _read(run, on_progress):
                run.refresh_from_db()
                return
        plan(run)


def _read(run: ImportRun, on_progress: Callable[[ImportRun], None] | None) -> bool:
    """Read the file as it is; repaired when it is not well-formed; item by item when repairs are not enough.

    False when the run was discarded meanwhile.
    """
    refused: FeedRefused | None = None
    deadline = time.monotonic() + settings.FEED_LIMITS.seconds
    for reading in Reading:
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
    with transaction.atomic():
        run.staged.all().delete()
        run.issues.all().delete()
        run.items = run.invalid = run.bytes_read = 0
        run.reading = reading
        run.save(update_fields=["items", "invalid", "bytes_read", "reading"])


def _read_once(run: ImportRun, on_progress: Callable[[ImportRun], None] | None, deadline: float) -> bool:
    """Copy every item in, reading as the run says. False when the run was discarded meanwhile."""
    rules = run.feed.rules
    names: set[str] = set()
    with _opened(run) as file:
        stream = _Hashed(file, deadline)
        repairs = Repairs()
        items = _checked(_raw_items(stream, Reading(run.reading), repairs), rules, names)
        while _save(run, items, file):
            if on_progress:
                on_progress(run)
        if run.status != Status.STAGING:
            return False
        stream.read_to_the_end()
        if stream.sha256 != run.sha256:
            raise FeedRefused("feed.file_changed", "The stored file is not the one that was uploaded. Upload it again.")
    run.names = sorted(names)
    _count_repairs(run, repairs)
    return True


def _opened(run: ImportRun) -> File[bytes]:
    try:
        size = run.file.size
        file = run.file.open("rb")
    except OSError as error:
        raise FeedRefused("feed.file_missing", "The stored file is gone. Upload it again.") from error
    if size != run.file_size:
        file.close()
        raise FeedRefused(
            "feed.file_changed", f"The stored file has {size} bytes, not {run.file_size}. Upload it again."
        )
    return file


class _Hashed:
    """The stored file, hashed while it is read. Reading it ends at the deadline."""

    def __init__(self, file: File[bytes], deadline: float) -> None:
        self._file = file
        self._deadline = deadline
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        if time.monotonic() > self._deadline:
            raise too_slow(settings.FEED_LIMITS)
        chunk: bytes = self._file.read(size)
        self._digest.update(chunk)
        return chunk

    def read_to_the_end(self) -> None:
        """What stands after the last item belongs to the file, too."""
        while self.read(CHUNK_BYTES):
            pass

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _raw_items(file: Stream, reading: Reading, repairs: Repairs) -> Iterator[RawItem]:
    limits = settings.FEED_LIMITS
    if reading == Reading.STRICT:
        return read_items(file, limits)
    unpacked = formats.opened(file, limits).from_the_start()
    if reading == Reading.REPAIRED:
        return read_items(Repaired(unpacked, repairs), limits)
    return salvage_items(unpacked, repairs, limits)


def _checked(raw_items: Iterator[RawItem], rules: Rules, names: set[str]) -> Iterator[Item]:
    """The cleaned items. `names` grows by the attributes that occur, and is whole when the last item was given."""
    tags: set[str] = set()
    for raw in raw_items:
        item = check(raw, rules)
        report_unknown(item, raw, tags, rules)
        names |= item.more_names
        yield item
    names |= names_of(tags, rules)


class _Batch:
    """The next items of the file, as the stream that COPY reads: PostgreSQL stores rows while we read the next."""

    def __init__(self, run_id: int, items: Iterator[Item]) -> None:
        self._run_id = run_id
        self._items = items
        self.count = self.invalid = 0
        self.issues: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.error: Exception | None = None

    def read(self, _size: int) -> str:
        """Some more rows, or "" at the end of the batch."""
        piece = islice(self._items, min(PIECE_ITEMS, BATCH_ITEMS - self.count))
        try:
            return "".join(map(self._take, piece))
        except Exception as error:
            self.error = error  # psycopg2 would report it as a failure of COPY
            return ""

    def _take(self, item: Item) -> str:
        self.count += 1
        self.invalid += not item.valid
        for issue in item.issues:
            name = (issue.code, issue.attribute)
            self.issues[name] += 1
            if self.issues[name] <= RunIssue.EXAMPLES:
                example = {"line": issue.line, "product_id": item.id, "found": issue.found}
                self.examples.setdefault(name, []).append(example)
        return row(self._run_id, item)


@transaction.atomic
def _save(run: ImportRun, items: Iterator[Item], file: File[bytes]) -> bool:
    """Add a batch: its items, its issues and the run's progress, all or nothing. False when there is no more to do."""
    batch = _Batch(run.pk, items)
    # Of a COPY's errors Django translates none by itself, and a lost connection must be known as one.
    with connection.cursor() as cursor, connection.wrap_database_errors:
        cursor.copy_expert(COPY, batch)
    if batch.error:
        raise batch.error
    run.items += batch.count
    run.invalid += batch.invalid
    run.bytes_read = file.tell()
    progress = {"items": run.items, "invalid": run.invalid, "bytes_read": run.bytes_read}
    if not ImportRun.objects.filter(pk=run.pk, status=Status.STAGING).update(**progress):
        transaction.set_rollback(True)
        run.status = Status.DISCARDED
        return False
    _count_issues(run, batch)
    return bool(batch.count)


# --- issues into counts -------------------------------------------------------------------------------

_ADD_ISSUES = """
    INSERT INTO catalog_runissue (run_id, code, attribute, severity, count, examples)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (run_id, code, attribute) DO UPDATE SET
        count = catalog_runissue.count + excluded.count,
        examples = jsonb_path_query_array(catalog_runissue.examples || excluded.examples, %s::jsonpath)
"""


def _count_issues(run: ImportRun, batch: _Batch) -> None:
    _add_issues(run, {name: (count, batch.examples[name]) for name, count in batch.issues.items()})


def _count_repairs(run: ImportRun, repairs: Repairs) -> None:
    """What was repaired in the file, beside the issues of its items."""
    places = {
        code: [{"line": line, "product_id": "", "found": found} for line, found in examples]
        for code, examples in repairs.examples.items()
    }
    _add_issues(run, {(code, ""): (count, places[code]) for code, count in repairs.counts.items()})


def _add_issues(run: ImportRun, found: Mapping[tuple[str, str], tuple[int, list[dict[str, Any]]]]) -> None:
    """Add to the run's issues: by code and attribute how many, and examples."""
    first = f"$[0 to {RunIssue.EXAMPLES - 1}]"
    rows = [
        (run.pk, code, attribute, severity(code, attribute), count, json.dumps(all_[: RunIssue.EXAMPLES]), first)
        for (code, attribute), (count, all_) in sorted(found.items())
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_ADD_ISSUES, rows)
