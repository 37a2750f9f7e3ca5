"""A worker that is asked to stop ends in time, whatever its processes do.

Celery waits for each process without a limit, even for one that is frozen, or one that waits for the rest of a task
which Celery was writing to it when the signal came. It waits inside the signal's handler, where only another signal
gets through.
"""

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from billiard import active_children
from celery.apps.worker import REMAP_SIGTERM  # type: ignore[attr-defined] # its stubs leave it out
from django.conf import settings

log = logging.getLogger(__name__)

# Seconds after the tasks' own time until the remaining processes are killed; and again until the worker itself is.
EXTRA_SECONDS = 3


def limit_shutdown() -> None:
    """Limit this worker's cold shutdown. A warm one waits for the end of its tasks, as it should."""
    _limit_signal(signal.SIGQUIT)
    if REMAP_SIGTERM == "SIGQUIT":
        _limit_signal(signal.SIGTERM)


def _limit_signal(request: signal.Signals) -> None:
    stop: Any = signal.getsignal(request)
    worker = os.getpid()

    def stop_in_time(number: int, frame: FrameType | None) -> None:
        if os.getpid() == worker:  # its children have this handler, too
            _set_alarm(settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT + EXTRA_SECONDS, _kill_processes)
        stop(number, frame)

    signal.signal(request, stop_in_time)


def _kill_processes(_number: int, _frame: FrameType | None) -> None:
    """Then Celery has nothing to wait for, and gives their tasks back. If it still waits, the alarm ends it."""
    _set_alarm(EXTRA_SECONDS, signal.SIG_DFL)
    for pid in [process.pid for process in active_children() if process.pid]:
        log.warning("Process %s did not stop in time and is killed", pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _set_alarm(seconds: int, then: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    signal.signal(signal.SIGALRM, then)
    signal.alarm(seconds)
