"""How many products a list has: always the exact number, seldom counted one by one.

One walk over an index tallies the products by what can be chosen, another by steps of the price, once for each version
of a market's products. A list filtered by choices alone is a sum of the first tally; a range of prices is a sum of the
second, except for the two steps in which it begins and ends. An index holds whatever else is asked for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from decimal import Decimal
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Count

from catalog.models import MarketState
from catalog.models.product import Product, ProductQuerySet
from catalog.version_cache import compute_once

CHOICES = ("condition", "gender", "availability")
# Whole amounts, mostly 7 % apart, up to the largest that the column holds.
STEPS = tuple(sorted({Decimal(round(10 ** (step / 32))) for step in range(9 * 32 + 1)}))


def count_products(market: MarketState, asked: dict[str, Any], chosen: ProductQuerySet) -> int:
    """How many of the market's products are chosen, by the parameters in `asked`."""
    by_choice = any(asked[name] for name in CHOICES)
    by_price = asked["min_price"] is not None or asked["max_price"] is not None
    if asked["brand"] or asked["search"] or asked["updated_since"] or by_choice == by_price:
        return _count_rows(market, chosen)
    if by_price:
        return _sum_prices(market, asked, chosen)
    wanted = [asked[name] for name in CHOICES]
    return sum(
        number
        for values, number in count_by_choices(market).items()
        if all(not some or value in some for some, value in zip(wanted, values, strict=True))
    )


def count_by_choices(market: MarketState) -> dict[tuple[str, ...], int]:
    """How many products have these values of `CHOICES`."""
    rows = Product.objects.in_market(market.id).active().order_by().values_list(*CHOICES).annotate(number=Count("*"))
    return compute_once(
        market.id, market.version, "choices", lambda: {tuple(values): number for *values, number in rows}
    )


def count_by_price_step(market: int) -> list[int]:
    """How many prices are on each step, which is the number of `STEPS` up to the price."""
    numbers = [0] * (len(STEPS) + 1)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT width_bucket(price::float8, %s::float8[]) AS step, count(*)
            FROM catalog_product
            WHERE market_id = %s AND archived_at IS NULL AND price IS NOT NULL
            GROUP BY step
            """,
            [list(map(int, STEPS)), market],
        )
        for step, number in cursor.fetchall():
            numbers[step] = number
    return numbers


def _sum_prices(market: MarketState, asked: dict[str, Any], chosen: ProductQuerySet) -> int:
    """The sum of the steps that lie in the range whole, and what is counted before and after them."""
    least, most = asked["min_price"], asked["max_price"]
    first = 0 if least is None else bisect_left(STEPS, least) + 1
    last = len(STEPS) if most is None else bisect_right(STEPS, most) - 1
    if first > last:
        return _count_rows(market, chosen)
    before = _count_rows(market, chosen.filter(price__lt=STEPS[first - 1])) if first else 0
    after = _count_rows(market, chosen.filter(price__gte=STEPS[last])) if last < len(STEPS) else 0
    steps = compute_once(market.id, market.version, "prices", lambda: count_by_price_step(market.id))
    return before + sum(steps[first : last + 1]) + after


def _count_rows(market: MarketState, products: ProductQuerySet) -> int:
    try:
        sql, values = products.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return 0
    return compute_once(market.id, market.version, f"count {sql} {values}", products.count)
