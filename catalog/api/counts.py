"""How many products a list has: always the exact number, seldom counted one by one.

One walk over an index counts the products by what can be chosen and by steps of the price, once for each version of the
catalogue. Whatever is filtered by these is a sum, but for the two steps in which a range of prices begins and ends.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from decimal import Decimal
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection

from catalog.cached import cached
from catalog.models.product import ProductQuerySet

CHOICES = ("condition", "gender", "availability")
# Whole amounts, mostly 7 % apart, up to what the column holds.
STEPS = tuple(sorted({Decimal(round(10 ** (step / 32))) for step in range(9 * 32 + 1)}))

# How many products have these three values, for each step: that of a price is the number of `STEPS` up to it. Those
# without a price come last.
Tally = dict[tuple[str, str, str], list[int]]


def count_of(version: int, asked: dict[str, Any], chosen: ProductQuerySet) -> int:
    """How many products are chosen, by the parameters in `asked`."""
    if asked["brand"] or asked["search"]:
        return _counted(version, chosen)
    if asked["min_price"] is None and asked["max_price"] is None:
        return _sum(version, asked)
    return _of_prices(version, asked, chosen)


def tallied(version: int) -> Tally:
    return cached(version, "tally", _tally)


def _tally() -> Tally:
    tally: Tally = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT condition, gender, availability, coalesce(width_bucket(price::float8, %s::float8[]), -1) AS step,
                count(*)
            FROM catalog_product
            WHERE archived_at IS NULL
            GROUP BY condition, gender, availability, step
            """,
            [list(map(int, STEPS))],
        )
        for *values, step, number in cursor.fetchall():
            tally.setdefault((values[0], values[1], values[2]), [0] * (len(STEPS) + 2))[step] = number
    return tally


def _sum(version: int, asked: dict[str, Any], steps: slice = slice(None)) -> int:
    wanted = [asked[name] for name in CHOICES]
    return sum(
        sum(numbers[steps])
        for values, numbers in tallied(version).items()
        if all(not some or value in some for some, value in zip(wanted, values, strict=True))
    )


def _of_prices(version: int, asked: dict[str, Any], chosen: ProductQuerySet) -> int:
    """The sum of the steps that are whole in the range, and what is counted before and after them."""
    least, most = asked["min_price"], asked["max_price"]
    first = 0 if least is None else bisect_left(STEPS, least) + 1
    last = len(STEPS) if most is None else bisect_right(STEPS, most) - 1
    if first > last:
        return _counted(version, chosen)
    before = _counted(version, chosen.filter(price__lt=STEPS[first - 1])) if first else 0
    after = _counted(version, chosen.filter(price__gte=STEPS[last])) if last < len(STEPS) else 0
    return before + _sum(version, asked, slice(first, last + 1)) + after


def _counted(version: int, products: ProductQuerySet) -> int:
    try:
        sql, values = products.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return 0
    return cached(version, f"count {sql} {values}", products.count)
