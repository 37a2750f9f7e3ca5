"""What only a comparison of a file's items finds: counted, with examples, and listed item by item."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.imports.discard import clean_up
from catalog.imports.planning.plan import make_plan
from catalog.models import Feed, ImportRun
from catalog.tests.factories import applied, counts, execute, item, items, planned

pytestmark = pytest.mark.django_db

TWINS = {"item_group_id": "g", "size": "M"}


def listed(run: ImportRun, code: str) -> list[tuple[int, str]]:
    """Positions of the items that have the issue, and what was found."""
    return [*run.item_issues.filter(code=code).order_by("position").values_list("position", "found")]


def issues(run: ImportRun) -> dict[tuple[str, str], tuple[str, int]]:
    return {(issue.code, issue.attribute): (issue.severity, issue.count) for issue in run.issues.all()}


# what is different in each item, and the issue: code, attribute, severity, and what was found where
CASES: dict[str, tuple[list[dict[str, Any]], tuple[str, str, str, list[tuple[int, str]]]]] = {
    "ids that differ in capitals": (
        [{"id": "Sku-1"}, {"id": "sku-2"}, {"id": "sku-1"}],
        ("id.case", "id", "warning", [(1, "Sku-1, also sku-1"), (3, "sku-1, also Sku-1")]),
    ),
    "several currencies": (
        [{}, {"price": "10 USD"}, {}, {"price": "9 EUR"}],
        ("price.currency_mixed", "price", "warning", [(2, "USD, most items AED"), (4, "EUR, most items AED")]),
    ),
    "one GTIN for two ids, in two forms": (
        [{"gtin": "4006381333931"}, {}, {"gtin": "0400638-1333931"}],
        ("gtin.duplicate", "gtin", "warning", [(1, "4006381333931, also of 3"), (3, "0400638-1333931, also of 1")]),
    ),
    "a group of one": (
        [{"item_group_id": "g"}, {}],
        ("group.single", "item_group_id", "notice", [(1, "g")]),
    ),
    "two brands in a group": (
        [{**TWINS, "brand": "Noor"}, {"item_group_id": "g", "size": "L", "brand": "Noir"}],
        ("group.brand_differs", "brand", "warning", [(1, "Noor"), (2, "Noir")]),
    ),
    "a group in capitals": (
        [{**TWINS}, {"item_group_id": "G", "size": "m"}],
        ("group.no_difference", "item_group_id", "warning", [(1, "g"), (2, "G")]),
    ),
    "two titles of a group": (
        [{**TWINS, "item_group_title": "Coat"}, {"item_group_id": "g", "size": "L", "item_group_title": "Cape"}],
        ("group.title_differs", "item_group_title", "warning", [(1, "Coat"), (2, "Cape")]),
    ),
    "a title of a group that one member lacks": (
        [
            {**TWINS, "item_group_title": "Coat"},
            {"item_group_id": "g", "size": "L", "item_group_title": "Cape"},
            {"item_group_id": "g", "size": "XL"},
        ],
        ("group.title_differs", "item_group_title", "warning", [(1, "Coat"), (2, "Cape")]),
    ),
    "two members alike": (
        [TWINS, {**TWINS, "size": "L"}, TWINS],
        ("group.no_difference", "item_group_id", "warning", [(1, "g"), (3, "g")]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_between_items_is_found(feed: Feed, case: str) -> None:
    differences, (code, attribute, severity, found) = CASES[case]
    run = planned(feed, *(item(**{"id": str(n), **fields}) for n, fields in enumerate(differences, 1)))
    assert issues(run) == {(code, attribute): (severity, len(found))}
    assert listed(run, code) == found
    issue = run.issues.get()
    assert issue.examples == [
        {"line": n + 1, "product_id": run.staged.get(position=n).product_id, "found": text} for n, text in found
    ]
    assert counts(run) == {"items": len(differences), "created": len(differences)}


@pytest.mark.parametrize(
    "fields",
    [
        [{"item_group_id": "g", "size": "M"}, {"item_group_id": "g", "size": "L"}],
        [{**TWINS, "brand": "Noor"}, {"item_group_id": "g", "size": "L", "brand": "NOOR"}],
        [{**TWINS, "item_group_title": "Coat"}, {"item_group_id": "G", "size": "L", "item_group_title": "COAT"}],
        [{"item_group_id": "g", "size_type": "big"}, {"item_group_id": "g", "size_type": "tall"}],
        [{**TWINS, "brand": "Noor"}, {"item_group_id": "g", "size": "L", "brand": None}],
        [{"gtin": "0000000000000"}, {"gtin": "0000000000000"}],
        [{"gtin": "4006381333931"}, {"gtin": "4006381333948"}],
    ],
)
def test_where_a_rule_ends(feed: Feed, fields: list[dict[str, Any]]) -> None:
    run = planned(feed, *(item(str(n), **each) for n, each in enumerate(fields)))
    codes = {"gtin.placeholder", "gtin.checksum", "brand.missing"}
    assert {issue.code for issue in run.issues.all()} <= codes


def test_duplicates_are_listed_with_line_and_id(feed: Feed) -> None:
    run = planned(feed, item("1"), item("2"), item("1"), item("1"))
    assert listed(run, "id.duplicate") == [(1, "1"), (3, "1")]
    assert [(e["line"], e["product_id"]) for e in run.issues.get().examples] == [(2, "1"), (4, "1")]


def test_items_that_are_not_imported_are_not_compared(feed: Feed) -> None:
    twins = [item("1", gtin="4006381333931"), item("1", gtin="4006381333931"), item("2", price="free")]
    run = planned(feed, *twins, item("3", gtin="4006381333931", title=None))
    assert "gtin.duplicate" not in {issue.code for issue in run.issues.all()}


def test_an_issue_of_many_items_has_five_examples_and_all_on_its_list(feed: Feed) -> None:
    run = planned(feed, *items(30, gtin="4006381333931"))
    issue = run.issues.get()
    assert (issue.count, len(issue.examples), len(listed(run, "gtin.duplicate"))) == (30, 5, 30)


def test_what_is_wrong_with_an_item_by_itself_is_listed_once_an_item(feed: Feed) -> None:
    two = ["https://www.example.com/a b", "https://www.example.com/c d"]
    run = planned(feed, item("1"), item("2", additional_image_link=two), item("3", gtin="12"))
    assert listed(run, "url.space") == [(2, "")]
    assert listed(run, "gtin.length") == [(3, "")]


def test_a_plan_is_made_once(feed: Feed) -> None:
    run = planned(feed, item("1"), item("1"), item("Sku"), item("sku"), item("4", price="x"))
    before = (counts(run), issues(run), run.plan_hash, run.item_issues.count(), run.changes.count())
    make_plan(run)
    assert (counts(run), issues(run), run.plan_hash, run.item_issues.count(), run.changes.count()) == before


def test_the_lists_of_an_ended_run_keep_its_invalid_items(feed: Feed) -> None:
    run = execute(planned(feed, item("1", gtin="12"), item("2", price="x", gtin="12")))
    clean_up(run)
    assert (listed(run, "gtin.length"), listed(run, "price.format")) == ([(2, "")], [(2, "")])


def test_two_plans_in_one_transaction_do_not_meet(feed: Feed) -> None:
    for _ in range(2):
        assert counts(applied(feed, item("1", item_group_id="g")))["items"] == 1
