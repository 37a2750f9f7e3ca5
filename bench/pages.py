"""The admin's pages with a large catalogue against the time that nobody waits for, and an undo beside its apply.

    make benchpages ARGS="--items 1000000"

It makes a database of its own and in it a first import, then one that changes a tenth of the products. At each station
of their lives every page, filter and call is asked: once as the first, and then several times. In the end so are the
pages of the catalogue: products with each filter and order, feeds, the upload, the palette. It prints the slowest of
each station, and all that were too slow, and drops the database again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import django
from django.conf import settings

from bench.database import own_database

if TYPE_CHECKING:
    from catalog.models import ImportRun

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.settings")

MOST_MS = 300
MOST_MS_OF_FIRST_PAGE = 200
MOST_OF_APPLY = 2
TIMES = 3
SEED = 1
CHANGED, ADDED, REMOVED = 10, 1, 5  # percent
EDITED = 20  # products, by hand
LAST = 2**62
ADMIN = "/admin/catalog/importrun/"
PRODUCTS = "/admin/catalog/product/"
FIRST_PAGE = "/admin/"


# --- what is asked ------------------------------------------------------------------------------------
def addresses(run: ImportRun) -> Iterator[tuple[str, str]]:
    """Every page of the run with all its filters, first and last of each list, and every call: name and address."""
    yield "first page", FIRST_PAGE
    yield "list of imports", ADMIN
    yield "list of imports, by status", f"{ADMIN}?status__exact={run.status}"
    for name, query in _lists(run):
        page = f"{ADMIN}{run.pk}/change/?{query}"
        yield name, page
        yield f"{name}, last page", f"{page}&before={LAST}"
    yield "middle page", f"{ADMIN}{run.pk}/change/?after={_middle(run)}"
    for file in ("live/", "changes.csv", "invalid.csv", "invalid.xml"):
        yield file, f"{ADMIN}{run.pk}/{file}"
    if run.status == "review":
        yield "products edited since", f"{ADMIN}{run.pk}/edited/"
    if run.status == "applied":
        for bucket in ("undone", "kept", "gone"):
            yield f"undo, {bucket}", f"{ADMIN}{run.pk}/undo/?bucket={bucket}"
            yield f"undo, {bucket}, last page", f"{ADMIN}{run.pk}/undo/?bucket={bucket}&before={LAST}"
    for call in ("", f"{run.pk}/", f"{run.pk}/issues/", f"{run.pk}/issues/?page=2"):
        yield f"API {call}", f"/imports/{call}"
    yield from _product(run)


def _lists(run: ImportRun) -> Iterator[tuple[str, str]]:
    """The tabs with their filters, as far as the page offers them: name and query."""
    from catalog.models import Operation

    for tab in ("changes", "missing", "issues", "invalid", "attributes"):
        yield tab, f"tab={tab}"
    for operation in Operation.values:
        yield operation, f"operation={operation}"
    conflicts = run.conflict + run.archive_conflict
    numbers = {"conflict": conflicts, "undone": run.undone, "kept": run.kept, "gone": run.gone}
    for outcome in (outcome for outcome, number in numbers.items() if number):
        yield outcome, f"outcome={outcome}"
    yield "one product", f"product_id={_some_change(run).product_id}"
    yield "no product", "product_id=none"
    yield "beginning of an id", f"q={_some_change(run).product_id[:-1]}"
    yield "words", "q=silk dress"
    yield "words of nothing", "q=qqqxxx"
    fields = sorted(run.changed_fields.defer("changes"), key=lambda each: each.number)
    for each in (fields[0], fields[len(fields) // 2], fields[-1]) if fields else ():
        yield f"{each}, {each.operation}", f"field={each.name}&operation={each.operation}"
        yield f"{each}", f"field={each.name}"
    yield from _facets(run)
    issues = list(run.issues.all())
    for issue in (issues[0], issues[len(issues) // 2], issues[-1]) if issues else ():
        yield f"{issue.code}, {issue.count:,} items", f"tab=issues&code={issue.code}&attribute={issue.attribute}"


def _facets(run: ImportRun) -> Iterator[tuple[str, str]]:
    """The most and the least frequent choice of each facet, alone and with others, and the orders: name and query."""
    for name, counted in run.meaning.get("facets", {}).items():
        for value, number in {tuple(counted[0]), tuple(counted[-1])} if counted else ():
            yield f"{name}, {number:,} changes", urlencode({"tab": "changes", name: value})
            yield f"{name} and words, {number:,}", urlencode({"tab": "changes", name: value, "q": "silk"})
            yield f"{name} by price, {number:,}", urlencode({"tab": "changes", name: value, "sort": "falls"})
    yield "biggest falls", "tab=changes&sort=falls"
    for code, number in run.meaning.get("invalid", [])[:1]:
        yield f"invalid, {number:,} with {code}", f"tab=invalid&code={code}"


def _product(run: ImportRun) -> Iterator[tuple[str, str]]:
    from catalog.models import Product
    from catalog.templatetags.catalog import product_url

    product_id = _some_change(run).product_id
    if Product.objects.in_market(run.market_id).filter(id=product_id).exists():
        yield "history of a product", product_url(product_id, run.feed.market).replace("change", "history")


def addresses_of_catalogue(run: ImportRun) -> Iterator[tuple[str, str]]:
    """Every page beside those of an import that is applied: name and address."""
    from catalog.models import Product
    from catalog.templatetags.catalog import product_url

    yield "upload", f"{PRODUCTS}import/"
    yield "export", f"{PRODUCTS}export/"
    yield "feeds", "/admin/catalog/feed/"
    yield "a feed", f"/admin/catalog/feed/{run.feed_id}/change/"
    yield "my exports", "/admin/catalog/export/"
    yield "markets", "/admin/catalog/market/"
    yield "products", PRODUCTS
    product = Product.objects.active().filter(market=run.market_id).exclude(item_group_id="").first()
    if product is None:
        raise SystemExit("No product is in a group of variants.")
    yield "a product", product_url(product.id, run.feed.market)
    for typed in (product.id, product.id[:3], "silk dress", "qqqxxx", "import", f"#{run.pk}"):
        yield f"palette, {typed}", f"/admin/search/?{urlencode({'s': typed})}"
    middle = Product.objects.active().filter(market=run.market_id).count() // 100
    yield "products, a page in the middle", f"{PRODUCTS}?p={max(middle, 1)}"
    for name, query in _product_filters(run, product):
        yield f"products, {name}", f"{PRODUCTS}?{urlencode(query)}"
        yield f"products, {name}, grouped", f"{PRODUCTS}?{urlencode({**query, 'grouped': 'yes'})}"
        yield f"products, {name}, by price", f"{PRODUCTS}?{urlencode({**query, 'o': '4'})}"


def _product_filters(run: ImportRun, product: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each filter of the list, with what most and what few products have, and some together: name and query."""
    from django.db.models import Count

    from catalog.models import Market, Product

    def most_and_fewest(field: str) -> tuple[str, str]:
        products = Product.objects.active().filter(market=run.market_id).exclude(**{field: ""}).order_by()
        counted = products.values_list(field).annotate(number=Count("pk")).order_by("-number", field)
        return counted[0][0], counted.reverse()[0][0]

    yield "all", {}
    for name, column in (("brand", "brand"), ("category", "product_type")):
        for value in most_and_fewest(column):
            yield f"{name} {value}", {name: value}
    top = most_and_fewest("product_type")[0].split(">")[0].strip()
    yield f"category {top}", {"category": top}
    yield "group", {"group": product.item_group_id}
    yield "dear", {"price_from": "5000"}
    yield "cheap", {"price_to": "10"}
    yield "between", {"price_from": "500", "price_to": "700"}
    yield "changed by the import", {"import": run.pk}
    yield "changed by no import", {"import": 2**40}
    for mark in ("issues", "has_pins", "edited"):
        yield mark, {mark: "yes"}
    for market in Market.objects.exclude(pk=run.market_id)[:1]:
        yield f"missing in {market}", {"missing_in": market.code}
    for archive in ("archived", "all"):
        yield archive, {"archive": archive}
    yield "feed", {"feed__id__exact": run.feed_id}
    for name, value in (("availability", "out_of_stock"), ("condition", "used"), ("gender", "female")):
        yield f"{name} {value}", {f"{name}__exact": value}
    for words in ("silk dress", "dress", "qqqxxx", product.id, "dres"):
        yield f"words {words}", {"q": words}
    brand = most_and_fewest("brand")[0]
    yield "brand and words", {"brand": brand, "q": "silk"}
    yield "brand, issues and availability", {"brand": brand, "issues": "yes", "availability__exact": "in_stock"}
    yield "import and price", {"import": run.pk, "price_from": "500"}


