"""Work waits for a worker, and whoever asked for it may have lost the right to by then."""

from typing import Any

from django.contrib.auth import get_user_model

from catalog.imports.notices import tell_needs_review
from catalog.imports.permissions import may_have_applied
from catalog.imports.work.queue import fail
from catalog.models import ImportRun, Status

WITHDRAWN = "mandate.withdrawn"
_NEEDED = {
    Status.APPLYING: "catalog.apply_importrun",
    Status.UNDOING: "catalog.undo_importrun",
    Status.REDOING: "catalog.undo_importrun",
}


def stands(run: ImportRun) -> bool:
    """Whether who asked for what the run is about to do may still ask for it; the system always may.

    If not, a plan waits for somebody else to confirm it, and an import to be undone is what it was before.
    """
    if not (name := _lacking(run)):
        return True
    said = f"{name}, who asked for this, may not do so any more."
    if run.status == Status.APPLYING:
        others = [hold for hold in run.holds if hold["code"] != WITHDRAWN]
        hold = {"code": WITHDRAWN, "message": f"{said} Somebody who may has to confirm it."}
        run.move(Status.APPLYING, to=Status.REVIEW, holds=[*others, hold])
        tell_needs_review(run)
    else:
        fail(run, "mandate_withdrawn", f"{said} No product was changed.")
    return False


def _lacking(run: ImportRun) -> str:
    """The name of who asked and may not any more, `""` when there is nobody like that."""
    if name := run.history[-1]["by"]:
        person: Any = get_user_model().objects.filter(username=name).first()  # nobody, when it was removed or renamed
        return "" if person and person.has_perm(_NEEDED[Status(run.status)]) else name
    uploader = run.uploaded_by
    unasked = run.status == Status.APPLYING and run.auto_apply and run.has_changes
    return str(uploader) if unasked and uploader and not may_have_applied(uploader, run.feed, run.mode) else ""
