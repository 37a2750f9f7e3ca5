"""What is known of a product is not overwritten with nothing by accident."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from catalog.models import Feed, ImportRun, Product
from catalog.tests.factories import FLAWLESS, applied, counts, edit, item, items, planned

pytestmark = pytest.mark.django_db


def codes(run: ImportRun) -> set[str]:
    return {issue.code for issue in run.issues.all()}


def holds(run: ImportRun) -> list[str]:
    return [hold["code"] for hold in run.holds]


@pytest.mark.parametrize(
    "amounts",
    [
        {"price": "100.00"},
        {"price": "100.00", "sale_price": "90.00"},
        {"price": "100"},
    ],
    ids=str,
)
def test_an_amount_without_a_currency_keeps_the_known_one(feed: Feed, amounts: dict[str, str]) -> None:
    applied(feed, item("1", price="100.00 AED", sale_price="90.00 AED"))
    run = applied(feed, item("1", **{"sale_price": "90.00 AED"[:5], **amounts}))
    assert "price.no_currency" in codes(run)
    product = Product.objects.get()
    assert (product.price, product.sale_price, product.currency) == (100, 90, "AED")
    assert counts(run) == {"items": 1, "unchanged": 1}


def test_a_removed_default_currency_takes_no_currency_away(feed: Feed) -> None:
    feed.default_currency = "AED"
    feed.save()
    applied(feed, *items(5, price="100.00"))
    feed.default_currency = ""
    feed.save()
    assert counts(planned(feed, *items(5, price="100.00"))) == {"items": 5, "unchanged": 5}


def test_a_new_amount_without_a_currency_is_in_the_known_one(feed: Feed) -> None:
    applied(feed, item("1", price="100.00 KWD"))
    applied(feed, item("1", price="120.00"))
    product = Product.objects.get()
    assert (product.price, product.currency) == (120, "KWD")


def test_a_new_product_without_a_currency_has_none(feed: Feed) -> None:
    applied(feed, item("1", price="100.00"))
    assert Product.objects.get().currency == ""


UNREAD: dict[str, tuple[str, str, Any]] = {
    "gender": ("female", "damen", "female"),
    "age_group": ("adult", "teen", "adult"),
    "quantity": ("4", "many", 4),
    "adult": ("yes", "perhaps", True),
    "image_link": ("https://e.com/1.jpg", "data:image/png;base64,AAAA", "https://e.com/1.jpg"),
    "brand": ("Noor", "{{ product.brand }}", "Noor"),
    "gtin": ("9780306406157", "#REF!", "9780306406157"),
    "color": ("Red", "Loading...", "Red"),
    "availability_date": ("2026-12-24", "24.12.2026", "2026-12-24"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_value_that_is_not_understood_keeps_what_is_known(feed: Feed, name: str) -> None:
    known, unread, value = UNREAD[name]
    applied(feed, item("1", **{name: known}))
    run = applied(feed, item("1", **{name: unread, "title": "Another dress"}))
    product = Product.objects.get()
    assert (product.title, getattr(product, name), product.extra) == ("Another dress", value, {})
    assert run.issues.filter(attribute=name).exists()


@pytest.mark.parametrize("name", UNREAD)
def test_an_empty_value_clears(feed: Feed, name: str) -> None:
    applied(feed, item("1", **{name: UNREAD[name][0]}))
    applied(feed, item("1", **{name: ""}))
    assert getattr(Product.objects.get(), name) in ("", None)


def test_an_attribute_absent_from_the_file_keeps_what_is_known(feed: Feed) -> None:
    applied(feed, item("1", color="Red"), item("2", color="Blue"))
    applied(feed, item("1", title="Coat"))
    assert Product.objects.get(id="1").color == "Red"


def test_what_a_person_set_is_kept_too(feed: Feed) -> None:
    applied(feed, *items(3, gender="male"))
    edit("00001", gender="female")
    applied(feed, *items(3, gender="Herren"))
    assert [*Product.objects.order_by("id").values_list("gender", flat=True)] == ["female", "male", "male"]


def test_a_sale_price_that_is_not_understood_stays_while_the_price_does(feed: Feed) -> None:
    applied(feed, item("1", price="100.00 AED", sale_price="80.00 AED"))
    run = applied(feed, item("1", price="100.00 AED", sale_price="soon"))
    assert (counts(run), Product.objects.get().sale_price) == ({"items": 1, "unchanged": 1}, Decimal(80))


@pytest.mark.parametrize(
    ("name", "known", "unread"),
    [
        ("sale_price", "80.00 AED", "soon"),
        ("sale_price_effective_date", "2026-11-01/2026-11-30", "November"),
    ],
)
def test_of_another_price_it_is_no_sale_and_a_person_looks(feed: Feed, name: str, known: str, unread: str) -> None:
    sale = {"sale_price": "80.00 AED"} | {name: known}
    applied(feed, item("1", price="100.00 AED", **sale))
    run = planned(feed, item("1", price="120.00 AED", **sale | {name: unread}))
    assert holds(run) == ["guard.unread_sale"]
    assert run.holds[0]["message"].startswith("One product would lose the sale price or its dates")
    assert run.changes.get().after[name] in ("", None)


def test_a_supplement_that_is_not_understood_keeps_what_is_known(feed: Feed) -> None:
    applied(feed, item("1", gender="male", quantity="4"))
    nothing = dict.fromkeys(FLAWLESS)
    run = applied(feed, item("1", **nothing | {"gender": "Herren", "quantity": "3"}))
    product = Product.objects.get()
    assert (counts(run)["changed"], product.gender, product.quantity, product.extra) == (1, "male", 3, {})


def test_a_file_without_a_valid_item_waits_and_is_no_baseline(feed: Feed) -> None:
    run = planned(feed, *items(5, price="free"), mode="sync")
    assert holds(run) == ["guard.nothing_valid"]
    applied(feed, *items(40), mode="sync")
    applied(feed, *items(5, price="free"), mode="sync")
    assert "guard.items" not in holds(planned(feed, *items(41, color="Red"), mode="sync"))


def test_duplicates_of_the_same_values_pass(feed: Feed) -> None:
    assert holds(planned(feed, *items(10), *items(10))) == []
    assert holds(planned(feed, *items(10, color="Blue"), *items(10, color="Red"))) == ["guard.duplicates"]
