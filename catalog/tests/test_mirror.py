"""Days over one feed: whatever was known of it, each import is as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.imports import issues
from catalog.imports.discard import clean_up
from catalog.imports.leave_out import leave_out
from catalog.imports.local import stage_locally
from catalog.imports.reading import chunks, unchanged
from catalog.imports.reading.stage import stage
from catalog.imports.retention import forget_old
from catalog.imports.undo import keeps_values
from catalog.imports.work.queue import enqueued_to
from catalog.models import CatalogState, Feed, ImportRun, Market, Mode, Product, ProductIssues, StagedItem, Status
from catalog.tests.factories import applied, edit, execute, feed_of, item, items, planned, received, redone, undone
from catalog.tests.test_chunks import everything, in_one_piece, rows


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few items are big, and each item tells where the others are."""
    monkeypatch.setattr(chunks, "PIECE_BYTES", 2_400)
    monkeypatch.setattr(unchanged, "PROBES_BELOW", UUID(int=2**128 - 1))


def day(feed: Feed, *of: str, mode: str = "", lost: Any = None) -> ImportRun:
    """Plan a file, and see that everything a page can say of it is what it would be if nothing were known."""
    run = planned_after_losses(feed, *of, mode=mode, order=lost) if lost else planned(feed, *of, mode=mode)
    with pytest.MonkeyPatch.context() as monkeypatch:
        whole = in_one_piece(feed, feed_of(*of), monkeypatch, mode=mode, auto_apply=True)
    assert everything(run) == everything(whole)
    discarded(whole)
    assert everything(run)["items"] == rows(run)
    return run


class Lost(BaseException):
    """What a worker is that was killed."""


def planned_after_losses(feed: Feed, *of: str, mode: str, order: Any) -> ImportRun:
    """Plan a file whose chunks are read in any order, the half of them after a worker was lost over each."""
    run = received(feed, feed_of(*of), mode=mode)
    with enqueued_to(lambda _task, _row: None):
        stage(run)
    parts = [*run.chunks.values_list("pk", flat=True)]
    order.shuffle(parts)
    for pk in parts[::2]:
        with patch.object(chunks, "add_issues", side_effect=Lost), pytest.raises(Lost):
            chunks.read_chunk(pk)
        chunks.read_chunk(pk)
    stage_locally(run)
    assert run.status == Status.REVIEW, run.error
    return run


def discarded(run: ImportRun) -> None:
    run.move(Status.REVIEW, to=Status.DISCARDED)
    clean_up(run)


def carried_out(run: ImportRun) -> ImportRun:
    """Apply and clean up: its lists stay, if the next import may begin from it."""
    before = rows(run)
    execute(run)
    with patch.object(issues, "_last_is_noted", return_value=False), rolled_back():
        issues.note_product_issues(run)
        noted = noted_issues(run)
    clean_up(run)
    assert noted_issues(run) == noted
    assert not run.in_chunks or rows(run) == before
    return run


def noted_issues(run: ImportRun) -> list[Any]:
    """What is noted at the products of the run's feed."""
    noted = ProductIssues.objects.filter(feed=run.feed_id).order_by("product_id")
    return [*noted.values_list("product_id", "is_invalid", "issues")]


def own_ids(run: ImportRun) -> set[str]:
    """The items that have a row of the run's own: they were new, or had to be looked at."""
    return {*run.staged.values_list("product_id", flat=True)}


def later(day: list[str], number: int, **values: Any) -> list[str]:
    """The same file with another item at this place."""
    changed = [*day]
    changed[number - 1] = item(f"{number:05}", **values)
    return changed


DAY = items(30, item_group_id="g", color="Red")


@pytest.fixture
def first(feed: Feed) -> ImportRun:
    return carried_out(day(feed, *DAY))


# --- what has a row of its own ------------------------------------------------------------------------
def test_of_the_same_file_hardly_anything_is_stored(feed: Feed, first: ImportRun) -> None:
    run = day(feed, *DAY)
    assert len(own_ids(run)) <= 2  # beside the head and the tail of the file
    assert (run.unchanged, run.known.count()) == (30, 30)


def test_a_new_price_brings_no_neighbours(feed: Feed, first: ImportRun) -> None:
    run = day(feed, *later(DAY, 15, price="77.00 AED", item_group_id="g", color="Red"))
    assert len(own_ids(run)) <= 3
    assert run.changed == 1


