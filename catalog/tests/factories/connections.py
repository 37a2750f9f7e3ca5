"""Connections: several in the same instant, one that is cut off or waits, and how much one reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage
from django.db import connection, transaction


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call returns or raises, all let go in one instant, each with a connection of its own."""
    barrier = Barrier(len(calls))

    def go(call: Callable[[], Any]) -> Any:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '10s'")  # two that wait for each other fail, and do not hang
            barrier.wait(timeout=10)
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(go, calls))


def turned_away(call: Callable[[], Any]) -> Any:
    """What the call returns or raises while the database takes no further connection."""

    def limit(connections: int) -> None:
        with connection.cursor() as cursor:
            database = connection.ops.quote_name(connection.settings_dict["NAME"])
            cursor.execute(f"ALTER DATABASE {database} CONNECTION LIMIT {connections}")

    def go() -> Any:
        try:
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    limit(0)
    try:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(go).result()
    finally:
        limit(-1)


def cutting_off() -> Callable[[], None]:
    """What another connection does to end this one, as when the worker or the database is killed."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid

    def cut_off() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    return cut_off


@contextmanager
def breaking(table: str) -> Iterator[None]:
    """While it lasts, whoever writes to the table loses the connection, as when the database is restarted."""
    with connection.cursor() as cursor:
        cursor.execute(f"""
            CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
            CREATE TRIGGER break_off AFTER INSERT OR UPDATE ON {table} EXECUTE FUNCTION break_off()
        """)
    try:
        yield
    finally:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION break_off CASCADE")


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Return when the condition holds, or fail after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.02)


def somebody_waits() -> bool:
    """Whether a connection of ours waits for a lock that another one has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees what it saw at first
        cursor.execute("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return bool(cursor.rowcount)


def rows_read(statement: str) -> int:
    """The most rows that any step of the query's plan looks at, when it goes by indexes as it does in large tables.

    Small ones are read whole, or not, depending on what earlier tests left in their pages.
    """

    def steps(step: dict[str, Any]) -> Iterator[float]:
        yield step["Actual Rows"] + step.get("Rows Removed by Filter", 0)
        for below in step.get("Plans", ()):
            yield from steps(below)

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL random_page_cost = 0; SET LOCAL seq_page_cost = 0; SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
        return int(max(steps(cursor.fetchone()[0][0]["Plan"])))


class EventfulStorage(FileSystemStorage):
    """The real storage, but for what happens, once, while the second half of a file is read."""

    def __init__(self, then: Callable[[], Any]) -> None:
        super().__init__()
        self._then: list[Callable[[], Any]] = [then]

    def open(self, name: str, mode: str = "rb") -> File[Any]:
        return _EventfulFile(super().open(name, mode).file, self._then)


class _EventfulFile(File):  # type: ignore[type-arg]
    def __init__(self, file: Any, then: list[Callable[[], Any]]) -> None:
        super().__init__(file)
        self._bytes = file
        self._then = then

    def read(self, size: int = -1, /) -> Any:
        if self._then and self._bytes.tell() > self.size / 2:
            self._then.pop()()
        return self._bytes.read(size)
