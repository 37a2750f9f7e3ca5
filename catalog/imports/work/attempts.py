"""Who works on what, whether they are alive, and how often a worker was lost over it.

An advisory lock says who works: it ends with the connection of a worker that was killed. It does not end with a worker
that is frozen, or on the far side of a dead network. So whoever holds a lock has a row beside it, with the number of
the attempt and a heartbeat by the database's clock. A holder that was silent for too long is fenced by ending its
connection, after which it can write nothing when it wakes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.conf import settings
from django.db import Error, connection

from catalog.connections import is_lost
from catalog.imports.sql import execute, fetch_row, fetch_rows
from catalog.models import ImportRun
from catalog.models.runs import BUSY

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
_MOMENTS = 50  # hundredths of a second
BEAT_SECONDS = 10.0
QUIET_SECONDS = 30  # without a sign of life, until people are told
MAX_SILENCE_SECONDS = 90  # until the holder is fenced


@contextmanager
def attempted(run: ImportRun | None, kind: int, number: int, call_again: Callable[[], None]) -> Iterator[int]:
    """Take the lock `(kind, number)`, which stands for the run or for a part of it, and work on that.

    Without a run it stands for a fetch, an export or the address of a webhook.

    Yields which attempt this is, or 0 when another connection has the lock. Only what a lost worker began counts: an
    attempt that ends, however it ends, is over, and one that the database broke off does not count. Statements may take
    as long as a task, and no longer. `call_again` is called after an attempt during which another connection came for
    the lock: what that was to do may have come up after this one had looked.
    """
    begun = _begin_or_call(run, kind, number)
    if begun is None:
        yield 0
        return
    count, backend = begun
    beating = threading.Event()
    heart = threading.Thread(target=_keep_beating, args=(beating, kind, number, backend), name="heartbeat", daemon=True)
    heart.start()
    try:
        yield count
    except BaseException as error:
        with suppress(Error):
            # The lock went with a connection that is lost. When the server is away, its new start says what happened.
            if is_lost(error) and not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
            if _let_go(_GIVE_BACK if is_lost(error) else _END, kind, number, backend) and not is_lost(error):
                call_again()
        raise
    else:
        if _let_go(_END, kind, number, backend):
            call_again()
    finally:
        beating.set()
        heart.join()


# In one statement, so that there is no moment at which somebody frozen has the lock and no row.
# The count grows when the row is still there, for then nobody ended the attempt before; but not when the server was
# started in between, which ended it without any fault of the worker.
_BEGIN = """
    WITH lock AS MATERIALIZED (SELECT pg_try_advisory_lock(%(kind)s, %(number)s) AS is_ours)
    INSERT INTO catalog_attempt AS attempt
        (run_id, kind, number, count, backend, server_started_at, alive_at)
    SELECT %(run)s::bigint, %(kind)s, %(number)s, 1, pg_backend_pid(), pg_postmaster_start_time(), clock_timestamp()
    FROM lock WHERE is_ours
    ON CONFLICT (kind, number) DO UPDATE SET
        count = attempt.count + (attempt.server_started_at = excluded.server_started_at)::int,
        called = false, backend = excluded.backend,
        server_started_at = excluded.server_started_at, alive_at = excluded.alive_at
    RETURNING count, backend
"""
# Row and lock go in one message too. Another worker that took over has a backend, and so a row, of its own.
_MINE = "WHERE kind = %(kind)s AND number = %(number)s AND backend = %(backend)s RETURNING called"
_END = f"DELETE FROM catalog_attempt {_MINE}"
_GIVE_BACK = f"UPDATE catalog_attempt SET count = count - 1 {_MINE}"
_LET_GO = """
    RESET statement_timeout; RESET lock_timeout;
    WITH row AS ({of_row}), lock AS MATERIALIZED (SELECT pg_advisory_unlock(%(kind)s, %(number)s))
    SELECT COALESCE((SELECT called FROM row), false) FROM lock
"""
# Waits for a holder that is just letting go: then there is no row any more, and the lock is free in a moment.
_CALL = "UPDATE catalog_attempt SET called = true WHERE kind = %(kind)s AND number = %(number)s"


def begin_attempt(run: ImportRun | None, kind: int, number: int) -> tuple[int, int] | None:
    """Take the lock: which attempt it is, and by which backend. None when another connection has the lock."""
    for count, backend in fetch_rows(_BEGIN, run=run and run.pk, kind=kind, number=number):
        execute(f"SET statement_timeout = {int(settings.IMPORT_MAX_SECONDS * 1000)}; SET lock_timeout = 0")
        return count, backend
    return None


def _begin_or_call(run: ImportRun | None, kind: int, number: int) -> tuple[int, int] | None:
    """Take the lock, or leave word with the connection that has it. Never neither: the holder sees the word."""
    for _ in range(_MOMENTS):
        if begun := begin_attempt(run, kind, number):
            return begun
        if execute(_CALL, kind=kind, number=number):
            return None
        time.sleep(0.01)  # the holder lets go in this moment, or has just begun
    return None


def _let_go(of_row: str, kind: int, number: int, backend: int) -> bool:
    """End the attempt or give it back, and let go of the lock: whether another connection came for it meanwhile."""
    if connection.needs_rollback:
        return False
    (called,) = fetch_row(_LET_GO.format(of_row=of_row), kind=kind, number=number, backend=backend)
    return bool(called)


# --- the heartbeat ------------------------------------------------------------------------------------


def _keep_beating(over: threading.Event, kind: int, number: int, backend: int) -> None:
    """Give a sign of life now and then, over a connection of our own: the worker's may be busy for minutes."""
    try:
        while not over.wait(BEAT_SECONDS):
            with suppress(Error):
                connection.close_if_unusable_or_obsolete()
                execute(_GIVE_SIGN, kind=kind, number=number, backend=backend)
    finally:
        connection.close()