def _some_change(run: ImportRun) -> Any:
    return run.changes.first()


def _middle(run: ImportRun) -> int:
    """The id of a change with about as many before it as after it."""
    ids = run.changes.order_by("id").values_list("id", flat=True)
    return int(ids.first() or 0) // 2 + int(ids.last() or 0) // 2


# --- how long it takes --------------------------------------------------------------------------------
@dataclass(frozen=True)
class Asked:
    """One address at one station: ms of the first time, and usually."""

    station: str
    name: str
    first: float
    usual: float

    most: float

    @property
    def ms(self) -> float:
        return max(self.first, self.usual)

    @property
    def is_slow(self) -> bool:
        return self.ms >= self.most


@dataclass
class Results:
    asked: list[Asked] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def slow(self) -> list[Asked]:
        return [one for one in self.asked if one.is_slow]

    def of_apply(self, step: str) -> float:
        return self.seconds[step] / self.seconds["apply"]


class Visitor:
    """Somebody with every right, in the admin and through the API."""

    def __init__(self) -> None:
        from django.test import Client
        from rest_framework.test import APIClient

        from accounts.models import User

        user = User.objects.create_superuser("bench", "bench@example.com", "bench")
        self._admin, self._api = Client(headers={"Host": "localhost"}), APIClient(headers={"Host": "localhost"})
        self._admin.force_login(user)
        self._api.force_authenticate(user)
        self.ask("/admin/")  # the first page of all, for which a process imports and compiles

    def ask(self, address: str) -> float:
        """How many ms the answer takes; of a download, its first piece."""
        start = time.perf_counter()
        answer: Any = (self._api if address.startswith("/imports") else self._admin).get(address)
        if answer.streaming:
            next(iter(answer))
        if answer.status_code != 200:
            raise SystemExit(f"{address} answers {answer.status_code}.")
        return (time.perf_counter() - start) * 1000

    def look(
        self,
        run: ImportRun,
        station: str,
        results: Results,
        addresses: Callable[[ImportRun], Iterator[tuple[str, str]]] = addresses,
    ) -> None:
        """Ask every address and print the slowest."""
        run.refresh_from_db()
        self.ask(f"{ADMIN}{run.pk}/change/")  # compiles its templates, once
        asked = []
        for name, address in addresses(run):
            first = self.ask(address)
            usual = statistics.median(self.ask(address) for _ in range(TIMES))
            most = MOST_MS_OF_FIRST_PAGE if address == FIRST_PAGE else MOST_MS
            asked.append(Asked(station, name, first, usual, most))
        results.asked += asked
        slowest = max(asked, key=lambda one: one.ms)
        print(f"{station:44}{len(asked):>4} pages, slowest {slowest.ms:>6,.0f} ms: {slowest.name}", flush=True)
        for one in asked:
            if one.is_slow:
                print(f"    too slow: {one.name}: {one.first:,.0f} ms at first, usually {one.usual:,.0f} ms")


