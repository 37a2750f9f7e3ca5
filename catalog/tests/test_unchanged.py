"""An item that stands in the feed's next file as it stood in the last one is not read again, and is the same."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import feeds
from catalog.feeds.cleaning.check import Item, Rules, check_item
from catalog.feeds.reading.items import RawItem
from catalog.feeds.reading.slices import are_items, lines_of, slices_of, without
from catalog.feeds.reading.split import Piece, Shell
from catalog.imports.discard import clean_up
from catalog.imports.items import items_at
from catalog.imports.reading import chunks, copy, unchanged
from catalog.imports.retention import forget_old
from catalog.models import Feed, ImportRun, Shape, StagedItem, Status
from catalog.tests.factories import (
    FLAWLESS,
    applied,
    edit,
    execute,
    feed_of,
    item,
    items,
    planned,
    redone,
    undone,
)
from catalog.tests.test_chunks import everything, in_one_piece

LAST = [
    *items(12, material="x" * 201),
    item("free", price="free"),
    *items(4, price=None, heel="high"),
    item("notes", c__note="two\nlines", color=["Red", "Blue"]),
    item("soon", expiration_date="2999-01-01"),
    item("odd", unheard="of"),
]


LAST_IDS = [*(f"{n:05}" for n in range(1, 13)), "free", *(f"{n:05}" for n in range(1, 5)), "notes", "soon", "odd"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few items are big, and each item tells where the others are."""
    monkeypatch.setattr(chunks, "PIECE_BYTES", 1_600)
    monkeypatch.setattr(unchanged, "PROBES_BELOW", UUID(int=2**128 - 1))


@pytest.fixture
def parsed() -> Iterator[list[str]]:
    """The ids of the items that are read from now on."""
    ids: list[str] = []

    def check_and_tell(raw: RawItem, rules: Rules) -> Item:
        found = check_item(raw, rules)
        ids.append(found.id)
        return found

    with patch("catalog.imports.reading.copy.check_item", check_and_tell):
        yield ids


def again(feed: Feed, *of: str) -> ImportRun:
    """Plan these after LAST was applied, and see that they are as if nothing had been known."""
    run = planned(feed, *of)
    assert run.in_chunks
    with pytest.MonkeyPatch.context() as monkeypatch:
        whole = in_one_piece(feed, feed_of(*of), monkeypatch, auto_apply=True)
    assert everything(run) == everything(whole)
    return run


@pytest.fixture
def last(feed: Feed) -> ImportRun:
    run = applied(feed, *LAST)
    assert run.in_chunks
    clean_up(run)
    return run


def read_again(feed: Feed, parsed: list[str], *of: str) -> list[str]:
    parsed.clear()
    planned(feed, *of)
    return parsed


# --- what is known ------------------------------------------------------------------------------------
def test_the_same_file_is_the_same_import(feed: Feed, last: ImportRun) -> None:
    run = again(feed, *LAST)
    assert (run.unchanged, run.invalid, run.duplicate) == (last.created, last.invalid, last.duplicate)


def test_of_the_same_file_only_what_shows_unknown_names_is_read(feed: Feed, last: ImportRun, parsed: list[str]) -> None:
    found = read_again(feed, parsed, *LAST)
    assert {"00001", "soon", "odd"} <= set(found)  # the first stands beside the head of the file
    assert len(found) < len(LAST) / 2


def test_where_the_names_of_a_shape_are_forgotten_the_first_in_each_chunk_is_read(
    feed: Feed, last: ImportRun, parsed: list[str]
) -> None:
    Shape.objects.all().delete()
    unchanged._shapes.clear()
    assert {"00001", "notes", "soon", "odd"} <= set(read_again(feed, parsed, *LAST))


def test_what_was_changed_added_moved_or_repeated_is_read(feed: Feed, last: ImportRun) -> None:
    later = [item("new", title="New\nand over two lines"), *LAST[:3], *LAST[8:], *LAST[9:11]]
    later[4] = later[4].replace("x" * 201, "y" * 202)
    run = again(feed, *later)
    assert (run.created, run.changed, run.duplicate) == (1, 1, 2)


