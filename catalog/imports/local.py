"""The whole life of an import in this process: for the shell, demonstrations and measurements."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.files.base import File

from catalog.imports.apply import apply
from catalog.imports.confirm import confirm, go_on
from catalog.imports.discard import clean_up, discard
from catalog.imports.reading.processes import ChunkProcesses
from catalog.imports.reading.stage import ProgressCallback, finish_staging, stage
from catalog.imports.receive import receive
from catalog.imports.undo import redo, undo
from catalog.imports.work.queue import Task, enqueued_to
from catalog.models import Chunk, Feed, ImportRun, Status


def import_locally(
    file: File[bytes],
    *,
    feed: Feed,
    mode: str = "",
    by: Any = None,
    dry_run: bool = False,
    on_progress: ProgressCallback | None = None,
) -> ImportRun:
    """Receive, stage, plan and apply; a dry run is discarded after the plan. Raises `FeedRefused` as `receive` does.

    The run that is returned is applied, discarded or failed; or in review, when something holds it for a person; or
    as busy as it is, when somebody else works on the same file right now.
    """
    with local_queue(on_progress) as work:
        run = receive(file, feed=feed, mode=mode, by=by, auto_apply=False)
        is_ours = run.status == Status.RECEIVED
        work()
        run.refresh_from_db()
        if dry_run and is_ours and run.status == Status.REVIEW:
            discard(run, by=by)
        elif run.status == Status.REVIEW and not dry_run and not run.holds:
            confirm(run, plan_hash=run.plan_hash, by=by)
        elif not dry_run:
            go_on(run)  # it waits for a person, who is told
        work()
    run.refresh_from_db()
    return run


@contextmanager
def local_queue(on_progress: ProgressCallback | None = None) -> Iterator[Callable[[], None]]:
    """Keep what is enqueued in this process. Call what is yielded to do all of it, in turn."""
    jobs: deque[tuple[Task, ImportRun | Chunk]] = deque()

    def work() -> None:
        while jobs:
            task, row = jobs.popleft()
            run = ImportRun.objects.get(pk=row.pk)
            if task == Task.STAGE:
                stage_locally(run, on_progress)
            else:
                _OPERATIONS[task](run)

    with enqueued_to(lambda task, row: jobs.append((task, row))):
        yield work


_OPERATIONS = {Task.APPLY: apply, Task.UNDO: undo, Task.REDO: redo, Task.CLEAN_UP: clean_up}


def stage_locally(run: ImportRun, on_progress: ProgressCallback | None = None) -> None:
    """Read the run's file and plan, with every core of this machine. Nobody confirms the plan."""
    with ChunkProcesses(run, on_progress) as processes, enqueued_to(lambda _task, row: processes.read(row.pk)):
        stage(run, on_progress)
    run.refresh_from_db()
    if run.status == Status.STAGING and run.in_chunks is False:
        stage(run, on_progress)  # a chunk could not be read apart
    finish_staging(run)
