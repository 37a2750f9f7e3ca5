"""Runs imports, disturbs them, and compares."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import Error, connection

from catalog.connections import is_lost
from catalog.imports import attempts, retention, sweep
from catalog.imports.here import import_here
from catalog.imports.receive import receive
from catalog.models import CatalogState, Feed, ImportRun, Mode, Product, Status
from catalog.models.imports import ENDS
from catalog.tests.factories import feed_of, item, wait_until
from config import embedded
from tests.test_invariants import violations
from tests.torture import points
from tests.torture.blows import BLOWS

BOUND = 60  # seconds until the import must have ended
Answer = TypeVar("Answer")


def torture(options: Namespace) -> int:
    """Disturb so many imports. Returns the exit code."""
    call_command("migrate", verbosity=0)
    points.prepare()
    # Two minutes of patience are two seconds here, so that 200 imports take minutes.
    attempts.SILENCE, sweep.PATIENCE, retention.ORPHANED = 3, timedelta(seconds=2), timedelta()
    print(f"seed {options.seed}", flush=True)
    worker = Worker()
    try:
        return Torture(options, worker).run()
    finally:
        worker.end()


class Worker:
    """A worker process of two children, which is started again when it is gone, as a container is."""

    def __init__(self) -> None:
        self._log = embedded.STATE / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def keep_up(self) -> None:
        if self._process and self._process.poll() is None:
            return
        command = "-m celery -A tests.torture.worker worker -c 2 -l INFO --pidfile= --without-gossip --without-mingle"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command.split(), "--without-heartbeat"],
                cwd=settings.BASE_DIR,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        return b" ready." in self._log.read_bytes()

    def children(self) -> list[int]:
        """Those that work, frozen or not."""
        pid = self._process.pid if self._process else 0
        with suppress(FileNotFoundError):
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def thaw(self) -> None:
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-40:])


class Torture:
    def __init__(self, options: Namespace, worker: Worker) -> None:
        self._options = options
        self._dice = random.Random(options.seed)  # noqa: S311 - to be drawn again
        self._worker = worker
        self._happened: list[str] = []
        self._seconds: float = BOUND
        points.ARMED.mkdir(exist_ok=True)

    def run(self) -> int:
        self._worker.keep_up()
        wait_until(self._worker.is_ready, 60)
        expected = self._import(lambda: None)
        failures = 0
        for number in range(1, self._options.runs + 1):
            wrong = differences(expected, self._import(self._prepare_blows()))
            failures += bool(wrong)
            print(f"{number:4} {'ok' if not wrong else 'WRONG':5} {'; '.join(self._happened)}", flush=True)
            if wrong:
                print("\n".join(f"       {line}" for line in wrong), self._worker.last_words(), sep="\n", flush=True)
        print(f"{self._options.runs - failures} of {self._options.runs} imports ended as one that nobody disturbs")
        return 1 if failures else 0

    # --- what happens -------------------------------------------------------------------------------------

    def _prepare_blows(self) -> Callable[[], None]:
        """Draw one blow or two, each for a point of the work or for a moment. Returns what deals the latter."""
        self._happened, moments = [], []
        # No blow twice: with both of its children frozen, a worker is no worker.
        chosen = [name for name in BLOWS if self._options.blow in name]
        for blow in self._dice.sample(chosen, min(len(chosen), self._dice.choice((1, 1, 2)))):
            if self._options.point or self._dice.random() < 0.6:
                point = self._dice.choice([name for name in points.POINTS if self._options.point in name])
                (points.ARMED / point).write_text(blow)
                self._happened.append(f"{blow}: {point}")
            else:
                moments.append((self._dice.uniform(0, self._seconds), blow))
                self._happened.append(f"{blow}: after {moments[-1][0]:.2f} s")
        start = time.monotonic()

        def deal() -> None:
            for moment in [each for each in moments if time.monotonic() - start > each[0]]:
                moments.remove(moment)
                if children := self._worker.children():
                    with suppress(ProcessLookupError, FileNotFoundError):
                        BLOWS[moment[1]](self._dice.choice(children))

        return deal

    def _import(self, deal: Callable[[], None]) -> dict[str, Any]:
        """An import of a catalogue's second day, and what came of it."""
        feed, version = steadily(self._first_day)
        run = steadily(lambda: receive(second_day(self._options.items), feed=feed, mode=Mode.SYNC, auto_apply=True))
        start = time.monotonic()
        while steadily(lambda: status(run)) not in ENDS and time.monotonic() < start + BOUND:
            self._go_on(deal)
        self._seconds = min(self._seconds, time.monotonic() - start)
        self._worker.thaw()
        for armed in points.ARMED.iterdir():
            armed.unlink()
        for _ in range(4):  # whoever was frozen or called twice may still try
            self._go_on(deal)
        return steadily(lambda: outcome(run, version))

    def _go_on(self, deal: Callable[[], None]) -> None:
        """What is up in any installation: servers, worker, and beat with its sweep."""
        time.sleep(0.25)
        with suppress(Error):
            deal()
        embedded.start()
        self._worker.keep_up()
        steadily(sweep.sweep)

    def _first_day(self) -> tuple[Feed, int]:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE catalog_feed, catalog_stageditem, catalog_attempt CASCADE")
        feed = Feed.objects.create(name="Tortured", slug="tortured")
        import_here(first_day(self._options.items), feed=feed, mode=Mode.SYNC)
        return feed, CatalogState.objects.get().version


