"""The catalogue understands its own tables: exported and imported untouched, they change nothing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from operator import attrgetter
from random import Random
from typing import Any

import openpyxl
import pytest
from django.utils import timezone

from catalog.exports.formats import CSV, FORMATS, JSON, JSON_LINES, XLSX, ExportFormat
from catalog.exports.rows import product_rows
from catalog.feeds.attributes import ATTRIBUTES, COLUMNS, Need, Type
from catalog.feeds.currencies import DECIMALS
from catalog.feeds.formulas import FORMULA_STARTS, quoted, unquoted
from catalog.imports.local import stage_locally
from catalog.models import Feed, ImportRun, Product, Status
from catalog.tests.factories import allow_changes, applied, catalogue, counts, edit, execute, item, items, received

pytestmark = pytest.mark.django_db

TABLES = [CSV, XLSX, JSON, JSON_LINES]
every_table = pytest.mark.parametrize("table", TABLES, ids=attrgetter("name"))
every_format = pytest.mark.parametrize("table", FORMATS.values(), ids=FORMATS)


def exported(table: ExportFormat, products: Any = None) -> bytes:
    """The products as the admin exports them, all unless they are given."""
    chosen = Product.objects.order_by("id") if products is None else products
    return b"".join(table.write(product_rows(chosen)))


def imported(feed: Feed, content: bytes, **options: Any) -> ImportRun:
    run = received(feed, content, **options)
    stage_locally(run)
    assert run.status == Status.REVIEW, run.error
    return run


def codes(run: ImportRun) -> set[str]:
    return set(run.issues.values_list("code", flat=True))


def rewritten(content: bytes, change: Callable[[dict[str, str]], None]) -> bytes:
    """An exported CSV that a person has changed row by row."""
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    for row in rows:
        change(row)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


# --- every attribute ----------------------------------------------------------------------------------
PRODUCTS = 300
ODD_TEXTS = [
    *(f"{start}1+1" for start in FORMULA_STARTS if start.strip()), "'=1", "''+x", "#N/A!", "_x0041_", "_x005F_x0041_",
    "00012", "1E5", "3.0", "TRUE", "2026-11-22", "a,b;c\td|e", 'say "x"', "line\nbreak", "line\r\nbreak", "a\rb",
    "فستان حرير", "👗 🇦🇪", "x" * 300, "0", "1,250", "12%", "{a}", "[1]", '{"a": 1}', "a\u00a0b", "&amp;", "<b>",
]  # fmt: skip
GIVEN = {
    Type.BOOLEAN: "yes",
    Type.DATE: "2026-11-22T14:30+0400",
    Type.PERIOD: "2026-11-22T00:00+0400/2026-11-30T23:59+0400",
    Type.MEASURE: "3.5 kg",
    Type.GTIN: "04006381333931",
}


def value_of(attribute: Any, random: Random, number: int, currency: str) -> Any:
    """A value of the attribute's type."""

    def text() -> str:
        return f"{random.choice(ODD_TEXTS)}{random.choice(['', f' {number}'])}"

    if attribute.choices:
        return random.choice(attribute.values)
    if attribute.parts:
        return {part: text() for part in attribute.parts}
    address = f"https://www.example.com/p,{number}?a=%20b&c="
    decimals = DECIMALS.get(currency, 2)
    values: dict[Type, Any] = {
        Type.MONEY: f"{random.randint(1, 10**6) / 10**decimals:.{decimals}f} {currency}",
        Type.INTEGER: str(random.randint(0, 999)),
        Type.URL: f"{address}1",
        Type.URLS: [f"{address}{n}" for n in range(random.randint(1, 3))],
    }
    return values.get(attribute.type) or GIVEN.get(attribute.type) or text()


def many_products() -> bytes:
    random = Random(15)  # noqa: S311
    products = []
    for number in range(PRODUCTS):
        currency = random.choice(["AED", "KWD", "JPY", "USD"])
        chosen = [a for a in ATTRIBUTES if a.name != "currency" and (a.need is Need.REQUIRED or random.random() > 0.2)]
        values = {a.name: value_of(a, random, number, currency) for a in chosen}
        unknown = {"own name": "x", "c:heel": "عالٍ", "size chart": {"a": ["1", "2"]}}
        products.append(values | unknown | {"id": f"{random.choice(['', '=', '+', '-', '@', '0'])}{number}"})
    return json.dumps(products).encode()


@pytest.fixture
def stocked(feed: Feed) -> Feed:
    """Hundreds of products with every attribute, in columns and beside them."""
    execute(imported(feed, many_products()))
    products = Product.objects.filter(extra__has_keys=["own name", "c:heel", "size chart"])
    assert products.count() == PRODUCTS
    names = {name for extra in products.values_list("extra", flat=True) for name in extra}
    assert names >= {a.name for a in ATTRIBUTES} - {a.name for a in COLUMNS} - {"currency"}
    return feed


def meant() -> list[dict[str, Any]]:
    """All that products say, without when and by what they were written."""
    names = [a.name for a in COLUMNS]
    return list(Product.objects.order_by("id").values(*names, "currency", "extra", "feed_id", "archived_at"))


@every_format
def test_many_products_with_every_attribute_come_back_as_they_are(stocked: Feed, table: ExportFormat) -> None:
    before, content = meant(), exported(table)
    for mode in ("update", "sync"):
        run = imported(stocked, content, mode=mode)
        assert counts(run) == {"items": PRODUCTS, "unchanged": PRODUCTS}
    # Nor is anything kept only because it is not in the file.
    Product.objects.all().delete()
    stocked.slug = "another"
    stocked.save()
    execute(imported(stocked, content, auto_apply=True))
    assert meant() == before