def test_another_group_brings_all_neighbours(feed: Feed) -> None:
    file = [*items(12, item_group_id="one", color="Red"), *(item(f"b{n}", item_group_id="two") for n in range(12))]
    carried_out(day(feed, *file))
    moved = [*file]
    moved[5] = item("00006", item_group_id="two", color="Red")
    run = day(feed, *moved)
    assert len(own_ids(run)) == len(file)


def test_neighbours_of_neighbours_are_compared_too(feed: Feed) -> None:
    gtins = {5: "4006381333931", 20: "4006381333931"}
    file = [item(f"{n:05}", gtin=gtins.get(n), item_group_id=f"g{n // 10}") for n in range(1, 31)]
    carried_out(day(feed, *file))
    day(feed, *file[:1], item("00002", gtin=None, item_group_id="g0", color="Blue"), *file[2:])
    day(feed, *file[:4], *file[5:])


def test_a_product_that_was_changed_since_is_looked_at(feed: Feed, other_feed: Feed, first: ImportRun) -> None:
    edit("00010", color="Blue")
    edit("00011", pinned=["title"])
    Product.objects.get(id="00012").delete()
    run = day(feed, *DAY)
    assert {"00010", "00011", "00012"} <= own_ids(run)
    assert (run.changed, run.created) == (1, 1)


def test_what_was_not_as_the_item_says_is_looked_at_again(feed: Feed, other_feed: Feed) -> None:
    carried_out(day(other_feed, *items(3, price="5.00 AED")))
    edit_later = planned(feed, *DAY)
    carried_out(edit_later)
    edit("00020", pinned=["title"], title="Mine")
    for _ in range(3):
        run = carried_out(day(feed, *DAY))
        assert {"00001", "00002", "00003", "00020"} <= own_ids(run)
        assert run.pinned == 1


def test_what_could_not_be_applied_is_looked_at_again(feed: Feed, first: ImportRun) -> None:
    run = day(feed, *later(DAY, 15, color="Blue"))
    edit("00015", color="Green")
    carried_out(run)
    assert run.conflict == 1
    assert carried_out(day(feed, *later(DAY, 15, color="Blue"))).changed == 1


def test_what_was_left_out_is_looked_at_again(feed: Feed, first: ImportRun) -> None:
    changed = [*later(DAY, 15, color="Blue", size="M"), item("new")]
    run = day(feed, *changed)
    leave_out(run, plan_hash=run.plan_hash, by=None, change=run.changes.get(product_id="00015").pk, field="color")
    run.refresh_from_db()
    leave_out(run, plan_hash=run.plan_hash, by=None, change=run.changes.get(product_id="new").pk)
    run.refresh_from_db()
    carried_out(run)
    again = day(feed, *changed)
    assert (again.created, again.changed) == (1, 1)
    assert again.changes.get(product_id="00015").after == {"color": "Blue"}


def test_an_undone_import_is_looked_at_again(feed: Feed, first: ImportRun) -> None:
    changed = later(DAY, 15, color="Blue")
    run = carried_out(day(feed, *changed))
    undone(run)
    again = day(feed, *changed)
    assert again.changed == 1
    discarded(again)
    redone(run)
    clean_up(run)
    assert not day(feed, *changed).has_changes


def test_an_undo_of_the_last_but_one_is_seen(feed: Feed, first: ImportRun) -> None:
    run = carried_out(day(feed, *later(DAY, 15, color="Blue")))
    carried_out(day(feed, *later(DAY, 15, color="Blue"), item("new")))
    undone(run)
    assert day(feed, *later(DAY, 15, color="Blue"), item("new")).changed == 1


@pytest.mark.parametrize("mode", Mode.values)
def test_every_mode_says_the_same(feed: Feed, first: ImportRun, mode: str) -> None:
    edit("00010", color="Blue")
    for file in (DAY, DAY[:20], [*DAY[10:], item("new")], [*DAY[15:], *DAY[:15]], [*DAY, *DAY[:2]]):
        discarded(day(feed, *file, mode=mode))
    carried_out(day(feed, *DAY[:29], mode=mode))
    day(feed, *DAY, mode=mode)


def test_a_version_that_says_not_what_made_it_makes_everything_looked_at(feed: Feed, first: ImportRun) -> None:
    Product.objects.filter(id="00010").update(color="Blue", version=9)
    CatalogState.bump(feed.market_id)
    run = day(feed, *DAY)
    assert (run.changed, len(own_ids(run))) == (1, 30)