# --- the two days ---------------------------------------------------------------------------------------
def first_day(items: int) -> ContentFile[bytes]:
    return ContentFile(feed_of(*(item(f"{n:06}") for n in range(items))), "first.xml")


def second_day(items: int) -> ContentFile[bytes]:
    """Some of everything: changed, new, missing, invalid and repeated items."""
    return ContentFile(feed_of(*filter(None, map(_on_second_day, range(items + items // 20)))), "second.xml")


def _on_second_day(n: int) -> str:
    if n % 40 == 0:
        return ""
    if n % 41 == 0:
        return item(f"{n:06}", price="free")
    if n % 43 == 0:
        return item(f"{n:06}") + item(f"{n:06}", color="Black")
    return item(f"{n:06}", color="Red") if n % 7 == 0 else item(f"{n:06}")


# --- what came of it ------------------------------------------------------------------------------------
def steadily(call: Callable[[], Answer]) -> Answer:
    """What the call returns, also when the database was away meanwhile."""
    end = time.monotonic() + BOUND
    while True:
        try:
            return call()
        except Error as error:
            if not is_lost(error) or time.monotonic() > end:
                raise
            connection.close()
            embedded.start()


def status(run: ImportRun) -> str:
    return ImportRun.objects.values_list("status", flat=True).get(pk=run.pk)


def outcome(run: ImportRun, version: int) -> dict[str, Any]:
    """Everything that must be as if nothing had happened, as values that can be compared."""
    retention.forget_old()
    run.refresh_from_db()
    catalogue = Product.objects.order_by("id").values()
    private = ("feed_id", "created_at", "updated_at", "archived_at")
    changes = run.changes.order_by("product_id").values_list("product_id", "operation", "before", "after", "outcome")
    return {
        "status": (run.status, run.error_code, run.error),
        "applied": [step["status"] for step in run.history].count(Status.APPLIED),
        "counts": run.counts,
        "versions of the catalogue": CatalogState.objects.get().version - version,
        "products": [
            {name: value for name, value in product.items() if name not in private}
            | {"archived": bool(product["archived_at"])}
            for product in catalogue
        ],
        "changes": list(changes),
        "issues": list(run.issues.order_by("code", "attribute").values_list("code", "attribute", "count", "examples")),
        "staged": sorted(run.staged.values_list("position", "product_id", "state")),
        "names": run.names,
        "attempts": run.attempts.count(),
        "invariants": violations(),
    }


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """In words, briefly."""
    return [
        f"{what}: {_brief(found[what])} and not {_brief(expected[what])}"
        for what in expected
        if expected[what] != found[what]
    ]


def _brief(value: Any) -> str:
    return f"{len(value)} × {str(value)[:300]}" if isinstance(value, list) else str(value)
