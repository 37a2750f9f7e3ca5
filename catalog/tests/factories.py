"""Feeds, people and imports in a line each, for the tests of what an import promises."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any
from xml.sax.saxutils import escape

from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.db import connection, transaction

from accounts.models import User
from catalog.imports.apply import apply
from catalog.imports.confirm import confirm
from catalog.imports.discard import discard
from catalog.imports.edit import edit_product
from catalog.imports.local import local_queue, stage_locally
from catalog.imports.receive import receive
from catalog.imports.undo import redo, request_redo, request_undo, undo
from catalog.models import Change, Feed, ImportRun, Product, Status

NAMESPACES = 'xmlns:g="http://base.google.com/ns/1.0" xmlns:c="http://base.google.com/cns/1.0"'
# An item about which there is nothing to say.
FLAWLESS: dict[str, Any] = {
    "title": "Silk dress",
    "description": "A dress of silk.",
    "brand": "Noor",
    "mpn": "N-1",
    "link": "https://www.example.com/1",
    "image_link": "https://www.example.com/1.jpg",
    "price": "100.00 AED",
    "availability": "in_stock",
}


# --- files --------------------------------------------------------------------------------------------
def item(id: str, **fields: Any) -> str:
    """A flawless item but for `fields`: None leaves one out, a list repeats it, `c__heel` is c:heel."""
    elements = {"id": id, **FLAWLESS, **fields}
    return f"<item>{''.join(_element(name, value) for name, value in elements.items())}</item>"


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    tag = name.replace("__", ":") if "__" in name else f"g:{name}"
    text = escape(value or "", {"\r": "&#13;"})  # a bare one is a line's end to a parser
    return "" if value is None else f"<{tag}>{text}</{tag}>"


def feed_of(*items: str) -> bytes:
    """A feed with each item on a line of its own; the first is on line 2."""
    return "\n".join([f'<rss version="2.0" {NAMESPACES}><channel>', *items, "</channel></rss>"]).encode()


def items(count: int, **fields: Any) -> list[str]:
    return [item(f"{n:05}", **fields) for n in range(1, count + 1)]


# --- imports ------------------------------------------------------------------------------------------
def uploaded(feed: Feed, content: bytes, **options: Any) -> ImportRun:
    """An import that a worker is asked to read."""
    return receive(ContentFile(content, "feed.xml"), feed=feed, **options)


def received(feed: Feed, content: bytes, **options: Any) -> ImportRun:
    """An import that waits to be read; no worker hears of it."""
    with local_queue():
        return uploaded(feed, content, **options)


def planned(feed: Feed, *items: str, **options: Any) -> ImportRun:
    """An import of these items in review."""
    run = received(feed, feed_of(*items), **options)
    stage_locally(run)
    assert run.status == Status.REVIEW, run.error
    return run


def applied(feed: Feed, *items: str, **options: Any) -> ImportRun:
    return execute(planned(feed, *items, **options))


def execute(run: ImportRun) -> ImportRun:
    """Confirm and apply a planned import in this process, whatever guard it trips."""
    with local_queue():
        confirm(run, plan_hash=run.plan_hash, by=None, reason="Agreed with the supplier")
        apply(run)
    assert run.status == Status.APPLIED, run.error
    return run


def undone(run: ImportRun) -> ImportRun:
    """Undo an applied import in this process."""
    with local_queue():
        request_undo(run, by=None)
        undo(run)
    assert run.status == Status.UNDONE, run.error
    return run


def redone(run: ImportRun) -> ImportRun:
    """Apply an undone import again in this process."""
    with local_queue():
        request_redo(run, by=None)
        redo(run)
    assert run.status == Status.APPLIED, run.error
    return run


def discarded(run: ImportRun, by: User | None = None) -> ImportRun:
    """Discard an import and clean up after it in this process."""
    with local_queue() as work:
        discard(run, by=by)
        work()
    return run


def counts(run: ImportRun) -> dict[str, int]:
    """Its counts that are not zero, read anew."""
    run.refresh_from_db()
    beside = {name: getattr(run, name) for name in ("archive_conflict", "pinned", "undone", "kept", "gone")}
    every = {**run.counts, **beside}
    return {name: number for name, number in every.items() if number}


def catalogue() -> list[Any]:
    """Every product with every column, to compare with what it was before."""
    return list(Product.objects.order_by("id").values())


def change(run: ImportRun, product_id: str) -> Change:
    return run.changes.get(product_id=product_id)


def edit(product_id: str, **values: Any) -> None:
    """Change a product as a person would: its version grows."""
    product = Product.objects.get(pk=product_id)
    for name, value in values.items():
        setattr(product, name, value)
    edit_product(product, by=None)


def add_product(**values: Any) -> Product:
    """A product that no import made."""
    product = Product(**values)
    edit_product(product, by=None)
    return product


# --- people -------------------------------------------------------------------------------------------
def person(name: str, *permissions: str) -> User:
    """Somebody with these permissions, as in `confirm_importrun`."""
    user = User.objects.create_user(name, f"{name}@example.com")
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


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
