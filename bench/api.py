"""The reading calls of the API under load, beside the same calls written naively, on the same products in one run.

    .venv/bin/python -m bench.api --products 1000000

It makes a database of its own, fills it, starts two web workers, asks each call so often a second, and drops it all
again. A request that starts late because the earlier ones were slow has waited, and the waiting counts. What is not
answered when a call's time is over counts as answered then. Besides the filling it takes about half a minute for each
second that a call is asked (`--seconds`), and ends by itself however slow the answers are.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import django
from django.conf import settings

from bench.database import own_database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.settings")

WEB_WORKERS = 2
CLIENTS = 32
PAGE_SIZE = 20
BRANDS = 400
WORDS = (
    "silk cotton linen wool leather dress shirt coat bag ring scarf belt kaftan abaya sandals boots heels loafers "
    "evening summer winter classic slim printed floral embroidered pleated midi maxi quilted"
).split()
# A request is given up after so long, and a call when its time is over and this much beside.
TIMEOUT = 10.0


# --- what is asked ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Call:
    """A call with what its p95 may be in ms. `address` makes one to ask for, another one each time."""

    name: str
    most: float
    address: Callable[[random.Random, int], str]
    known: bool = False  # the client has the answer already


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


def _words(dice: random.Random, _products: int) -> str:
    return " ".join(word[:-1] for word in dice.sample(WORDS, 2))


def _typo(dice: random.Random, _products: int) -> str:
    word = dice.choice([word for word in WORDS if len(word) > 5])
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
    Call("search with a typo", 100, _list(search=_typo)),
    Call("filter options", 100, lambda _dice, _products: "/filter-options/"),
    Call("detail", 100, lambda dice, products: f"/product-detail/{quote(_id(dice.randrange(1, products + 1)))}/"),
    Call("304", 10, _list(), known=True),
)


# --- the products -------------------------------------------------------------------------------------
def _id(number: int) -> str:
    return f"{number * 7919 % 100_000_007:09}_{number}"


def _word(step: int) -> str:
    """Of the words in SQL, another one after so many products."""
    return f"words[1 + (n / {step}) %% {len(WORDS)}]"


def fill(products: int) -> None:
    """Products with believable titles, brands of very different sizes, and about 2.5 KB each."""
    from django.db import connection

    from catalog.models import CatalogState, Product

    given = {
        "id": "lpad((n::bigint * 7919 %% 100000007)::text, 9, '0') || '_' || n",
        "title": f"initcap(concat_ws(' ', {', '.join(_word(step) for step in (1, 7, 211))}))",
        "brand": f"'Brand ' || (power(random(), 3) * {BRANDS - 1})::int",
        "description": "repeat(md5(n::text), 50)",
        "condition": "CASE WHEN n %% 100 = 0 THEN 'used' WHEN n %% 1000 = 1 THEN 'refurbished' ELSE 'new' END",
        "gender": "(ARRAY['female', 'male', 'unisex'])[1 + n %% 3]",
        "availability": "(ARRAY['in_stock', 'in_stock', 'in_stock', 'out_of_stock', 'preorder'])[1 + n %% 5]",
        "price": "100 + (n::bigint * 37) %% 20000",
        "currency": "'AED'",
        "link": "'https://www.example.com/' || n",
        "image_link": "'https://www.example.com/' || n || '.jpg'",
        "version": "1",
        "created_at": "now() - n * interval '1 second'",
        "updated_at": "now() - n * interval '1 second'",
    }
    blank = {"TextField": "''", "ArrayField": "'{}'", "JSONField": "'{}'"}
    columns = {
        str(column.column): given.get(str(column.column)) or blank.get(column.get_internal_type(), "NULL")
        for column in Product._meta.concrete_fields
        if not column.generated
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO catalog_product ({", ".join(f'"{name}"' for name in columns)})
            SELECT {", ".join(columns.values())}
            FROM generate_series(1, %s) AS n, (SELECT %s::text[] AS words) AS all_words
            """,
            [products, WORDS],
        )
    _settle()
    CatalogState.bump()


def _settle() -> None:
    """Have every row known as visible to all, as autovacuum sees to; it may be at work itself, and then ends first."""
    from django.db import connection

    with connection.cursor() as cursor:
        for _ in range(20):
            cursor.execute("VACUUM ANALYZE catalog_product")
            cursor.execute("SELECT relallvisible >= relpages * 0.99 FROM pg_class WHERE relname = 'catalog_product'")
            if cursor.fetchone()[0]:
                return
            time.sleep(0.5)


