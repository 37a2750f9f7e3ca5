"""Guards: what a plan may do to a feed's products before a person has to say why it should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import Sum

from catalog.models import ImportRun, Mode, Product, Status
from catalog.models.fields import MONEY_NAMES

# A share says nothing about a handful: what concerns no more products than this passes.
FEW = 3


def tripped(run: ImportRun) -> list[tuple[str, str]]:
    """The guards of its feed that the plan trips, as code and sentence. `run` has the counts of the plan.

    A plan without changes can do no harm, and one that only adds products to a feed without any has nothing to be
    compared with. A feed of prices has no products of its own, and changes those of others.
    """
    if not run.has_changes or not (run.changed or _products(run).exists()):
        return []
    found = [(f"guard.{guard.__name__}", guard(run)) for guard in GUARDS]
    return [(code, sentence) for code, sentence in found if sentence]


# --- one function for each, which returns its sentence, or "" ------------------------------------------


def archived(run: ImportRun) -> str:
    limit = run.feed.guard_archived
    if limit is None or run.archived <= FEW:
        return ""
    products = _products(run).count()
    if not _is_over(run.archived, products, limit):
        return ""
    part = _part(run.archived, products)
    return f"{part} of this feed's products would be archived, since they are not in the file. {_allowed(limit)}"


def invalid(run: ImportRun) -> str:
    limit = run.feed.guard_invalid
    if limit is None or run.invalid <= FEW or not _is_over(run.invalid, run.items, limit):
        return ""
    return f"{_part(run.invalid, run.items)} of the items are invalid and would be skipped. {_allowed(limit)}"


def items(run: ImportRun) -> str:
    """Only a file that says that it is the whole of the feed can be too short or too long."""
    limit = run.feed.guard_items
    if limit is None or run.mode != Mode.SYNC:
        return ""
    applied = ImportRun.objects.filter(feed=run.feed_id, mode=Mode.SYNC, status=Status.APPLIED, pk__lt=run.pk)
    before = applied.order_by("-pk").first()
    if not before or not _differ(run.items, before.items, limit):
        return ""
    more = "more" if run.items > before.items else "fewer"
    share = _percent(abs(run.items - before.items), before.items)
    was = f"import {before.pk}, the feed's last in this mode, had {before.items:,}"
    return f"The file has {run.items:,} items, {share} {more} than before: {was}. {_allowed(limit)}"


def price_change(run: ImportRun) -> str:
    """By how much a price may change, and on how many products it may change by more."""
    most, limit = run.feed.guard_price_change, run.feed.guard_price_products
    if most is None or limit is None or run.changed <= FEW:
        return ""
    count, compared = _count(_PRICE_CHANGES, run=run.pk, most=most), run.changed + run.unchanged
    if count <= FEW or not _is_over(count, compared, limit):
        return ""
    part = _part(count, compared)
    change = f"by more than {most} %, or to another currency"
    return f"The price of {part} of the products would change {change}. {_allowed(limit)}"


def zero_price(run: ImportRun) -> str:
    limit = run.feed.guard_zero_price
    if limit is None:
        return ""
    prices = run.issues.filter(code__in=("price.zero", "price.negative"), attribute__in=MONEY_NAMES)
    count = prices.aggregate(count=Sum("count"))["count"] or 0
    if count <= FEW or not _is_over(count, run.items, limit):
        return ""
    return f"{count:,} prices in {run.items:,} items are zero or negative. {_allowed(limit)}"


def out_of_stock(run: ImportRun) -> str:
    limit = run.feed.guard_out_of_stock
    if limit is None or run.changed <= FEW:
        return ""
    count, compared = _count(_SOLD_OUT, run=run.pk), run.changed + run.unchanged
    if count <= FEW or not _is_over(count, compared, limit):
        return ""
    return f"{_part(count, compared)} of the products would turn out of stock. {_allowed(limit)}"


def currency(run: ImportRun) -> str:
    if not run.feed.guard_currency:
        return ""
    has_products = _products(run).exists()
    known = "feed_id = %(feed)s" if has_products else "id IN (SELECT product_id FROM compared)"
    new = _rows(_NEW_CURRENCIES.format(known=known), feed=run.feed_id)
    if not new:
        return ""
    named = ", ".join(f"{name} ({count:,} {'item' if count == 1 else 'items'})" for name, count in new)
    whose = "this feed's products" if has_products else "the products that the file is about"
    return f"None of {whose} is in {named} so far. Check that the amounts are meant so."


GUARDS: tuple[Callable[[ImportRun], str], ...] = (
    archived,
    items,
    price_change,
    currency,
    out_of_stock,
    zero_price,
    invalid,
)

# --- what they ask the plan ----------------------------------------------------------------------------

# Prices that go up or down by more than so many percent of what they were. In another currency each is another price,
# whatever the amounts are; where there was no currency, there was no price.
_PRICE_CHANGES = """
    SELECT count(*)
    FROM catalog_change
    WHERE run_id = %(run)s AND operation IN ('update', 'restore') AND CASE WHEN after ? 'currency' THEN
        before ->> 'currency' <> '' AND after ->> 'currency' <> ''
    ELSE
        abs((after ->> 'price')::numeric - (before ->> 'price')::numeric) * 100
            > (before ->> 'price')::numeric * %(most)s
        OR abs((after ->> 'sale_price')::numeric - (before ->> 'sale_price')::numeric) * 100
            > (before ->> 'sale_price')::numeric * %(most)s
    END
"""

# Products that could be bought, and could not be any more.
_SOLD_OUT = """
    SELECT count(*)
    FROM catalog_change
    WHERE run_id = %(run)s AND operation IN ('update', 'restore') AND after ->> 'availability' = 'out_of_stock'
"""

# Currencies in the file that none of the known products has, while some have one.
_NEW_CURRENCIES = """
    SELECT currency, count
    FROM (
        SELECT currency, count(*) FROM compared WHERE currency <> '' GROUP BY currency
    ) AS found
    WHERE NOT EXISTS (
            SELECT FROM catalog_product product
            WHERE {known} AND archived_at IS NULL AND product.currency = found.currency
        )
        AND EXISTS (
            SELECT FROM catalog_product WHERE {known} AND archived_at IS NULL AND currency <> ''
        )
    ORDER BY count DESC, currency
"""


def _products(run: ImportRun) -> Any:
    """The feed's products that are not archived: those that an import can harm."""
    return Product.objects.filter(feed=run.feed_id).active()


def _rows(sql: str, **parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _count(sql: str, **parameters: Any) -> int:
    return int(_rows(sql, **parameters)[0][0])


# --- shares, in numbers and in words -------------------------------------------------------------------


def _is_over(count: int, whole: int, limit: int) -> bool:
    return count * 100 > whole * limit


def _differ(now: int, before: int, limit: int) -> bool:
    difference = abs(now - before)
    return difference > FEW and _is_over(difference, before, limit)


def _part(count: int, whole: int) -> str:
    return f"{count:,} of {whole:,} ({_percent(count, whole)})"


def _percent(count: int, whole: int) -> str:
    return f"{count / max(whole, 1):.1%}".replace("%", " %")


def _allowed(limit: int) -> str:
    return f"This feed's limit is {limit} %."
