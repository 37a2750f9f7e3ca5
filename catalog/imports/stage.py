"""Read the file into staged items."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from django.core.files.base import File
from django.db import connection, transaction

from catalog.errors import FeedRefused
from catalog.feeds.attributes import BY_NAME, Type
from catalog.feeds.check import Item, Rules, check, names_of
from catalog.feeds.issues import severity
from catalog.feeds.items import read_items
from catalog.imports.background import failing_in_words, held, timed
from catalog.imports.columns import SHARED, listed
from catalog.imports.plan import plan
from catalog.models import ImportRun, RunIssue, Status

BATCH_ITEMS = 2000


def stage(run: ImportRun, on_progress: Callable[[ImportRun], None] | None = None) -> None:
    """Read the run's file, then plan. Staging changes no product.

    The run ends in review, or failed with a reason. A second delivery of the same task does nothing; one after a lost
    worker starts over. `on_progress` is called after every batch, for a face that watches from this process.
    """
    with held(run) as free, failing_in_words(run):
        if not free or not run.move(Status.RECEIVED, Status.STAGING, to=Status.STAGING):
            return
        with timed(run, "stage"):
            _start_over(run)
            if not _read(run, on_progress):
                return
        plan(run)


def _start_over(run: ImportRun) -> None:
    """Forget what a lost attempt left."""
    with transaction.atomic():
        run.staged.all().delete()
        run.issues.all().delete()
        run.items = run.invalid = run.bytes_read = 0
        run.save(update_fields=["items", "invalid", "bytes_read"])


def _read(run: ImportRun, on_progress: Callable[[ImportRun], None] | None) -> bool:
    """Copy every item in. False when the run was discarded meanwhile."""
    rules = Rules(default_currency=run.feed.default_currency)
    names: set[str] = set()
    with _opened(run) as file:
        items = _checked(file, rules, names)
        while batch := list(islice(items, BATCH_ITEMS)):
            if not _save(run, batch, bytes_read=file.tell()):
                return False
            if on_progress:
                on_progress(run)
    run.names = sorted(names)
    return True


def _opened(run: ImportRun) -> File[bytes]:
    try:
        file = run.file.open("rb")
    except OSError as error:
        raise FeedRefused("feed.file_missing", "The stored file is gone. Upload it again.") from error
    if file.size != run.file_size:
        raise FeedRefused(
            "feed.file_changed", f"The stored file has {file.size} bytes, not {run.file_size}. Upload it again."
        )
    return file


def _checked(file: File[bytes], rules: Rules, names: set[str]) -> Iterator[Item]:
    """The cleaned items. `names` grows by the attributes that occur, and is whole when the last item was given."""
    tags: set[str] = set()
    for raw in read_items(file):
        tags.update(raw.fields)
        item = check(raw, rules)
        names |= item.more_names
        yield item
    names |= names_of(tags)


@transaction.atomic
def _save(run: ImportRun, batch: list[Item], bytes_read: int) -> bool:
    """Add a batch: its items, its issues and the run's progress, all or nothing."""
    invalid = sum(not item.valid for item in batch)
    position = batch[-1].position
    progress = ImportRun.objects.filter(pk=run.pk, status=Status.STAGING)
    if not progress.update(items=position, invalid=run.invalid + invalid, bytes_read=bytes_read):
        return False
    run.items, run.invalid, run.bytes_read = position, run.invalid + invalid, bytes_read
    _copy(run, batch)
    _count_issues(run, batch)
    return True


# --- items into rows ----------------------------------------------------------------------------------

_NUMERIC = (Type.MONEY, Type.INTEGER, Type.BOOLEAN)
_TEXTS = [name for name in SHARED if name not in BY_NAME or BY_NAME[name].type not in _NUMERIC]
_LISTS = [name for name in SHARED if name in BY_NAME and BY_NAME[name].type is Type.URLS]
# One value per column, in the order of COPY; an item's own values are laid over it.
_BLANK: dict[str, Any] = {"id": "", **dict.fromkeys(SHARED, ""), **dict.fromkeys(_LISTS, "{}")}
# CSV knows no difference between NULL and an empty text, so the text columns say that they are never NULL.
_COPY = f"""
    COPY catalog_stageditem (run_id, position, line, state, issues, extra, product_id, {listed(SHARED)})
    FROM STDIN (FORMAT csv, FORCE_NOT_NULL ({listed(["product_id", *_TEXTS])}))
"""


def _copy(run: ImportRun, batch: list[Item]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(_rows(run.pk, batch))
    buffer.seek(0)
    with connection.cursor() as cursor:
        cursor.copy_expert(_COPY, buffer, 1024 * 1024)


def _rows(run_id: int, batch: list[Item]) -> Iterator[list[Any]]:
    for item in batch:
        values = {**_BLANK, **item.values}
        for name in _LISTS:
            if name in item.values:
                values[name] = _array(item.values[name])
        state = "valid" if item.valid else "invalid"
        yield [run_id, item.position, item.line, state, _issues(item), _json(item.extra), *values.values()]


def _array(texts: Iterable[str]) -> str:
    """A PostgreSQL array of texts."""
    quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "{" + ",".join(quoted) + "}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else "{}"


def _issues(item: Item) -> str:
    if not item.issues:
        return "[]"
    return json.dumps([[i.code, i.attribute, i.found] for i in item.issues], ensure_ascii=False)


# --- issues into counts -------------------------------------------------------------------------------

_ADD_ISSUES = """
    INSERT INTO catalog_runissue (run_id, code, attribute, severity, count, examples)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (run_id, code, attribute) DO UPDATE SET
        count = catalog_runissue.count + excluded.count,
        examples = jsonb_path_query_array(catalog_runissue.examples || excluded.examples, %s::jsonpath)
"""


def _count_issues(run: ImportRun, batch: list[Item]) -> None:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in batch:
        for issue in item.issues:
            example = {"line": item.line, "product_id": item.id, "found": issue.found}
            found.setdefault((issue.code, issue.attribute), []).append(example)
    first = f"$[0 to {RunIssue.EXAMPLES - 1}]"
    rows = [
        (run.pk, code, attribute, severity(code, attribute), len(all_), json.dumps(all_[: RunIssue.EXAMPLES]), first)
        for (code, attribute), all_ in sorted(found.items())
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(_ADD_ISSUES, rows)
