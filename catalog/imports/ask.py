"""Asking somebody to review a plan."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.errors import NotPossible
from catalog.imports.confirm import describe_status
from catalog.imports.notices import confirmers, notify_asked
from catalog.imports.permissions import require
from catalog.models import ImportRun, Status
from events.log import log_event
from notifications.subscriptions import wants_message

NOTE_CHARS = 500


@transaction.atomic
def ask(run: ImportRun, *, whom: str, note: str, by: Any) -> None:
    """Send the person with the username `whom` a mail that asks for a review of the plan, with the note.

    Who asked whom is kept with the run. Raises `NotPossible` when the plan waits no longer, when that person may not
    confirm it, wants no such mail or was asked by `by` already; `NotAllowed` without permission.
    """
    require(by, "catalog.add_importrun")
    locked = ImportRun.objects.select_for_update().get(pk=run.pk)
    if locked.status != Status.REVIEW:
        raise NotPossible("not_in_review", f"{run} waits for nobody: {describe_status(locked)}")
    person = next((each for each in confirmers() if each.username == whom and each != by), None)
    if person is None:
        raise NotPossible("not_a_confirmer", "Choose somebody else who may confirm imports.")
    if not wants_message(person, "import_asked"):
        raise NotPossible("declined", f"{person} has declined such e-mails. Ask somebody else.")
    if any(each["whom"] == whom and each["by"] == str(by) for each in locked.asked):
        raise NotPossible("asked_already", f"You have asked {person} already.")
    note = " ".join(note.replace("\0", " ").split())[:NOTE_CHARS]
    run.asked = [*locked.asked, {"at": timezone.now().isoformat(), "by": str(by), "whom": whom, "note": note}]
    run.save(update_fields=["asked"])
    notify_asked(run, person, by=by, note=note)
    log_event("ask", by=by, run_id=run.pk, whom=whom)