_GIVE_SIGN = """
    UPDATE catalog_attempt SET alive_at = clock_timestamp()
    WHERE kind = %(kind)s AND number = %(number)s AND backend = %(backend)s
"""


@dataclass(frozen=True, slots=True)
class Sign:
    """What is known of those who work on a run: the attempt, and for how many seconds none of them was heard."""

    attempt: int
    silence: int

    @property
    def is_quiet(self) -> bool:
        return self.silence > QUIET_SECONDS

    @property
    def next_attempt(self) -> int:
        return self.attempt + 1


def last_sign(run: ImportRun) -> Sign | None:
    """The last sign of life; None while nobody works on the run."""
    attempt, silence = fetch_row(
        """
        SELECT max(count), extract(epoch FROM clock_timestamp() - max(alive_at))
        FROM catalog_attempt WHERE run_id = %(run)s
        """,
        run=run.pk,
    )
    return None if attempt is None else Sign(max(attempt, 1), round(silence))


def lost_seconds(run: ImportRun) -> float:
    """For how long lost workers had the run before the attempt of this connection."""
    (seconds,) = fetch_row(
        """
        SELECT COALESCE(max(extract(epoch FROM statement_timestamp() - begun_at)) FILTER (WHERE count > 1), 0)::float
        FROM catalog_attempt WHERE run_id = %(run)s AND backend = pg_backend_pid()
        """,
        run=run.pk,
    )
    return float(seconds)


# --- the sweep's side -----------------------------------------------------------------------------------

# The row's backend must be the one that has the lock: a number may by now be another connection's.
_HOLDS = """
    held.locktype = 'advisory' AND held.granted AND held.objsubid = 2
        AND held.classid::bigint = attempt.kind AND held.objid::bigint = attempt.number AND held.pid = attempt.backend
        AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_FENCE = f"""
    SELECT attempt.run_id, pg_terminate_backend(attempt.backend, 5000)
    FROM catalog_attempt attempt JOIN pg_locks held ON {_HOLDS}
    WHERE attempt.alive_at < clock_timestamp() - %(silence)s * interval '1 second'
"""


def fence_the_silent() -> list[int | None]:
    """End the connections of holders that were silent for too long. Returns the runs that they worked on."""
    fenced = [run_id for run_id, _ended in fetch_rows(_FENCE, silence=MAX_SILENCE_SECONDS)]
    for run_id in fenced:
        what = f"import {run_id}" if run_id else "a fetch or an export"
        log.warning("The worker of %s was silent for %s s and was cut off", what, MAX_SILENCE_SECONDS)
    return fenced


def claimed_numbers(kind: int) -> set[int]:
    """The numbers of the locks of this kind that some connection has."""
    numbers = fetch_rows(
        """
        SELECT objid::bigint FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid::bigint = %(kind)s
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """,
        kind=kind,
    )
    return {number for (number,) in numbers}


_WORKING_AND_LOST = f"""
    SELECT count(held.pid) > 0, count(held.pid) < count(*)
    FROM catalog_attempt attempt LEFT JOIN pg_locks held ON {_HOLDS}
    WHERE attempt.run_id = %(run)s
"""


def working_and_lost(run: ImportRun) -> tuple[bool, bool]:
    """Whether somebody works on the run or on a chunk of it, and whether somebody did and was lost."""
    working, lost = fetch_row(_WORKING_AND_LOST, run=run.pk)
    return working, lost


def is_anyone_working() -> bool:
    """Whether a worker that is alive has any run."""
    works = f"SELECT FROM catalog_attempt attempt JOIN pg_locks held ON {_HOLDS} WHERE attempt.run_id IS NOT NULL"
    (is_anyone,) = fetch_row(f"SELECT EXISTS ({works})")
    return bool(is_anyone)


_FORGET = f"""
    DELETE FROM catalog_attempt attempt
    WHERE NOT EXISTS (SELECT FROM catalog_importrun WHERE id = attempt.run_id AND status = ANY (%(busy)s))
        AND NOT EXISTS (SELECT FROM pg_locks held WHERE {_HOLDS})
"""


def forget_ended() -> None:
    """Delete what lost workers left of fetches, and of runs that have nothing to do any more."""
    execute(_FORGET, busy=list(BUSY))
