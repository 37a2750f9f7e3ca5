"""What a change says it changes. Nothing here asks the database."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from typing import Any

import pytest
from django.utils.html import conditional_escape
from hypothesis import assume, given
from hypothesis import strategies as st
from lxml import html

from catalog.admin.differences import LONGEST_COMPARED, FieldDifference, field_differences, product_facts
from catalog.feeds.attributes import COLUMNS
from catalog.models import Change


def difference(name: str, old: Any, new: Any, currency: str = "AED") -> FieldDifference:
    """How one field's change is told, of a product with prices in that currency."""
    (found,) = field_differences(Change(before={name: old}, after={name: new}), currency)
    return found


def shown(name: str, old: Any, new: Any, currency: str = "AED") -> tuple[str, str]:
    found = difference(name, old, new, currency)
    return found.old, found.new


# --- values -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("price", Decimal(1299), Decimal("0.5"), ("1,299.00 AED", "0.50 AED")),
        ("sale_price", None, Decimal("79.500"), ("–", "79.50 AED")),
        ("sale_price", Decimal("79.500"), None, ("79.50 AED", "–")),
        ("adult", None, False, ("–", "no")),
        ("adult", False, True, ("no", "yes")),
        ("quantity", 0, None, ("0", "–")),
        ("quantity", 3, 0, ("3", "0")),
        ("color", "", "Red", ("–", "Red")),
        ("color", "Red", "", ("Red", "–")),
        ("title", "", "Silk", ("–", "Silk")),
        ("title", "Silk", "", ("Silk", "–")),
        ("availability", "in_stock", "out_of_stock", ("in_stock", "out_of_stock")),
        ("additional_image_link", [], ["x"], ("–", '<span class="picture"><span>x</span></span>')),
        ("gtin", "0123", "123", ("0123", "123")),
    ],
)
def test_a_value_is_shown_as_people_read_it(name: str, old: Any, new: Any, expected: tuple[str, str]) -> None:
    assert shown(name, old, new) == expected


@pytest.mark.parametrize(
    ("currency", "expected"),
    [("AED", "1,299.50 AED"), ("KWD", "1,299.500 KWD"), ("JPY", "1,300 JPY"), ("", "1,299.50")],
)
def test_an_amount_has_its_currencys_decimals(currency: str, expected: str) -> None:
    assert shown("price", None, Decimal("1299.5"), currency) == ("–", expected)


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [("100", "120", "+20.0%"), ("100", "75", "-25.0%"), ("3", "4", "+33.3%"), (None, "4", ""), ("4", None, "")],
)
def test_a_new_amount_says_how_much_more_or_less_it_is(old: str | None, new: str | None, note: str) -> None:
    assert difference("price", old and Decimal(old), new and Decimal(new)).note == note


def test_amounts_in_two_currencies_are_not_compared() -> None:
    before, after = {"price": Decimal(100), "currency": "AED"}, {"price": Decimal(10), "currency": "KWD"}
    price, currency = field_differences(Change(before=before, after=after), "AED")
    assert (price.old, price.new, price.note) == ("100.00 AED", "10.000 KWD", "")
    assert (currency.label, currency.old, currency.new) == ("Currency", "AED", "KWD")


# --- order and names ----------------------------------------------------------------------------------
def test_fields_stand_in_the_order_of_the_attribute_table() -> None:
    names = [attribute.name for attribute in COLUMNS if attribute.name != "id"]
    values = dict.fromkeys(reversed(names))
    labels = [found.label for found in field_differences(Change(before=values, after=values), "AED")]
    assert labels[:3] == ["Title", "Description", "Brand"]
    assert len(labels) == len(names)


def test_every_column_has_a_way_to_be_shown() -> None:
    for attribute in COLUMNS:
        if attribute.name != "id":
            assert shown(attribute.name, None, None) == ("–", "–")


def test_other_attributes_are_compared_name_by_name() -> None:
    before = {"extra": {"same": "x", "gone": "old", "shipping": {"price": "5"}}}
    after = {"extra": {"same": "x", "new": "y", "shipping": {"price": "6"}}}
    found = list(field_differences(Change(before=before, after=after), "AED"))
    assert [one.label for one in found] == ["gone", "new", "shipping"]
    assert (found[0].old, found[0].new) == ("<del>old</del>", "–")
    assert (found[1].old, found[1].new) == ("–", "<ins>y</ins>")
    assert "<del>5</del>" in found[2].old
    assert "<ins>6</ins>" in found[2].new