def test_a_name_that_the_last_file_had_not_makes_everything_looked_at(feed: Feed, first: ImportRun) -> None:
    edit("00010", size="XL")
    carried_out(day(feed, *DAY))
    run = day(feed, *later(DAY, 15, size="M", item_group_id="g", color="Red"))
    assert run.changed == 2


# --- two at once --------------------------------------------------------------------------------------
def test_two_imports_of_one_feed_at_once_keep_what_each_needs(feed: Feed, first: ImportRun) -> None:
    one = day(feed, *later(DAY, 15, color="Blue"))
    two = day(feed, *later(DAY, 16, color="Blue"))
    shown = rows(two)
    carried_out(one)
    assert rows(two) == shown
    carried_out(two)
    assert rows(two) == shown
    assert day(feed, *DAY).changed == 2


def test_an_older_import_that_is_applied_later_is_not_what_the_next_one_begins_from(
    feed: Feed, first: ImportRun
) -> None:
    older, newer = day(feed, *later(DAY, 15, color="Blue")), day(feed, *later(DAY, 16, color="Blue"))
    carried_out(newer)
    execute(older)
    clean_up(older)
    assert [*ImportRun.objects.filter(is_mirror=True)] == [newer]
    assert not older.known.exists()
    assert day(feed, *DAY).changed == 2


