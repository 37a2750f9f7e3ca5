"""A plan, page by page: its changes, its invalid items and the items of an issue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from django.db.models import Model, QuerySet

from catalog.errors import NotPossible
from catalog.imports.planning import changed_fields
from catalog.imports.planning.changed_fields import of_operation
from catalog.models import Change, ImportRun, ItemIssue, Mode, Operation, Product, StagedItem
from catalog.models.changes import UNUSUAL
from catalog.models.product import SEARCH_CHARS
from catalog.models.runs import ItemState

PAGE_ROWS = 50

MAX_FOUND_PRODUCTS = 1000  # products that a text may find
MAX_SEARCHED_CHANGES = 5000  # a plan of so few is searched itself, whatever else in the catalogue has the words

Row = TypeVar("Row", bound=Model)
# All rows as one, or lists that are each in the order of an index.
Rows: TypeAlias = QuerySet[Row] | list[QuerySet[Row]]


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of a long list, found by key: the last of a million rows costs as much as the first."""

    rows: list[Row]
    has_previous: bool
    has_next: bool


def read_page(rows: Rows[Row], key: str, *, after: int | None = None, before: int | None = None) -> Page[Row]:
    """The rows whose `key` follows `after`, or precedes `before`; the first page without either.

    `before` beyond every key gives the last page.
    """
    if before is None:
        found = first_rows(rows, key, PAGE_ROWS + 1, **{f"{key}__gt": after or 0})
        return Page(found[:PAGE_ROWS], bool(after), len(found) > PAGE_ROWS)
    found = first_rows(rows, f"-{key}", PAGE_ROWS + 1, **{f"{key}__lt": before})
    has_next = bool(first_rows(rows, key, 1, **{f"{key}__gte": before}))
    return Page(found[:PAGE_ROWS][::-1], len(found) > PAGE_ROWS, has_next)


def first_rows(rows: Rows[Row], order: str, count: int, **wanted: Any) -> list[Row]:
    """The first wanted rows in this order. Changes are indexed by operation: the first of each are read."""
    if isinstance(rows, QuerySet):
        rows = rows.filter(**wanted)
        if rows.model is not Change or rows.query.is_empty():
            return list(rows.order_by(order)[:count])
        lists = [rows.filter(**of_operation(operation)).order_by("operation", "id") for operation in Operation.values]
    else:
        lists = [each.filter(**wanted) for each in rows]
    if order.startswith("-"):  # name by name: a union would inherit `reverse()`, and turn its own order round
        lists = [each.order_by(*(f"-{name}" for name in each.query.order_by)) for each in lists]
    parts = [each[:count] for each in lists]
    if len(parts) < 2:
        return [row for part in parts for row in part]
    return list(parts[0].union(*parts[1:], all=True).order_by(order)[:count])


def changes_with(run: ImportRun, *, operation: str = "", outcome: str = "", product_id: str = "") -> QuerySet[Change]:
    """The run's changes, all or those of one operation, one outcome or one product."""
    by_outcome = "unusual" if outcome in UNUSUAL else "outcome"
    chosen = {name: value for name, value in ((by_outcome, outcome), ("product_id", product_id)) if value}
    return run.changes.filter(**chosen, **(of_operation(operation) if operation else {}))


def filtered_changes(run: ImportRun, *, field: str = "", q: str = "", **chosen: str) -> Rows[Change]:
    """As `changes_with`, also only those that concern one field, or products that a text finds.

    Raises `NotPossible` when the text finds more than `MAX_FOUND_PRODUCTS`.
    """
    rows = changes_with(run, **chosen)
    if q:
        rows = rows.filter(pk__in=_changes_of_products(run, q))
        return [(changed_fields.with_field(rows, field) if field else rows).order_by("id")]
    return changed_fields.changes_of_field(rows, run, field) if field else rows


def _changes_of_products(run: ImportRun, text: str) -> list[int]:
    """The run's changes of products whose id begins so; if there are none, of those in the catalogue with the words."""
    text = text[:SEARCH_CHARS]
    begun = run.changes.filter(product_id__gte=text, product_id__lt=f"{text}\U0010ffff")
    if found := _at_most([*begun.values_list("pk", flat=True).order_by()[: MAX_FOUND_PRODUCTS + 1]]):
        return found
    products = Product.objects.search(text)
    changed_ids = run.changes.values_list("product_id", flat=True).order_by()
    size = sum((run.created, run.changed, run.archived, run.pinned, run.conflict, run.archive_conflict))
    if size <= MAX_SEARCHED_CHANGES:
        products = products.filter(pk__in=changed_ids)
    ids = _at_most(products.some_ids(MAX_FOUND_PRODUCTS + 1))
    return [*run.changes.filter(product_id__in=ids).values_list("pk", flat=True).order_by()]


def _at_most(found: list[Any]) -> list[Any]:
    """The list, unless it is longer than `MAX_FOUND_PRODUCTS`."""
    if len(found) > MAX_FOUND_PRODUCTS:
        limit = f"{MAX_FOUND_PRODUCTS:,}"
        raise NotPossible("too_many", f"More than {limit} products match. Type more of the id, or more words.")
    return found


def sync_before(run: ImportRun) -> ImportRun | None:
    """The feed's last run before this one that was planned as a sync."""
    return ImportRun.objects.before(run).planned().filter(mode=Mode.SYNC).first()


def items_with_issue(run: ImportRun, code: str, attribute: str) -> QuerySet[ItemIssue]:
    """The places of the run's items that have this issue, as far as they are still kept."""
    return run.item_issues.filter(code=code, attribute=attribute)


def invalid_items(run: ImportRun) -> QuerySet[StagedItem]:
    return run.staged.filter(state=ItemState.INVALID)
