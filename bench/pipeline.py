"""The import pipeline beside a bare parse of the same file and Django's `bulk_create` of the same rows.

    make bench ARGS="--items 100000"

Each measurement is a process of its own, so that its peak memory is its own, on one database that is dropped
afterwards. The machine's speed cancels out in the ratios: quote those.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")

KIB_PER_MB = 1024
PEER_BATCH = 1000
SEED = 1


def measure_parse(feed: Path) -> dict[str, float]:
    """The floor: lxml walks over the file's items and looks at nothing."""
    from lxml import etree

    start = time.perf_counter()
    with feed.open("rb") as stream:
        for _event, element in etree.iterparse(stream, tag="item"):
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    return {"parse": time.perf_counter() - start}


def measure_import(feed: Path) -> dict[str, float]:
    """Ours: receive, stage, plan, apply."""
    from django.core.files.base import File

    from catalog.imports.here import import_here
    from catalog.models import Feed, Status

    source, _made = Feed.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    start = time.perf_counter()
    with feed.open("rb") as stream:
        run = import_here(File(stream, name=feed.name), feed=source)
    total = time.perf_counter() - start
    if run.status != Status.APPLIED:
        raise SystemExit(f"{run} is {run.status}: {run.error}")
    return {**run.seconds, "total": total}


def measure_bulk_create(feed: Path) -> dict[str, float]:
    """The peer: the same rows, read and checked beforehand, through the ORM's upsert. Only the writing is timed."""
    from catalog.feeds.check import Rules, check
    from catalog.feeds.items import read_items
    from catalog.models import Product

    fields = [f.name for f in Product._meta.concrete_fields if f.name not in ("id", "search", "created_at")]
    seconds = 0.0
    with feed.open("rb") as stream:
        rows = (Product(extra=i.extra, **i.values) for i in (check(raw, Rules()) for raw in read_items(stream)))
        while batch := list(islice(rows, PEER_BATCH)):
            start = time.perf_counter()
            Product.objects.bulk_create(batch, update_conflicts=True, unique_fields=["id"], update_fields=fields)
            seconds += time.perf_counter() - start
    return {"total": seconds}


MEASUREMENTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "parse": measure_parse,
    "import": measure_import,
    "bulk_create": measure_bulk_create,
}


def measure_alone(name: str, feed: Path) -> dict[str, float]:
    """Run one measurement in a fresh process and return its figures with its peak memory in MB."""
    command = [sys.executable, "-m", "bench.pipeline", "--measure", name, "--feed", str(feed)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment())
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _environment() -> dict[str, str]:
    return {**os.environ, "BENCH_DATABASE": str(settings.DATABASES["default"]["NAME"])}


def _measure_here(name: str, feed: Path) -> None:
    figures = MEASUREMENTS[name](feed)
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB
    print(json.dumps(figures))


@contextmanager
def own_database() -> Iterator[None]:
    """A fresh database for this run, dropped afterwards."""
    from django.test.utils import setup_databases, teardown_databases

    from config import embedded

    embedded.ensure()
    settings.DATABASES["default"]["TEST"]["NAME"] = f"bench_{os.getpid()}"
    made = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        teardown_databases(made, verbosity=0)


def _empty_products() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE catalog_product, catalog_stageditem, catalog_importrun CASCADE")


def _generate(folder: Path, items: int) -> Path:
    from catalog.samples import write_feed

    feed = folder / f"{items}.xml"
    with feed.open("wb") as out:
        write_feed(out, items=items, seed=SEED)
    return feed


def compare(items: int) -> list[tuple[str, dict[str, float]]]:
    """All measurements on one generated feed of so many items."""
    with tempfile.TemporaryDirectory() as folder:
        feed = _generate(Path(folder), items)
        rows = [("bare parse (lxml.iterparse)", measure_alone("parse", feed))]
        rows.append(("first import", measure_alone("import", feed)))
        rows.append(("same file again", measure_alone("import", feed)))
        _empty_products()
        rows.append(("bulk_create, first", measure_alone("bulk_create", feed)))
        rows.append(("bulk_create, again", measure_alone("bulk_create", feed)))
        return rows


def _print(items: int, rows: list[tuple[str, dict[str, float]]]) -> None:
    columns = ("parse", "stage", "plan", "apply", "total")
    print(f"\n{items:,} items, items per second\n{'':30}" + "".join(f"{c:>10}" for c in columns) + f"{'peak MB':>10}")
    for name, figures in rows:
        speeds = (f"{items / figures[c]:>10,.0f}" if figures.get(c) else f"{'–':>10}" for c in columns)
        print(f"{name:30}" + "".join(speeds) + f"{figures['peak_mb']:>10,.0f}")
    totals = {name: figures.get("total", 0.0) for name, figures in rows}
    for ours, peer in (("first import", "bulk_create, first"), ("same file again", "bulk_create, again")):
        print(f"{ours}: {totals[peer] / totals[ours]:.2f} times as fast as bulk_create")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--measure", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    parser.add_argument("--feed", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if name := os.environ.get("BENCH_DATABASE"):
        settings.DATABASES["default"]["NAME"] = name
    django.setup()
    if options.measure:
        _measure_here(options.measure, options.feed)
        return
    with own_database():
        for items in options.items:
            _empty_products()
            _print(items, compare(items))


if __name__ == "__main__":
    main()
