"""How far an import is: the part of its page that moves while something works on it."""

from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from catalog.imports.reports import diagnosis
from catalog.imports.work import attempts
from catalog.models import ImportRun, Status

STATUS_COLORS = {
    Status.RECEIVED: "info",
    Status.STAGING: "info",
    Status.REVIEW: "warning",
    Status.APPLYING: "info",
    Status.APPLIED: "success",
    Status.UNDOING: "info",
    Status.UNDONE: "warning",
    Status.REDOING: "info",
    Status.FAILED: "danger",
}
# What a step of the run's metrics did with the items.
TOOK = {
    "stage": _("read"),
    "plan": _("compared"),
    "apply": _("applied"),
    "undo": _("undone"),
    "redo": _("applied again"),
}
STEPS = (
    (_("Upload"), ()),
    (_("Read and compare"), (Status.RECEIVED, Status.STAGING)),
    (_("Review"), (Status.REVIEW,)),
    (_("Apply"), (Status.APPLYING,)),
    (_("Done"), (Status.APPLIED, Status.UNDOING, Status.UNDONE, Status.REDOING)),
)


def state(run: ImportRun) -> dict[str, Any]:
    """What both the page and its moving part need."""
    current = next((i for i, (_label, statuses) in enumerate(STEPS) if run.status in statuses), None)
    return {
        "run": run,
        "status_color": STATUS_COLORS.get(Status(run.status), "default"),
        "steps": [
            {"label": label, "done": current is not None and i < current, "current": i == current}
            for i, (label, _statuses) in enumerate(STEPS)
        ],
        "progress": progress_of(run),
        "took": [{"label": label, **run.metrics[step]} for step, label in TOOK.items() if step in run.metrics],
        "issues": list(run.issues.all()[:5]) if run.is_busy else [],
        "sign": attempts.sign_of(run) if run.is_busy else None,
        "attempts": attempts.ATTEMPTS,
        "early": diagnosis.early_verdict(run),
        "reason": next((step["reason"] for step in run.history if "reason" in step), ""),
        # The worker that applies does so for the one who confirmed.
        "who": next((step["by"] for step in reversed(run.history) if step["by"]), ""),
    }


def progress_of(run: ImportRun) -> dict[str, Any]:
    """Numbers of the reading: share, items a second, seconds left."""
    started = next((h["at"] for h in reversed(run.history) if h["status"] == Status.STAGING), None)
    if not run.is_busy or not started:
        return {}
    seconds = max((timezone.now() - (parse_datetime(started) or timezone.now())).total_seconds(), 0.001)
    share = run.bytes_read / max(run.file_size, 1)
    return {
        "percent": round(share * 100),
        "per_second": round(run.items / seconds),
        "seconds_left": round(seconds / share - seconds) if share else None,
    }
