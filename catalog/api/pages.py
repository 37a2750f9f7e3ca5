"""Pages of a list: any of them is found in an index alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param, replace_query_param

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list of `count` rows. Raises `NotFound` for a page after the last; the first always exists."""

    number: int
    size: int
    count: int

    def __post_init__(self) -> None:
        last = max(self.total_pages, 1)
        if self.number > last:
            raise NotFound(f"There is no page {self.number:,}: the last one is {last:,}.")

    @property
    def total_pages(self) -> int:
        return -(-self.count // self.size)

    @property
    def bounds(self) -> slice:
        return slice((self.number - 1) * self.size, min(self.number * self.size, self.count))

    def find_ids(self, rows: QuerySet[Row], order: Sequence[str]) -> list[Any]:
        """The ids of the rows on the page, in the given order of columns, each with a minus when it falls.

        Only what the index holds is read, and from the nearer end: of a million products the last page costs as much
        as the first, and the one in the middle walks over half of the index.
        """
        start, end = self.bounds.start, self.bounds.stop
        ids = rows.order_by(*order).values_list("id", flat=True)
        if start <= self.count - end:
            return list(ids[start:end])
        return list(ids.reverse()[self.count - end : self.count - start])[::-1]

    def wrap_results(self, request: Request, results: list[Any]) -> dict[str, Any]:
        """The page as it is sent, with the addresses of its neighbours."""
        return {
            "count": self.count,
            "total_pages": self.total_pages,
            "next": _page_address(request, self.number + 1) if self.number < self.total_pages else None,
            "previous": _page_address(request, self.number - 1) if self.number > 1 else None,
            "results": results,
        }


def _page_address(request: Request, page: int) -> str:
    address = request.build_absolute_uri()
    return remove_query_param(address, "page") if page == 1 else replace_query_param(address, "page", page)
