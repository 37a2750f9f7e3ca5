"""The whole life of an import in this process: for the shell, demonstrations and measurements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.files.base import File

from catalog.imports.apply import apply
from catalog.imports.confirm import confirm, go_on
from catalog.imports.discard import clean_up, discard
from catalog.imports.reading.stage import stage
from catalog.imports.receive import receive
from catalog.models import Feed, ImportRun, Status


def import_here(
    file: File[bytes],
    *,
    feed: Feed,
    mode: str = "",
    by: Any = None,
    dry_run: bool = False,
    on_progress: Callable[[ImportRun], None] | None = None,
) -> ImportRun:
    """Receive, stage, plan and apply; a dry run is discarded after the plan. Raises `FeedRefused` as `receive` does.

    The run that is returned is applied, discarded or failed; or in review, when something holds it for a person; or
    as busy as it is, when somebody else works on the same file right now.
    """
    run = receive(file, feed=feed, mode=mode, by=by, auto_apply=False, in_background=False)
    ours = run.status == Status.RECEIVED
    stage(run, on_progress)
    if dry_run and ours and run.status == Status.REVIEW:
        discard(run, by=by, in_background=False)
    elif run.status == Status.REVIEW and not dry_run and not run.holds:
        confirm(run, plan_hash=run.plan_hash, by=by, in_background=False)
        apply(run, in_background=False)
        clean_up(run)
    elif not dry_run:
        go_on(run)  # it waits for a person, who is told
    return run
