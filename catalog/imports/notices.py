"""E-mails about an import, and the facts in them: a few bounded queries each, however large the import.

Call each `notify_…` in the transaction that makes it true. Feeds and file names are hostile: what comes from them is
cut to one line of bounded length here, and the templates escape it.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.connections import is_lost
from catalog.feeds import write
from catalog.feeds.issues import Severity, code_named
from catalog.imports.sql import fetch_rows
from catalog.models import ImportRun, Operation, Outcome, Product, RefusedFile, Status
from catalog.models.runs import ItemState
from catalog.spreadsheet import safe_cell
from notifications.outbox import Attachment, tell, was_told
from notifications.rendering import public_url
from notifications.subscriptions import Kind, recipients_of

log = logging.getLogger(__name__)

SHOWN_PRODUCTS = 20
SHOWN_IDS = 50
SHOWN_ISSUES = 5
SEARCHED_ITEMS = 100_000
# Every person's message keeps a copy, and mail servers take 10 MB at most, a third of which is lost to the encoding.
ATTACHED_PRODUCTS = 10_000
ATTACHED_CHARS = 3_000_000
TABLE_COLUMNS = ("id", "title", "brand", "price", "currency", "link")

PERMISSION = "catalog.view_importrun"
CONFIRMS = "catalog.confirm_importrun"
KINDS = (
    Kind("import_applied", _("Import applied"), _("What an import added, changed and archived."), PERMISSION),
    Kind(
        "import_failed",
        _("Import failed"),
        _("Why an import ended without changing anything."),
        PERMISSION,
        default_for=CONFIRMS,
    ),
    Kind(
        "file_refused",
        _("File refused"),
        _("Why an uploaded file was no import at all."),
        PERMISSION,
        like="import_failed",
    ),
    Kind("import_undone", _("Import undone"), _("What an undo took back, and what it had to leave."), PERMISSION),
    Kind(
        "import_needs_review",
        _("Import needs review"),
        _("That a plan waits for somebody to confirm or discard it."),
        PERMISSION,
        default_for=CONFIRMS,
    ),
    Kind(
        "import_asked",
        _("Asked to review"),
        _("That somebody asks you to review a plan."),
        CONFIRMS,
        default_for=CONFIRMS,
    ),
)


def notify_outcome(run: ImportRun, step: str) -> None:
    """Say what came of the step: apply, undo, or redo, which applies again."""
    if step == "undo":
        _notify(run, "import_undone", _undone_facts)
    else:
        notify_applied(run)


def notify_applied(run: ImportRun) -> None:
    """When the import did nothing and found nothing wrong, only the person who uploaded the file gets a message."""
    was_eventful = run.has_changes or run.conflict or run.archive_conflict or run.invalid or run.duplicate
    _notify(run, "import_applied", _applied_facts, with_table=True, only_uploader=not was_eventful)


def notify_failed(run: ImportRun) -> None:
    """For an import that failed, and for one that stays as it was because its undo failed."""
    what = {
        Status.FAILED: _("failed"),
        Status.APPLIED: _("could not be undone"),
        Status.UNDONE: _("could not be applied again"),
    }
    _notify(run, "import_failed", lambda run: {"what": what[Status(run.status)]})


def notify_needs_review(run: ImportRun) -> None:
    """For a plan that waits for a person, once. The sweep calls this each minute while the plan waits."""
    if not was_told("import_needs_review", occasion_of(run)):
        waits_for = [one_line(str(person), 50) for person in confirmers()]
        _notify(run, "import_needs_review", lambda run: {"holds": run.holds, "waits_for": waits_for})


def notify_asked(run: ImportRun, person: Any, *, by: Any, note: str) -> None:
    """For one person, whom somebody asks to review the plan."""
    context = {"run": run, "by": one_line(str(by), 50), "note": one_line(note, 500), "url": run_url(run)}
    context |= {"file": one_line(run.file_name), "feed": one_line(run.feed.name), "marks": count_marks(run)}
    tell([person], "import_asked", f"{run._meta.label_lower}:{run.pk}#{len(run.asked)}", context)


def confirmers() -> list[Any]:
    """The staff who may confirm imports, by name."""
    people = get_user_model()._default_manager.with_perm(CONFIRMS)
    return [*people.filter(Q(is_staff=True) | Q(is_superuser=True)).order_by("username")]


def notify_refused(file: RefusedFile, earlier: int) -> bool:
    """For a file that was refused when it was uploaded: whether there was anybody to notify.

    The uploader has the answer already. `earlier` counts the person's files that nobody got a mail about.
    """
    people = recipients_of("file_refused")
    context = {
        "file": one_line(file.file_name),
        "size": file.file_size,
        "feed": one_line(file.feed.name) if file.feed else "",
        "by": one_line(str(file.uploaded_by or "")),
        "refused_at": timezone.now(),
        "sentence": one_line(file.sentence, 500),
        "code": file.code,
        "start": one_line(file.start, 200),
        "earlier": earlier,
        "url": public_url(reverse("admin:catalog_refusedfile_changelist")),
    }
    tell(people, "file_refused", file, context)
    return bool(people)


def _notify(
    run: ImportRun,
    name: str,
    facts: Callable[[ImportRun], dict[str, Any]],
    *,
    with_table: bool = False,
    only_uploader: bool = False,
) -> None:
    """Notify the people who follow imports and the one who uploaded the file. Without any, nothing is looked up.

    An import does not fail because of its mail.
    """
    people = recipients_of(name, also=run.uploaded_by)
    if only_uploader:
        people = [person for person in people if person == run.uploaded_by]
    if not people:
        return
    try:
        with transaction.atomic():  # a failed query ends with the facts, and not with the caller's transaction
            attachments = _added_table(run) if with_table else []
            context = {**_common_facts(run), **facts(run), "attached": bool(attachments)}
    except Exception as error:
        if is_lost(error):
            raise
        log.exception("The facts of %s for %s could not be gathered: nobody is notified", run, name)
    else:
        tell(people, name, occasion_of(run), context, attachments)


def occasion_of(run: ImportRun) -> ImportRun | str:
    """What the message is about: the run; when it comes to the same state again, also how many times it did."""
    times = sum(step["status"] == run.status for step in run.history)
    return run if times < 2 else f"{run._meta.label_lower}:{run.pk}#{times}"


# --- facts in every message ---------------------------------------------------------------------------


@dataclass(frozen=True)
class TopIssue:
    severity: str
    title: str
    advice: str
    attribute: str
    count: int


def _common_facts(run: ImportRun) -> dict[str, Any]:
    labels = {
        "created": _("new"),
        "changed": _("changed"),
        "unchanged": _("unchanged"),
        "existing": _("existing, left as they are"),
        "duplicate": _("repeated in the file, the last one counts"),
        "invalid": _("invalid, not imported"),
        "conflict": _("left alone, edited since the plan"),
        "left_out": _("left out of the plan"),
    }
    # Errors before warnings, the most frequent first. Notices are only on the run's page.
    rows = sorted(
        run.issues.exclude(severity=Severity.NOTICE), key=lambda row: (Severity(row.severity).rank, -row.count)
    )
    issues = []
    for row in rows[:SHOWN_ISSUES]:
        code = code_named(row.code, row.severity)
        issues.append(TopIssue(row.severity, code.title, code.advice, one_line(row.attribute, 50), row.count))
    return {
        "run": run,
        "again": occasion_of(run) is not run,
        "url": run_url(run),
        "api_url": public_url(reverse("import", args=[run.pk])),
        "file": one_line(run.file_name),
        "feed": one_line(run.feed.name),
        "confirmed_by": one_line(_last_mover(run, Status.APPLYING)),
        "marks": count_marks(run),
        "counts": [(label, getattr(run, name)) for name, label in labels.items() if getattr(run, name)],
        "seconds": sum(run.seconds.values()),
        "issues": issues,
        "more_issues": len(rows) - SHOWN_ISSUES,
    }


def run_url(run: ImportRun) -> str:
    return public_url(reverse("admin:catalog_importrun_change", args=[run.pk]))


def one_line(text: str, max_chars: int = 120) -> str:
    """The text in one line, cut with an ellipsis."""
    text = " ".join(text.split())
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def count_marks(run: ImportRun) -> str:
    """“+1,240 ~8,611 −147, 34 invalid”: the numbers of a subject line."""
    signs = (("+", run.created), ("~", run.changed), ("−", run.archived))
    changes = " ".join(f"{sign}{number:,}" for sign, number in signs if number) or "no changes"
    conflicts = run.conflict + run.archive_conflict
    rest = ((conflicts, "left alone"), (run.invalid, "invalid"))
    return ", ".join([changes, *(f"{number:,} {what}" for number, what in rest if number)])


def _last_mover(run: ImportRun, status: Status) -> str:
    """The person who moved the run there last; "" when no person did."""
    return next((step["by"] for step in reversed(run.history) if step["status"] == status), "")


# --- what was applied or undone -----------------------------------------------------------------------


@dataclass(frozen=True)
class ShownIds:
    """The first ids of those that `count` counts."""

    label: Any
    ids: list[str]
    count: int

    @property
    def more(self) -> int:
        return max(self.count - len(self.ids), 0)


def _applied_facts(run: ImportRun) -> dict[str, Any]:
    changed = [*_operation_ids(run, Operation.UPDATE), *_operation_ids(run, Operation.RESTORE)] if run.changed else []
    conflicts = run.conflict + run.archive_conflict
    invalid = run.staged.filter(state=ItemState.INVALID).order_by("position").values_list("product_id", flat=True)
    lists = [
        ShownIds(_("Changed"), changed[:SHOWN_IDS], run.changed),
        ShownIds(_("Archived"), _operation_ids(run, Operation.ARCHIVE) if run.archived else [], run.archived),
        ShownIds(_("Existing, left as they are"), _existing_ids(run) if run.existing else [], run.existing),
        ShownIds(
            _("Left alone, edited since the plan"),
            _outcome_ids(run, Outcome.CONFLICT) if conflicts else [],
            conflicts,
        ),
        ShownIds(_("Invalid, not imported"), _shown_ids(invalid[:SHOWN_IDS]) if run.invalid else [], run.invalid),
    ]
    return {
        "added": [_product_facts(product) for product in _added_products(run, SHOWN_PRODUCTS)],
        "more_added": run.created - SHOWN_PRODUCTS,
        "lists": [ids for ids in lists if ids.count],
    }


def _undone_facts(run: ImportRun) -> dict[str, Any]:
    outcomes = (
        (_("Kept, because they have changed since"), Outcome.KEPT, run.kept),
        (_("No longer there"), Outcome.GONE, run.gone),
    )
    return {
        "undone_by": one_line(_last_mover(run, Status.UNDOING)),
        "lists": [ShownIds(label, _outcome_ids(run, outcome), count) for label, outcome, count in outcomes if count],
    }


def _added_products(run: ImportRun, most: int) -> list[dict[str, Any]]:
    """The `TABLE_COLUMNS` of the products that the run created, in the order of the file."""
    applied = run.changes.filter(operation=Operation.CREATE, outcome=Outcome.APPLIED).order_by("id")
    ids = list(applied.values_list("product_id", flat=True)[:most])
    rows = Product.objects.in_market(run.market_id).filter(id__in=ids).values(*TABLE_COLUMNS)
    products = {product["id"]: product for product in rows}
    return [products[product_id] for product_id in ids if product_id in products]


def _price_of(product: dict[str, Any]) -> Decimal | None:
    price = product["price"]
    return None if price is None else write.with_decimals(price, product["currency"])


def _product_facts(product: dict[str, Any]) -> dict[str, Any]:
    """The product as the mail shows it, with a link only if it is one."""
    price, link = _price_of(product), product["link"]
    is_link = link.startswith(("https://", "http://")) and link == one_line(link, 500)
    return {
        "id": one_line(product["id"]),
        "title": one_line(product["title"]) or one_line(product["id"]),
        "brand": one_line(product["brand"], 60),
        "price": "" if price is None else f"{price:,} {product['currency']}".strip(),
        "link": link if is_link else "",
    }


def _added_table(run: ImportRun) -> list[Attachment]:
    """All added products as a table, unless they are too many for a mail."""
    if not 0 < run.created <= ATTACHED_PRODUCTS:
        return []
    text = StringIO()
    table = csv.writer(text)
    table.writerow(TABLE_COLUMNS)
    for product in _added_products(run, ATTACHED_PRODUCTS):
        values = {**product, "price": _price_of(product)}
        table.writerow([safe_cell(values[name]) for name in TABLE_COLUMNS])
    if text.tell() > ATTACHED_CHARS:
        return []
    return [Attachment(f"import-{run.pk}-added.csv", "text/csv", f"\ufeff{text.getvalue()}")]


def _operation_ids(run: ImportRun, operation: Operation) -> list[str]:
    changes = run.changes.filter(operation=operation, outcome=Outcome.APPLIED).order_by("id")
    return _shown_ids(changes.values_list("product_id", flat=True)[:SHOWN_IDS])


def _outcome_ids(run: ImportRun, outcome: Outcome) -> list[str]:
    changes = run.changes.filter(outcome=outcome).order_by("id")
    return _shown_ids(changes.values_list("product_id", flat=True)[:SHOWN_IDS])


def _shown_ids(ids: Iterable[str]) -> list[str]:
    return [one_line(product_id) or str(_("(no id)")) for product_id in ids]


def _existing_ids(run: ImportRun) -> list[str]:
    """Valid items of an *add* that the plan has no change for, because their products existed.

    Only the first `SEARCHED_ITEMS` are looked through: where there are few, finding them would take long.
    """
    rows = fetch_rows(
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
        run=run.pk,
        last=SEARCHED_ITEMS,
        most=SHOWN_IDS,
    )
    return _shown_ids(product_id for (product_id,) in rows)
