"""A plan is made: a person confirms it, or nobody where none is needed."""

from typing import Any

from catalog.errors import NotPossible
from catalog.imports.background import ring
from catalog.imports.permissions import require
from catalog.models import ImportRun, Status


def confirm(run: ImportRun, *, plan_hash: str, by: Any, in_background: bool = True) -> None:
    """Let the reviewed plan be applied, once. A worker applies it, or the caller when not `in_background`.

    Raises `NotPossible` when the plan is another one now or somebody was quicker, `NotAllowed` without permission.
    """
    require(by, "catalog.apply_importrun")
    if run.plan_hash != plan_hash:
        raise NotPossible("plan_changed", "The plan has changed since you looked at it. Read it again, then confirm.")
    if not run.move(Status.REVIEW, to=Status.APPLYING, by=by):
        raise NotPossible("not_in_review", f"{run} cannot be confirmed: {describe(run)}")
    if in_background:
        ring("catalog.apply", run)


def go_on(run: ImportRun) -> None:
    """Confirm in the system's name what needs no person: a plan without changes, or a run that applies by itself."""
    if run.status == Status.REVIEW and (run.auto_apply or not run.has_changes):
        confirm(run, plan_hash=run.plan_hash, by=None)


def describe(run: ImportRun) -> str:
    """The run's state with who caused it, as a sentence: for the second person who presses the button."""
    last = run.history[-1] if run.history else {}
    by = f" by {last['by']}" if last.get("by") else ""
    return f"it is “{run.get_status_display().lower()}”{by} already."
