"""Background work: take an id, look up, call. Delivered at least once; the operations make it happen once."""

from datetime import datetime
from typing import Any

from celery import shared_task
from django.utils import timezone

from catalog.exports.export import forget_exports, make_export, sweep_exports
from catalog.fetching.fetch import fetch, fetch_when_due, sweep_fetches
from catalog.imports.apply import apply
from catalog.imports.confirm import go_on
from catalog.imports.discard import clean_up
from catalog.imports.reading.stage import stage, stage_chunk
from catalog.imports.retention import forget_old
from catalog.imports.sweep import sweep
from catalog.imports.undo import redo, undo
from catalog.imports.work.queue import Task
from catalog.models import ImportRun
from catalog.models.webhooks import TASK as DELIVER_WEBHOOKS
from catalog.webhooks.deliver import deliver
from schedule.running import PERIOD

_DURABLE: dict[str, Any] = {"acks_late": True, "max_retries": 2, "default_retry_delay": 5}


@shared_task(name=Task.STAGE.value, **_DURABLE)
def stage_run(run_id: int) -> None:
    run = ImportRun.objects.get(pk=run_id)
    stage(run)
    go_on(run)


@shared_task(name=Task.STAGE_CHUNK.value, **_DURABLE)
def stage_chunk_of_run(chunk_id: int) -> None:
    if run := stage_chunk(chunk_id):
        go_on(run)


@shared_task(name=Task.APPLY.value, **_DURABLE)
def apply_run(run_id: int) -> None:
    apply(ImportRun.objects.get(pk=run_id))


@shared_task(name=Task.UNDO.value, **_DURABLE)
def undo_run(run_id: int) -> None:
    undo(ImportRun.objects.get(pk=run_id))


@shared_task(name=Task.REDO.value, **_DURABLE)
def redo_run(run_id: int) -> None:
    redo(ImportRun.objects.get(pk=run_id))


@shared_task(name=Task.CLEAN_UP.value, **_DURABLE)
def clean_up_run(run_id: int) -> None:
    clean_up(ImportRun.objects.get(pk=run_id))


@shared_task(name=Task.FORGET_OLD.value)
def forget_what_is_old() -> str:
    forgotten = {**forget_old(), **forget_exports()}
    return ", ".join(f"{what}: {number}" for what, number in forgotten.items() if number)


@shared_task(name=Task.SWEEP.value)
def sweep_runs() -> None:
    sweep()
    sweep_fetches()
    sweep_exports()


@shared_task(name=Task.FETCH.value, **_DURABLE)
def fetch_feed(fetch_id: int) -> None:
    fetch(fetch_id)


@shared_task(name=Task.FETCH_DUE.value, bind=True, **_DURABLE)
def fetch_due_feed(self: Any, feed_id: int) -> str | None:
    """What the schedule of a feed's page calls, with the period that it is due for."""
    period = (self.request.headers or {}).get(PERIOD)
    due = datetime.fromisoformat(period) if period else timezone.now()
    begun = fetch_when_due(feed_id, due)
    return f"{begun} of {begun.feed}" if begun else None


@shared_task(name=Task.EXPORT.value, **_DURABLE)
def make_long_export(export_id: int) -> None:
    make_export(export_id)


@shared_task(name=DELIVER_WEBHOOKS)
def deliver_webhooks() -> str | None:
    """How many were accepted, for the page of periodic tasks."""
    accepted = deliver()
    return f"{accepted} sent" if accepted else None