# --- what is said, and what stays --------------------------------------------------------------------
@every_table
def test_an_own_table_is_named_and_its_columns_are_known(feed: Feed, table: ExportFormat) -> None:
    applied(feed, *items(2), item("f", title="=1+1"))
    run = imported(feed, exported(table))
    assert counts(run) == {"items": 3, "unchanged": 3}
    assert codes(run) & {"feed.own_table", "attribute.unknown", "attribute.empty"} == {"feed.own_table"}
    assert not {"extra", "feed", "archived", "own table"} & set(run.names)


@every_table
def test_archived_products_stay_in_the_archive_until_their_cell_is_cleared(feed: Feed, table: ExportFormat) -> None:
    applied(feed, *items(3))
    edit("00001", archived_at=timezone.now())
    for mode in ("update", "sync"):
        run = imported(feed, exported(table), mode=mode)
        assert counts(run) == {"items": 3, "invalid": 1, "unchanged": 2}
        assert "row.archived" in codes(run)
    table_without = rewritten(exported(CSV), lambda row: row.update(archived=""))
    assert counts(imported(feed, table_without)) == {"items": 3, "changed": 1, "unchanged": 2}


@every_table
def test_products_of_another_feed_wait_for_a_person(feed: Feed, other_feed: Feed, table: ExportFormat) -> None:
    applied(feed, *items(2))
    content = exported(table)
    assert counts(imported(other_feed, content)) == {"items": 2, "unchanged": 2}
    Product.objects.update(title="Changed meanwhile", version=2)
    run = imported(other_feed, content, mode="sync")
    assert counts(run) == {"items": 2, "changed": 2}
    assert [hold["code"] for hold in run.holds] == ["guard.other_feeds"]
    assert imported(allow_changes(other_feed), content, mode="update").holds == []


def test_what_a_person_changed_in_the_table_is_changed(feed: Feed) -> None:
    applied(feed, item("1", c__heel="7 cm", price="1.250 KWD"), item("2"))

    def change(row: dict[str, str]) -> None:
        if row["id"] == "1":
            row |= {"price": "1.500", "title": "'=2", "extra": '{"c:heel": "9 cm", "a": [1.50, {"b": null}]}'}

    run = execute(imported(feed, rewritten(exported(CSV), change)))
    product = Product.objects.get(id="1")
    assert counts(run) == {"items": 2, "changed": 1, "unchanged": 1}
    assert (f"{product.price}", product.currency, product.title) == ("1.500", "KWD", "=2")
    assert product.extra == {"c:heel": "9 cm", "a": [1.5, {"b": None}]}


def test_columns_may_be_taken_out_of_the_table(feed: Feed) -> None:
    applied(feed, item("1", title="=1", c__heel="7 cm"))
    rows = list(csv.DictReader(io.StringIO(exported(CSV).decode("utf-8-sig"))))
    kept = ["id", "title", "price", "currency", "feed", "archived"]
    content = "\n".join(",".join([*names]) for names in [kept, [rows[0][name] for name in kept]])
    run = imported(feed, content.encode())
    assert counts(run) == {"items": 1, "unchanged": 1}
    assert "feed.own_table" in codes(run)


def test_an_amount_of_an_own_table_has_no_currency_but_its_own(feed: Feed) -> None:
    applied(feed, item("1", price="100.00"))
    feed.default_currency = "AED"
    feed.save()
    assert Product.objects.get().currency == ""
    assert counts(imported(feed, exported(CSV))) == {"items": 1, "unchanged": 1}


@pytest.mark.parametrize("cell", ["[1]", '{"a": "\\u0000"}', '{"a": "\\ud800"}', "x", "{" * 5000, '{"a":' * 5000])
def test_an_extra_that_is_no_object_costs_its_row(feed: Feed, cell: str) -> None:
    applied(feed, *items(2))
    run = imported(feed, rewritten(exported(CSV), lambda row: row.update(extra=cell if row["id"] == "00001" else "")))
    assert counts(run) == {"items": 2, "invalid": 1, "unchanged": 1}
    assert "row.extra" in codes(run)


def test_another_shops_columns_are_not_taken_for_ours(feed: Feed) -> None:
    content = b"id,title,extra,feed\n1,'=1,gift,spring\n"
    run = imported(feed, content)
    staged = run.staged.get()
    assert (staged.title, staged.extra) == ("'=1", {"extra": "gift", "feed": "spring"})
    assert "feed.own_table" not in codes(run)


def test_a_product_of_an_own_table_is_read_alike_twice(feed: Feed) -> None:
    """The same amounts, whatever those of the other rows look like."""
    applied(feed, item("1", price="1.250 KWD"), item("2", price="1234.5 AED"), item("3", price="1299 JPY"))
    before = catalogue()
    for table in TABLES:
        execute(imported(feed, exported(table)))
    assert catalogue() == before


@pytest.mark.parametrize("text", [*ODD_TEXTS, *FORMULA_STARTS, "", "'", "''", "'a", "a'=1"])
def test_an_apostrophe_is_put_before_formulas_and_taken_off_again(text: str) -> None:
    assert unquoted(quoted(text)) == text
    assert not quoted(text).startswith(FORMULA_STARTS)


def test_a_workbook_that_excel_saved_again_is_still_ours(feed: Feed) -> None:
    applied(feed, item("1", title="_x0041_ =1"), item("007", price="1.250 KWD", quantity="3"))
    book = openpyxl.load_workbook(io.BytesIO(exported(XLSX)))
    again = io.BytesIO()
    book.save(again)
    assert counts(imported(feed, again.getvalue())) == {"items": 2, "unchanged": 2}
