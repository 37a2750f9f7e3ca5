"""Random feeds over random catalogues in two markets, with random edits between: an importer that knows no SQL agrees
on every row. It knows of one market: each has an importer of its own, which hears nothing of the other.

What a preview says is compared with what triggers saw happen to the products.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from catalog.imports.confirm import edited_since
from catalog.imports.discard import clean_up
from catalog.imports.local import import_locally
from catalog.imports.planning import changed_fields
from catalog.imports.reading import chunks, unchanged
from catalog.imports.reports.changes import filtered_changes, numbers_by_field
from catalog.imports.reports.history import product_history
from catalog.imports.reports.pages import read_page
from catalog.imports.undo import changes_by_verdict, prospect
from catalog.models import CatalogVersion, Change, Feed, ImportRun, Market, Mode, Product
from catalog.models.fields import SHARED, ExactDecoder
from catalog.tests import naive
from catalog.tests.factories import (
    add_product,
    allow_changes,
    applied,
    at_once,
    counts,
    discarded,
    edit,
    execute,
    feed_of,
    items,
    planned,
    redone,
    undone,
)
from catalog.tests.naive import ELEMENTS, OPTIONAL, REQUIRED, WRONG, Naive

IDS = [f"p{n}" for n in range(5)]
VALUES = (*SHARED, "extra")
ROLLED_BACK = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@st.composite
def files(draw: st.DrawFn, min_size: int = 1) -> list[naive.Item]:
    """Now and then a supplemental one, that is silent about what a new product needs."""
    required = [name for name in REQUIRED if min_size > 1 or draw(st.integers(0, 6))]
    spoken = draw(st.lists(st.sampled_from(OPTIONAL), unique=True))
    return draw(st.lists(items_of(required, spoken), min_size=min_size, max_size=8))


@st.composite
def items_of(draw: st.DrawFn, required: list[str], spoken: list[str]) -> naive.Item:
    left_out = draw(st.sets(st.sampled_from(OPTIONAL), max_size=2))
    names = [*required, *(name for name in spoken if name not in left_out)]
    elements = {name: draw(st.sampled_from(ELEMENTS[name])) for name in names}
    valid = draw(st.integers(0, 4)) > 0
    if not valid:
        elements["price" if "price" in required else "link"] = WRONG
    return naive.Item(draw(st.sampled_from(IDS)), elements, valid)


WHICH = st.sampled_from([0, 0, 0, 1, 1, 2, 2, 3])  # of the feeds: two of the first market, two of the second
ids, modes, index = st.sampled_from(IDS), st.sampled_from(list(Mode)), st.integers(0, 100)
pins = st.lists(st.sampled_from(["title", "price", "sale_price", "color", "extra"]), unique=True, max_size=2)


# --- what triggers see --------------------------------------------------------------------------------
WATCH = """
    CREATE TABLE seen (market_id int, product_id text COLLATE "C", old jsonb, new jsonb);
    CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO seen
        VALUES (COALESCE(OLD.market_id, NEW.market_id), COALESCE(OLD.id, NEW.id), to_jsonb(OLD), to_jsonb(NEW));
        RETURN NULL;
    END $$;
    CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON catalog_product FOR EACH ROW EXECUTE FUNCTION see();
"""


def seen(market: Any) -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """What happened to each product of the market since the last look: operation, and the fields that differ, old and
    new. Nothing happened to any of another market."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM seen WHERE market_id <> %s", [market])
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT product_id, old::text, new::text FROM seen")
        rows = [(id, *(json.loads(row or "null", cls=ExactDecoder) for row in both)) for id, *both in cursor.fetchall()]
        cursor.execute("DELETE FROM seen")
    found = {id: _happened(old, new) for id, old, new in rows}
    assert len(found) == len(rows), "a product was written twice"
    return found


