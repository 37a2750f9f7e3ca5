"""Days over one feed: whole CPU of Python and PostgreSQL, beside the build of another commit in turn.

    make bench ARGS="--days 3 --items 100000 --changed 0 0.1 10 --against v1.2"

Each build has a database of its own, with its own migrations, on the same server. Day by day both import the same file,
each in a fresh process, now one first and now the other: what else the machine does falls on both. Quote the ratios.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
FIRST = "first import"
Figures = dict[str, float]


def run_days(items: int, days: int, shares: list[float], against: str) -> None:
    """Import a feed for the first time so many times, then for so many days per share changed, and print the costs."""
    builds = {"this": ROOT}
    with tempfile.TemporaryDirectory() as folder, _other_build(against, Path(folder)) as other:
        if other:
            builds[against] = other
        costs: dict[tuple[str, str], list[Figures]] = {}
        try:
            for number, (name, feed) in enumerate(_feeds(Path(folder), items, days, shares)):
                for build in sorted(builds, reverse=number % 2 == 1):
                    if name == FIRST:
                        _measure(builds[build], build, "")
                    costs.setdefault((name, build), []).append(_measure(builds[build], build, str(feed)))
                _print_day(name, {build: costs[name, build][-1] for build in builds})
            for name in dict.fromkeys(name for name, _build in costs):
                _print_day(f"{name}, median", {build: _median(costs[name, build]) for build in builds})
        finally:
            for build in builds:
                _measure(builds[build], build, "", drop=True)


def _feeds(folder: Path, items: int, days: int, shares: list[float]) -> Iterator[tuple[str, Path]]:
    """The first day's file so many times, then each day's; those in which nothing is changed are the same."""
    from samples import Changes, write_feed

    feed = folder / "feed.xml"
    with feed.open("wb") as out:
        write_feed(out, items=items, seed=1)
    yield from [(FIRST, feed)] * days
    seed = 1
    for share in shares:
        for _ in range(days):
            if share:
                seed += 1
                # From the first day: as many as were changed then are as they were again.
                changes = Changes(from_seed=1, changed=share / 2, added=0, removed=0)
                with feed.open("wb") as out:
                    write_feed(out, items=items, seed=seed, changes=changes)
            yield f"{share:g} % changed" if share else "same file again", feed


@contextmanager
def _other_build(revision: str, folder: Path) -> Iterator[Path | None]:
    if not revision:
        yield None
        return
    other = folder / "build"
    git = shutil.which("git") or "git"
    subprocess.run([git, "worktree", "add", "--detach", str(other), revision], check=True, cwd=ROOT)
    try:
        yield other
    finally:
        subprocess.run([git, "worktree", "remove", "--force", str(other)], check=False, cwd=ROOT)


def _measure(code: Path, build: str, feed: str, *, drop: bool = False) -> Figures:
    """What it costs this build to import the feed; without one, its database is made anew, or dropped."""
    environment = {**os.environ, "BENCH_DATABASE": f"days_{os.getpid()}_{'this' if build == 'this' else 'other'}"}
    environment |= {"PYTHONPATH": str(code), "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    environment.setdefault("EMBEDDED_DIR", str(ROOT / ".local"))  # one server for both, with the same settings
    command = [sys.executable, "-W", "ignore", str(Path(__file__)), feed or ("--drop" if drop else "--make")]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=code, env=environment
    )
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _median(days: list[Figures]) -> Figures:
    return {name: median(day[name] for day in days) for name in days[0]}


def _print_day(name: str, costs: dict[str, Figures]) -> None:
    parts = [
        f"{build}: {c['python'] + c['postgres']:.2f} s (Python {c['python']:.2f}, PostgreSQL {c['postgres']:.2f}; "
        f"wall {c['wall']:.1f}; peak {c['peak_mb']:.0f} MB)"
        for build, c in costs.items()
    ]
    cpus = [c["python"] + c["postgres"] for c in costs.values()]
    print(f"{name}: {' | '.join(parts)}{f' | ratio {cpus[1] / cpus[0]:.2f}' if len(cpus) > 1 else ''}", flush=True)


# --- in the process that is measured --------------------------------------------------------------------


def measure_here(what: str) -> Figures:
    """Make or drop the database, or import the feed, with the code of the working directory."""
    import django
    from django.conf import settings

    database = settings.DATABASES["default"]
    name, database["NAME"] = os.environ["BENCH_DATABASE"], "postgres"
    django.setup()
    import devservers

    devservers.ensure()
    from django.db import connection

    if what in ("--make", "--drop"):
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            if what == "--make":
                cursor.execute(f"CREATE DATABASE {name}")
        connection.close()
        if what == "--make":
            from django.core.management import call_command

            database["NAME"] = name
            call_command("migrate", verbosity=0)
        return {}
    database["NAME"] = name
    with tempfile.TemporaryDirectory() as media:
        settings.MEDIA_ROOT = media
        return _import_feed(Path(what))


def _import_feed(path: Path) -> Figures:
    from django.core.files.base import File
    from django.db import connection

    from catalog.imports.local import import_locally
    from catalog.models import Feed, Status

    feed, _made = Feed.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        server = int(_stat(cursor.fetchone()[0])[1])
    wall, python, postgres = time.perf_counter(), _python_seconds(), _server_seconds(server)
    with path.open("rb") as stream:
        run = import_locally(File(stream, name="feed.xml"), feed=feed)
    if run.status != Status.APPLIED:
        raise SystemExit(f"{run} is {run.status}: {run.error or run.holds}")
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return {
        "python": _python_seconds() - python,
        "postgres": _server_seconds(server) - postgres,
        "wall": time.perf_counter() - wall,
        "peak_mb": max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024,
    }


def _python_seconds() -> float:
    used = [resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _stat(process: int) -> list[str]:
    """The fields of a process from its state on: its parent is the second."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _server_seconds(server: int) -> float:
    """What PostgreSQL and all of its processes used, those that have ended, too."""
    ticks = sum(int(number) for number in _stat(server)[11:15])
    for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        ticks += sum(int(number) for number in _stat(int(child))[11:13])
    return ticks / TICKS


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    print(json.dumps(measure_here(sys.argv[1])))
