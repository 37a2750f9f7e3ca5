"""Hand work to the workers, and claim a run while working on it.

The row is the job. The message at the broker only wakes a worker: a lost one delays work and loses none.
"""

import logging
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError
from structlog.contextvars import bound_contextvars

from catalog.connections import is_lost
from catalog.errors import CatalogError
from catalog.imports.announce import announce_failed
from catalog.imports.notices import notify_failed
from catalog.imports.sql import execute, fetch_row
from catalog.imports.work.attempts import MAX_ATTEMPTS, attempted
from catalog.imports.work.files import TookTooLong, forget_chunks, is_storage_away, opened
from catalog.imports.work.metrics import Meter
from catalog.models import Chunk, ImportRun, KnownItem, Status
from events.log import REQUEST_ID, log_event
from schedule.queue import enqueue_now

log = logging.getLogger(__name__)

# Advisory locks are numbers shared by the whole database: the first says what kind, the second which one.
RUN_LOCK = 1
CATALOGUE_LOCK = 2
CHUNK_LOCK = 3
MIRROR_LOCK = 6


class Task(StrEnum):
    """What workers do, by the names that `catalog.tasks` has at the broker."""

    STAGE = "catalog.stage"
    STAGE_CHUNK = "catalog.stage_chunk"
    APPLY = "catalog.apply"
    UNDO = "catalog.undo"
    REDO = "catalog.redo"
    CLEAN_UP = "catalog.clean_up"
    FORGET_OLD = "catalog.forget_old"
    SWEEP = "catalog.sweep"
    FETCH = "catalog.fetch"
    FETCH_DUE = "catalog.fetch_due"
    EXPORT = "catalog.export"


# What is to be done with a run that waits for a worker.
TASKS = {
    Status.RECEIVED: Task.STAGE,
    Status.STAGING: Task.STAGE,
    Status.APPLYING: Task.APPLY,
    Status.UNDOING: Task.UNDO,
    Status.REDOING: Task.REDO,
}

Send: TypeAlias = Callable[[Task, "ImportRun | Chunk"], None]


def enqueue(task: Task, row: ImportRun | Chunk) -> None:
    """Have a worker run `task` on the row after the commit. If the message is lost, the sweep sends it again."""
    _send.get()(task, row)


# Files that were fetched are read when no file that somebody uploaded waits: two hundred may come in one minute.
AFTER_UPLOADS = 9  # the last of the broker's priorities; without one a message has the first
_READING = (Task.STAGE, Task.STAGE_CHUNK)


def _send_to_broker(task: Task, row: ImportRun | Chunk, **options: Any) -> None:
    run = row.run if isinstance(row, Chunk) else row
    if task in _READING and run.uploaded_by_id is None:
        options["priority"] = AFTER_UPLOADS

    def send() -> None:
        try:
            enqueue_now(task.value, args=[row.pk], **options)
        except BrokerError as error:
            log.error("The broker does not answer; %s waits for the sweep: %s", row, error)

    transaction.on_commit(send)


_send: ContextVar[Send] = ContextVar("send", default=_send_to_broker)


@contextmanager
def enqueued_to(send: Send) -> Iterator[None]:
    """Until the block ends, what this thread enqueues goes to `send` instead of the broker, at once."""
    before = _send.set(send)
    try:
        yield
    finally:
        _send.reset(before)


@contextmanager
def claimed(row: ImportRun | Chunk) -> Iterator[bool]:
    """Claim the row for this connection. Yields False when another one has it: a task that was delivered twice.

    A run over which too many workers were lost has failed by then.
    """
    run, kind = (row, RUN_LOCK) if isinstance(row, ImportRun) else (row.run, CHUNK_LOCK)

    def call_again() -> None:
        now = ImportRun.objects.filter(pk=run.pk).first()
        # The chunks of a run have tasks of their own.
        has_to_go_on = now and (now.status != Status.STAGING or now.in_chunks is False)
        if kind == RUN_LOCK and now and has_to_go_on and (task := TASKS.get(Status(now.status))):
            _send_to_broker(task, now)

    asked_by = {REQUEST_ID: run.request_id} if run.request_id else {}
    with bound_contextvars(run_id=run.pk, **asked_by), attempted(run, kind, row.pk, call_again) as attempt:
        if attempt > MAX_ATTEMPTS:
            fail(run, "worker_lost", lost_in_words(run))
        yield bool(attempt)


