"""What each step of an import costs: time, time of the database, memory."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from django.db import connection

SAMPLE = 0.05  # seconds
_MB = 1024 * 1024
_STATM = Path("/proc/self/statm")

_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


class Meter:
    """Measures what is done in its `with` block: `seconds` of it, those that the `database` took, and the `peak` of
    the process's memory in MB."""

    def __init__(self) -> None:
        self.seconds = self.database = self.peak = 0.0

    def __enter__(self) -> Meter:
        self._begun = time.monotonic()
        self._stack = ExitStack()
        self._stack.enter_context(connection.execute_wrapper(self._executing))
        self._stack.enter_context(self._watching_memory())
        self._outer = _meter.set(self)
        return self

    def __exit__(self, *failure: Any) -> None:
        _meter.reset(self._outer)
        self._stack.close()
        self.seconds = time.monotonic() - self._begun

    def figures(self, items: int) -> dict[str, float]:
        """For people and programs, rounded."""
        return speed(self.seconds, items) | {
            "database_seconds": round(self.database, 3),
            "peak_rss_mb": round(self.peak, 1),
        }

    def _executing(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        start = time.monotonic()
        try:
            return execute(*arguments)
        finally:
            self.database += time.monotonic() - start

    @contextmanager
    def _watching_memory(self) -> Iterator[None]:
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=[over], name="memory", daemon=True)
        self.peak = max(self.peak, _memory())
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(SAMPLE):
            self.peak = max(self.peak, _memory())


def speed(seconds: float, items: int) -> dict[str, float]:
    return {"seconds": round(seconds, 3), "items_per_second": round(items / seconds) if seconds else 0}


def together(parts: Iterable[dict[str, float]]) -> dict[str, float]:
    """The figures of a step that several processes did: time of the database is added, memory is the largest."""
    known = [part for part in parts if part]
    return {
        "database_seconds": round(sum(part["database_seconds"] for part in known), 3),
        "peak_rss_mb": max((part["peak_rss_mb"] for part in known), default=0.0),
    }


def spent_in_database(seconds: float) -> None:
    """Say so of what the connection does not tell by itself, as COPY."""
    if meter := _meter.get():
        meter.database += seconds


def _memory() -> float:
    """What the process has in memory now, or where nobody tells, the most it ever had."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB
