"""Find work that nobody does."""

from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from catalog.imports.background import CHUNK_LOCK, LOCK_KEYS, RUN_LOCK, ring
from catalog.imports.review import go_on
from catalog.models import ImportRun, Status

# Long enough for a call to arrive and be taken up; a second call for the same work does nothing.
PATIENCE = timedelta(minutes=2)

_TASKS = {
    Status.RECEIVED: "catalog.stage",
    Status.STAGING: "catalog.stage",
    Status.APPLYING: "catalog.apply",
    Status.UNDOING: "catalog.undo",
    Status.REDOING: "catalog.redo",
}


def sweep() -> list[ImportRun]:
    """Ring again for each run that waits for a worker while none holds it: the call was lost, or the worker was.

    Whether a run is held is asked of the database, not of a clock: the hold ends with the worker's connection. A plan
    that needs no person goes on here too, when its worker was lost right after making it.
    """
    for run in ImportRun.objects.filter(status=Status.REVIEW, changed_at__lt=Now() - PATIENCE):
        go_on(run)
    waiting = ImportRun.objects.filter(status__in=_TASKS, changed_at__lt=Now() - PATIENCE).order_by("pk")
    rung = [run for run in waiting if not _is_held(run)]
    with transaction.atomic():
        for run in rung:
            ring(_TASKS[Status(run.status)], run)
    return rung


def _is_held(run: ImportRun) -> bool:
    """Whether somebody works on the run, or on a chunk of it."""
    chunks = [pk % LOCK_KEYS for pk in run.chunks.filter(is_read=False).values_list("pk", flat=True)]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND (classid = %s AND objid = %s OR classid = %s AND objid = ANY (%s::oid[]))
            """,
            [RUN_LOCK, run.pk % LOCK_KEYS, CHUNK_LOCK, chunks],
        )
        return bool(cursor.rowcount)
