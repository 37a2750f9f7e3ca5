"""Pages of the long lists of an import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from django.db.models import Model, Q, QuerySet

from catalog.models import Change, ImportRun, ItemIssue, Operation, StagedItem
from catalog.models.runs import ItemState

PAGE_ROWS = 50

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


def read_sorted_page(
    rows: QuerySet[Row], key: str, by: str, *, after: int | None = None, before: int | None = None
) -> Page[Row]:
    """As `read_page`, the rows in the order of `by` with its sign, ties by `key`. Rows without a value are left out.

    Where the row of `after` or `before` is no longer among them, the first page or the last one is read.
    """
    name, is_backwards = by.removeprefix("-"), before is not None
    is_falling = by.startswith("-") != is_backwards
    rows = rows.filter(**{f"{name}__isnull": False})
    ordered = rows.order_by(*((f"-{name}", f"-{key}") if is_falling else (name, key)))
    place = after if before is None else before
    value = rows.filter(**{key: place or 0}).values_list(name, flat=True).first()
    if value is not None:
        way = "lt" if is_falling else "gt"
        beyond = Q(**{f"{name}__{way}": value}) | Q(**{name: value, f"{key}__{way}": place})
        ordered = ordered.filter(beyond, **{f"{name}__{way}e": value})
    found = [*ordered[: PAGE_ROWS + 1]]
    has_more, has_less = len(found) > PAGE_ROWS, value is not None
    if is_backwards:
        return Page(found[:PAGE_ROWS][::-1], has_more, has_less)
    return Page(found[:PAGE_ROWS], has_less, has_more)


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


def of_operation(operation: str) -> dict[str, Any]:
    """A filter on one operation, as a range, so that PostgreSQL uses the index of operation and id.

    Compared with one value, the operation is dropped from the order, and the ids of all imports are gone through.
    """
    return {"operation__range": (operation, operation)}


def items_with_issue(run: ImportRun, code: str, attribute: str) -> QuerySet[ItemIssue]:
    """The places of the run's items that have this issue, as far as they are still kept."""
    return run.item_issues.filter(code=code, attribute=attribute)


def invalid_items(run: ImportRun) -> QuerySet[StagedItem]:
    return run.staged.filter(state=ItemState.INVALID)
