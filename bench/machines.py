"""One feed, staged by one worker and then by two on machines of their own: `make benchmachines ARGS="--items 300000"`.

The machines are network namespaces: they share PostgreSQL, Valkey and a bucket, and no disk. It says what both ways
cost in processor time (workers and PostgreSQL), how the two shared the chunks, and how much of their time they waited
for locks. Exit 1 unless nothing is done twice (at most 1.1 times the processor time of one), the chunks are shared
40:60 or better, and less than 5 % of the time is waited for locks. Wall time is only reported: PostgreSQL shares the
cores with the workers.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import random
import re
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")

from bench.database import own_database
from tests.signals import end_in_order

TICKS = os.sysconf("SC_CLK_TCK")
LOOK_SECONDS = 0.05
PAUSE_SECONDS = 0.2  # five calls a second, which a key may make
MOST_OF_ONE, LEAST_SHARE, MOST_WAITING = 1.1, 0.4, 0.05


def processor_seconds(pid: int) -> float:
    """Of a process, of its children, and of those that have ended."""
    total = 0.0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            total += processor_seconds(int(child))
        except (FileNotFoundError, ProcessLookupError):
            continue  # its parent has its time a moment later
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return total + sum(map(int, fields[11:15])) / TICKS


@contextmanager
def counted_locks() -> Iterator[dict[str, int]]:
    """How often a worker's connection was seen at work, and waiting for a lock."""
    from django.db import connection

    seen, over = {"at work": 0, "waiting": 0}, threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            with connection.cursor() as cursor:
                cursor.execute("""
                    SELECT count(*) FILTER (WHERE state <> 'idle'), count(*) FILTER (WHERE wait_event_type = 'Lock')
                    FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
                """)
                (working, waiting) = cursor.fetchone() or (0, 0)
            seen["at work"] += working
            seen["waiting"] += waiting
        connection.close()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


@contextmanager
def bucket() -> Iterator[str]:
    """The address of a server that speaks S3, with the bucket that is the only place for files."""
    from moto.s3.models import FakeKey

    from catalog.tests.factories.buckets import s3_bucket, s3_server

    # moto reads the whole file for each range of it, which would be all that is measured. So the bytes are kept.
    read, write, kept = FakeKey.value.fget, FakeKey.value.fset, WeakKeyDictionary[Any, bytes]()

    def keep(key: Any) -> bytes:
        return kept.get(key) or kept.setdefault(key, read(key))

    def replace(key: Any, value: bytes) -> None:
        kept.pop(key, None)
        write(key, value)

    FakeKey.value = property(keep, replace)
    with s3_server() as server, s3_bucket(server, "files"):
        options = {"bucket_name": "files", "endpoint_url": server, "region_name": "us-east-1"}
        options |= {"access_key": "id", "secret_key": "key"}
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "config.storage.Bucket", "OPTIONS": options}}
        yield server


def stage_by(count: int, contents: list[bytes], server: str, folder: Path, *, then: bytes = b"") -> dict[str, Any]:
    """What it took so many machines to stage the feeds at once; and how long readers took while what comes `then`, as
    the first feed's next file, was applied.

    In a database of its own: vacuum would still be at work on what another one left.
    """
    with own_database():
        return stage_there(count, contents, server, folder, then)


def stage_there(count: int, contents: list[bytes], server: str, folder: Path, then: bytes) -> dict[str, Any]:
    from celery import Celery
    from django.core.files.base import ContentFile
    from django.db import connection

    import devservers
    from catalog.imports.confirm import confirm
    from catalog.imports.receive import receive
    from catalog.models import Feed, ImportRun, Status
    from catalog.models.runs import BUSY
    from config.settings import local
    from tests.machines import machines
    from tests.workers import arrives, running

    queue = f"bench{uuid.uuid4().hex[:8]}"
    app = Celery("bench", broker=local.CELERY_BROKER_URL, set_as_current=False)
    app.conf.task_routes = settings.CELERY_TASK_ROUTES
    app.conf.broker_transport_options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "global_keyprefix": queue}
    app.set_current()
    settings.MEDIA_ROOT = folder / "nowhere"
    postgres = int((Path(devservers.POSTGRES.folder) / "postmaster.pid").read_text().split()[0])
    feeds = [Feed.objects.create(name=f"{queue}{n}", slug=f"{queue}{n}") for n in range(len(contents))]
    with ExitStack() as stack:
        made = stack.enter_context(
            machines(count, database=connection.settings_dict, broker=settings.REDIS_URL, storage=server)
        )
        logs = [folder / f"{queue}-{number}.log" for number in range(count)]
        workers = [
            stack.enter_context(running(queue, settings, "-c", "1", "-n", f"{queue}{number}", log=log, machine=machine))
            for number, (machine, log) in enumerate(zip(made, logs, strict=True))
        ]
        pids = [worker.pid for worker in workers]
        before, start = sum(map(processor_seconds, pids)), time.monotonic()
        served_before = processor_seconds(postgres)
        with counted_locks() as seen:
            runs = [
                receive(ContentFile(content, "feed.xml"), feed=feed)
                for content, feed in zip(contents, feeds, strict=True)
            ]
            while ImportRun.objects.filter(pk__in=[run.pk for run in runs], status__in=BUSY).exists():
                time.sleep(0.2)
        figures: dict[str, Any] = {
            "seconds": time.monotonic() - start,
            "workers": sum(map(processor_seconds, pids)) - before,
            "PostgreSQL": processor_seconds(postgres) - served_before,
            "waiting": seen["waiting"] / max(seen["at work"], 1),
        }
        for run in runs:
            arrives(run, Status.REVIEW)
        done = re.compile(r"Task catalog\.stage_chunk\S* succeeded")
        figures["chunks"] = [len(done.findall(log.read_text())) for log in logs]
        figures["counts"] = [run.counts for run in runs]
        if then:
            confirm(runs[0], plan_hash=runs[0].plan_hash, by=None)
            arrives(runs[0], Status.APPLIED)
            changed = receive(ContentFile(then, "feed.xml"), feed=feeds[0])
            arrives(changed, Status.REVIEW)
            figures["calls alone"] = read_until(lambda: False)
            confirm(changed, plan_hash=changed.plan_hash, by=None)
            figures["calls while applying"] = read_until(lambda: not has_status(changed, Status.APPLYING))
    return figures


