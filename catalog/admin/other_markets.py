"""The same ids in several markets: one product side by side, and what one market has and another has not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from catalog.feeds.cleaning.values import shown_money
from catalog.models import Market, MarketState, Product
from catalog.version_cache import compute_once, known_value

# A price that differs by more from what the other markets' prices let expect is marked.
MAX_PRICE_DIFFERENCE = Decimal("0.25")
# So many ids that two markets have in common say how their prices compare.
COMPARED_PRICES = 10_000
MIN_COMPARED_PRICES = 5


@dataclass(frozen=True, slots=True)
class InMarket:
    """A product's id in another market: the product there, if any, and what is remarkable about it."""

    market: Market
    product: Product | None
    marks: list[Any]

    @property
    def price(self) -> str:
        product = self.product
        return "" if product is None or product.price is None else shown_money(product.price, product.currency)


def in_other_markets(product: Product, markets: Iterable[Market]) -> list[InMarket]:
    """A row for each other market, with two queries for all of them, and one for each that was not compared yet."""
    there = {other.market_id: other for other in Product.objects.filter(id=product.id).exclude(pk=product.pk)}
    versions = {state.id: state.version for state in MarketState.of_all()}
    own = next(market for market in markets if market.pk == product.market_id)
    return [
        InMarket(market, there.get(market.pk), _marks_of(product, own, there.get(market.pk), market, versions))
        for market in markets
        if market != own
    ]


def _marks_of(
    product: Product, own: Market, other: Product | None, market: Market, versions: dict[int, int]
) -> list[Any]:
    if other is None:
        return [_("Not there")]
    marks: list[Any] = [_("Archived")] if other.archived_at else []
    languages = [each.language.lower().partition("-")[0] for each in (own, market)]
    if all(languages) and languages[0] != languages[1] and other.title and other.title == product.title:
        marks.append(_("Title in another language"))
    if other.price is None:
        marks.append(_("No price"))
    elif product.price:
        ratio = compute_once(
            own.pk,
            versions.get(own.pk, 0),
            f"prices beside {market.pk} {versions.get(market.pk, 0)}",
            lambda: compare_prices(own, market),
        )
        expected = product.price * ratio if ratio else other.price
        if abs(other.price - expected) > expected * MAX_PRICE_DIFFERENCE:
            percent = f"{(other.price / expected - 1) * 100:+.0f} %".replace("-", "−")
            marks.append(_("Price %(percent)s beside other products") % {"percent": percent})
    return marks


def compare_prices(market: Market, other: Market) -> Decimal | None:
    """How many times the prices in `market` those in the other one are, by the medians of ids that both have.

    None when they have too few in common.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT
                count(*),
                percentile_disc(0.5) WITHIN GROUP (ORDER BY here), percentile_disc(0.5) WITHIN GROUP (ORDER BY there)
            FROM (
                SELECT product.price AS here, other.price AS there
                FROM catalog_product product JOIN catalog_product other ON other.id = product.id
                WHERE product.market_id = %s AND product.archived_at IS NULL AND product.price IS NOT NULL
                    AND other.market_id = %s AND other.archived_at IS NULL AND other.price IS NOT NULL
                LIMIT %s
            ) AS both_priced
            """,
            [market.pk, other.pk, COMPARED_PRICES],
        )
        number, here, there = cursor.fetchone()
    return there / here if number >= MIN_COMPARED_PRICES else None


# --- what is missing ----------------------------------------------------------------------------------


def missing_by_pair(
    markets: list[Market], *, counting: bool
) -> list[tuple[Market, list[tuple[Market, int | None]]]] | None:
    """For each market a row: how many of its ids each market does not have; None for itself.

    Without `counting` None, unless the numbers are known for the present versions.
    """
    states = MarketState.of_all()
    first, version = states[0].id, states[0].version
    what = f"missing {[(state.id, state.version) for state in states]}"
    counted = compute_once(first, version, what, count_missing) if counting else known_value(first, version, what)
    if counted is None:
        return None
    return [
        (
            market,
            [(other, None if other == market else counted.get((market.pk, other.pk), 0)) for other in markets],
        )
        for market in markets
    ]


def count_missing() -> dict[tuple[int, int], int]:
    """How many ids the first market of each pair has on its list, and the second has not."""
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT markets, count(*)
            FROM (
                SELECT array_agg(market_id::int) AS markets FROM catalog_product WHERE archived_at IS NULL GROUP BY id
            ) AS places
            GROUP BY markets
        """)
        rows = cursor.fetchall()
        cursor.execute("SELECT id FROM catalog_market")
        everywhere = {market for (market,) in cursor.fetchall()}
    missing: Counter[tuple[int, int]] = Counter()
    for places, number in rows:
        for market in places:
            for other in everywhere.difference(places):
                missing[market, other] += number
    return dict(missing)