# --- the catalogue's lock --------------------------------------------------------------------------------

# Whoever lets go of the lock calls the run that comes next, so looking again is for holders that were lost. Many runs
# that all looked every few seconds would keep the workers from the next one.
LOOK_AGAIN_SECONDS, LOOK_AGAIN_LATER_SECONDS = 5, 60


def lock_catalogue(run: ImportRun) -> bool:
    """Take the catalogue's lock until the transaction ends: one import at a time changes the catalogue.

    A worker does not wait for it, because other imports need its process. False then: the run is called again when the
    lock is free, in the order in which runs were confirmed. The shell has only this run, and waits.
    """
    if _send.get() is not _send_to_broker:
        execute("SELECT pg_advisory_xact_lock(%(lock)s, 0)", lock=CATALOGUE_LOCK)
        return True
    (is_ours,) = fetch_row("SELECT pg_try_advisory_xact_lock(%(lock)s, 0)", lock=CATALOGUE_LOCK)
    first = first_waiting() if run.status in CHANGING else None
    is_next = first is None or first.pk == run.pk
    if is_ours and first and not is_next:
        _send_to_broker(TASKS[Status(first.status)], first)
    elif is_ours:
        return True
    _look_again(run, LOOK_AGAIN_SECONDS if is_next else LOOK_AGAIN_LATER_SECONDS)
    return False


CHANGING = (Status.APPLYING, Status.UNDOING, Status.REDOING)


def first_waiting() -> ImportRun | None:
    """The run that was first asked to change the catalogue, and has not done so."""
    return ImportRun.objects.filter(status__in=CHANGING).order_by("changed_at", "pk").first()


def call_next() -> None:
    """The catalogue's lock is free again: have the run that waited longest for it take it."""
    if first := first_waiting():
        _send_to_broker(TASKS[Status(first.status)], first)


def _look_again(run: ImportRun, seconds: int) -> None:
    """Once, however many of the run's tasks find the lock taken, unless that is planned for a later time only."""
    is_planned = Q(next_try_at__gt=Now(), next_try_at__lte=Now() + timedelta(seconds=seconds))
    to_plan = ImportRun.objects.filter(pk=run.pk, status=run.status).exclude(is_planned)
    if to_plan.update(next_try_at=Now() + timedelta(seconds=seconds)):
        _send_to_broker(TASKS[Status(run.status)], run, countdown=seconds)


def lost_in_words(run: ImportRun) -> str:
    """What a person can do about a run that costs every worker its life."""
    return (
        f"{MAX_ATTEMPTS} workers were lost over this import, the last time at {run.items:,} items. "
        f"No product was changed. Most often the worker's memory was not enough. {_more_memory(run)}."
    )


def _more_memory(run: ImportRun) -> str:
    if run.status in BACK:
        return "Give it more, then try again"
    return "Give it more, or split the feed, then upload it again"


@contextmanager
def failing_in_words(run: ImportRun) -> Iterator[None]:
    """End the run as failed, with a sentence, when the work on it cannot go on. Every import ends."""
    try:
        yield
    except CatalogError as refused:
        fail(run, refused.code, refused.message)
    except (SoftTimeLimitExceeded, TookTooLong):
        fail(run, "time_limit", _too_long(run))
    except MemoryError:
        # Not passed on: Celery would end the whole worker, and with it what its other processes do.
        fail(run, "memory", f"The worker's memory was not enough. No product was changed. {_more_memory(run)}.")
    except Exception as error:
        if is_lost(error):
            # As a rule the database is away: nothing can be written, and the run is not at fault.
            if _fail_for_the_database(run, error):
                return
            raise
        if is_storage_away(error):
            _wait_for_storage(run, error)
            return
        error_id = uuid.uuid4().hex[:8]
        log.exception("Import %s failed [%s]", run.pk, error_id)
        what = "Try again" if run.status in BACK else "Upload the file again"
        fail(
            run,
            "internal_error",
            f"Something unexpected happened [{error_id}]. No product was changed. {what}; "
            "if it happens again, pass the number in brackets on to the developers.",
        )
        raise


_DOING = {Status.APPLYING: "applying it", Status.UNDOING: "undoing it", Status.REDOING: "applying it again"}


