"""Ringing the workers, and holding a run while working on it.

The row is the job and the broker only a doorbell: a lost ring delays work and loses none.
"""

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_app
from django.db import OperationalError, connection, transaction
from django.db.models import F, Model
from kombu.exceptions import OperationalError as BrokerError

from catalog.errors import CatalogError
from catalog.imports.stored import forget_chunks
from catalog.models import Chunk, ImportRun, Status

log = logging.getLogger(__name__)

# Advisory locks are numbers shared by the whole database: the first says what kind, the second which one.
RUN_LOCK = 1
CATALOGUE_LOCK = 2
CHUNK_LOCK = 3
LOCK_KEYS = 2**31
_QUICKLY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.5}


def ring(task: str, row: Model) -> None:
    """Ask a worker to run `task` on the row once the transaction is committed."""

    def send() -> None:
        try:
            current_app.send_task(task, args=[row.pk], retry=True, retry_policy=_QUICKLY)
        except BrokerError:
            log.exception("The broker does not answer; %s waits for the sweep", row)

    transaction.on_commit(send)


@contextmanager
def held(row: ImportRun | Chunk) -> Iterator[bool]:
    """Hold the row for this connection. Yields False when another one holds it: a task that was delivered twice."""
    lock = [RUN_LOCK if isinstance(row, ImportRun) else CHUNK_LOCK, row.pk % LOCK_KEYS]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", lock)
        (free,) = cursor.fetchone()
    try:
        yield free
    finally:
        if free and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", lock)


@contextmanager
def failing_in_words(run: ImportRun) -> Iterator[None]:
    """End the run as failed, with a sentence, when the work on it cannot go on. Every import ends."""
    try:
        yield
    except CatalogError as refused:
        fail(run, refused.code, refused.message)
    except OperationalError:
        raise  # the database is away: nothing can be written, and the run is not at fault
    except Exception:
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


# An applied import does not fail by an undo that does: it is what it was before.
BACK = {Status.UNDOING: Status.APPLIED, Status.REDOING: Status.UNDONE}


def fail(run: ImportRun, code: str, message: str) -> None:
    """End the run with its reason and forget what it staged and planned; or leave it as it was before an undo."""
    with transaction.atomic():
        fields = {"error_code": code, "error": message}
        for during, before in BACK.items():
            if run.move(during, to=before, finished_at=F("finished_at"), **fields):
                return
        if run.move(Status.RECEIVED, Status.STAGING, Status.APPLYING, to=Status.FAILED, **fields):
            run.staged.all().delete()
            run.item_issues.all().delete()
            run.changes.all().delete()
            forget_chunks(run)


@contextmanager
def timed(run: ImportRun, step: str) -> Iterator[None]:
    """Note how long a step took, in seconds, on the instance; the step's own update saves it."""
    start = time.monotonic()
    yield
    run.seconds[step] = round(time.monotonic() - start, 3)
