"""Stage: the file becomes rows exactly, whatever is delivered twice, lost or broken on the way; no product changes."""

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from catalog.feeds.cleaning.check import UNKNOWN_NAME_MAX
from catalog.imports.discard import discard
from catalog.imports.reading.stage import BATCH_ITEMS, stage
from catalog.models import Change, Feed, ImportRun, Product, RunIssue, StagedItem, Status
from catalog.tests.factories import (
    applied,
    at_once,
    catalogue,
    counts,
    cutting_off,
    discarded,
    execute,
    feed_of,
    item,
    items,
    planned,
    received,
    somebody_waits,
    wait_until,
)

MANY = 2 * BATCH_ITEMS + 500  # the first batch is saved before half of the file is read, the second after

Halfway = Callable[[Callable[[], Any]], list[Any]]


def again(run: ImportRun) -> ImportRun:
    """The run as another worker finds it."""
    return ImportRun.objects.get(pk=run.pk)


def test_staging_changes_no_product(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    before = catalogue()
    planned(feed, item("1", title="Another"), item("3"), mode="sync")
    assert catalogue() == before


def test_items_are_counted_and_keep_their_place(feed: Feed) -> None:
    run = planned(feed, item("a"), item("b", price=None), item("c"))
    assert (run.items, run.invalid, run.bytes_read) == (3, 1, run.file_size)
    staged = run.staged.order_by("position").values_list("position", "line", "product_id", "state")
    assert [*staged] == [(1, 2, "a", "valid"), (2, 3, "b", "invalid"), (3, 4, "c", "valid")]


def test_issues_are_counted_with_lines_and_values(feed: Feed) -> None:
    run = planned(feed, item("a", price="12,5O AED"), item("b"), item("c", price="free", gender="Herren"))
    price, gender = run.issues.all()
    assert (price.code, price.attribute, price.severity, price.count) == ("price.format", "price", "error", 2)
    assert price.examples == [
        {"line": 2, "product_id": "a", "found": "12,5O AED"},
        {"line": 4, "product_id": "c", "found": "free"},
    ]
    assert (gender.code, gender.severity, gender.count) == ("gender.unknown", "warning", 1)


def test_a_feeds_currency_is_taken_where_a_price_has_none(feed: Feed) -> None:
    feed.default_currency = "KWD"
    feed.save()
    run = planned(feed, item("1", price="1.234"), item("2", price="1.234 BHD"))
    assert [*run.staged.order_by("position").values_list("currency", flat=True)] == ["KWD", "BHD"]
    assert run.issues.get(code="price.no_currency").count == 1


def test_an_issue_of_many_items_keeps_the_first_examples(feed: Feed) -> None:
    run = planned(feed, *items(BATCH_ITEMS + 3, brand=None))
    issue = run.issues.get()
    assert (issue.code, issue.count) == ("brand.missing", BATCH_ITEMS + 3)
    assert [example["line"] for example in issue.examples] == [2, 3, 4, 5, 6]


def test_an_invalid_item_keeps_its_issues_and_values(feed: Feed) -> None:
    staged = planned(feed, item("a", price="free", color="Red")).staged.get()
    assert (staged.product_id, staged.color, staged.price, staged.extra) == ("a", "Red", None, {"price": "free"})
    assert staged.issues == [["price.format", "price", "free", 2]]


def test_an_issue_has_the_line_of_its_element(feed: Feed) -> None:
    run = planned(feed, item("a", brand=None), item("b", price="free").replace("<g:price>", "\n\n<g:price>"))
    assert run.staged.get(product_id="b").issues == [["price.format", "price", "free", 5]]
    examples = {issue.code: issue.examples[0]["line"] for issue in run.issues.all()}
    assert examples == {"brand.missing": 2, "price.format": 5}


def test_a_feeds_settings_are_the_rules_it_is_read_by(feed: Feed) -> None:
    feed.base_url, feed.domain, feed.aliases = "https://shop.example", "other.example", {"Farbe": "color"}
    feed.save()
    run = planned(feed, item("1", link="/1", Farbe="Rot"))
    staged = run.staged.get()
    assert (staged.link, staged.color, staged.extra) == ("https://shop.example/1", "Rot", {"link_orig_value": "/1"})
    assert {issue.code for issue in run.issues.all()} == {"url.relative", "url.domain"}
    assert "color" in run.names


def test_a_name_that_no_attribute_has_is_reported_once_a_run(feed: Feed) -> None:
    issue = planned(feed, item("1"), *items(BATCH_ITEMS + 1, heel="high")).issues.get()
    assert (issue.code, issue.attribute, issue.severity, issue.count) == ("attribute.unknown", "heel", "notice", 1)
    assert issue.examples == [{"line": 3, "product_id": "00001", "found": "high"}]


def test_a_name_of_any_length_is_reported_by_its_beginning(feed: Feed) -> None:
    name = "".join(map(chr, range(0x4E00, 0x7100)))  # of which an index can compress nothing
    run = applied(feed, item("1", **{name: "high"}))
    assert run.issues.get().attribute == name[:UNKNOWN_NAME_MAX]
    assert Product.objects.get().extra == {name: "high"}


def test_an_address_as_found_is_forgotten_when_the_shop_writes_it_well(feed: Feed) -> None:
    applied(feed, item("1", link="https://www.example.com/a b"))
    assert Product.objects.get().extra == {"link_orig_value": "https://www.example.com/a b"}
    applied(feed, item("1", link="https://www.example.com/a%20b"))
    assert Product.objects.get().extra == {}


# --- files that cannot be read ------------------------------------------------------------------------
def test_a_file_cut_off_is_no_sync_and_leaves_nothing(feed: Feed) -> None:
    run = received(feed, feed_of(*items(MANY))[:-100], mode="sync")
    stage(run)
    assert (run.status, run.error_code) == (Status.FAILED, "feed.salvage_in_sync")
    assert run.error.startswith(f"Line {MANY + 1}, column")
    assert "mode update" in run.error
    assert run.items == 2 * BATCH_ITEMS  # saved before the end was reached
    assert not StagedItem.objects.exists()
    assert not Product.objects.exists()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (Path.unlink, "feed.file_missing"),
        (lambda path: os.truncate(path, 100), "feed.file_changed"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"100.00", b"999.00")), "feed.file_changed"),
    ],
    ids=["gone", "shorter", "other bytes"],
)
def test_a_stored_file_that_is_not_the_one_received_fails(feed: Feed, spoil: Callable[[Path], Any], code: str) -> None:
    run = received(feed, feed_of(item("1")))
    spoil(Path(run.file.path))
    stage(run)
    assert (run.status, run.error_code) == (Status.FAILED, code)
    assert "Upload it again" in run.error
    assert not StagedItem.objects.exists()


