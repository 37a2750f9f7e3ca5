"""Exports: every column, every value as it is, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import tablib  # type: ignore[import-untyped]
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from openpyxl.utils.escape import unescape  # as Excel shows it

from catalog.feeds.attributes import COLUMNS
from catalog.models import Feed, Product
from catalog.spreadsheet import FORMULA_STARTS
from catalog.tests.factories import add_product, applied, edit, item, items
from catalog.tests.pages import EXPORT, PRODUCTS, browser, messages, tree

pytestmark = pytest.mark.django_db

HEADER = [*(attribute.name for attribute in COLUMNS), "currency", "extra", "feed", "archived"]
Rows = list[dict[str, Any]]


def read_csv(content: bytes) -> Rows:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def read_xlsx(content: bytes) -> Rows:
    rows = tablib.Dataset().load(content, format="xlsx").dict
    return [{name: unescape(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]


def read_json(content: bytes) -> Rows:
    return list(json.loads(content))


READERS: dict[str, Callable[[bytes], Rows]] = {"csv": read_csv, "xlsx": read_xlsx, "json": read_json}
SPREADSHEETS = ("csv", "xlsx")


@pytest.fixture
def bob(feed: Feed) -> Client:
    return browser("bob")


def export(client: Client, name: str, query: str = "") -> Rows:
    """The rows of an export in that format, of the list that `query` shows."""
    answer = client.post(f"{EXPORT}{query}", {"format": list(READERS).index(name), "resource": "0"})
    assert answer["Content-Disposition"].endswith(f'.{name}"'), answer.content
    return READERS[name](answer.getvalue())


def one(client: Client, name: str) -> dict[str, Any]:
    (row,) = export(client, name)
    return row


every_format = pytest.mark.parametrize("name", READERS)
every_spreadsheet = pytest.mark.parametrize("name", SPREADSHEETS)


@every_format
def test_the_columns_are_the_attributes_in_their_order(bob: Client, feed: Feed, name: str) -> None:
    applied(feed, item("1"))
    assert list(one(bob, name)) == HEADER


TEXT = "Robe «été» 👗, \"silk\"; فستان\nsecond line\t|\\ 'x' 100%  <b>&amp;"


@every_format
def test_text_comes_out_as_it_went_in(bob: Client, feed: Feed, name: str) -> None:
    applied(feed, item("00012", title=TEXT, description=TEXT * 50, gtin="04006381333931", mpn="603E709"))
    row = one(bob, name)
    found = (row["id"], row["title"], row["description"], row["gtin"], row["mpn"], row["feed"])
    assert found == ("00012", TEXT, TEXT * 50, "04006381333931", "603E709", "ounass")


@pytest.mark.parametrize(
    ("price", "text"), [("1299.50 AED", "1299.50"), ("1.250 KWD", "1.250"), ("1299 JPY", "1299"), ("0.10 AED", "0.10")]
)
def test_an_amount_is_exact_and_has_its_currencys_decimals(bob: Client, feed: Feed, price: str, text: str) -> None:
    applied(feed, item("1", price=price))
    amounts = {name: one(bob, name)["price"] for name in READERS}
    assert amounts == {"csv": text, "json": text, "xlsx": pytest.approx(float(text))}
    assert {one(bob, name)["currency"] for name in READERS} == {price[-3:]}


def test_an_amount_with_more_decimals_than_its_currency_keeps_them(bob: Client) -> None:
    add_product(id="1", price="1.234", currency="AED")
    assert one(bob, "csv")["price"] == "1.234"


URLS = ["https://www.example.com/a.jpg", "https://www.example.com/b.jpg"]
FILLED = {"quantity": "3", "adult": "no", "additional_image_link": URLS, "c__heel": "عالٍ", "shipping_label": ["a", "b"]}


def test_a_spreadsheet_shows_values_as_a_feed_writes_them(bob: Client, feed: Feed) -> None:
    applied(feed, item("1", **FILLED))
    row = one(bob, "csv")
    assert (row["quantity"], row["adult"], row["identifier_exists"]) == ("3", "no", "")
    assert row["additional_image_link"] == ",".join(URLS)
    assert json.loads(row["extra"]) == {"c:heel": "عالٍ", "shipping_label": ["a", "b"]}
    assert "عالٍ" in row["extra"]


def test_json_keeps_the_shape_of_every_value(bob: Client, feed: Feed) -> None:
    applied(feed, item("1", **FILLED))
    row = one(bob, "json")
    assert (row["quantity"], row["adult"], row["identifier_exists"], row["sale_price"]) == (3, False, None, None)
    assert row["additional_image_link"] == URLS
    assert row["extra"] == {"c:heel": "عالٍ", "shipping_label": ["a", "b"]}


def test_a_workbook_can_reckon_with_its_numbers(bob: Client, feed: Feed) -> None:
    applied(feed, item("1", **FILLED))
    row = one(bob, "xlsx")
    assert (row["price"] + row["quantity"], row["sale_price"]) == (103, None)


# --- formulas -----------------------------------------------------------------------------------------
FORMULAS = [f"{start}1+1" for start in FORMULA_STARTS]


@every_spreadsheet
@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_spreadsheet_is_a_formula(bob: Client, name: str, text: str) -> None:
    free = ("title", "description", "brand", "custom_label_0", "gtin")
    add_product(id=text, **dict.fromkeys(free, text), additional_image_link=[text], extra={"x": text})
    row = one(bob, name)
    assert {row[column] for column in ("id", *free, "additional_image_link")} == {f"'{text}"}
    assert not [value for value in row.values() if str(value).startswith(FORMULA_STARTS)]


@pytest.mark.parametrize("text", FORMULAS)
def test_json_has_no_cells_and_leaves_formulas_as_they_are(bob: Client, text: str) -> None:
    add_product(id=text, title=text, extra={"x": text})
    row = one(bob, "json")
    assert (row["id"], row["title"], row["extra"]) == (text, text, {"x": text})


@every_format
def test_what_only_looks_like_a_formula_inside_stays(bob: Client, name: str) -> None:
    add_product(id="1", title="a=b", brand="'=1", mpn=" =1")
    row = one(bob, name)
    brand = "'=1" if name == "json" else "''=1"  # else it would be read as =1
    assert (row["title"], row["brand"], row["mpn"]) == ("a=b", brand, " =1")


@every_format
def test_characters_that_a_format_does_not_have_do_not_stop_an_export(bob: Client, name: str) -> None:
    add_product(id="1", title="a\x0bb\x1fc", description="x" * 32_767)
    assert one(bob, name)["title"] == ("a\ufffdb\ufffdc" if name == "xlsx" else "a\x0bb\x1fc")


@pytest.mark.parametrize("text", ["x" * 32_768, "\U0001f457" * 16_384])
def test_a_workbook_that_would_cut_a_text_is_refused_with_what_holds_it(bob: Client, text: str) -> None:
    add_product(id="00012", description=text, title="x" * 32_767)
    answer = bob.post(EXPORT, {"format": list(READERS).index("xlsx"), "resource": "0"})
    assert answer.status_code == 200
    assert [str(message) for message in answer.context["messages"]] == [
        "A cell of Excel holds 32,767 characters, and 1 text is longer: description of 00012 has 32,768. Nothing was "
        "exported, so that nothing is cut. Choose CSV or JSON."
    ]
    assert {one(bob, name)["description"] for name in ("csv", "json")} == {text}


def test_a_text_in_a_workbook_is_a_text(bob: Client) -> None:
    texts = ["#N/A", "00012", "TRUE", "2026-11-22", "_x0041_", "1e5"]
    add_product(id="1", additional_image_link=[], title=texts[0], brand=texts[1], mpn=texts[2], color=texts[3])
    edit("1", size="_x0041_", material=texts[5])
    row = one(bob, "xlsx")
    assert [row[name] for name in ("title", "brand", "mpn", "color", "size", "material")] == texts


# --- which rows, and for whom -------------------------------------------------------------------------
@every_format
def test_an_empty_catalogue_exports_its_header(bob: Client, name: str) -> None:
    assert export(bob, name) == []


def test_the_export_is_of_what_the_list_shows(bob: Client, feed: Feed) -> None:
    applied(feed, item("1", title="Silk"), item("2", title="Linen"), item("3", title="Wool"))
    applied(feed, item("1", title="Silk"), item("2", title="Linen"), mode="sync")
    shown = {query: sorted(row["id"] for row in export(bob, "csv", query)) for query in ("", "?q=lin", "?archive=all")}
    assert shown == {"": ["1", "2"], "?q=lin": ["2"], "?archive=all": ["1", "2", "3"]}


def test_the_button_exports_what_is_filtered(bob: Client, feed: Feed) -> None:
    applied(feed, item("1"))
    links = tree(bob.get(PRODUCTS, {"q": "silk", "archive": "all"})).xpath("//a/@href")
    assert [link for link in links if link.startswith(f"{EXPORT}?") and "q=silk" in link and "archive=all" in link]


def test_archived_products_say_since_when(bob: Client, feed: Feed) -> None:
    applied(feed, *items(2))
    applied(feed, *items(1), mode="sync")
    since = Product.objects.get(id="00002").archived_at
    assert since
    for name in READERS:
        (row,) = export(bob, name, "?archive=archived")
        assert row["archived"] == since.isoformat()


@pytest.mark.parametrize(("who", "status"), [("bob", 200), ("ida", 200), ("alice", 200), ("charlie", 403)])
def test_who_may_look_may_export(feed: Feed, who: str, status: int) -> None:
    client = browser(who)
    assert client.get(EXPORT).status_code == status
    assert client.post(EXPORT, {"format": "0", "resource": "0"}).status_code == status


@pytest.mark.parametrize(
    "chosen", [{"format": "9", "resource": "0"}, {"format": "", "resource": "0"}, {"resource": "7"}]
)
def test_an_odd_choice_is_a_form_error(bob: Client, chosen: dict[str, str]) -> None:
    answer = bob.post(EXPORT, chosen)
    assert answer.status_code == 200
    assert answer.context["form"].errors


def test_a_long_export_asks_no_more_often_than_a_short_one(bob: Client, feed: Feed) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            export(bob, "csv")
        return len(captured)

    def applied_and_asked(count: int) -> int:
        applied(feed, *items(count))
        queries()  # the filters' choices are counted once for each version of the catalogue
        return queries()

    assert applied_and_asked(1) == applied_and_asked(60)


@pytest.mark.parametrize("query", ["archived=all", "price=abc", "feed__id__exact=x", "brand__near=1"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_export_by_a_filter_that_is_none_leads_back_to_the_list(feed: Feed, query: str, method: str) -> None:
    form = {"format": "0", "resource": "0"} if method == "post" else {}
    answer = getattr(browser("bob"), method)(f"{EXPORT}?{query}", form, follow=True)
    assert answer.redirect_chain == [(PRODUCTS, 302)]
    assert messages(answer) == [
        "The address of the export asks for a filter that this list does not have. Choose the filters here."
    ]