def test_what_moved_far_in_the_file_is_read(
    feed: Feed, last: ImportRun, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "MAX_PLACES_MOVED", 0)
    again(feed, *reversed(LAST))
    assert len(read_again(feed, parsed, LAST[-1], *LAST[:-1])) < len(LAST)


@pytest.mark.parametrize("joined_by", ["nestloop", "mergejoin", "hashjoin"])
def test_the_examples_of_an_issue_are_the_files_first_ones(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, joined_by: str
) -> None:
    monkeypatch.setattr(chunks, "PIECE_BYTES", 8_000)
    flawed = items(40, material="x" * 201)
    clean_up(applied(feed, *flawed))
    with connection.cursor() as cursor:
        for other in {"nestloop", "mergejoin", "hashjoin"} - {joined_by}:
            cursor.execute(f"SET LOCAL enable_{other} = off")
    again(feed, *reversed(flawed))


def test_a_name_that_no_item_has_any_more_occurs_no_more(feed: Feed, last: ImportRun) -> None:
    run = again(feed, *LAST[:12])
    assert "heel" not in " ".join(run.names)
    assert "material" in run.names


def test_other_rules_of_the_feed_make_everything_new(feed: Feed, last: ImportRun, parsed: list[str]) -> None:
    feed.domain = "other.example.com"
    feed.save()
    last.feed.refresh_from_db()
    assert len(read_again(feed, parsed, *LAST)) == len(LAST)


