"""What people are told about an import, and its facts: a few bounded queries each, however large the import.

Each `tell_…` belongs into the transaction that makes it true. Feeds and file names are hostile: what comes from them is
one line of bounded length here, and the templates escape it.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from typing import Any

from django.db import connection, transaction
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from catalog.connections import is_lost
from catalog.feeds import write
from catalog.feeds.issues import Severity, code_named
from catalog.models import ImportRun, Operation, Outcome, Product, Status
from catalog.models.runs import ItemState
from catalog.spreadsheet import cell
from notifications.kinds import Kind
from notifications.links import public_url
from notifications.outbox import Attachment, tell, was_told
from notifications.subscriptions import listeners

log = logging.getLogger(__name__)

SHOWN_PRODUCTS = 20
SHOWN_IDS = 50
SHOWN_ISSUES = 5
LOOKED_THROUGH = 100_000
# Every person's message keeps a copy, and mail servers take 10 MB at most, a third of which is lost to the encoding.
ATTACHED_PRODUCTS = 10_000
ATTACHED_CHARS = 3_000_000
KEY_FACTS = ("id", "title", "brand", "price", "currency", "link")

PERMISSION = "catalog.view_importrun"
KINDS = (
    Kind("import_applied", _("Import applied"), _("What an import added, changed and archived."), PERMISSION),
    Kind("import_failed", _("Import failed"), _("Why an import ended without changing anything."), PERMISSION),
    Kind("import_undone", _("Import undone"), _("What an undo took back, and what it had to leave."), PERMISSION),
    Kind(
        "import_needs_review",
        _("Import needs review"),
        _("Why an import waits for somebody to confirm or discard it."),
        PERMISSION,
    ),
)


def tell_outcome(run: ImportRun, step: str) -> None:
    """What came of the step: apply, undo, or redo, which applies again."""
    (tell_undone if step == "undo" else tell_applied)(run)


def tell_applied(run: ImportRun) -> None:
    """Once for each import that did something, or found something wrong; else only to who uploaded it."""
    eventful = run.has_changes or run.conflict or run.archive_conflict or run.invalid or run.duplicate
    _tell(run, "import_applied", _applied, attach=True, unasked=bool(eventful))


def tell_undone(run: ImportRun) -> None:
    _tell(run, "import_undone", _undone)


_FAILED = {
    Status.FAILED: _("failed"),
    Status.APPLIED: _("could not be undone"),
    Status.UNDONE: _("could not be applied again"),
}


def tell_failed(run: ImportRun) -> None:
    """For an import that failed, or one that is what it was before, because its undo failed."""
    _tell(run, "import_failed", lambda run: {"what": _FAILED[Status(run.status)]})


def tell_needs_review(run: ImportRun) -> None:
    """For a plan that something holds for a person. The sweep asks each minute, while the plan waits."""
    if not was_told("import_needs_review", _occasion(run)):
        _tell(run, "import_needs_review", lambda run: {"holds": run.holds})


def _tell(run: ImportRun, name: str, facts: Any, *, attach: bool = False, unasked: bool = True) -> None:
    """Tell those who listen, and who uploaded the file. When nobody does, nothing is looked up.

    An import does not fail because of its mail.
    """
    people = listeners(name, also=run.uploaded_by)
    if not unasked:
        people = [person for person in people if person == run.uploaded_by]
    if not people:
        return
    try:
        with transaction.atomic():  # a failed query ends with the facts, and not with the caller's transaction
            attachments = _added_csv(run) if attach else []
            context = {**_about(run), **facts(run), "attached": bool(attachments)}
    except Exception as error:
        if is_lost(error):
            raise
        log.exception("The facts of %s for %s could not be gathered: nobody is told", run, name)
    else:
        tell(people, name, _occasion(run), context, attachments)


def _occasion(run: ImportRun) -> ImportRun | str:
    """What the message is about: the run; when it comes to the same state again, also for which time."""
    times = sum(step["status"] == run.status for step in run.history)
    return run if times < 2 else f"{run._meta.label_lower}:{run.pk}#{times}"


# --- facts that every message has ---------------------------------------------------------------------


def _about(run: ImportRun) -> dict[str, Any]:
    issues = _issues(run)
    return {
        "run": run,
        "again": _occasion(run) is not run,
        "url": run_url(run),
        "api_url": public_url(reverse("import", args=[run.pk])),
        "file": line(run.file_name),
        "feed": line(run.feed.name),
        "confirmed_by": line(_who(run, Status.APPLYING)),
        "marks": marks(run),
        "counts": _counts(run),
        "seconds": sum(run.seconds.values()),
        "issues": issues[:SHOWN_ISSUES],
        "more_issues": len(issues) - SHOWN_ISSUES,
    }


def run_url(run: ImportRun) -> str:
    return public_url(reverse("admin:catalog_importrun_change", args=[run.pk]))


def line(text: str, longest: int = 120) -> str:
    """The text in one line, cut with an ellipsis."""
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def marks(run: ImportRun) -> str:
    """“+1,240 ~8,611 −147, 34 invalid”: the numbers of a subject line."""
    signs = (("+", run.created), ("~", run.changed), ("−", run.archived))
    changes = " ".join(f"{sign}{number:,}" for sign, number in signs if number) or "no changes"
    conflicts = run.conflict + run.archive_conflict
    rest = ((conflicts, "left alone"), (run.invalid, "invalid"))
    return ", ".join([changes, *(f"{number:,} {what}" for number, what in rest if number)])


def _who(run: ImportRun, status: Status) -> str:
    """Who moved it there last, `""` when nobody in person did."""
    return next((step["by"] for step in reversed(run.history) if step["status"] == status), "")


def _counts(run: ImportRun) -> list[tuple[Any, int]]:
    """What the file's items were, those that there are."""
    labels = {
        "created": _("new"),
        "changed": _("changed"),
        "unchanged": _("unchanged"),
        "existing": _("existing, left as they are"),
        "duplicate": _("repeated in the file, the last one counts"),
        "invalid": _("invalid, not imported"),
        "conflict": _("left alone, edited since the plan"),
    }
    return [(label, getattr(run, name)) for name, label in labels.items() if getattr(run, name)]


