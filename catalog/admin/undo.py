"""What the page before an undo shows: its numbers, and the products of each."""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from catalog.admin.changes import rows_of
from catalog.admin.tabs import page_of
from catalog.imports.undo import changes_by_verdict, prospect
from catalog.models import Change, ImportRun, Operation, Outcome
from catalog.templatetags.catalog import undo_effect

# The name of each verdict among the counts, and its colour.
BUCKETS = {
    Outcome.UNDONE: (_("undone"), "good"),
    Outcome.KEPT: (_("kept: changed since"), "warn"),
    Outcome.GONE: (_("no longer in the catalogue"), "bad"),
}
# What the inverse of each operation is called, and the colour it has in lists.
_INVERSE = {
    Operation.CREATE: (_("Removed"), Operation.ARCHIVE),
    Operation.UPDATE: (_("Changed back"), Operation.UPDATE),
    Operation.ARCHIVE: (_("Back from the archive"), Operation.RESTORE),
    Operation.RESTORE: (_("Archived again"), Operation.ARCHIVE),
}
_WHY_NOT = {
    Outcome.KEPT: _("It was edited or changed by a later import, so it stays as it is."),
    Outcome.GONE: _("It is no longer in the catalogue."),
}


def undo_context(run: ImportRun, request: HttpRequest) -> dict[str, Any]:
    """What an undo would do: its numbers, and a page of the products of one of them."""
    numbers = prospect(run)
    buckets = [
        {
            "name": verdict.value,
            "label": label,
            "color": color,
            "number": getattr(numbers, verdict.value),
            "query": f"?bucket={verdict.value}",
        }
        for verdict, (label, color) in BUCKETS.items()
    ]
    chosen = request.GET.get("bucket", "")
    if chosen not in BUCKETS:
        chosen = next((bucket["name"] for bucket in buckets if bucket["number"]), Outcome.UNDONE)
    found = changes_by_verdict(run, chosen) if getattr(numbers, chosen) else Change.objects.none()
    page = page_of(request, found, "id", {"bucket": chosen})
    if chosen == Outcome.UNDONE:
        for change in page["rows"]:
            change.before, change.after = change.after, change.before
    rows = rows_of(run, page["rows"])
    for row in rows:
        row["hint"] = _WHY_NOT.get(Outcome(chosen), "")
        if chosen == Outcome.UNDONE:
            row["label"], row["kind"] = _INVERSE[Operation(row["change"].operation)]
            row["headings"] = (_("Now"), _("Then"))
        else:
            row["badge"] = ""
    return {
        "prospect": numbers,
        "sentence": _("Undo this import? %(what)s.") % {"what": undo_effect(numbers, "will")},
        "buckets": buckets,
        "chosen": chosen,
        "rows": rows,
        "links": page["links"],
    }
