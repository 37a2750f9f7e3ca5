"""Supplemental feeds: what a whole file does not speak of is not missing from products that exist."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from catalog.imports.reading.stage import stage
from catalog.models import Feed, ImportRun, Mode, Product
from catalog.tests.factories import FLAWLESS, applied, counts, discarded, edit, execute, item, planned, received

pytestmark = pytest.mark.django_db

NOTHING = dict.fromkeys(FLAWLESS)
INVENTORY = {**NOTHING, "availability": "out_of_stock", "quantity": "0"}


def codes(run: ImportRun) -> dict[str, int]:
    return {f"{issue.code} {issue.attribute}": issue.count for issue in run.issues.all()}


def test_a_file_of_quantities_changes_only_quantities(feed: Feed) -> None:
    applied(feed, item("1", quantity="4", color="Red"), item("2"))
    run = execute(planned(feed, item("1", **INVENTORY), item("2", **INVENTORY)))
    assert counts(run) == {"items": 2, "changed": 2}
    product = Product.objects.get(id="1")
    assert (product.availability, product.quantity) == ("out_of_stock", 0)
    assert (product.title, product.price, product.currency, product.color) == ("Silk dress", 100, "AED", "Red")


def test_it_says_what_products_keep(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    run = planned(feed, item("1", **INVENTORY), item("2", **INVENTORY))
    assert codes(run) == {f"feed.supplemental {name}": 2 for name in ("title", "link", "price")}
    issue = run.issues.get(attribute="price")
    assert (issue.severity, [example["line"] for example in issue.examples]) == ("notice", [2, 3])
    assert run.staged.get(position=1).issues == []


def test_a_new_product_still_needs_what_is_required(feed: Feed) -> None:
    applied(feed, item("1"))
    run = execute(planned(feed, item("1", **INVENTORY), item("2", **INVENTORY), item("3", **INVENTORY)))
    assert counts(run) == {"items": 3, "changed": 1, "invalid": 2}
    assert codes(run)["price.missing price"] == 2
    assert codes(run)["description.missing description"] == 2
    assert [e["product_id"] for e in run.issues.get(code="price.missing").examples] == ["2", "3"]
    assert not Product.objects.filter(id="2").exists()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.ADD, {"items": 2, "existing": 1, "invalid": 1}),
        (Mode.UPDATE, {"items": 2, "changed": 1, "invalid": 1}),
        (Mode.SYNC, {"items": 2, "changed": 1, "invalid": 1, "archived": 1}),
    ],
)
def test_each_mode_takes_a_supplement_its_way(feed: Feed, mode: str, expected: dict[str, int]) -> None:
    applied(feed, item("1"), item("2"))
    assert counts(planned(feed, item("1", **INVENTORY), item("new", **INVENTORY), mode=mode)) == expected


def test_an_attribute_that_occurs_is_missing_where_it_does_not(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    run = planned(feed, item("1", **INVENTORY), item("2", **INVENTORY | {"title": ""}))
    assert counts(run) == {"items": 2, "invalid": 2}
    assert codes(run)["title.missing title"] == 2


def test_another_error_costs_the_item_still(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    run = planned(feed, item("1", **INVENTORY), item("2", **{**INVENTORY, "availability": "soon"}))
    assert counts(run) == {"items": 2, "changed": 1, "invalid": 1}


def test_an_archived_product_does_not_come_back_as_it_was(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    applied(feed, item("2"), mode=Mode.SYNC)
    run = execute(planned(feed, item("1", **INVENTORY), item("2", **INVENTORY)))
    assert counts(run) == {"items": 2, "changed": 1, "invalid": 1}
    assert Product.objects.get(id="1").archived_at


@pytest.mark.parametrize(("sale", "price"), [("80 AED", Decimal(80)), ("80 USD", None), (None, None)])
def test_a_sale_beside_a_kept_price_is_in_its_currency(feed: Feed, sale: Any, price: Any) -> None:
    applied(feed, item("1"), item("2"))
    execute(planned(feed, item("1", **NOTHING | {"sale_price": sale}), item("2", **NOTHING | {"sale_price": "9 AED"})))
    product = Product.objects.get(id="1")
    assert (product.price, product.currency, product.sale_price) == (100, "AED", price)


def test_the_last_of_several_supplements_wins(feed: Feed) -> None:
    applied(feed, item("1"))
    run = execute(planned(feed, *(item("1", **{**INVENTORY, "quantity": str(n)}) for n in (7, 8))))
    assert counts(run) == {"items": 2, "changed": 1, "duplicate": 1}
    assert Product.objects.get().quantity == 8


def test_a_product_of_another_feed_is_supplemented_too(feed: Feed, other_feed: Feed) -> None:
    applied(feed, item("1"))
    assert counts(planned(other_feed, item("1", **INVENTORY), mode=Mode.SYNC)) == {"items": 1, "changed": 1}


def test_a_product_edited_since_the_plan_is_left_alone(feed: Feed) -> None:
    applied(feed, item("1"))
    run = planned(feed, item("1", **INVENTORY))
    edit("1", title="By hand")
    assert counts(execute(run)) == {"items": 1, "conflict": 1}


def test_a_supplement_that_was_discarded_says_nothing_of_its_products(feed: Feed) -> None:
    applied(feed, item("1"))
    run = planned(feed, item("1", **INVENTORY))
    discarded(run)
    assert Product.objects.get().quantity is None


def test_a_table_of_prices_is_a_supplement(feed: Feed) -> None:
    applied(feed, item("1"), item("2"))
    run = received(feed, b"id,price\n1,90.00 AED\n2,\n")
    stage(run)
    execute(run)
    assert counts(run) == {"items": 2, "changed": 1, "invalid": 1}
    assert Product.objects.get(id="1").price == 90


def test_a_full_feed_is_no_supplement(feed: Feed) -> None:
    applied(feed, item("1"))
    run = planned(feed, item("1", title=None), item("2"))
    assert (counts(run), codes(run)) == ({"items": 2, "created": 1, "invalid": 1}, {"title.missing title": 1})