def _too_long(run: ImportRun) -> str:
    limit = settings.IMPORT_MAX_SECONDS
    what = _DOING.get(Status(run.status)) or f"reading it, at {run.items:,} items,"
    return (
        f"This import was stopped: {what} took longer than {limit:,} seconds, which IMPORT_MAX_SECONDS allows. "
        "No product was changed. Split the feed, or allow more."
    )


def _wait_for_storage(run: ImportRun, error: BaseException) -> None:
    """Have a worker try again when the storage may be back. The shell has nobody who would, so there the run fails.

    Only a file that opens and cannot be read to its end is given up after a time.
    """
    log.error("The storage of uploaded files does not answer; %s waits: %s", run, error)
    is_over = False
    if run.seconds_since_upload() > settings.IMPORT_MAX_SECONDS:
        with suppress(OSError):
            opened(run).close()
            is_over = True
    if is_over or _send.get() is not _send_to_broker:
        reason = getattr(error, "strerror", None) or str(error)
        fail(run, "storage.failed", f"The stored file cannot be read: {reason}. No product was changed. Try again.")
    else:
        _look_again(run, LOOK_AGAIN_SECONDS)


# Errors of a server that is there: SQLSTATE → code. Others are a matter of trying again.
_QUERY_CANCELED, _DISK_FULL = "57014", "53100"


def _fail_for_the_database(run: ImportRun, error: Exception) -> bool:
    """End a run that the server would refuse again. False when it may go well another time."""
    sqlstate = getattr(error.__cause__, "pgcode", None)
    if sqlstate == _QUERY_CANCELED:
        fail(run, "time_limit", _too_long(run))
    elif sqlstate == _DISK_FULL:
        fail(
            run,
            "storage",
            "The database's disk is full. No product was changed. Make room, then upload the file again.",
        )
    return sqlstate in (_QUERY_CANCELED, _DISK_FULL)


# An applied import does not fail by an undo that does: it is what it was before.
BACK = {Status.UNDOING: Status.APPLIED, Status.REDOING: Status.UNDONE}


def fail(run: ImportRun, code: str, message: str) -> None:
    """End the run with its reason and forget what it staged and planned; or leave it as it was before an undo."""
    with transaction.atomic():
        fields = {"error_code": code, "error": message}
        for during, before in BACK.items():
            if run.move(during, to=before, finished_at=F("finished_at"), **fields):
                notify_failed(run)
                announce_failed(run)
                log_event("import_failed", level=logging.WARNING, run_id=run.pk, code=code, status=run.status)
                return
        if run.move(Status.RECEIVED, Status.STAGING, Status.APPLYING, to=Status.FAILED, **fields):
            run.staged.all().delete()
            run.known.all().delete()
            if code == "items_missing" and run.known_from_id:  # the next import reads everything
                ImportRun.objects.filter(pk=run.known_from_id).update(is_mirror=False)
                KnownItem.objects.filter(run=run.known_from_id).delete()
            run.item_issues.all().delete()
            run.changes.all().delete()
            run.changed_fields.all().delete()
            forget_chunks(run)
            notify_failed(run)
            announce_failed(run)
            log_event("import_failed", level=logging.WARNING, run_id=run.pk, code=code, status=run.status)


_IN_THE_WAY = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock timeout
_TRIES = 5


def retried(call: Callable[[], None]) -> None:
    """Call, and again when another transaction was in the way: a whole transaction, which nobody has seen yet."""
    for attempt in range(1, _TRIES + 1):
        try:
            return call()
        except OperationalError as error:
            sqlstate = getattr(error.__cause__, "pgcode", None)
            if sqlstate not in _IN_THE_WAY or attempt == _TRIES or connection.in_atomic_block:
                raise
            log.info("Another transaction was in the way (%s); trying again", sqlstate)
            time.sleep(attempt * random.uniform(0.05, 0.2))  # noqa: S311 - so that two do not meet again
    return None


@contextmanager
def timed(run: ImportRun, step: str, lost: float = 0.0) -> Iterator[None]:
    """Note what a step took on the instance; the step's own update saves it. Lost workers' seconds are in it."""
    with Meter(lost) as meter:
        yield
    run.metrics[step] = meter.figures(run.items)
    run.seconds[step] = run.metrics[step]["seconds"]
