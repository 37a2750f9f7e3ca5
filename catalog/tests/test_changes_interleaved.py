"""Imports, undos, edits and removals that interleave at random, and readers between their steps: whoever follows the
cursor of /products/changes/ ends with the catalogue, and misses nothing.

Each writer has a connection of its own and stops within its transaction, before it takes its version and before it
commits. Which of them goes on is drawn, and so is when readers look. `make fuzz` does so far more often.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from queue import SimpleQueue
from typing import Any
from unittest import mock

import pytest
from django.db import connection, transaction
from django.utils import timezone

from catalog.api.changes import LISTED, read_page, start_of
from catalog.api.queries import Place
from catalog.errors import NotPossible
from catalog.imports.apply import lay_over
from catalog.imports.edit import Edit, edit_products
from catalog.imports.sql import execute
from catalog.imports.undo import invert_changes, lay_over_again
from catalog.imports.work.queue import CATALOGUE_LOCK
from catalog.models import CatalogState, Change, Feed, ImportRun, Market, MarketState, Mode, Product, StagedItem, Status
from catalog.tests.factories import add_product, edit

APPLY = import_module("catalog.imports.apply")  # the module: of its name the package has the operation
INTERLEAVINGS = int(os.environ.get("FUZZ_INTERLEAVINGS", "200"))
IDS = [f"p{n}" for n in range(8)]
BLOCKED_SECONDS = 0.004  # a writer that says nothing for so long waits for another one's lock


# Another writer was in the way, and nothing happened: a lock timeout, a deadlock, the same new product.
IN_THE_WAY = ("55P03", "40P01", "23505")


def pgcode_of(error: BaseException) -> str:
    return getattr(error.__cause__, "pgcode", "")


class Writer(threading.Thread):
    """Does what it is given, and waits at each stop until it may go on."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.may_go_on = threading.Semaphore(0)
        self.stopped = threading.Event()
        self.is_busy = False
        self.failed: BaseException | None = None
        self.start()

    def run(self) -> None:
        while (act := self.work.get()) is not None:
            try:
                with transaction.atomic():
                    execute("SET LOCAL lock_timeout = '5s'")
                    act()
                    self.stop()  # everything is written, and nothing is committed
            except BaseException as error:
                if not isinstance(error, NotPossible) and pgcode_of(error) not in IN_THE_WAY:
                    self.failed = error
            self.is_busy = False
            self.stopped.set()
        connection.close()

    def stop(self) -> None:
        self.stopped.set()
        self.may_go_on.acquire()

    def begin(self, act: Callable[[], None]) -> None:
        self.is_busy = True
        self.stopped.clear()
        self.work.put(act)
        self.stopped.wait(BLOCKED_SECONDS)

    def go_on(self) -> None:
        """To its next stop, to its end, or until it waits for a lock."""
        if self.stopped.is_set():
            self.stopped.clear()
            self.may_go_on.release()
        self.stopped.wait(BLOCKED_SECONDS)


class Reader:
    """Keeps a copy of a market's products by what it is told."""

    def __init__(self, market: Any, size: int) -> None:
        self.market, self.size = market, size
        self.place = Place(0)
        self.copy: dict[str, str] = {}
        self.seen: MarketState | None = None

    def look(self) -> bool:
        """One half of a page: the version, or the products up to it. Whether that was all by now."""
        if self.seen is None:
            self.seen = next(state for state in MarketState.of_all() if state.id == self.market)
            return False
        state, self.seen = self.seen, None
        rows, self.place, has_next = read_page(state, start_of(state, self.place), self.size)
        ids = [id for _version, id, *_ in rows]
        assert len(ids) == len({*ids}) <= self.size
        assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
        for _version, id, kind, _id, title, *_ in rows:
            self.copy.pop(id, None)
            if kind == LISTED:
                self.copy[id] = title
        return not has_next

    def agree(self) -> None:
        if self.seen:  # it looked at an older version
            self.look()
        while not self.look():
            pass
        assert self.copy == dict(Product.objects.in_market(self.market).active().values_list("id", "title"))


def plan(feed: Feed, draw: random.Random, title: str) -> ImportRun:
    """A plan to do something with some products, as they are now."""
    there = {product.id: product for product in Product.objects.filter(market=feed.market_id)}
    run = ImportRun.objects.create(
        feed=feed, mode=Mode.SYNC, status=Status.RECEIVED, names=["title"], planned_at=timezone.now(), file_size=0
    )
    changes, items = [], []
    for position, id in enumerate(draw.sample(IDS, draw.randint(1, 4))):
        product = there.get(id)
        change = Change(run=run, market_id=feed.market_id, product_id=id, position=position, line=1)
        if product is None:
            change.operation = "create"
            items.append(StagedItem(run=run, position=position, line=1, product_id=id, state="valid", title=title))
        else:
            change.base_version = product.version
            change.operation = "restore" if product.archived_at else draw.choice(["update", "archive"])
            change.before, change.after = {"title": product.title}, {"title": title}
        changes.append(change)
    operations = [change.operation for change in changes]
    run.created, run.archived = operations.count("create"), operations.count("archive")
    run.changed = len(changes) - run.created - run.archived
    run.save()
    Change.objects.bulk_create(changes)
    StagedItem.objects.bulk_create(items)
    return run


