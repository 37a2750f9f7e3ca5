"""An export that is too long to wait for: requested by a person, made by a worker, kept for some days.

The row is the job. A worker claims it as it claims an import; the sweep finds what a lost worker or a lost message
left. Whatever happens, an export ends as a file or with a sentence.
"""

from __future__ import annotations

import errno
import logging
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import IO, Any

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import Error, IntegrityError, connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from catalog.connections import is_lost
from catalog.errors import CatalogError, NotAllowed, NotPossible, QuotaReached
from catalog.exports.formats import FORMATS
from catalog.exports.notices import notify_finished
from catalog.exports.rows import Row, product_rows
from catalog.imports.permissions import require
from catalog.imports.retention import ORPHANED
from catalog.imports.work.attempts import attempted, claimed_numbers
from catalog.imports.work.files import stored_names
from catalog.imports.work.queue import Task
from catalog.models import Export, ExportStatus, Market
from catalog.models.exporting import OPEN_EXPORTS
from catalog.models.product import ProductQuerySet
from events.log import log_event
from schedule.queue import enqueue_now

log = logging.getLogger(__name__)

EXPORT_LOCK = 5  # the first number of an advisory lock, see catalog.imports.work.queue
PERMISSIONS = ("catalog.view_product", "catalog.export_product")
STREAMED_PRODUCTS = 5_000
"""A list that is not longer is sent at once. A longer one is made by a worker."""
MAX_OPEN_EXPORTS = 5  # of one person
MAX_LOST_WORKERS = 3
SIGN_SECONDS = 1.0
UNCLAIMED_AFTER = timedelta(seconds=60)  # long enough for a message to arrive
FOLDER = "exports/"

# Which products an export is of: the list that its address shows. The list registers itself, since it is above us.
Select = Callable[[Export], ProductQuerySet]
_SELECT: list[Select] = []


def register_list(select: Select) -> None:
    """Have `select` find the products of exports."""
    _SELECT[:] = [select]


def require_export(by: Any) -> None:
    """Raise `NotAllowed` unless `by` may look at products and export them."""
    for permission in PERMISSIONS:
        require(by, permission)


# --- asking for one ---------------------------------------------------------------------------------------


def request_export(*, by: Any, market: Market, format_name: str, query: str) -> Export:
    """Have a worker make an export of the list at this query: a new one, or the one that is open already.

    Raises `NotAllowed`, and `QuotaReached` for a person who has many open.
    """
    require_export(by)
    asked = {"by": by, "market": market, "format": format_name, "query": query}
    opened = Export.objects.filter(**asked, status__in=OPEN_EXPORTS)
    if export := opened.first():
        return export
    if Export.objects.filter(by=by, status__in=OPEN_EXPORTS).count() >= MAX_OPEN_EXPORTS:
        raise QuotaReached(
            "export.quota",
            f"{MAX_OPEN_EXPORTS} of your exports are not finished. Wait for one of them, then ask for this one again.",
            wait=60,
        )
    try:
        with transaction.atomic():
            export = Export.objects.create(**asked)
            enqueue_export(export)
            log_event("export_requested", by=by, export_id=export.pk, format=format_name, market=market.code)
    except IntegrityError:  # somebody clicked twice in one moment
        export = opened.first() or request_export(by=by, market=market, format_name=format_name, query=query)
    return export


def enqueue_export(export: Export) -> None:
    """Have a worker do it after the commit. If the message is lost, the sweep sends it again."""

    def send() -> None:
        try:
            enqueue_now(Task.EXPORT.value, args=[export.pk])
        except BrokerError as error:
            log.error("The broker does not answer; %s waits for the sweep: %s", export, error)

    transaction.on_commit(send)


def sweep_exports() -> int:
    """Enqueue each export again that no worker has. Returns how many there were."""
    due = Q(status=ExportStatus.WAITING, created_at__lt=Now() - UNCLAIMED_AFTER) | Q(status=ExportStatus.MAKING)
    claimed = claimed_numbers(EXPORT_LOCK)
    left = [export for export in Export.objects.filter(due).order_by("pk") if _lock_number(export) not in claimed]
    for export in left:
        enqueue_export(export)
    return len(left)


def _lock_number(export: Export) -> int:
    return int(export.pk % 2**31)


@contextmanager
def _claimed(export: Export) -> Iterator[bool]:
    """Hold the export for this connection; False when another worker has it, or it is over."""
    with attempted(None, EXPORT_LOCK, _lock_number(export), lambda: None) as attempt:
        begun = attempt and Export.objects.filter(pk=export.pk, status__in=OPEN_EXPORTS).update(
            status=ExportStatus.MAKING, claims=F("claims") + 1, started_at=Coalesce("started_at", Now()), products=0
        )
        export.refresh_from_db()
        yield bool(begun)


# --- making it --------------------------------------------------------------------------------------------


