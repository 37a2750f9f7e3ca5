"""Confirming a plan: a person does, or the system where no person is needed."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.errors import NotPossible
from catalog.imports.announce import announce_review
from catalog.imports.notices import notify_needs_review
from catalog.imports.permissions import require
from catalog.imports.planning.guards import needs_reason
from catalog.imports.sql import OF_CHANGED_PRODUCTS, PRODUCT_OF_CHANGE, fetch_row
from catalog.imports.work.queue import Task, enqueue
from catalog.models import CatalogState, ImportRun, Status
from events.log import log_event

REASON_CHARS = 1000
# So long somebody who uploads a file and may confirm it is taken to be reading its plan.
REVIEW_TIME = timedelta(minutes=15)
# A letter or digit that one sees: the fillers of Korean count as letters, and are blank.
_READABLE = re.compile(r"[^\W_\u115f\u1160\u3164\uffa0]")


@transaction.atomic
def confirm(run: ImportRun, *, plan_hash: str, by: Any, reason: str = "") -> None:
    """Have a worker apply the reviewed plan, once.

    A plan that tripped a guard needs a `reason` in words, which is kept in the run's history, cut to `REASON_CHARS`.
    Raises `NotPossible` when the plan is another one now, somebody was quicker or the reason is missing, `NotAllowed`
    without permission.
    """
    require(by, "catalog.confirm_importrun")
    # Locked, so that nobody leaves a part of it out meanwhile.
    planned = ImportRun.objects.select_for_update().filter(pk=run.pk).values_list("plan_hash", flat=True).first()
    if planned != plan_hash:
        raise NotPossible("plan_changed", "The plan has changed since you looked at it. Read it again, then confirm.")
    reason = " ".join(reason.replace("\0", " ").split())[:REASON_CHARS]
    if run.status == Status.REVIEW and needs_reason(run) and not _READABLE.search(reason):
        raise NotPossible(
            "reason_needed",
            f"{run} is held by a guard. Say in words why it should be applied all the same, then confirm.",
        )
    if not run.move(Status.REVIEW, to=Status.APPLYING, by=by, reason=reason):
        raise NotPossible("not_in_review", f"{run} cannot be confirmed: {describe_status(run)}")
    log_event("confirm", by=by, run_id=run.pk, holds=[hold["code"] for hold in run.holds])
    enqueue(Task.APPLY, run)


def go_on(run: ImportRun) -> None:
    """Confirm a plan without changes, or of a run that applies without asking, in the system's name.

    Any other waits for a person, and those who may confirm it are notified, once. That is not yet needed while the
    person who uploaded the file may confirm it and has it on the screen, unless it is held.
    """
    if run.status != Status.REVIEW:
        return
    is_empty = not run.has_changes and not (run.left_out or run.archive_left_out)
    if not run.holds and (run.auto_apply or is_empty):
        with suppress(NotPossible):  # somebody was quicker
            confirm(run, plan_hash=run.plan_hash, by=None)
    else:
        announce_review(run)
        if run.holds or not _has_its_confirmer(run):
            notify_needs_review(run)


def _has_its_confirmer(run: ImportRun) -> bool:
    by = run.uploaded_by
    is_new = run.planned_at is None or timezone.now() - run.planned_at < REVIEW_TIME
    return bool(is_new and by and by.is_active and by.is_staff and by.has_perm("catalog.confirm_importrun"))


_HAS_ALREADY = {
    Status.APPLYING: "confirmed it",
    Status.APPLIED: "applied it",
    Status.UNDOING: "undone it",
    Status.UNDONE: "undone it",
    Status.REDOING: "applied it again",
    Status.DISCARDED: "discarded it",
}


def describe_status(run: ImportRun) -> str:
    """The end of a sentence: why an operation comes too late or too early. *alice has already confirmed it.*"""
    # The worker that applies or undoes does so for the person who asked.
    asked = [step for step in run.history if step["status"] not in (Status.APPLIED, Status.UNDONE)]
    done = _HAS_ALREADY.get(Status(run.status))
    if done and asked and asked[-1]["by"]:
        return f"{asked[-1]['by']} has already {done}."
    return f"its status is “{run.get_status_display().lower()}”."


def is_current(run: ImportRun) -> bool:
    """Whether no product of its market at all was changed since the run was planned."""
    return CatalogState.current(run.market_id) == run.catalog_version


def edited_since(run: ImportRun) -> int:
    """How many products of the plan have changed since it was made. Applying it leaves these alone."""
    (number,) = fetch_row(
        f"""
        SELECT count(*)
        FROM catalog_change change LEFT JOIN catalog_product product ON {PRODUCT_OF_CHANGE}
        WHERE change.run_id = %(run)s AND change.outcome <> 'left_out' AND {OF_CHANGED_PRODUCTS}
            AND CASE change.operation
            WHEN 'create' THEN product.id IS NOT NULL
            WHEN 'keep' THEN false
            ELSE product.version IS DISTINCT FROM change.base_version OR product.created_at >= %(planned)s
        END
        """,
        run=run.pk,
        market=run.market_id,
        planned=run.planned_at,
        changed_ids=run.products_changed_since(),
    )
    return int(number)
