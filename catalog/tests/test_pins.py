"""Pins: a pinned field is not overwritten by imports; the plan shows what the file says, and that it is kept."""

from typing import Any

import pytest
from django.urls import reverse

from catalog.imports.reports.downloads import changes_csv
from catalog.models import Feed, ImportRun, Product
from catalog.tests.factories import applied, change, counts, edit, execute, item, planned, undone
from catalog.tests.pages import browser, changes, texts, tree, url, with_class


@pytest.fixture
def pinned(feed: Feed) -> Feed:
    """A product with a title and extra attributes of its own, which are pinned."""
    applied(feed, item("1", note="n"))
    edit("1", title="Mine", pinned=["title", "extra"])
    return feed


def title() -> str:
    return Product.objects.get().title


def test_a_pinned_field_is_kept_and_all_else_is_changed(pinned: Feed) -> None:
    run = applied(pinned, item("1", title="Theirs", color="Red", note="m"))
    product = Product.objects.get()
    assert (product.title, product.color, product.extra) == ("Mine", "Red", {"note": "n"})
    assert change(run, "1").after == {"color": "Red"}
    assert change(run, "1").pinned == {
        "title": {"kept": "Mine", "file": "Theirs"},
        "extra": {"kept": {"note": "n"}, "file": {"note": "m"}},
    }
    assert counts(run) == {"items": 1, "changed": 1}


def test_what_differs_in_pinned_fields_only_is_unchanged_and_counted_beside(pinned: Feed) -> None:
    run = planned(pinned, item("1", title="Theirs", note="n"), mode="sync")
    assert counts(run) == {"items": 1, "unchanged": 1, "pinned": 1}
    assert (change(run, "1").operation, change(run, "1").outcome) == ("keep", "pinned")
    version = Product.objects.get().version
    execute(run)
    assert (title(), Product.objects.get().version) == ("Mine", version)
    assert counts(run) == {"items": 1, "unchanged": 1, "pinned": 1}


def test_a_pinned_field_that_is_the_same_is_not_mentioned(pinned: Feed) -> None:
    run = planned(pinned, item("1", title="Mine", note="n"))
    assert counts(run) == {"items": 1, "unchanged": 1}
    assert not run.changes.exists()


def test_a_product_comes_back_from_the_archive_with_its_pins(pinned: Feed) -> None:
    applied(pinned, item("2"), mode="sync")
    run = applied(pinned, item("1", title="Theirs", color="Red", note="n"))
    assert (title_of("1"), Product.objects.get(id="1").color) == ("Mine", "Red")
    assert (change(run, "1").operation, change(run, "1").outcome) == ("restore", "applied")


def title_of(product_id: str) -> str:
    return Product.objects.get(id=product_id).title


@pytest.mark.parametrize(
    ("price", "sale_price", "expected"),
    [("90.00 AED", "80.00 AED", (100, 80, "AED")), ("90.00 SAR", "80.00 SAR", (100, None, "AED"))],
)
def test_amounts_of_another_currency_are_kept_with_a_pinned_one(
    feed: Feed, price: str, sale_price: str, expected: Any
) -> None:
    applied(feed, item("1"))
    edit("1", pinned=["price"])
    applied(feed, item("1", price=price, sale_price=sale_price))
    assert Product.objects.values_list("price", "sale_price", "currency").get() == expected


def test_an_undo_leaves_pinned_fields_alone(pinned: Feed) -> None:
    run = applied(pinned, item("1", title="Theirs", color="Red", note="m"))
    undone(run)
    product = Product.objects.get()
    assert (product.title, product.color, product.pinned) == ("Mine", "", ["title", "extra"])
    assert counts(run) == {"items": 1, "changed": 1, "undone": 1}


def test_an_unpinned_field_follows_the_file_again(pinned: Feed) -> None:
    edit("1", pinned=[])
    applied(pinned, item("1", title="Theirs"))
    assert title() == "Theirs"


def test_a_pin_since_the_plan_is_an_edit_like_any_other(feed: Feed) -> None:
    applied(feed, item("1"))
    run = planned(feed, item("1", title="Theirs"))
    edit("1", pinned=["title"])
    execute(run)
    assert counts(run) == {"items": 1, "conflict": 1}
    assert title() == "Silk dress"


# --- in the admin -------------------------------------------------------------------------------------
PAGE = reverse("admin:catalog_product_change", args=["1"])


def form_of(client: Any) -> Any:
    (form,) = tree(client.get(PAGE)).xpath("//form[@id='product_form']")
    return form


def test_mona_pins_and_unpins(feed: Feed) -> None:
    applied(feed, item("1"))
    mona = browser("mona")
    values = dict(form_of(mona).form_values())
    mona.post(PAGE, {**values, "pinned": ["title", "price"]})
    assert Product.objects.get().pinned == ["title", "price"]
    assert [value for name, value in form_of(mona).form_values() if name == "pinned"] == ["title", "price"]
    mona.post(PAGE, {name: value for name, value in form_of(mona).form_values() if name != "pinned"})
    assert (Product.objects.get().pinned, Product.objects.get().version) == ([], 3)


def test_only_fields_are_pinned(feed: Feed) -> None:
    applied(feed, item("1"))
    mona = browser("mona")
    answer = mona.post(PAGE, {**dict(form_of(mona).form_values()), "pinned": ["version"]})
    assert [*answer.context["adminform"].form.errors] == ["pinned"]


def test_a_pinned_field_says_so_on_the_form(pinned: Feed) -> None:
    said = texts(browser("mona").get(PAGE), "//*[contains(text(), 'Pinned: imports do not change this field.')]")
    assert len(said) == 2


def test_the_changes_as_csv_tell_what_is_kept(pinned: Feed) -> None:
    run = planned(pinned, item("1", title="Theirs", color="Red", note="n"))
    lines = "".join(changes_csv(run)).splitlines()[1:]
    assert lines == ["1,update,color,,Red", "1,keep,title,Mine,Theirs"]


@pytest.fixture
def run(pinned: Feed) -> ImportRun:
    return planned(pinned, item("1", title="Theirs", note="n"), item("2"))


def test_the_plan_shows_what_is_kept(run: ImportRun) -> None:
    alice = browser("alice")
    page = alice.get(url(run), {"operation": "keep"})
    assert changes(page) == {"1": [("Title", "Mine", "Theirs pinned: kept")]}
    chips = texts(page, f"//div[{with_class('chips')}]/a")
    assert chips == ["All", "New 1", "Kept: pinned 1", "Clear filters"]