def test_another_program_knows_nothing(feed: Feed, last: ImportRun, parsed: list[str]) -> None:
    with patch("catalog.imports.reading.unchanged.program_digest", return_value="another"):
        assert len(read_again(feed, parsed, *LAST)) == len(LAST)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of `catalog/feeds` that may be changed, and is the one that the digest is over."""
    folder = Path(shutil.copytree(Path(feeds.__file__).parent, tmp_path / "feeds"))
    monkeypatch.setattr(feeds, "__file__", str(folder / "__init__.py"))
    unchanged.program_digest.cache_clear()
    yield folder
    unchanged.program_digest.cache_clear()


def test_the_digest_is_over_every_source_that_reads_items(program: Path) -> None:
    folders = {source.parent for source in program.rglob("*.py")}
    assert {folder.name for folder in folders} >= {"feeds", "reading", "broken", "cleaning"}
    digests = {unchanged.program_digest()}
    for folder in folders:
        (folder / "__init__.py").write_text("# another\n")
        unchanged.program_digest.cache_clear()
        digests.add(unchanged.program_digest())
    assert len(digests) == 1 + len(folders)


def test_the_digest_is_over_how_rows_are_written(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = unchanged.program_digest()
    (tmp_path / "copy.py").write_text("# another\n")
    monkeypatch.setattr(copy, "__file__", str(tmp_path / "copy.py"))
    unchanged.program_digest.cache_clear()
    assert unchanged.program_digest() != before


def test_the_day_counts_for_items_with_a_date_that_is_too_far_ahead(feed: Feed, parsed: list[str]) -> None:
    soon, later = (f"{timezone.now() + timedelta(days=days):%Y-%m-%d}" for days in (20, 40))
    file = [
        *items(12),
        item("soon", expiration_date=soon),
        item("later", expiration_date=later),
        *items(3, color="Red"),
    ]
    clean_up(applied(feed, *file))
    for days, is_too_far in ((1, True), (20, False)):
        with patch("django.utils.timezone.now", return_value=timezone.now() + timedelta(days=days)):
            found = read_again(feed, parsed, *file, item(f"day {days}"))
        run = ImportRun.objects.latest("pk")
        assert "later" in found
        assert "soon" not in found
        assert run.issues.filter(code="date.too_far").exists() == is_too_far


def test_another_feed_knows_nothing_of_it(other_feed: Feed, last: ImportRun, parsed: list[str]) -> None:
    assert len(read_again(other_feed, parsed, *LAST)) == len(LAST)


def test_a_product_edited_meanwhile_is_changed_back(feed: Feed, last: ImportRun) -> None:
    edit("00002", color="Blue", title="Edited")
    run = again(feed, *LAST)
    assert run.changes.get(product_id="00002").after["title"] == FLAWLESS["title"]


def test_of_a_supplemental_feed_nothing_is_known(feed: Feed, last: ImportRun, parsed: list[str]) -> None:
    prices = [f"<item><g:id>{n:05}</g:id><g:price>9{n}.00 AED</g:price></item>" for n in range(1, 13)]
    clean_up(applied(feed, *prices))
    assert len(read_again(feed, parsed, *prices, "")) == len(prices)


FIELDS = st.fixed_dictionaries(
    {"title": st.sampled_from(["Dress", "Two\nlines", ""])},
    optional={
        "color": st.sampled_from(["Red", "#fff", ["Red", "Blue"]]),
        "price": st.sampled_from(["free", "20.00 EUR"]),
        "c__heel": st.just("high"),
    },
)
FILES = st.lists(st.builds(lambda n, more: item(f"p{n}", **more), st.integers(0, 9), FIELDS), min_size=9, max_size=14)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=FILES, added=FILES, order=st.randoms(use_true_random=False))
def test_whatever_the_files_are(feed: Feed, before: list[str], added: list[str], order: Any) -> None:
    clean_up(applied(feed, *before))
    later = [*before, *added[:4]]
    order.shuffle(later)
    again(feed, *later[2:])


# --- what is kept -------------------------------------------------------------------------------------
def test_only_the_items_of_the_last_import_are_kept(feed: Feed, last: ImportRun) -> None:
    newer = execute(planned(feed, *LAST[:-1], item("odd", title="Even")))
    clean_up(newer)
    needed = newer.known.filter(from_run=last).values_list("from_position", flat=True)
    assert {*last.staged.exclude(state="invalid").values_list("position", flat=True)} == {*needed}
    assert len(needed) < len(LAST)
    assert [found.product_id for found in items_at(newer, range(1, 99))] == LAST_IDS
    assert not last.known.exists()
    assert not last.item_issues.exclude(code__in=["price.format", "price.missing"]).exists()


def test_a_clean_up_that_comes_late_leaves_those_of_the_newer_import(feed: Feed) -> None:
    older = applied(feed, *LAST)
    newer = execute(planned(feed, *LAST[:-1], item("odd", title="Even")))
    for run in (newer, older):
        clean_up(run)
    kept = StagedItem.objects.exclude(run=older, state="invalid").values_list("run", "position")
    assert {*kept} == {*newer.known.exclude(from_run=older, is_settled=False).values_list("from_run", "from_position")}
    assert [found.product_id for found in items_at(newer, range(1, 99))] == LAST_IDS
    assert [*ImportRun.objects.filter(is_mirror=True)] == [newer]


def test_a_discarded_plan_leaves_them_alone(feed: Feed, last: ImportRun) -> None:
    plan = planned(feed, *LAST[:-1])
    plan.move(Status.REVIEW, to=Status.DISCARDED)
    clean_up(plan)
    assert last.staged.count() == len(LAST)
    assert {state for (state,) in plan.staged.values_list("state")} == {"invalid"}


def test_an_import_that_was_undone_and_applied_again_is_known(feed: Feed, last: ImportRun, parsed: list[str]) -> None:
    redone(undone(last))
    assert len(read_again(feed, parsed, *LAST)) < len(LAST)


def test_an_undone_import_is_not_known_and_keeps_what_it_needs(feed: Feed, last: ImportRun) -> None:
    undone(last)
    clean_up(execute(again(feed, *LAST)))
    assert last.staged.filter(state="valid").count() == last.created


def test_retention_leaves_them_until_lists_of_items_are_forgotten(feed: Feed, last: ImportRun, settings: Any) -> None:
    settings.RETENTION_ITEMS_DAYS = 30
    for days, left in ((2, len(LAST)), (31, 0)):
        with patch("django.utils.timezone.now", return_value=timezone.now() + timedelta(days=days)):
            assert forget_old()["imports cleaned up"] == 0
        assert last.staged.count() == left


def test_of_a_file_that_was_read_in_one_piece_nothing_is_kept(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "PIECE_BYTES", 10**9)
    run = applied(feed, *items(3))
    clean_up(run)
    assert not run.staged.exists()


# --- where items begin and end ------------------------------------------------------------------------
SHELL = Shell("<rss><channel>", "item")
A, B = "<item><id>a</id></item>", "<item><id>b</id></item>"


def sliced(text: str, *, start: int = 1, is_last: bool = False) -> list[bytes]:
    data = text.encode()
    piece = Piece(start, start + len(data), 0, 0, data.count(b"</item>"), is_last)
    slices = slices_of(data, piece, SHELL)
    return (
        [data[a:z] for a, z, _position in slices]
        if slices and are_items(data, slices, SHELL, data, slices[0].start)
        else []
    )


def test_items_are_found_by_their_text() -> None:
    for text in (A + B, f"{A}\n\t{B} \n", f"{A}{B}</channel>\n</rss>\n"):
        assert sliced(text) == [A.encode(), B.encode()]
    assert sliced(f"<?xml version='1.0'?><rss><channel><title>!</title>{A}", start=0) == [A.encode()]
    inner = "<item><![CDATA[</ite]]><!--<x>--><item_group_id>1</item_group_id>!</item>"
    assert sliced(inner + A) == [inner.encode(), A.encode()]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{A}<!--x-->{B}", id="a comment between"),
        pytest.param(f"{A}x{B}", id="text between"),
        pytest.param(f"<title/>{A}", id="something before the first"),
        pytest.param(f"{A}<!--", id="something behind the last"),
        pytest.param(f"<item><d><![CDATA[</item>{A}<item>]]></d></item ><item>c</item>", id="a section over items"),
        pytest.param(f"<item><!--</item>{A}<item>--></item>", id="a comment over items"),
        pytest.param(f"<item><!--></item>{A}", id="a comment that only seems closed"),
        pytest.param(f"<item><![CDATA[<!--]]></item><item>--></item ><!--</item>{A}", id="a section in a section"),
        pytest.param(f"<item><item>x</item>{A}<item>y</item><item /><item>z</item>", id="nested"),
        pytest.param(f"<item>x</item >{A}", id="an end tag with a blank"),
        pytest.param(f"<item a='1'>x</item>{A}", id="a start tag with an attribute"),
        pytest.param(f"<item><?x </item>{A}<item>?></item>", id="an instruction"),
        pytest.param(f"<item><!DOCTYPE x></item>{A}", id="a declaration"),
    ],
)
def test_where_text_does_not_tell_the_items_there_are_none(text: str) -> None:
    assert sliced(text) == []


@pytest.mark.parametrize("opened", ["<!--", "<title><![CDATA[", "<?php "])
def test_a_section_left_open_before_the_first_item_hides_them_all(opened: str) -> None:
    assert sliced(f"<rss><channel>{opened}{A}<item>--><item>c</item>", start=0) == []


def test_of_what_is_taken_out_the_lines_are_left() -> None:
    data = f"{A}\n<item>\n\n</item>\n{B}".encode()
    piece = Piece(1, 9, 0, 0, 3)
    slices = slices_of(data, piece, SHELL)
    lines = [*lines_of(data, slices, piece)]
    assert without(data, slices, lines, {2}) == f"{A}\n\n\n\n{B}".encode()
    assert without(data, slices, lines, {1, 2}) == f"\n\n\n\n{B}".encode()
    assert without(data, slices, lines, {2, 3}) == f"{A}\n\n\n\n".encode()
