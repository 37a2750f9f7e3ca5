"""What each step of an import costs: time, time of the database, memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from contextvars import ContextVar
from typing import Any

from django.db import connection

_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


class Meter:
    """Measures what is done in its `with` block: `seconds` of it, and those that the `database` took.

    `lost` seconds were spent on the same work before, by workers that were lost.
    """

    def __init__(self, lost: float = 0.0) -> None:
        self.seconds = self.database = 0.0
        self._lost = lost

    def __enter__(self) -> Meter:
        self._begun = time.monotonic()
        self._stack = ExitStack()
        self._stack.enter_context(connection.execute_wrapper(self._executing))
        self._outer = _meter.set(self)
        return self

    def __exit__(self, *failure: Any) -> None:
        _meter.reset(self._outer)
        self._stack.close()
        self.seconds = time.monotonic() - self._begun + self._lost

    def figures(self, items: int) -> dict[str, float]:
        """For people and programs, rounded."""
        # The most that the process ever had. Looking now and then, in a thread, would take a fifth of its time.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return speed(self.seconds, items) | {
            "database_seconds": round(self.database, 3),
            "peak_rss_mb": round(peak, 1),
        }

    def _executing(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        start = time.monotonic()
        try:
            return execute(*arguments)
        finally:
            self.database += time.monotonic() - start


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
    """Add what the connection does not measure, for example COPY."""
    if meter := _meter.get():
        meter.database += seconds