def under_lock(act: Callable[[ImportRun], Any], run: ImportRun, done: list[ImportRun]) -> Callable[[], None]:
    def carry_out() -> None:
        execute("SELECT pg_advisory_xact_lock(%(lock)s, 0)", lock=CATALOGUE_LOCK)
        act(run)
        transaction.on_commit(lambda: done.append(run))

    return carry_out


class History:
    """What may happen next to the catalogue, drawn at random."""

    def __init__(self, feeds: list[Feed]) -> None:
        self.feeds = feeds
        self.applied: list[ImportRun] = []
        self.undone: list[ImportRun] = []
        self.titles = 0

    def next_act(self, draw: random.Random) -> Callable[[], None]:
        self.titles += 1
        title = f"Dress {self.titles}"
        feed = draw.choice(self.feeds)
        kind = draw.choice(["import", "import", "undo", "undo", "redo", "edit", "delete", "delete", "many"])
        if kind == "undo" and self.applied:
            run = self.applied.pop(draw.choice([-1, draw.randrange(len(self.applied))]))
            return under_lock(invert_changes, run, self.undone)
        if kind == "redo" and self.undone:
            run = self.undone.pop(draw.randrange(len(self.undone)))
            return under_lock(lay_over_again, run, self.applied)
        if kind == "many":
            ids, what = draw.sample(IDS, 4), draw.choice([Edit.ARCHIVE, Edit.RESTORE])
            return lambda: change_many(feed, ids, what)
        if kind in ("edit", "delete"):
            id, archived = draw.choice(IDS), draw.choice([None, None, timezone.now()])
            return lambda: change_one(feed, id, title, archived, is_removed=kind == "delete")
        return under_lock(lay_over, plan(feed, draw, title), self.applied)


def change_one(feed: Feed, id: str, title: str, archived: Any, *, is_removed: bool) -> None:
    product = Product.objects.filter(market=feed.market_id, id=id).first()
    if product is None:
        add_product(market_id=feed.market_id, id=id, title=title)
    elif is_removed:
        product.delete()
    else:
        edit(id, feed.market_id, title=title, archived_at=archived)


def change_many(feed: Feed, ids: list[str], what: Edit) -> None:
    keys = list(Product.objects.filter(market=feed.market_id, id__in=ids).values_list("pk", flat=True))
    edit_products(keys, what, by=None, market=feed.market.pk)


@contextmanager
def stopping(writers: list[Writer]) -> Iterator[None]:
    """Have the writers stop where a reader may look while others commit."""

    def stop_here(*_: Any) -> None:
        if isinstance(writer := threading.current_thread(), Writer):
            writer.stop()

    bump, bump_each, archive = CatalogState.bump, CatalogState.bump_each, APPLY.archive_products

    def stopped_bump(*arguments: Any, **options: Any) -> None:
        stop_here()
        bump(*arguments, **options)

    def stopped_bump_each(*arguments: Any) -> None:
        stop_here()
        bump_each(*arguments)

    def stopped_archive(run: ImportRun, number: int) -> None:
        stop_here()
        archive(run, number)

    with (
        mock.patch.object(CatalogState, "bump", stopped_bump),
        mock.patch.object(CatalogState, "bump_each", stopped_bump_each),
        mock.patch.object(APPLY, "archive_products", stopped_archive),
    ):
        try:
            yield
        finally:
            for writer in writers:
                writer.may_go_on.release(100)
                writer.work.put(None)
            for writer in writers:
                writer.join(10)


def interleave(draw: random.Random, history: History, writers: list[Writer], readers: list[Reader]) -> None:
    """Some acts, each at its own pace, and looks between; then the readers look to the end."""
    left = draw.randint(2, 3)
    while left or any(writer.is_busy for writer in writers):
        busy = [writer for writer in writers if writer.is_busy]
        free = [writer for writer in writers if not writer.is_busy]
        what = draw.random()
        if left and free and (not busy or what < 0.4):
            free[0].begin(history.next_act(draw))
            left -= 1
        elif busy and what < 0.8:
            draw.choice(busy).go_on()
        else:
            draw.choice(readers).look()
    for writer in writers:
        if writer.failed:
            raise writer.failed
    for reader in readers:
        reader.agree()


@pytest.mark.django_db(transaction=True)
def test_whoever_follows_the_cursor_ends_with_the_catalogue(feed: Feed) -> None:
    saudi = Market.objects.create(code="sa-en", name="Saudi Arabia, English")
    feeds = [feed, Feed.objects.create(name="Riyadh", slug="riyadh", market=saudi)]
    readers = [Reader(feed.market_id, 1), Reader(feed.market_id, 50), Reader(saudi.pk, 2)]
    history, writers = History(feeds), [Writer() for _ in range(3)]
    with stopping(writers):
        for seed in range(INTERLEAVINGS):
            try:
                interleave(random.Random(seed), history, writers, readers)  # noqa: S311 - a draw that can be repeated
            except BaseException as error:
                error.add_note(f"Interleaving {seed} from 0")
                raise
    assert history.applied
    assert history.undone
    taken_back = Change.objects.filter(operation="create", outcome="undone")
    assert taken_back.count() >= INTERLEAVINGS // 50  # on a busy machine more writers are in each other's way
