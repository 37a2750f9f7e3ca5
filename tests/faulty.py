"""A Celery application for a worker whose machine is not as it should be: `celery -A tests.faulty worker`.

Its clock is TEST_CLOCK hours off, its children have TEST_MEMORY megabytes beyond what they begin with, and the file
that is called like TEST_POISON costs whoever opens it his life.
"""

import os
import resource
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine
from celery import signals

from config.celery import app

CLOCK, MEMORY, POISON = (os.environ.get(f"TEST_{name}", "") for name in ("CLOCK", "MEMORY", "POISON"))

if CLOCK:
    time_machine.travel(datetime.now(UTC) + timedelta(hours=int(CLOCK))).start()


@signals.worker_process_init.connect
def begin(**_: Any) -> None:
    from catalog.imports.reading import chunks, stage

    vars(chunks)["PIECE_BYTES"] = 50_000  # files of a hundred thousand bytes are big
    for module in (chunks, stage):
        vars(module)["opened"] = _deadly(vars(module)["opened"])
    if MEMORY:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + int(MEMORY) * 1024**2
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _deadly(opened: Callable[..., Any]) -> Callable[..., Any]:
    def open_or_die(run: Any) -> Any:
        if run.file_name == POISON:
            os.kill(os.getpid(), signal.SIGSEGV)
        return opened(run)

    return open_or_die


__all__ = ["app"]