@dataclass(frozen=True)
class TopIssue:
    severity: str
    title: str
    advice: str
    attribute: str
    count: int


def _issues(run: ImportRun) -> list[TopIssue]:
    """Errors before warnings, the most frequent first. Notices are for the run's page."""
    rows = run.issues.exclude(severity=Severity.NOTICE)
    found = []
    for row in sorted(rows, key=lambda row: (Severity(row.severity).rank, -row.count)):
        code = code_named(row.code, row.severity)
        found.append(TopIssue(row.severity, code.title, code.advice, line(row.attribute, 50), row.count))
    return found


# --- what was applied ---------------------------------------------------------------------------------


def _applied(run: ImportRun) -> dict[str, Any]:
    return {
        "added": [_shown(product) for product in _added(run, SHOWN_PRODUCTS)],
        "more_added": run.created - SHOWN_PRODUCTS,
        "lists": [ids for ids in _lists(run) if ids.count],
    }


def _undone(run: ImportRun) -> dict[str, Any]:
    return {
        "undone_by": line(_who(run, Status.UNDOING)),
        "lists": [
            Ids(label, _ended(run, outcome) if count else [], count)
            for label, outcome, count in (
                (_("Kept, because they changed since"), Outcome.KEPT, run.kept),
                (_("Not found any more"), Outcome.GONE, run.gone),
            )
            if count
        ],
    }