def _happened(old: dict[str, Any] | None, new: dict[str, Any] | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
    if old is None or new is None:
        return ("create" if old is None else "remove"), {}, {}
    differing = [name for name in VALUES if old[name] != new[name]]
    left, came = (bool(new["archived_at"]), bool(old["archived_at"]))
    operation = "archive" if left and not came else "restore" if came and not left else "update"
    return operation, {name: old[name] for name in differing}, {name: new[name] for name in differing}


def foreseen(changes: Any) -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    return {change.product_id: (change.operation, change.before, change.after) for change in changes}


INVERSE = {"create": "remove", "update": "update", "archive": "restore", "restore": "archive"}


def inverted(changes: Any) -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    return {change.product_id: (INVERSE[change.operation], change.after, change.before) for change in changes}


def found_by(run: ImportRun, **filters: str) -> list[str]:
    return [change.product_id for change in read_page(filtered_changes(run, **filters)[0], "pk").rows]


def either_way(ask: Callable[[], Any]) -> Any:
    """What it answers, as well by the few products that were touched as by all."""
    answer = ask()
    with mock.patch.object(CatalogVersion, "MAX_LISTED_PRODUCTS", -1):
        assert ask() == answer
    return answer


# --- both importers side by side ----------------------------------------------------------------------
class SideBySide(RuleBasedStateMachine):
    """Whatever happens, in whatever order, happens to both; then they agree."""

    feeds: list[Feed]

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(WATCH)
        self.naives = {feed.market_id: Naive() for feed in self.feeds}
        self.runs: dict[str, list[tuple[ImportRun, naive.Run]]] = {"review": [], "applied": [], "undone": []}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    @property
    def clock(self) -> int:
        return sum(naive.clock for naive in self.naives.values())

    def chosen(self, status: str, index: int) -> tuple[ImportRun, naive.Run]:
        runs = self.runs[status]
        return runs.pop(index % len(runs))

    def agree(self, run: ImportRun, expected: naive.Run) -> None:
        assert counts(run) == {name: count for name, count in expected.counts.items() if count}
        stored = {
            c.product_id: (c.operation, c.before, c.after, c.pinned, c.base_version, c.outcome)
            for c in run.changes.all()
        }
        assert stored == {
            id: (c.operation, c.before, c.after, c.pinned, c.base, c.outcome) for id, c in expected.changes.items()
        }

    def filters_agree(self, run: ImportRun, expected: naive.Run) -> None:
        """The changes that speak of a field, all and those of one product."""
        speaking: dict[str, list[str]] = {}
        for id, change in sorted(expected.changes.items()):
            for name in change.spoken:
                speaking.setdefault(name, []).append(id)
        assert numbers_by_field(run) == {name: len(ids) for name, ids in speaking.items()}
        for name, ids in speaking.items():
            assert sorted(found_by(run, field=name)) == ids
            assert {id: found_by(run, field=name, q=id) == [id] for id in IDS} == {id: id in ids for id in IDS}

    @initialize(file=files(min_size=6))
    def begin(self, file: list[naive.Item]) -> None:
        self.plan(file, Mode.ADD, which=0)
        self.confirm(0, swept=True)

    @rule(file=files(), which=WHICH, swept=st.booleans())
    def sync(self, file: list[naive.Item], which: int, swept: bool) -> None:
        self.plan(file, Mode.SYNC, which)
        self.confirm(-1, swept)

    @rule(file=files(), mode=modes, which=WHICH)
    def plan(self, file: list[naive.Item], mode: str, which: int) -> None:
        feed = self.feeds[which]
        unlike_any_other = f"<!-- {self.clock} -->"
        # What one plan lists, another one walks to.
        with mock.patch.object(changed_fields, "MAX_LISTED_CHANGES", self.clock % 2):
            run = planned(feed, *(found.xml for found in file), unlike_any_other, mode=mode)
        expected = self.naives[feed.market_id].plan(run.pk, file, mode, feed.pk)
        self.agree(run, expected)
        self.filters_agree(run, expected)
        assert seen(run.market_id) == {}
        self.runs["review"].append((run, expected))

    @precondition(lambda self: self.runs["review"])
    @rule(index=index, swept=st.booleans())
    def confirm(self, index: int, swept: bool) -> None:
        run, expected = self.chosen("review", index)
        preview = foreseen(run.changes.all())
        edited = either_way(lambda: edited_since(run))
        execute(run)
        self.naives[run.market_id].apply(expected)
        self.agree(run, expected)
        assert edited == run.conflict + run.archive_conflict
        done = {change.product_id for change in run.changes.filter(outcome="applied")}
        assert seen(run.market_id) == {id: change for id, change in preview.items() if id in done}
        if swept:
            clean_up(run)
        self.runs["applied"].append((run, expected))

    @precondition(lambda self: self.runs["review"] and self.clock % 4 == 0)
    @rule(index=index)
    def discard(self, index: int) -> None:
        run, _expected = self.chosen("review", index)
        discarded(run)
        assert seen(run.market_id) == {}

    @precondition(lambda self: any(run.has_changes for run, _ in self.runs["applied"]))
    @rule(index=index)
    def undo(self, index: int) -> None:
        run, expected = self.chosen("applied", index)
        if not run.has_changes:
            self.runs["applied"].append((run, expected))
            return
        preview, numbers = inverted(changes_by_verdict(run, "undone")), either_way(lambda: prospect(run))
        undone(run)
        self.naives[run.market_id].undo(expected)
        self.agree(run, expected)
        assert seen(run.market_id) == preview
        assert (numbers.undone, numbers.kept, numbers.gone) == (run.undone, run.kept, run.gone)
        self.runs["undone"].append((run, expected))

    @precondition(lambda self: self.runs["undone"])
    @rule(index=index, swept=st.booleans())
    def redo(self, index: int, swept: bool) -> None:
        run, expected = self.chosen("undone", index)
        preview = foreseen(run.changes.filter(outcome="undone"))
        redone(run)
        self.naives[run.market_id].apply(expected)
        self.agree(run, expected)
        done = {id for id in preview if expected.changes[id].outcome == "applied"}
        assert seen(run.market_id) == {id: preview[id] for id in done}
        if swept:
            clean_up(run)
        self.runs["applied"].append((run, expected))

    @precondition(lambda self: any(naive.rows for naive in self.naives.values()))
    @rule(index=index, color=st.sampled_from(["Red", "Green"]), archived=st.booleans(), pinned=pins)
    def edit(self, index: int, color: str, archived: bool, pinned: list[str]) -> None:
        there = [(market, id) for market, naive in self.naives.items() for id in sorted(naive.rows)]
        market, id = there[index % len(there)]
        edit(id, market, color=color, pinned=pinned, archived_at=timezone.now() if archived else None)
        self.naives[market].edit(id, color=color, pinned=pinned, archived=archived)
        assert [*seen(market)] == [id]

    @precondition(lambda self: self.clock % 4 == 0)
    @rule(id=ids, which=WHICH)
    def make_or_remove(self, id: str, which: int) -> None:
        market = self.feeds[which].market_id
        if id in self.naives[market].rows:
            Product.objects.get(market=market, id=id).delete()
            self.naives[market].remove(id)
        else:
            add_product(market_id=market, id=id, title="By hand")
            self.naives[market].make(id, "By hand")
        assert [*seen(market)] == [id]

    @invariant()
    def products_agree(self) -> None:
        stored = {
            (p.market_id, p.id): (
                {n: getattr(p, n) for n in VALUES},
                p.feed_id,
                p.version,
                p.archived_at is not None,
                p.pinned,
            )
            for p in Product.objects.all()
        }
        assert stored == {
            (market, id): (row.values, row.feed, row.version, row.archived, row.pinned)
            for market, naive in self.naives.items()
            for id, row in naive.rows.items()
        }

    @invariant()
    def histories_agree(self) -> None:
        for product in Product.objects.all():
            told = {name: event.run for name, event in product_history(product).setters.items()}
            assert told == self.naives[product.market_id].rows[product.id].setters


@pytest.fixture
def feeds(feed: Feed, other_feed: Feed) -> list[Feed]:
    """Two of the default market, and two of another one, in which the same ids are other products."""
    saudi = Market.objects.create(code="sa-en", name="Saudi Arabia, English")
    names = ("riyadh", "jeddah")
    return [feed, other_feed, *(Feed.objects.create(name=name, slug=name, market=saudi) for name in names)]


PROFILE = settings(stateful_step_count=30, suppress_health_check=ROLLED_BACK)


def test_imports_edits_and_undos_do_what_a_naive_importer_does(feeds: list[Feed]) -> None:
    class Here(SideBySide): ...

    Here.feeds = feeds
    run_state_machine_as_test(Here, settings=PROFILE)


def test_they_do_so_when_files_are_read_in_chunks_and_known_items_are_not_read(
    feeds: list[Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(SideBySide): ...

    Here.feeds = feeds

    monkeypatch.setattr(chunks, "PIECE_BYTES", 1_200)
    monkeypatch.setattr(unchanged, "PROBES_BELOW", UUID(int=2**128 - 1))
    run_state_machine_as_test(Here, settings=settings(PROFILE, stateful_step_count=15))


# --- a dry run ----------------------------------------------------------------------------------------
@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def every_row() -> dict[str, set[tuple[Any, ...]]]:
    """Of every table each row as it is stored: where, by which transaction, and its content."""
    with connection.cursor() as cursor:
        rows = {}
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT ctid::text, xmin::text, md5(row::text) FROM {connection.ops.quote_name(table)} row")
            rows[table] = {*cursor.fetchall()}
    return rows


@given(before=files(), file=files(), mode=modes)
@settings(suppress_health_check=ROLLED_BACK)
def test_a_dry_run_leaves_every_table_as_it_is(
    feed: Feed, before: list[naive.Item], file: list[naive.Item], mode: str
) -> None:
    """It adds the record of itself, and touches no row that was there."""
    with rolled_back():
        applied(feed, *(found.xml for found in before))
        earlier = every_row()
        content = ContentFile(feed_of(*(found.xml for found in file), "<!-- another file -->"), "feed.xml")
        run = import_locally(content, feed=feed, mode=mode, dry_run=True)
        later = every_row()
        assert run.status == "discarded"
        assert {table for table in earlier if not earlier[table] <= later[table]} == set()
        for table in ("catalog_product", "catalog_change", "catalog_catalogstate"):
            assert later[table] == earlier[table]


# --- in opposite order, at once -----------------------------------------------------------------------
def edit_each(ids: list[str], material: str) -> None:
    for id in ids:
        edit(id, material=material)


@pytest.mark.django_db(transaction=True)
def test_imports_undos_and_edits_of_the_same_products_never_lock_each_other_out(feed: Feed, other_feed: Feed) -> None:
    allow_changes(other_feed)
    ids = [f"{n:05}" for n in range(1, 101)]
    applied(feed, *items(100))
    for n in range(4):
        ended = applied(feed, *items(100, color=f"Red {n}"))
        other = planned(other_feed, *reversed(items(100, color=f"Blue {n}")))
        outcomes = at_once(
            lambda: undone(ended),  # noqa: B023 - called at once
            lambda: execute(other),  # noqa: B023
            lambda: edit_each(ids[::2][::-1], f"Silk {n}"),  # noqa: B023
            lambda: edit_each(ids[1::2], f"Wool {n}"),  # noqa: B023
        )
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert ended.undone + ended.kept == 100
        assert other.changed + other.unchanged + other.conflict == 100
        hands = Change.objects.filter(run=None, after__material__in=[f"Silk {n}", f"Wool {n}"])
        assert hands.count() == 100