# --- the servers --------------------------------------------------------------------------------------
def serve(port: int) -> None:
    """One web worker, a thread for each connection."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

    from config.wsgi import application

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadedWSGIServer(("127.0.0.1", port), Quiet)
    server.set_app(application)
    server.serve_forever()


@contextmanager
def web_workers() -> Iterator[list[int]]:
    """The ports of the web workers, which end with this."""
    ports = [_free_port() for _ in range(WEB_WORKERS)]
    environment = {**os.environ, "BENCH_DATABASE": str(settings.DATABASES["default"]["NAME"])}
    command = [sys.executable, "-W", "ignore", "-m", "bench.api", "--serve"]
    workers = [subprocess.Popen([*command, str(port)], env=environment) for port in ports]
    try:
        for port, worker in zip(ports, workers, strict=True):
            _wait_for(port, worker)
        yield ports
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(timeout=10)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int, worker: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and worker.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("A web worker did not start.")


# --- the load -----------------------------------------------------------------------------------------
@dataclass
class Figures:
    """How long the requests of one call took, in ms, and how many were no answer."""

    times: list[float] = field(default_factory=list)
    errors: int = 0
    late: int = 0

    def at(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class Load:
    """Asks at a steady rate, from threads that keep their connections."""

    def __init__(self, ports: list[int], token: str, products: int, rate: float, seconds: float) -> None:
        self._ports = ports
        self._headers = {"Authorization": f"Bearer {token}"}
        self._products = products
        self._rate = rate
        self._count = int(rate * seconds)

    def run(self, call: Call, prefix: str = "") -> Figures:
        """The figures of one call. `prefix` leads to another implementation of it."""
        dice = random.Random(call.name)  # noqa: S311 - the same addresses for both implementations
        addresses = [prefix + call.address(dice, self._products) for _ in range(self._count)]
        headers = {**self._headers, **self._known(addresses[0])} if call.known else self._headers
        figures, turn, lock = Figures(), iter(range(self._count)), threading.Lock()
        start = time.monotonic() + 0.2
        end = start + self._count / self._rate + TIMEOUT

        def client(number: int) -> None:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self._ports[number % len(self._ports)], timeout=TIMEOUT
            )
            while (mine := _next(turn, lock)) is not None:
                due = start + mine / self._rate
                time.sleep(max(due - time.monotonic(), 0))
                if time.monotonic() > end:
                    figures.late += 1
                else:
                    figures.errors += not _good(connection, addresses[mine], headers, call)
                figures.times.append((time.monotonic() - due) * 1000)
            connection.close()

        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return figures

    def _known(self, address: str) -> dict[str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._ports[0], timeout=TIMEOUT)
        connection.request("GET", address, headers={**self._headers, "Host": "localhost"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return {"If-None-Match": answer.headers.get("ETag", "")}


def _next(turn: Iterator[int], lock: threading.Lock) -> int | None:
    with lock:
        return next(turn, None)


def _good(connection: http.client.HTTPConnection, address: str, headers: dict[str, str], call: Call) -> bool:
    try:
        # One name for all workers: the answers tell addresses, and what tells another address is another answer.
        connection.request("GET", address, headers={**headers, "Host": "localhost"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return False
    return answer.status == (304 if call.known else 200)


# --- the run ------------------------------------------------------------------------------------------
def measure(products: int, rate: float, seconds: float, naive: bool) -> list[dict[str, Any]]:
    token = _token()
    with web_workers() as ports:
        load = Load(ports, token, products, rate, seconds)
        load.run(CALLS[0])  # the first requests import, compile and connect
        rows = []
        for call in CALLS:
            ours = load.run(call)
            theirs = load.run(call, "/naive") if naive and not call.known else None
            rows.append(_row(call, ours, theirs))
            _print(rows[-1])
        return rows


def _token() -> str:
    from accounts.models import User
    from accounts.sessions import SessionRefreshToken

    user = User.objects.create_user("bench", "bench@example.com")
    return str(SessionRefreshToken.for_user(user).access_token)


def _row(call: Call, ours: Figures, naive: Figures | None) -> dict[str, Any]:
    row = {"call": call.name, "p50": ours.at(0.5), "p95": ours.at(0.95), "p99": ours.at(0.99), "most": call.most}
    row |= {"errors": ours.errors + ours.late, "good": ours.at(0.95) < call.most and not ours.errors + ours.late}
    if naive:
        row |= {"naive p50": naive.at(0.5), "naive p95": naive.at(0.95), "naive errors": naive.errors + naive.late}
    return row


def _print(row: dict[str, Any]) -> None:
    naive = f"{row['naive p50']:>12,.0f}{row['naive p95']:>12,.0f}" if "naive p95" in row else " " * 24
    failed = f"   {row['errors']} errors" if row["errors"] else ""
    print(
        f"{row['call']:28}{row['p50']:>8,.1f}{row['p95']:>8,.1f}{row['p99']:>8,.1f}{row['most']:>8,.0f}"
        f"{'ok' if row['good'] else 'NO':>5}{naive}{failed}",
        flush=True,
    )


def query_counts() -> dict[str, list[int]]:
    """How many queries each call makes, for pages of 1, 20 and 100 products."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from rest_framework.test import APIClient

    from accounts.models import User

    api = APIClient(headers={"Host": "localhost"})
    api.force_authenticate(User.objects.get())
    counts: dict[str, list[int]] = {}
    for call in CALLS[:-1]:
        address = call.address(random.Random(call.name), 1)  # noqa: S311
        for size in (1, 20, 100) if address.startswith("/list") else (0,):
            sized = f"{address}{'&' if '?' in address else '?'}page_size={size}" if size else address
            api.get(sized)
            with CaptureQueriesContext(connection) as seen:
                api.get(sized)
            counts.setdefault(call.name, []).append(len(seen))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=50, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10, help="for each call")
    parser.add_argument("--no-naive", action="store_true", help="only ours")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    django.setup()
    if options.serve:
        serve(options.serve)
        return
    with own_database():
        start = time.monotonic()
        fill(options.products)
        print(f"{options.products:,} products in {time.monotonic() - start:,.0f} s; {options.rate:g} requests a second")
        header = ("p50", "p95", "p99", "most")
        print(f"{'ms':28}{''.join(f'{name:>8}' for name in header)}{'':5}{'naive p50':>12}{'naive p95':>12}")
        rows = measure(options.products, options.rate, options.seconds, not options.no_naive)
        counts = query_counts()
    print("queries, for pages of 1, 20 and 100: " + "; ".join(f"{name} {counts[name]}" for name in counts))
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "queries": counts}, indent=1))
    if not all(row["good"] for row in rows):
        raise SystemExit("Not every call was quick enough.")


if __name__ == "__main__":
    main()