def make_export(pk: int) -> Export | None:
    """Make the file of an export. It ends as ready or failed. None when there is nothing to do."""
    export = Export.objects.select_related("by", "market").filter(pk=pk).first()
    if export is None:
        return None
    with _claimed(export) as is_ours:
        if not is_ours:
            return None
        try:
            if export.claims > MAX_LOST_WORKERS:
                raise NotPossible(
                    "worker_lost",
                    f"{MAX_LOST_WORKERS} workers were lost over this export. Check their memory, or export less.",
                )
            _make_file(export)
        except CatalogError as refused:
            _fail(export, refused.code, refused.message)
        except SoftTimeLimitExceeded:
            limit = f"{settings.IMPORT_MAX_SECONDS:,} seconds, which IMPORT_MAX_SECONDS allows"
            _fail(export, "time_limit", f"The export took longer than {limit}. Export less at once, or allow more.")
        except MemoryError:
            _fail(export, "memory", "The worker's memory was not enough. Give it more, or export less at once.")
        except Exception as error:
            _end_badly(export, error)
    return export


def _make_file(export: Export) -> None:
    if export.by is None:
        raise NotAllowed("not_allowed", "The account that asked for this export was removed.")
    require_export(export.by)
    products = _SELECT[0](export)
    Export.objects.filter(pk=export.pk).update(expected=products.count())
    with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as spool:
        with transaction.atomic(), Progress(export) as progress:  # the cursor's: one snapshot
            spool.writelines(FORMATS[export.format].write(progress.counted(product_rows(products))))
        size = spool.tell()
        with Progress(export, done=progress.done):
            name = _store(spool)
        if not _finish(export, ExportStatus.READY, file=name, file_size=size, products=progress.done):
            default_storage.delete(name)  # another worker took over


def _store(spool: IO[bytes]) -> str:
    """Put the whole file into the storage, or nothing of it."""
    name = f"{FOLDER}{timezone.now():%Y/%m}/{uuid.uuid4()}"
    spool.seek(0)
    try:
        return default_storage.save(name, File(spool, name="export"))
    except BaseException:
        with suppress(OSError):
            default_storage.delete(name)
        raise


class Progress:
    """While it lasts, says each second how many products are written, over a connection of its own.

    The worker's own connection is in a transaction, which nobody else sees.
    """

    def __init__(self, export: Export, done: int = 0) -> None:
        self.done = done
        self._mine = Export.objects.filter(pk=export.pk, claims=export.claims, status=ExportStatus.MAKING)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._say, name="export progress", daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def counted(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.done += 1
            yield row

    def _say(self) -> None:
        try:
            while not self._over.wait(SIGN_SECONDS):
                with suppress(Error):
                    connection.close_if_unusable_or_obsolete()
                    self._mine.update(products=self.done)
        finally:
            connection.close()


# --- its end ----------------------------------------------------------------------------------------------


def _end_badly(export: Export, error: Exception) -> None:
    if is_lost(error):
        with suppress(Error):  # as a rule the database was away: the sweep has it made again, and it does not count
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
            Export.objects.filter(pk=export.pk, claims=export.claims).update(claims=F("claims") - 1)
        raise error
    if isinstance(error, OSError):
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "has no room left for the file" if is_full else f"cannot store the file: {error.strerror or error}"
        said = f"The server {why}. Nothing of it was kept. Tell whoever looks after the server, then export again."
        log.error("%s could not be stored", export, exc_info=error)
        _fail(export, "storage.full" if is_full else "storage.failed", said)
        return
    error_id = uuid.uuid4().hex[:8]
    log.exception("%s failed [%s]", export, error_id)
    _fail(
        export,
        "internal_error",
        f"Something unexpected happened [{error_id}]. Export again; if it happens again, pass the number in brackets "
        "on to the developers.",
    )


def _fail(export: Export, code: str, sentence: str) -> None:
    _finish(export, ExportStatus.FAILED, code=code, sentence=sentence)


def _finish(export: Export, status: ExportStatus, **facts: Any) -> bool:
    """Record how it ended and tell the person, unless another worker took the export over."""
    with transaction.atomic():
        mine = Export.objects.filter(pk=export.pk, status=ExportStatus.MAKING, claims=export.claims)
        if not mine.update(status=status, finished_at=Now(), **facts):
            return False
        export.refresh_from_db()
        notify_finished(export)
        pk, products, size = export.pk, export.products, export.file_size
        if status == ExportStatus.READY:
            log_event("export_made", export_id=pk, format=export.format, products=products, bytes=size)
        else:
            log_event(
                "export_failed",
                level=logging.WARNING,
                export_id=pk,
                format=export.format,
                products=products,
                bytes=size,
                code=export.code,
            )
    return True


def forget_exports() -> dict[str, int]:
    """Delete exports after their days, the file first, and files of workers that were killed before they had a row."""
    days = settings.RETENTION_EXPORTS_DAYS
    old = Export.objects.exclude(status__in=OPEN_EXPORTS).filter(finished_at__lt=timezone.now() - timedelta(days=days))
    number = 0
    for export in old if days else ():
        export.file.delete(save=False)
        export.delete()
        number += 1
    known = set(Export.objects.exclude(file="").values_list("file", flat=True))
    since = timezone.now() - ORPHANED
    orphans = [
        name for name in stored_names(FOLDER) if name not in known and default_storage.get_modified_time(name) < since
    ]
    for name in orphans:
        default_storage.delete(name)
    return {"exports": number, "files of lost exports": len(orphans)}