# --- what happens -------------------------------------------------------------------------------------
class Life:
    """Two imports from the upload to the end, looked at on the way."""

    def __init__(self, items: int, folder: Path) -> None:
        self._items = items
        self._folder = folder
        self.results = Results()
        self._look = partial(Visitor().look, results=self.results)

    def lead(self) -> None:
        from catalog.imports.local import local_queue

        with local_queue():  # each step is taken below
            self._first_import()
            self._tenth_changed()

    def _first_import(self) -> None:
        from catalog.imports.discard import clean_up
        from catalog.imports.undo import prospect, redo, request_redo, request_undo, undo

        run = self._planned("base.xml")
        self._look(run, "first import, in review")
        self._apply(run)
        self._take("clean up", clean_up, run)
        self._look(run, "applied")
        _edit(run)
        self._take("what an undo would do, products edited since", prospect, run)
        request_undo(run, by=None)
        self._take("undo", undo, run)
        self._look(run, "undone")
        request_redo(run, by=None)
        self._take("redo", redo, run)
        clean_up(run)

    def _tenth_changed(self) -> None:
        from catalog.imports.confirm import edited_since
        from catalog.imports.discard import clean_up, discard

        run = self._planned("changed.xml")
        self._look(run, "a tenth changed, in review")
        _edit(run)
        self._take("how many of the plan were edited since", edited_since, run)
        self._look(run, "in review, products edited since")
        self._apply(run, step="apply the tenth")
        self._look(run, "applied, with conflicts")
        self._look(run, "the catalogue", addresses=addresses_of_catalogue)
        run = self._planned("changed.xml")

        def discard_and_clean_up(run: ImportRun) -> None:
            discard(run, by=None)
            clean_up(run)

        self._take("discard", discard_and_clean_up, run)

    def _planned(self, name: str) -> ImportRun:
        """The import of that file, up to its plan."""
        from django.core.files.base import File

        from catalog.imports.local import stage_locally
        from catalog.imports.receive import receive
        from catalog.models import Feed, Mode, Status

        feed, _made = Feed.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
        with (self._folder / name).open("rb") as stream:
            run = receive(File(stream, name=name), feed=feed, mode=Mode.SYNC, by=None)
        stage_locally(run)
        if run.status != Status.REVIEW:
            raise SystemExit(f"{run} is {run.status}: {run.error}")
        return run

    def _apply(self, run: ImportRun, step: str = "apply") -> None:
        from catalog.imports.apply import apply
        from catalog.imports.confirm import confirm

        confirm(run, plan_hash=run.plan_hash, by=None, reason="measured")
        self._take(step, apply, run)

    def _take(self, step: str, act: Callable[..., Any], run: ImportRun, **options: Any) -> None:
        start = time.perf_counter()
        act(run, **options)
        self.results.seconds[step] = time.perf_counter() - start
        print(f"{step:46}{self.results.seconds[step]:>8,.1f} s", flush=True)