def test_the_unexpected_fails_with_a_number_for_the_developers(feed: Feed) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE catalog_stageditem ADD CHECK (title <> 'poison')")
    run = received(feed, feed_of(item("1"), item("2", title="poison")))
    with pytest.raises(IntegrityError):
        stage(run)
    run.refresh_from_db()
    assert (run.status, run.error_code) == (Status.FAILED, "internal_error")
    assert re.search(r"\[[0-9a-f]{8}\].*developers", run.error)
    assert not StagedItem.objects.exists()
    assert not Product.objects.exists()


# --- workers that come twice, or not back -------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_second_delivery_while_one_works_does_nothing(feed: Feed, halfway: Halfway) -> None:
    run = received(feed, feed_of(*items(MANY)))

    def second() -> tuple[str, int]:
        stage(again(run))
        return again(run).status, run.staged.count()

    seen = halfway(second)
    stage(run)
    assert seen == [(Status.STAGING, BATCH_ITEMS)]
    assert counts(run) == {"items": MANY, "created": MANY}


def test_a_second_delivery_afterwards_does_nothing(feed: Feed) -> None:
    run = planned(feed, item("1"))
    before = again(run).__dict__ | {"_state": None}
    stage(again(run))
    assert again(run).__dict__ | {"_state": None} == before
    assert run.changes.count() == run.staged.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_lost_attempt_starts_over(feed: Feed, halfway: Halfway) -> None:
    run = received(feed, feed_of(*items(MANY, material="x" * 201), *items(3, price=None)))
    lose = cutting_off()
    seen = halfway(lambda: (run.staged.count(), lose()))
    with pytest.raises(OperationalError):
        stage(run)
    assert seen == [(BATCH_ITEMS, None)]
    assert again(run).status == Status.STAGING
    stage(again(run))
    assert counts(run) == {"items": MANY + 3, "created": MANY, "invalid": 3}
    assert dict(run.issues.values_list("code", "count")) == {"material.too_long": MANY, "price.missing": 3}