def test_when_the_last_import_is_superseded_while_a_file_is_read_everything_is_looked_at(
    feed: Feed, first: ImportRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = day(feed, *later(DAY, 16, color="Blue"))
    read_chunk = chunks.stage_items

    def stage_items(chunk: Any) -> None:
        if chunk.start and other.status == Status.REVIEW:
            carried_out(other)
        read_chunk(chunk)

    monkeypatch.setattr(chunks, "stage_items", stage_items)
    run = planned(feed, *DAY)
    assert (run.changed, run.unchanged) == (1, 29)
    assert len(own_ids(run)) == 30


def test_where_items_are_gone_nothing_is_planned_and_the_next_import_reads_everything(
    feed: Feed, first: ImportRun
) -> None:
    StagedItem.objects.filter(run=first, position=10).delete()
    edit("00010", color="Blue")
    run = received(feed, feed_of(*DAY), mode="sync")
    stage_locally(run)
    assert (run.status, run.error_code) == (Status.FAILED, "items_missing")
    assert day(feed, *DAY, mode="sync").unchanged == 29


# --- what is kept -------------------------------------------------------------------------------------
def test_nothing_is_left_of_what_nobody_needs(feed: Feed, first: ImportRun) -> None:
    for number in range(1, 6):
        carried_out(day(feed, *later(DAY, number, color=f"Blue {number}")))
    discarded(day(feed, *DAY))
    [mirror] = ImportRun.objects.filter(is_mirror=True)
    kept = {*mirror.known.values_list("from_run", "from_position")}
    assert {*StagedItem.objects.values_list("run", "position")} == kept
    assert len(kept) == 30
    assert forget_old()["imports cleaned up"] == 0


def test_retention_leaves_what_the_last_import_has_of_old_ones(feed: Feed, first: ImportRun, settings: Any) -> None:
    settings.RETENTION_ITEMS_DAYS = 30
    ImportRun.objects.filter(pk=first.pk).update(finished_at=timezone.now() - timedelta(days=40))
    run = carried_out(day(feed, *later(DAY, 15, color="Blue")))
    shown = rows(run)
    forget_old()
    assert rows(run) == shown
    day(feed, *DAY)
    ImportRun.objects.update(finished_at=timezone.now() - timedelta(days=40))
    ImportRun.objects.filter(status=Status.REVIEW).delete()
    forget_old()
    assert not StagedItem.objects.exists()
    assert not ImportRun.objects.filter(is_mirror=True).exists()


# --- whatever happens ---------------------------------------------------------------------------------
GROUPS = st.sampled_from(["", "g", "G", "h"])
ITEMS = st.builds(
    lambda id, more: item(id, **{name: value for name, value in more.items() if value != ""}),
    st.sampled_from(["a1", "A1", *(f"p{n}" for n in range(14))]),
    st.fixed_dictionaries(
        {"item_group_id": GROUPS, "color": st.sampled_from(["Red", "Blue"])},
        optional={
            "brand": st.sampled_from(["Noor", "noor", "Other"]),
            "gtin": st.sampled_from(["4006381333931", "04006381333931"]),
            "price": st.sampled_from(["20.00 AED", "21.00 AED", "20.00 EUR", "free"]),
            "item_group_title": st.sampled_from(["One", "Two"]),
            "c__heel": st.just("high"),
            "material": st.just("x" * 201),
        },
    ),
)
FILES = st.lists(ITEMS, min_size=12, max_size=20)
EVENTS = st.lists(
    st.sampled_from(
        "apply apply discard edit pin archive undo redo remove other market late settings broken lost forget".split()
    ),
    min_size=3,
    max_size=6,
)


@settings(
    max_examples=max(4, settings().max_examples // 2),  # each takes seconds
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(file=FILES, other=FILES, events=EVENTS, order=st.randoms(use_true_random=False))
def test_whatever_happens_between_the_days(
    feed: Feed, other_feed: Feed, file: list[str], other: list[str], events: list[str], order: Any
) -> None:
    with rolled_back():
        saudi = Market.objects.create(code="sa", name="Saudi Arabia")
        riyadh = Feed.objects.create(name="Riyadh", slug="riyadh", market=saudi)
        days = Days(feed, [other_feed, riyadh], other, order)
        days.follow("apply", file)
        for event in events:
            days.happens(event)
            file = _next_file(file, other, order)
            days.follow(event, file)


class Days:
    """The days of a feed, and all that may happen between them."""

    def __init__(self, feed: Feed, other_feeds: list[Feed], other: list[str], order: Any) -> None:
        self.feed, self.other_feeds, self.other, self.order = feed, other_feeds, other, order
        self.runs: list[ImportRun] = []
        self.late: list[ImportRun] = []

    def follow(self, event: str, file: list[str]) -> None:
        """Import the next day's file; another one waits if it is late."""
        mode = self.order.choice([Mode.UPDATE, Mode.UPDATE, Mode.SYNC, Mode.ADD])
        if event == "late":
            self.late.append(day(self.feed, *file, item(f"late {len(self.late)}"), mode=mode))
        if event == "broken":
            run = planned(self.feed, *file, "<item><g:id>left open", mode=Mode.UPDATE)
            assert run.in_chunks is False
        else:
            run = day(self.feed, *file, mode=mode, lost=self.order if event == "lost" else None)
        if event == "discard":
            discarded(run)
        else:
            self.runs.append(carried_out(run))

    def happens(self, event: str) -> None:
        products = [*Product.objects.filter(market=self.feed.market).order_by("pk")]
        if event in ("edit", "pin", "archive") and products:
            pinned = ["color"] if event == "pin" else []
            archived = timezone.now() if event == "archive" else None
            color = self.order.choice(["Green", "Red"])
            edit(self.order.choice(products).id, color=color, pinned=pinned, archived_at=archived)
        elif event == "remove" and products:
            self.order.choice(products).delete()
        elif event == "undo" and (changing := [run for run in self._in(Status.APPLIED) if run.has_changes]):
            undone(self.order.choice(changing))
        elif event == "redo" and (back := [run for run in self._in(Status.UNDONE) if keeps_values(run)]):
            clean_up(redone(self.order.choice(back)))
        elif event in ("other", "market"):
            clean_up(applied(self.other_feeds[event == "market"], *self.other[:3]))
        elif event == "settings":
            self.feed.default_currency = self.order.choice(["", "AED"])
            self.feed.may_change_others = not self.feed.may_change_others
            self.feed.save()
        elif event == "forget":
            ImportRun.objects.exclude(finished_at=None).update(finished_at=timezone.now() - timedelta(days=400))
            forget_old()
        for run in self.late:
            if run.status == Status.REVIEW and self.order.random() < 0.5:
                execute(run)
                clean_up(run)
                self.runs.append(run)

    def _in(self, status: Status) -> list[ImportRun]:
        for run in self.runs:
            run.refresh_from_db()
        return [run for run in self.runs if run.status == status]


def _next_file(file: list[str], other: list[str], order: Any) -> list[str]:
    """Some come, some go, some move, some change."""
    file = [*file]
    for _ in range(order.choice([0, 0, 1, 3])):
        file[order.randrange(len(file))] = order.choice(other)
    if order.random() < 0.3:
        order.shuffle(file)
    if order.random() < 0.3:
        file.insert(order.randrange(len(file)), order.choice(other))
    return file[1:] if order.random() < 0.3 else file


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
