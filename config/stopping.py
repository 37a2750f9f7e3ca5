"""A worker that was asked to stop is gone in time, whatever its processes do.

Celery waits for each of them without end: also for one that is frozen, and for one to which it was writing a task when
the signal came, and which waits for the rest of it. It does so inside the signal's handler, where only another signal
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

# Seconds beyond those that tasks have to end in, until the processes are killed that are left; and again until the
# worker itself is.
MORE = 3


def limit() -> None:
    """Set limits to this worker's cold shutdown. A warm one waits for the end of its tasks, as it was asked to."""
    _limit(signal.SIGQUIT)
    if REMAP_SIGTERM == "SIGQUIT":
        _limit(signal.SIGTERM)


def _limit(request: signal.Signals) -> None:
    stop: Any = signal.getsignal(request)
    worker = os.getpid()

    def stop_in_time(number: int, frame: FrameType | None) -> None:
        if os.getpid() == worker:  # its children have this handler, too
            _alarm(settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT + MORE, _kill_what_is_left)
        stop(number, frame)

    signal.signal(request, stop_in_time)


def _kill_what_is_left(_number: int, _frame: FrameType | None) -> None:
    """Then Celery has nobody to wait for, and gives their tasks back. If it waits still, the alarm ends it."""
    _alarm(MORE, signal.SIG_DFL)
    for pid in [process.pid for process in active_children() if process.pid]:
        log.warning("Process %s did not stop in time, and is killed", pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _alarm(seconds: int, then: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    signal.signal(signal.SIGALRM, then)
    signal.alarm(seconds)
