"""A plan is made: a person confirms it, or nobody where none is needed."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

from catalog.errors import NotPossible
from catalog.imports.notices import notify_needs_review
from catalog.imports.permissions import require
from catalog.imports.planning import changed_fields
from catalog.imports.planning.changed_fields import of_operation
from catalog.imports.planning.guards import needs_reason
from catalog.imports.sql import OF_CHANGED_PRODUCTS
from catalog.imports.work.queue import Task, enqueue
from catalog.models import CatalogState, Change, ImportRun, ItemIssue, Mode, Operation, Product, StagedItem, Status
from catalog.models.changes import UNUSUAL
from catalog.models.product import SEARCH_CHARS
from catalog.models.runs import ItemState

REASON_CHARS = 1000
# A letter or digit that one sees: the fillers of Korean count as letters, and are blank.
_READABLE = re.compile(r"[^\W_\u115f\u1160\u3164\uffa0]")


def confirm(run: ImportRun, *, plan_hash: str, by: Any, reason: str = "") -> None:
    """Have a worker apply the reviewed plan, once.

    A plan that tripped a guard needs a `reason` in words, which is kept in the run's history, cut to `REASON_CHARS`.
    Raises `NotPossible` when the plan is another one now, somebody was quicker or the reason is missing, `NotAllowed`
    without permission.
    """
    require(by, "catalog.confirm_importrun")
    if run.plan_hash != plan_hash:
        raise NotPossible("plan_changed", "The plan has changed since you looked at it. Read it again, then confirm.")
    reason = " ".join(reason.replace("\0", " ").split())[:REASON_CHARS]
    if run.status == Status.REVIEW and needs_reason(run) and not _READABLE.search(reason):
        raise NotPossible(
            "reason_needed",
            f"{run} is held by a guard. Say in words why it should be applied all the same, then confirm.",
        )
    if not run.move(Status.REVIEW, to=Status.APPLYING, by=by, reason=reason):
        raise NotPossible("not_in_review", f"{run} cannot be confirmed: {describe(run)}")
    enqueue(Task.APPLY, run)


def go_on(run: ImportRun) -> None:
    """Confirm in the system's name what needs no person: a plan without changes, or a run that applies by itself.

    A run that something holds waits for one in any case, and those who follow imports are told.
    """
    if run.status == Status.REVIEW and run.holds:
        notify_needs_review(run)
    elif run.status == Status.REVIEW and (run.auto_apply or not run.has_changes):
        with suppress(NotPossible):  # somebody was quicker
            confirm(run, plan_hash=run.plan_hash, by=None)


def describe(run: ImportRun) -> str:
    """The run's state with who caused it, as a sentence: for the second person who presses the button."""
    # The worker that applies or undoes does so for the one who asked.
    caused = [step for step in run.history if step["status"] not in (Status.APPLIED, Status.UNDONE)]
    by = f" by {caused[-1]['by']}" if caused and caused[-1]["by"] else ""
    return f"it is “{run.get_status_display().lower()}”{by} already."


def is_current(run: ImportRun) -> bool:
    """Whether no product at all was changed since the run was planned."""
    return CatalogState.current() == run.catalog_version


def edited_since(run: ImportRun) -> int:
    """How many products of the plan are not what it was made for any more; confirming it leaves these alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT count(*)
            FROM catalog_change change LEFT JOIN catalog_product product ON product.id = change.product_id
            WHERE change.run_id = %(run)s AND {OF_CHANGED_PRODUCTS} AND CASE change.operation
                WHEN 'create' THEN product.id IS NOT NULL
                WHEN 'keep' THEN false
                ELSE product.version IS DISTINCT FROM change.base_version OR product.created_at >= %(planned)s
            END
            """,
            {"run": run.pk, "planned": run.planned_at, "changed_ids": run.products_changed_since()},
        )
        return int(cursor.fetchone()[0])


# --- reading the plan ---------------------------------------------------------------------------------

PAGE_ROWS = 50

MOST_FOUND = 1000  # products that a text may find
FEW_CHANGES = 5000  # a plan of so few is searched itself, whatever else in the catalogue has the words

