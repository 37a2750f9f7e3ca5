"""The cores of this machine, for an import that runs in one process of it."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from threading import Thread

from django.db import connection, connections

from catalog.imports.reading.chunks import is_worth_cutting, read_chunk
from catalog.models import Chunk, ImportRun, Status

PROGRESS_SECONDS = 0.5
RETRY_SECONDS = 0.02
PARENT_SECONDS = 0.5


class ChunkProcesses:
    """Reads the chunks that it is given in one process per core, until the `with` block ends.

    Inside a transaction, whose rows other processes would not see, it reads them itself.
    """

    def __init__(self, run: ImportRun, on_progress: Callable[[ImportRun], None] | None) -> None:
        self._run = run
        self._on_progress = on_progress
        self._pool: ProcessPoolExecutor | None = None
        self._reading: set[Future[ImportRun | None]] = set()

    def __enter__(self) -> ChunkProcesses:
        if is_worth_cutting(self._run) and not connection.in_atomic_block and count_cores() > 1:
            self._pool = ProcessPoolExecutor(count_cores(), get_context("fork"), start_process, (os.getpid(),))
            self._pool.submit(int)  # all processes start with the first call: now, while there are no threads
        return self

    def read(self, chunk_id: int) -> None:
        if self._pool is None:
            read_chunk(chunk_id)
            self._show_progress()
            return
        with suppress(BrokenProcessPool):
            self._reading.add(self._pool.submit(read_chunk, chunk_id))

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if self._pool is None:
            return
        try:
            if not failure:
                with suppress(BrokenProcessPool):
                    while self._reading:
                        done, self._reading = wait(self._reading, PROGRESS_SECONDS, FIRST_COMPLETED)
                        for reading in done:
                            reading.result()
                        self._show_progress()
                # When somebody killed a process, the others end, too: the rest is read here.
                unread = Chunk.objects.filter(run=self._run, is_read=False, run__status=Status.STAGING)
                while chunk := unread.exclude(run__in_chunks=False).first():
                    read_chunk(chunk.pk)
                    time.sleep(RETRY_SECONDS)  # the one that was killed may still have it claimed
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _show_progress(self) -> None:
        if self._on_progress:
            self._run.refresh_from_db()
            self._on_progress(self._run)


def count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_process(parent: int) -> None:
    """Give a new process a connection of its own, leave that of its parent alone, and end with the parent."""
    Thread(target=_end_with, args=[parent], name="parent", daemon=True).start()
    for alias in connections:
        del connections[alias]
    gc.freeze()  # what came with the parent stays: looking through it for garbage would copy it, page by page


def _end_with(parent: int) -> None:
    """A parent that is killed tells nobody, and its processes would wait for the next chunk for ever."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)
