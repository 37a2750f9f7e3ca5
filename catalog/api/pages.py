"""Pages of a list: any of them found in an index alone, and told with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param, replace_query_param

Row = TypeVar("Row", bound=Model)


def keys_of_page(rows: QuerySet[Row], order: Sequence[str], *, number: int, size: int, count: int) -> list[Any]:
    """The keys of the rows on a page, in the given order of columns, each with a minus when it falls.

    Only what the index holds is asked for, and from the nearer end: of a million products the last page costs as much
    as the first, and the one in the middle walks over half of the index.
    """
    start, end = (number - 1) * size, min(number * size, count)
    if start <= count - end:
        return list(rows.order_by(*order).values_list("pk", flat=True)[start:end])
    from_the_end = rows.order_by(*map(turned, order)).values_list("pk", flat=True)
    return list(from_the_end[count - end : count - start])[::-1]


def turned(column: str) -> str:
    return column[1:] if column.startswith("-") else f"-{column}"


def pages_of(count: int, size: int) -> int:
    return -(-count // size)


def check_page(number: int, total: int) -> None:
    """Raise `NotFound` for a page behind the last. The first one is always there, if need be without results."""
    if number > max(total, 1):
        raise NotFound(f"There is no page {number:,}: the last one is {max(total, 1):,}.")


def envelope(request: Request, results: list[Any], *, number: int, total: int, count: int) -> dict[str, Any]:
    """A page as it is sent."""
    return {
        "count": count,
        "total_pages": total,
        "next": _address(request, number + 1) if number < total else None,
        "previous": _address(request, number - 1) if number > 1 else None,
        "results": results,
    }


def _address(request: Request, page: int) -> str:
    here = request.build_absolute_uri()
    return remove_query_param(here, "page") if page == 1 else replace_query_param(here, "page", page)
