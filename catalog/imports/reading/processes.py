"""The cores of this machine, for a face that imports in its own process."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context

from django.db import connection, connections

from catalog.imports.reading.chunks import may_be_cut, read_chunk
from catalog.models import Chunk, ImportRun, Status

_LOOK_AGAIN = 0.5  # seconds
_A_MOMENT = 0.02


class Crew:
    """Reads the chunks it is given in a process for each core, until the `with` block ends.

    Inside a transaction, whose rows other processes would not see, it reads them itself.
    """

    def __init__(self, run: ImportRun, on_progress: Callable[[ImportRun], None] | None) -> None:
        self._run = run
        self._on_progress = on_progress
        self._pool: ProcessPoolExecutor | None = None
        self._reading: set[Future[ImportRun | None]] = set()

    def __enter__(self) -> Crew:
        if may_be_cut(self._run) and not connection.in_atomic_block and _cores() > 1:
            self._pool = ProcessPoolExecutor(_cores(), get_context("fork"), _begin)
            self._pool.submit(int)  # all processes begin with the first call: now, while there are no threads
        return self

    def read(self, chunk: Chunk) -> None:
        if self._pool is None:
            read_chunk(chunk.pk)
            self._tell()
            return
        with suppress(BrokenProcessPool):
            self._reading.add(self._pool.submit(read_chunk, chunk.pk))

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if self._pool is None:
            return
        try:
            if not failure:
                with suppress(BrokenProcessPool):
                    self._wait()
                self._read_the_rest()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _wait(self) -> None:
        while self._reading:
            done, self._reading = wait(self._reading, _LOOK_AGAIN, FIRST_COMPLETED)
            for reading in done:
                reading.result()
            self._tell()

    def _read_the_rest(self) -> None:
        """When somebody killed a process, the others end, too."""
        left = Chunk.objects.filter(run=self._run, is_read=False, run__status=Status.STAGING)
        while chunk := left.exclude(run__in_chunks=False).first():
            read_chunk(chunk.pk)
            time.sleep(_A_MOMENT)  # the one that was killed may still hold it

    def _tell(self) -> None:
        if self._on_progress:
            self._run.refresh_from_db()
            self._on_progress(self._run)


def _begin() -> None:
    """A new process has a connection of its own; that of its parent is left alone."""
    for alias in connections:
        del connections[alias]
    gc.freeze()  # what came with the parent stays: looking through it for garbage would copy it, page by page


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