def test_a_new_product_shows_only_what_is_filled() -> None:
    values = {"id": "1", "title": "Silk", "price": Decimal(5), "quantity": 0, "color": "", "adult": None, "extra": {}}
    found = [(fact.label, fact.new) for fact in product_facts({**values, "additional_image_link": []}, "KWD")]
    assert found == [("Id", "1"), ("Title", "Silk"), ("Price", "5.000 KWD"), ("Quantity", "0")]


# --- words --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("old", "new", "marked_old", "marked_new"),
    [
        ("Pointed Toe", "POINTED Toe", "<del>Pointed</del> Toe", "<ins>POINTED</ins> Toe"),
        ("a silk dress", "a silk evening dress", "a silk dress", "a silk <ins>evening </ins>dress"),
        ("size 10,5", "size 11", "size <del>10,5</del>", "size <ins>11</ins>"),
        ("فستان حريري", "فستان قطني", "فستان <del>حريري</del>", "فستان <ins>قطني</ins>"),
        ("👗 new", "👠 new", "<del>👗</del> new", "<ins>👠</ins> new"),
        ("https://x.com/a/b.jpg?v=1", "https://x.com/a/b.jpg?v=2", "https://x.com/a/b.jpg?v=<del>1</del>", "https://x.com/a/b.jpg?v=<ins>2</ins>"),
        ("a  b", "a b", "a<del>  </del>b", "a<ins> </ins>b"),
    ],
)  # fmt: skip
def test_texts_are_compared_word_by_word(old: str, new: str, marked_old: str, marked_new: str) -> None:
    assert shown("title", old, new) == (marked_old, marked_new)


def test_what_was_taken_out_and_put_in_is_marked() -> None:
    assert shown("title", "Red silk dress", "Blue silk dress") == (
        "<del>Red</del> silk dress",
        "<ins>Blue</ins> silk dress",
    )


@pytest.mark.parametrize(
    ("old", "new", "marked"),
    [
        ("red wool dress", "blue silk dress", "<ins>blue silk</ins> dress"),
        ("made of silk in Italy", "woven from wool in France", "<ins>woven from wool in France</ins>"),
        ("A coat. Dry clean.", "A coat with a hood. Dry clean.", "A coat<ins> with a hood</ins>. Dry clean."),
    ],
)
def test_what_is_left_by_chance_between_two_changes_is_marked_with_them(old: str, new: str, marked: str) -> None:
    assert shown("description", old, new)[1] == marked


@given(old=st.text("ab .-éق", max_size=30), new=st.text("ab .-éق", max_size=30))
def test_comparing_loses_no_character(old: str, new: str) -> None:
    assume(old != new)
    told = difference("extra", {"x": old}, {"x": new})
    assert [re.sub("</?(ins|del)>", "", text) for text in (told.old, told.new)] == [old or "–", new or "–"]


HOSTILE = [
    "<script>alert(1)</script>",
    "a & b",
    "\"'>",
    "</ins>",
    "<del>x</del>",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("name", ["title", "color", "image_link", "additional_image_link", "extra"])
@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_feed_says_is_text_and_never_markup(name: str, text: str) -> None:
    value: Any = {"additional_image_link": [text], "extra": {"x": text}}.get(name, text)
    said = difference(name, {} if name == "extra" else "before", value).new
    part = html.fragment_fromstring(conditional_escape(said), create_parent=True)  # as a template shows it
    assert part.text_content() == text
    assert {element.tag for element in part.iter()} <= {"div", "span", "ins", "del"}


def test_a_long_text_is_shown_whole_without_comparing() -> None:
    old, new = "a" * LONGEST_COMPARED, "b" * LONGEST_COMPARED
    assert shown("description", old, new) == (old, new)


def test_comparing_hard_texts_takes_no_time_to_speak_of() -> None:
    old, new = (" ".join(chr(97 + n * step % 26) for n in range(LONGEST_COMPARED // 4)) for step in (7, 11))
    start = time.monotonic()
    shown("description", old, new)
    assert time.monotonic() - start < 1


# --- pictures -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:image/svg+xml,<svg>", "//evil.example/x", "HTTP:x", ""]
)
def test_only_a_web_address_is_loaded_as_a_picture(address: str) -> None:
    assert "<img" not in shown("image_link", "x", address)[1]


def test_a_picture_is_shown_beside_its_address() -> None:
    said = shown("image_link", "", 'https://example.com/a.jpg?"x')[1]
    assert 'src="https://example.com/a.jpg?&quot;x"' in said
    assert "<span>https://example.com/a.jpg?&quot;x</span>" in said