def has_status(run: Any, status: str) -> bool:
    run.refresh_from_db(fields=["status"])
    return bool(run.status == status)


def read_until(is_over: Callable[[], bool]) -> str:
    """How long a page of the list of products took, asked for again and again until it is over, at most 50 times."""
    from django.test import Client

    from accounts.keys import make_key
    from accounts.models import User

    root, _made = User.objects.get_or_create(username="root", email="root@example.com", is_superuser=True)
    key = make_key(root, name=uuid.uuid4().hex[:8], scopes=["read"], feeds=[], days=1, by=root)
    client, seconds = Client(SERVER_NAME="localhost", headers={"Authorization": f"Api-Key {key}"}), list[float]()
    while len(seconds) < 50 and not (seconds and is_over()):
        start = time.perf_counter()
        least = random.random()  # noqa: S311 - so that no answer is kept from before
        answer = client.get(f"/list-products/?page_size=20&search=dress&min_price={least:.9f}")
        seconds.append(time.perf_counter() - start)
        if answer.status_code != 200:
            sys.exit(f"The call answered {answer.status_code}")
        time.sleep(PAUSE_SECONDS)
    half, most = statistics.median(seconds) * 1000, max(seconds) * 1000
    return f"{len(seconds)} calls, half within {half:,.0f} ms, longest {most:,.0f} ms"


def print_slopes(contents: dict[int, list[bytes]], then: bytes, server: str, folder: Path) -> None:
    """How the time to stage all items goes with workers, and with feeds at once; and readers beside an apply."""
    times: dict[str, dict[str, Any]] = {}
    for workers in (1, 2, 3):
        times[f"{workers} workers, one feed"] = stage_by(
            workers, contents[1], server, folder, then=then if workers == 2 else b""
        )
    for feeds in (2, 4):
        times[f"2 workers, {feeds} feeds at once"] = stage_by(2, contents[feeds], server, folder)
    first = times["1 workers, one feed"]["seconds"]
    print(
        "| | time beside one worker | processor: workers, PostgreSQL | waiting for locks |\n|---|---:|---:|---:|",
        file=sys.stderr,
    )
    for name, figures in times.items():
        print(
            f"| {name} | {figures['seconds'] / first:.2f} | {figures['workers']:.1f} s, {figures['PostgreSQL']:.1f} s"
            f" | {figures['waiting']:.1%} |",
            file=sys.stderr,
        )
    for what in ("calls alone", "calls while applying"):
        print(f"{what}: {times['2 workers, one feed'][what]}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=30_000)
    parser.add_argument("--slopes", action="store_true", help="what more workers, more feeds and an apply do to it")
    options = parser.parse_args()
    items = options.items
    end_in_order()  # the namespaces and the database go, too
    django.setup()
    from samples import Changes, write_feed

    def feed_of(count: int, seed: int, changes: Changes | None = None) -> bytes:
        content = io.BytesIO()
        write_feed(content, items=count, seed=seed, changes=changes)
        return content.getvalue()

    content = feed_of(items, 1)
    logging.disable()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), bucket() as server:
        if options.slopes:
            contents = {count: [feed_of(items // count, seed) for seed in range(count)] for count in (2, 4)}
            changed = feed_of(items, 2, Changes(from_seed=1, changed=50, added=0, removed=0))
            print_slopes({1: [content], **contents}, changed, server, Path(folder))
            return 0
        one, two = (stage_by(count, [content], server, Path(folder)) for count in (1, 2))
    print(f"{items:,} items, {len(content) / 1e6:,.0f} MB")
    for name, figures in (("one worker", one), ("two workers", two)):
        print(
            f"{name:>12}: {figures['seconds']:.1f} s; processor: workers {figures['workers']:.1f} s,"
            f" PostgreSQL {figures['PostgreSQL']:.1f} s; waiting for locks {figures['waiting']:.1%};"
            f" chunks {':'.join(map(str, figures['chunks']))}"
        )
    costs = [figures["workers"] + figures["PostgreSQL"] for figures in (one, two)]
    share = min(two["chunks"]) / max(sum(two["chunks"]), 1)
    verdicts = {
        f"{costs[1] / costs[0]:.2f} times the processor time of one": costs[1] <= MOST_OF_ONE * costs[0],
        f"the smaller share of the chunks is {share:.0%}": share >= LEAST_SHARE,
        f"{two['waiting']:.1%} of the time is waited for locks": two["waiting"] < MOST_WAITING,
        "both read the same": one["counts"] == two["counts"],
    }
    for sentence, holds in verdicts.items():
        print(f"{'ok' if holds else 'NOT SO':>12}: {sentence}")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
