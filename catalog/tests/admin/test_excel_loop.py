"""Export a filtered list, edit it in Excel, import it: the plan says what was edited, and nothing else changes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest
from django.test import Client

from catalog.exports.formats import FORMATS
from catalog.exports.resource import HEADER, ProductResource, column_label
from catalog.feeds.attributes import COLUMNS
from catalog.feeds.reading.own_table import ARCHIVED, EXTRA, FEED, is_own
from catalog.imports.apply import apply
from catalog.imports.local import stage_locally
from catalog.models import Feed, ImportRun, Product, Status
from catalog.resources import PRODUCT_FORMATS
from catalog.tests.factories import applied, catalogue, counts, edit, item
from catalog.tests.pages import EXPORT, UPLOAD, browser, changes, heading, texts, tree, upload, url

pytestmark = pytest.mark.django_db

NUMBERS = {each.streamed.name: str(number) for number, each in enumerate(PRODUCT_FORMATS)}


@pytest.fixture
def alice(feed: Feed) -> Client:
    applied(feed, item("1", title="Silk dress", color="Red", c__heel="low"), item("2", title="Silk scarf"))
    applied(feed, item("3", title="Linen shirt"))
    return browser("alice")


def exported(client: Client, name: str, query: str = "") -> bytes:
    answer = client.post(f"{EXPORT}{query}", {"format": NUMBERS[name], "resource": "0"})
    content: bytes = answer.getvalue()
    return content


def in_excel(content: bytes, change: Callable[[Any, dict[str, int]], None]) -> bytes:
    """The workbook saved again by another program; `change` gets its sheet, and the number of each column."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    sheet = book.worksheets[0]
    change(sheet, {cell.value: cell.column for cell in sheet[1]})
    saved = io.BytesIO()
    book.save(saved)
    return saved.getvalue()


def uploaded(client: Client, content: bytes, name: str, **fields: str) -> ImportRun:
    """The import that the form makes of the file, up to its plan."""
    feed = Feed.objects.get(slug="ounass")
    answer = upload(client, content, name, feed=feed.pk, mode="update", **fields)
    assert answer.status_code == 302, answer.context["form"].errors
    run = ImportRun.objects.latest("pk")
    stage_locally(run)
    return run


def test_a_filtered_list_is_exported_edited_in_excel_and_imported(alice: Client, feed: Feed) -> None:
    content = exported(alice, "xlsx", "?q=silk")

    def change(sheet: Any, columns: dict[str, int]) -> None:
        assert [row[columns["id"] - 1].value for row in sheet.iter_rows(min_row=2)] == ["1", "2"]
        sheet.cell(2, columns["price"]).value = 80.5
        sheet.cell(3, columns["color"]).value = "Ivory"

    run = uploaded(alice, in_excel(content, change), "products.xlsx", format=NUMBERS["xlsx"])
    assert counts(run) == {"items": 2, "changed": 2}
    page = alice.get(url(run))
    assert changes(page) == {
        "1": [("Price", "100.00 AED", "80.50 AED -19.5%")],
        "2": [("Colour", "–", "Ivory")],
    }
    assert heading(page) == "Confirming will change 2 products."
    before = {row["id"]: row for row in catalogue()}
    alice.post(url(run, "confirm"), {"plan_hash": run.plan_hash})
    apply(run)
    run.refresh_from_db()
    assert run.status == Status.APPLIED
    after = {row["id"]: row for row in catalogue()}
    written = {"version", "updated_at", "search"}
    different = {
        (pk, name) for pk, row in after.items() for name in row if row[name] != before[pk][name] and name not in written
    }
    assert different == {("1", "price"), ("2", "color")}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_the_form_can_be_exported_and_imported(alice: Client, name: str) -> None:
    extension = FORMATS[name].extension
    run = uploaded(alice, exported(alice, name), f"products.{extension}", format=NUMBERS[name])
    assert counts(run) == {"items": 3, "unchanged": 3}


def test_the_form_offers_the_same_formats_both_ways(alice: Client) -> None:
    titles = [each.title for each in FORMATS.values()]
    assert texts(alice.get(EXPORT), "//select[@name='format']/option[@value!='']") == titles
    assert texts(alice.get(UPLOAD), "//select[@name='format']/option") == ["As its content says", *titles]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_another_format_than_the_chosen_one_is_refused(alice: Client, name: str) -> None:
    content = exported(alice, "csv")
    feed = Feed.objects.get(slug="ounass")
    answer = upload(alice, content, "products.csv", feed=feed.pk, mode="update", format=NUMBERS[name])
    if name == "csv":
        assert answer.status_code == 302
        return
    assert answer.status_code == 200
    title = FORMATS[name].title
    assert answer.context["form"].errors["format"] == [f"This file is not {title}. It is a table of text (CSV or TSV)."]
    assert ImportRun.objects.count() == 2


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"\x00" * 100])
def test_what_is_no_feed_is_refused_as_such_whatever_is_chosen(alice: Client, content: bytes) -> None:
    feed = Feed.objects.get(slug="ounass")
    answer = upload(alice, content, "products.xlsx", feed=feed.pk, mode="update", format=NUMBERS["xlsx"])
    assert answer.status_code == 200
    assert "format" not in answer.context["form"].errors
    assert answer.context["form"].errors["import_file"]


# --- one description of the columns -------------------------------------------------------------------------
def test_the_resource_is_what_is_written_read_and_compared(alice: Client) -> None:
    """Each column of the resource is written, read back without remark, and has its name in the preview."""
    columns = [field.column_name for field in ProductResource().get_export_fields()]
    assert columns == [*HEADER]
    assert [*columns] == [*(column.name for column in COLUMNS), "currency", EXTRA, FEED, ARCHIVED]
    assert is_own(columns)
    edit("1", color="Blue", extra={"c:heel": "high"})
    run = uploaded(
        alice,
        in_excel(
            exported(alice, "xlsx", "?q=dress"),
            lambda sheet, columns: sheet.cell(2, columns["extra"], '{"c:heel": "low", "note": "new"}'),
        ),
        "products.xlsx",
    )
    assert run.issues.filter(code__contains="unknown").count() == 0
    assert changes(alice.get(url(run))) == {"1": [("c:heel", "high", "low"), ("note", "–", "new")]}


def test_the_preview_has_the_resources_columns_in_its_order(alice: Client) -> None:
    def change(sheet: Any, columns: dict[str, int]) -> None:
        for name, value in {"title": "A", "brand": "B", "mpn": "C", "quantity": 3, "size": "M"}.items():
            sheet.cell(2, columns[name]).value = value

    run = uploaded(alice, in_excel(exported(alice, "xlsx", "?q=dress"), change), "products.xlsx")
    labels = [field[0] for field in changes(alice.get(url(run)))["1"]]
    expected = [name for name in HEADER if name in ("title", "brand", "mpn", "quantity", "size")]
    assert labels == [column_label(name) for name in expected]


def test_a_line_taken_out_in_excel_archives_nothing(alice: Client) -> None:
    content = in_excel(exported(alice, "xlsx"), lambda sheet, _columns: sheet.delete_rows(3))
    assert counts(uploaded(alice, content, "products.xlsx")) == {"items": 2, "unchanged": 2}
    assert Product.objects.filter(archived_at=None).count() == 3


def test_the_upload_page_runs_no_script_of_the_packages(alice: Client) -> None:
    assert not [src for src in tree(alice.get(UPLOAD)).xpath("//script/@src") if "guess_format" in src]