Row = TypeVar("Row", bound=Model)
# All rows as one, or lists that are each in the order of an index.
Rows: TypeAlias = QuerySet[Row] | list[QuerySet[Row]]


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of a long list, found by key: the last of a million rows costs as much as the first."""

    rows: list[Row]
    has_previous: bool
    has_next: bool


def page(rows: Rows[Row], key: str, *, after: int | None = None, before: int | None = None) -> Page[Row]:
    """The rows whose `key` follows `after`, or precedes `before`; the first page without either.

    `before` beyond every key gives the last page.
    """
    if before is None:
        found = first(rows, key, PAGE_ROWS + 1, **{f"{key}__gt": after or 0})
        return Page(found[:PAGE_ROWS], bool(after), len(found) > PAGE_ROWS)
    found = first(rows, f"-{key}", PAGE_ROWS + 1, **{f"{key}__lt": before})
    has_next = bool(first(rows, key, 1, **{f"{key}__gte": before}))
    return Page(found[:PAGE_ROWS][::-1], len(found) > PAGE_ROWS, has_next)


def first(rows: Rows[Row], order: str, count: int, **wanted: Any) -> list[Row]:
    """The first wanted rows in this order. Changes are indexed by operation: so many of each, of which the first."""
    if isinstance(rows, QuerySet):
        rows = rows.filter(**wanted)
        if rows.model is not Change or rows.query.is_empty():
            return list(rows.order_by(order)[:count])
        lists = [rows.filter(**of_operation(operation)).order_by("operation", "id") for operation in Operation.values]
    else:
        lists = [each.filter(**wanted) for each in rows]
    parts = [(_backwards(each) if order.startswith("-") else each)[:count] for each in lists]
    if len(parts) < 2:
        return [row for part in parts for row in part]
    return list(parts[0].union(*parts[1:], all=True).order_by(order)[:count])


def _backwards(rows: QuerySet[Row]) -> QuerySet[Row]:
    """Said name by name: a union would inherit `reverse()`, and turn its own order round."""
    return rows.order_by(*(f"-{name}" for name in rows.query.order_by))


def changes(run: ImportRun, *, operation: str = "", outcome: str = "", product_id: str = "") -> QuerySet[Change]:
    """The run's changes, all or those of one operation, one outcome or one product."""
    by_outcome = "unusual" if outcome in UNUSUAL else "outcome"
    chosen = {name: value for name, value in ((by_outcome, outcome), ("product_id", product_id)) if value}
    return run.changes.filter(**chosen, **(of_operation(operation) if operation else {}))


def filtered(run: ImportRun, *, field: str = "", q: str = "", **chosen: str) -> Rows[Change]:
    """As `changes`, and of those the ones that speak of one field, and those of the products that a text finds.

    Raises `NotPossible` when it finds more than `MOST_FOUND`.
    """
    rows = changes(run, **chosen)
    if q:
        rows = rows.filter(pk__in=_of_products(run, q))
        return [(changed_fields.with_field(rows, field) if field else rows).order_by("id")]
    return changed_fields.changes_of_field(rows, run, field) if field else rows


def _of_products(run: ImportRun, text: str) -> list[int]:
    """The run's changes of products whose id begins so; if there are none, of those in the catalogue with the words."""
    text = text[:SEARCH_CHARS]
    begun = run.changes.filter(product_id__gte=text, product_id__lt=f"{text}\U0010ffff")
    if found := _few([*begun.values_list("pk", flat=True).order_by()[: MOST_FOUND + 1]]):
        return found
    products = Product.objects.search(text)
    changed_ids = run.changes.values_list("product_id", flat=True).order_by()
    if sum((run.created, run.changed, run.archived, run.pinned, run.conflict, run.archive_conflict)) <= FEW_CHANGES:
        products = products.filter(pk__in=changed_ids)
    ids = _few(products.some_ids(MOST_FOUND + 1))
    return [*run.changes.filter(product_id__in=ids).values_list("pk", flat=True).order_by()]


def _few(found: list[Any]) -> list[Any]:
    if len(found) > MOST_FOUND:
        raise NotPossible("too_many", f"More than {MOST_FOUND:,} products match. Type more of the id, or more words.")
    return found


def sync_before(run: ImportRun) -> ImportRun | None:
    """The feed's last run before this one that was planned as a sync."""
    return ImportRun.objects.before(run).planned().filter(mode=Mode.SYNC).first()


def items_with(run: ImportRun, code: str, attribute: str) -> QuerySet[ItemIssue]:
    """The places of the run's items that have this issue, as far as they are still kept."""
    return run.item_issues.filter(code=code, attribute=attribute)


def invalid_items(run: ImportRun) -> QuerySet[StagedItem]:
    return run.staged.filter(state=ItemState.INVALID)