def _added(run: ImportRun, most: int) -> Iterator[dict[str, Any]]:
    """The products that the run created, by `KEY_FACTS`, in the order of the file."""
    applied = run.changes.filter(operation=Operation.CREATE, outcome=Outcome.APPLIED).order_by("id")
    ids = list(applied.values_list("product_id", flat=True)[:most])
    products = Product.objects.filter(pk__in=ids).values(*KEY_FACTS)
    by_id = {product["id"]: product for product in products}
    return (by_id[product_id] for product_id in ids if product_id in by_id)


def _price(product: dict[str, Any]) -> Decimal | None:
    price = product["price"]
    return None if price is None else write.with_decimals(price, product["currency"])


def _shown(product: dict[str, Any]) -> dict[str, Any]:
    price = _price(product)
    link = product["link"]
    return {
        "id": line(product["id"]),
        "title": line(product["title"]) or line(product["id"]),
        "brand": line(product["brand"], 60),
        "price": "" if price is None else f"{price:,} {product['currency']}".strip(),
        "link": link if _is_link(link) else "",
    }


def _is_link(text: str) -> bool:
    return text.startswith(("https://", "http://")) and text == line(text, 500)


def _added_csv(run: ImportRun) -> list[Attachment]:
    """All of them as a table, unless they are so many that a mail is no place for them."""
    if not 0 < run.created <= ATTACHED_PRODUCTS:
        return []
    text = StringIO()
    table = csv.writer(text)
    table.writerow(KEY_FACTS)
    for product in _added(run, ATTACHED_PRODUCTS):
        values = {**product, "price": _price(product)}
        table.writerow([cell(values[name]) for name in KEY_FACTS])
    if text.tell() > ATTACHED_CHARS:
        return []
    return [Attachment(f"import-{run.pk}-added.csv", "text/csv", f"\ufeff{text.getvalue()}")]


@dataclass(frozen=True)
class Ids:
    """The first ids of those that `count` counts."""

    label: Any
    ids: list[str]
    count: int

    @property
    def more(self) -> int:
        return max(self.count - len(self.ids), 0)


def _lists(run: ImportRun) -> Iterator[Ids]:
    changed = [*_of(run, Operation.UPDATE), *_of(run, Operation.RESTORE)][:SHOWN_IDS] if run.changed else []
    yield Ids(_("Changed"), changed, run.changed)
    yield Ids(_("Archived"), _of(run, Operation.ARCHIVE) if run.archived else [], run.archived)
    yield Ids(_("Existing, left as they are"), _existing(run) if run.existing else [], run.existing)
    conflicts = run.conflict + run.archive_conflict
    left = _ended(run, Outcome.CONFLICT) if conflicts else []
    yield Ids(_("Left alone, edited since the plan"), left, conflicts)
    invalid = run.staged.filter(state=ItemState.INVALID).order_by("position")
    yield Ids(_("Invalid, not imported"), _first(invalid.values_list("product_id", flat=True)), run.invalid)


def _of(run: ImportRun, operation: Operation) -> list[str]:
    changes = run.changes.filter(operation=operation, outcome=Outcome.APPLIED).order_by("id")
    return _first(changes.values_list("product_id", flat=True))


def _ended(run: ImportRun, outcome: Outcome) -> list[str]:
    return _first(run.changes.filter(outcome=outcome).order_by("id").values_list("product_id", flat=True))


def _first(ids: Any) -> list[str]:
    return [line(product_id) or str(_("(no id)")) for product_id in ids[:SHOWN_IDS]]


def _existing(run: ImportRun) -> list[str]:
    """Valid items of an *add* that the plan has nothing for: their products existed. A few would take long to find."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT item.product_id
            FROM catalog_stageditem item
            WHERE item.run_id = %(run)s AND item.state = 'valid' AND item.position <= %(last)s AND NOT EXISTS (
                SELECT FROM catalog_change change
                WHERE change.run_id = item.run_id AND change.product_id = item.product_id
            )
            ORDER BY item.position
            LIMIT %(most)s
            """,
            {"run": run.pk, "most": SHOWN_IDS, "last": LOOKED_THROUGH},
        )
        return _first([product_id for (product_id,) in cursor.fetchall()])