def _generate(items: int, folder: Path) -> None:
    from samples import Changes, write_feed

    later = Changes(from_seed=SEED, changed=CHANGED, added=ADDED, removed=REMOVED)
    with (folder / "base.xml").open("wb") as out:
        write_feed(out, items=items, seed=SEED, profile="typical")
    with (folder / "changed.xml").open("wb") as out:
        write_feed(out, items=items, seed=SEED + 1, profile="typical", changes=later)


def _fill_others(items: int, markets: int) -> None:
    """Other markets with as many products each, whose imports are over."""
    from bench.products import insert
    from catalog.models import Market

    for number in range(2, markets + 1):
        insert(items, Market.objects.create(code=f"market-{number}", name=f"Market {number}").pk, 0)


def _edit(run: ImportRun) -> None:
    """Some of the run's products, by hand."""
    from catalog.imports.edit import edit_product
    from catalog.models import Product

    ids = run.changes.order_by("-id").values_list("product_id", flat=True)[:EDITED]
    for product in Product.objects.filter(id__in=[*ids]):
        product.title += ", edited"
        product.pinned = ["title"]
        edit_product(product, by=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000, help="products of the catalogue")
    parser.add_argument(
        "--markets", type=int, default=1, help="with as many products each; the imports are of the first"
    )
    options = parser.parse_args()
    django.setup()
    with own_database(), tempfile.TemporaryDirectory() as folder:
        settings.MEDIA_ROOT = folder
        _generate(options.items, Path(folder))
        _fill_others(options.items, options.markets)
        life = Life(options.items, Path(folder))
        life.lead()
    results = life.results
    ratios = ", ".join(f"{step} {results.of_apply(step):.2f}" for step in ("undo", "redo", "clean up"))
    bars = f"{MOST_MS} ms, the first page {MOST_MS_OF_FIRST_PAGE} ms"
    print(f"\n{len(results.asked)} answers, {len(results.slow)} of them too slow ({bars}). Times the apply: {ratios}.")
    if results.slow or results.of_apply("undo") >= MOST_OF_APPLY:
        sys.exit(1)


if __name__ == "__main__":
    main()
