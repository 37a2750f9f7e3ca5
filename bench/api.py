"""The reading calls of the API under load, beside the same calls written naively, on the same products in one run.

    .venv/bin/python -m bench.api --products 1000000

It makes a database of its own, fills it, starts two web workers, asks each call so often a second, and drops it all
again; with `--keep NAME` the database stays, for the next run to find it filled. Before each call the catalogue gets
another version, so that nothing is in any cache. What is not answered when a call's time is over counts as answered
then. The naive calls are asked for a third of the time. `--write` puts the result into docs/performance-api.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import django

from bench import api_report
from bench.api_report import Row
from bench.database import own_database, stop_queries
from bench.load import Call, Figures, Load, serve, web_workers
from bench.products import BRANDS, KINDS, LOOKS, fill, kept_in_memory, product_id, title_of

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.settings")

PAGE_SIZE = 20
NAIVE_SHARE = 1 / 3


# --- what is asked ------------------------------------------------------------------------------------
def _list(**fixed: Any) -> Callable[[random.Random, int], str]:
    """An address of the list; what can be called is, with the dice and the number of products."""

    def address(dice: random.Random, products: int) -> str:
        asked = {name: value(dice, products) if callable(value) else value for name, value in fixed.items()}
        return f"/list-products/?{urlencode(asked)}"

    return address


def _page(wanted: int) -> Callable[[random.Random, int], int]:
    return lambda _dice, products: min(wanted, -(-products // PAGE_SIZE))


def _brand(dice: random.Random, _products: int) -> str:
    return f"Brand {dice.randrange(BRANDS)}"


def _words(dice: random.Random, products: int) -> str:
    """Two words of a product's title, of which the second is not typed to its end."""
    one, other = dice.sample(title_of(dice.randrange(products) + 1), 2)
    return f"{one} {other[:-1]}"


def _broad(dice: random.Random, _products: int) -> str:
    return f"{dice.choice(LOOKS)} {dice.choice(KINDS)}"


def _typo(dice: random.Random, products: int) -> str:
    """A word of a product's title that misses its fourth letter."""
    word = dice.choice([word for word in title_of(dice.randrange(products) + 1) if len(word) > 5])
    return word[:3] + word[4:]


def _price(dice: random.Random, _products: int) -> int:
    return dice.randrange(100, 900)


CALLS = (
    Call("first page", 30, _list()),
    Call("page 1,000", 100, _list(page=_page(1000))),
    Call("middle page", 100, _list(page=lambda _dice, products: max(products // PAGE_SIZE // 2, 1))),
    Call("last page", 100, _list(page=_page(10**9))),
    Call("condition", 100, _list(condition="used")),
    Call("gender", 100, _list(gender="female")),
    Call("brand", 100, _list(brand=_brand)),
    Call("availability", 100, _list(availability="preorder")),
    Call("price, cheapest first", 100, _list(min_price=_price, sort_by="price")),
    Call("dearest first, page 1,000", 100, _list(sort_by="price", order="desc", page=_page(1000))),
    Call("three filters", 100, _list(brand=_brand, gender="female", condition="new")),
    Call("search", 100, _list(search=_words)),
    Call("search, two broad words", 100, _list(search=_broad)),
    Call("search with a typo", 100, _list(search=_typo)),
    Call("filter options", 100, lambda _dice, _products: "/filter-options/"),
    Call("detail", 100, lambda dice, products: f"/product-detail/{quote(product_id(dice.randrange(products) + 1))}/"),
    Call("304", 10, _list(), known=True),
)


# --- the run ------------------------------------------------------------------------------------------
def measure(products: int, rate: float, seconds: float, naive: bool) -> list[Row]:
    """First ours, all of them, and then the naive ones in other workers: these leave much undone behind them."""
    token = _token()
    with web_workers("-m", "bench.api", "--serve") as ports:
        load = Load(ports, token, products, rate)
        load.run(CALLS[0], 2)  # the first requests import, compile and connect
        rows = [_ours(load, call, seconds) for call in CALLS]
    if not naive:
        return rows
    with web_workers("-m", "bench.api", "--serve") as ports:
        load = Load(ports, token, products, rate)
        for row, call in zip(rows, CALLS, strict=True):
            if not call.known:
                _add_naive(row, load.run(call, seconds * NAIVE_SHARE, "/naive"))
                stop_queries()
    return rows


def _ours(load: Load, call: Call, seconds: float) -> Row:
    from catalog.models import DEFAULT_MARKET, CatalogState

    CatalogState.bump(DEFAULT_MARKET)
    figures = load.run(call, seconds)
    row = Row(
        call=call.name,
        most=call.most,
        p50=figures.at(0.5),
        p95=figures.at(0.95),
        p99=figures.at(0.99),
        first=figures.first,
        errors=figures.errors + figures.late,
    )
    print(api_report.line(row), flush=True)
    return row


def _add_naive(row: Row, figures: Figures) -> None:
    row.naive_p95, row.naive_errors = figures.at(0.95), figures.errors + figures.late
    print(api_report.naive_line(row), flush=True)


def _token() -> str:
    from accounts.models import User
    from accounts.sessions import SessionRefreshToken

    user, _made = User.objects.get_or_create(username="bench", defaults={"email": "bench@example.com"})
    return str(SessionRefreshToken.for_user(user).access_token)


def query_counts() -> dict[str, list[int]]:
    """How many queries each call makes, for pages of 1, 20 and 100 products, when nothing is in any cache."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from rest_framework.test import APIClient

    from accounts.models import User
    from catalog.models import DEFAULT_MARKET, CatalogState

    api = APIClient(headers={"Host": "localhost"})
    api.force_authenticate(User.objects.get(username="bench"))
    counts: dict[str, list[int]] = {}
    for call in CALLS[:-1]:
        address = call.address(random.Random(call.name), 1)  # noqa: S311
        for size in (1, 20, 100) if address.startswith("/list") else (0,):
            CatalogState.bump(DEFAULT_MARKET)
            with CaptureQueriesContext(connection) as seen:
                api.get(f"{address}{'&' if '?' in address else '?'}page_size={size}" if size else address)
            counts.setdefault(call.name, []).append(len(seen))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--markets", type=int, default=1, help="which have the same ids; the default one is asked")
    parser.add_argument("--rate", type=float, default=50, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30, help="for each call")
    parser.add_argument("--no-naive", action="store_true", help="only ours")
    parser.add_argument("--keep", default="", metavar="NAME", help="the database to find or make, and to leave there")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--write", action="store_true", help="write docs/performance-api.md")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    django.setup()
    if options.serve:
        serve(options.serve)
        return
    with own_database(options.keep):
        start = time.monotonic()
        fill(options.products, options.markets)
        seconds, memory = time.monotonic() - start, kept_in_memory()
        print(f"{options.products:,} products in {seconds:,.0f} s; PostgreSQL has shared_buffers of {memory}")
        print(api_report.HEAD)
        rows = measure(options.products // options.markets, options.rate, options.seconds, not options.no_naive)
        counts = query_counts()
    print("queries, for pages of 1, 20 and 100: " + "; ".join(f"{name} {counts[name]}" for name in counts))
    if options.json:
        options.json.write_text(json.dumps({"rows": [vars(row) for row in rows], "queries": counts}, indent=1))
    if options.write:
        api_report.write(rows, counts, products=options.products, rate=options.rate, memory=memory)
    if any(len(set(numbers)) > 1 for numbers in counts.values()):
        raise SystemExit("A long page takes other queries than a short one.")
    if not all(row.good for row in rows):
        raise SystemExit("Not every call was quick enough.")


if __name__ == "__main__":
    main()