@pytest.mark.django_db(transaction=True)
def test_invalid_items_of_a_lost_attempt_are_counted_once(feed: Feed, halfway: Halfway) -> None:
    run = received(feed, feed_of(*items(MANY, price=None)))
    halfway(cutting_off())
    with pytest.raises(OperationalError):
        stage(run)
    stage(again(run))
    assert counts(run) == {"items": MANY, "invalid": MANY}


@pytest.mark.django_db(transaction=True)
def test_discarding_while_it_is_read_stops_the_reading(feed: Feed, halfway: Halfway) -> None:
    run = received(feed, feed_of(*items(MANY)))
    seen = halfway(lambda: discarded(again(run)))
    stage(run)
    assert seen == [run]
    assert (run.status, run.items) == (Status.DISCARDED, BATCH_ITEMS)
    assert not StagedItem.objects.exists()
    assert not Change.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_discarding_while_it_is_planned_leaves_no_plan(feed: Feed) -> None:
    run = received(feed, feed_of(item("1")))
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE catalog_change IN EXCLUSIVE MODE")  # so far the plan gets
            planning = pool.submit(at_once, lambda: stage(again(run)))
            wait_until(somebody_waits)
            discard(run, by=None)  # a worker cleans up later, or has just done so
        assert planning.result() == [None]
    assert again(run).status == Status.DISCARDED
    assert not Change.objects.exists()


# --- what is stored is what was sent ------------------------------------------------------------------
TEXTS = [
    "two\nlines",
    "old\rMac",
    "Win\r\ndows",
    "tab\there",
    r"back\slash \n \N \t \x41",
    "above\n\\.\nbelow",
    r"\.",
    r"\N",
    "NULL,",
    '"',
    'she said "yes", twice',
    "'single' and ''double''",
    ",",
    "{a,b}",
    "👗 été علامة \u200b \u2028 \u0301",
    "<p>HTML &amp; entities &nbsp;</p>",
    "=SUM(A1)",
    "%s %(id)s $1 ?",
    "0012",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_out_as_it_went_in(feed: Feed, text: str) -> None:
    applied(feed, item("1", description=text, c__note=text, product_type=["first", text]))
    product = Product.objects.get()
    assert product.description == text
    assert product.extra == {"c:note": text, "product_type": text}


@pytest.mark.parametrize("text", TEXTS)
def test_text_in_an_issue_comes_out_as_it_went_in(feed: Feed, text: str) -> None:
    run = planned(feed, item("1", gender=text))
    assert run.issues.get(code="gender.unknown").examples[0]["found"] == text
    assert [["gender.unknown", "gender", text]] == [issue[:3] for issue in run.staged.get().issues]


def test_lists_come_out_as_they_went_in(feed: Feed) -> None:
    urls = [f"https://www.example.com/{end}" for end in ("a,b", 'a"b"', r"a\b", "{a}", "a;b", "NULL", "a'b")]
    applied(feed, item("1", additional_image_link=urls), item("2"))
    assert [*Product.objects.values_list("additional_image_link", flat=True)] == [urls, []]


EXTREMES: list[dict[str, Any]] = [
    {"price": "999999999.99 AED"},
    {"price": "999999999.9999 AED"},
    {"price": "9999999999 AED"},
    {"price": "0.01 AED", "sale_price": "0.0001 AED"},
    {"quantity": "999999999", "additional_images_count": "9999999999"},
    {"id": "👗" * 500},
    {"id": "x" * 501},
    {"id": "../admin/?a=b#c%2F"},
    {"title": "x" * 10_000},
    {"title": "👗" * 10_001},
    {"title": " ".join(str(n) for n in range(10**9, 10**9 + 900))},
    {"description": "x" * 1_000_000},
    {"link": f"https://www.example.com/{'x' * 9_900}"},
    {"additional_image_link": [f"https://www.example.com/{n}{'x' * 900}" for n in range(200)]},
    {"c__" + "n" * 5000: "v"},
    {"note": [str(n) for n in range(3000)]},
]


def test_no_item_costs_the_others_their_import(feed: Feed) -> None:
    extremes = [item(**{"id": f"extreme {n}", **fields}) for n, fields in enumerate(EXTREMES)]
    run = execute(planned(feed, item("before"), *extremes, item("after")))
    assert run.items == len(EXTREMES) + 2
    assert Product.objects.filter(id__in=["before", "after"]).count() == 2
    assert {issue.code for issue in RunIssue.objects.filter(severity="error")} == {"price.too_large", "value.too_large"}
