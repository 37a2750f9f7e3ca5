"""The import pipeline beside its floors and its peers, on the same feed, in the same run.

    make bench ARGS="--items 10000 100000"

Each measurement is a process of its own, so that its peak memory is its own, on one database that is dropped
afterwards. The machine's speed cancels out in the ratios: quote those. `--write` puts them into docs/performance.md.
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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")

from bench import days, floors, peers, report
from bench.database import own_database

Figures = dict[str, float]

KIB_PER_MB = 1024
SEED = 1
CHANGED_PERCENT = 10
SCENARIOS = ("first", "unchanged", "changed")
BULK_CREATE_UP_TO = 100_000  # items; above it takes a quarter of an hour
IMPORT_EXPORT_UP_TO = 100_000  # for which it needs more than a gigabyte


@dataclass
class Feeds:
    """The same catalogue on two days, in a folder: as feeds, and as rows for COPY."""

    folder: Path
    items: int
    base: Path = field(init=False)
    changed: Path = field(init=False)

    def __post_init__(self) -> None:
        self.base = self.folder / "base.xml"
        self.changed = self.folder / "changed.xml"

    def of(self, scenario: str) -> Path:
        return self.changed if scenario == "changed" else self.base

    def generate(self) -> None:
        from samples import Changes, write_feed

        later = Changes(from_seed=SEED, changed=CHANGED_PERCENT, added=0, removed=0)
        with self.base.open("wb") as out:
            write_feed(out, items=self.items, seed=SEED)
        with self.changed.open("wb") as out:
            write_feed(out, items=self.items, seed=SEED + 1, changes=later)


def measure_import(feed: Path) -> Figures:
    """Ours: receive, stage, plan, apply, clean up. `peak_mb` is the largest process's."""
    from django.core.files.base import File

    from catalog.imports.local import import_locally
    from catalog.models import Feed, Status

    source, _made = Feed.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    start = time.perf_counter()
    with feed.open("rb") as stream:
        run = import_locally(File(stream, name=feed.name), feed=source)
    total = time.perf_counter() - start
    run.file.delete(save=False)
    if run.status != Status.APPLIED:
        raise SystemExit(f"{run} is {run.status}: {run.error or run.holds}")
    return {**{step: float(run.seconds[step]) for step in ("stage", "plan", "apply")}, "total": total}


MEASUREMENTS: dict[str, Callable[[Path], Figures]] = {
    "import": measure_import,
    "parse": floors.parse,
    "rows": floors.write_rows,
    "copy": floors.copy,
    "merge": floors.merge,
    "bulk_create": peers.bulk_create,
    "import_export": peers.import_export,
}


def alone(name: str, feed: Path) -> Figures:
    """Run one measurement in a fresh process and return its figures with its peak memory in MB."""
    command = [sys.executable, "-m", "bench.pipeline", "--measure", name, "--feed", str(feed)]
    environment = {**os.environ, "BENCH_DATABASE": str(settings.DATABASES["default"]["NAME"])}
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{name} ended with code {done.returncode}.")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _measure_here(name: str, feed: Path) -> None:
    figures = MEASUREMENTS[name](feed)
    used = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    figures["peak_mb"] = max(used) / KIB_PER_MB
    print(json.dumps(figures))


def _empty() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE catalog_product, catalog_stageditem, catalog_importrun CASCADE")


def compare(items: int) -> report.Results:
    """All measurements of catalogues of so many items, by what was measured and scenario."""
    with tempfile.TemporaryDirectory() as folder:
        feeds = Feeds(Path(folder), items)
        feeds.generate()
        results = report.Results(items)
        _measure_ours(feeds, results)
        _measure_floors(feeds, results)
        _measure_peers(feeds, results)
        _empty()
        return results


def _measure_ours(feeds: Feeds, results: report.Results) -> None:
    _empty()
    for scenario in SCENARIOS:
        results.add("ours", scenario, alone("import", feeds.of(scenario)))


def _measure_floors(feeds: Feeds, results: report.Results) -> None:
    _empty()
    floors.make_tables()
    with ThreadPoolExecutor() as at_once:
        list(at_once.map(partial(alone, "rows"), (feeds.base, feeds.changed)))
    for scenario in SCENARIOS:
        for floor in ("parse", "copy", "merge"):
            results.add(floor, scenario, alone(floor, feeds.of(scenario)))
    floors.drop_tables()


def _measure_peers(feeds: Feeds, results: report.Results) -> None:
    for peer, limit in (("bulk_create", BULK_CREATE_UP_TO), ("import_export", IMPORT_EXPORT_UP_TO)):
        _empty()
        for scenario in SCENARIOS if feeds.items <= limit else ():
            results.add(peer, scenario, alone(peer, feeds.of(scenario)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000], help="sizes of the catalogue")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and its picture")
    parser.add_argument("--days", type=int, help="instead: days over one feed, for each share that is changed")
    parser.add_argument("--changed", type=float, nargs="+", default=[0, 0.1, 1, 10], help="percentages, with --days")
    parser.add_argument("--against", default="", help="another commit to measure in turn, with --days")
    parser.add_argument("--measure", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    parser.add_argument("--feed", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if name := os.environ.get("BENCH_DATABASE"):
        settings.DATABASES["default"]["NAME"] = name
    django.setup()
    if options.measure:
        _measure_here(options.measure, options.feed)
        return
    if options.days:
        for items in options.items:
            days.run_days(items, options.days, options.changed, options.against)
        return
    with own_database(), tempfile.TemporaryDirectory() as media:
        os.environ["MEDIA_ROOT"] = media
        results = []
        for items in options.items:
            results.append(compare(items))
            print(report.text(results[-1]), flush=True)
    if options.write:
        report.write(results)


if __name__ == "__main__":
    main()
