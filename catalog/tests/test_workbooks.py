"""A sheet of an Excel workbook is read as a table of texts: as Excel shows it, and never more than may be held."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

import openpyxl
import pytest

from catalog.errors import FeedRefused
from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.limits import MIB, SAFE, Limits
from catalog.feeds.reading import workbooks
from catalog.feeds.reading.items import RawItem, read_items
from catalog.feeds.reading.number_formats import shown_date, shown_number
from catalog.feeds.reading.settings import FileSettings
from catalog.imports.local import stage_locally
from catalog.imports.reports.source import Place, read_snippet
from catalog.models import Feed, Status
from catalog.tests.factories import received
from catalog.tests.hostile import watched
from catalog.tests.routes import as_workbook, with_shared_texts, zipped

Fill = Callable[[Any], None]


def workbook(*rows: Any, fill: Fill | None = None) -> bytes:
    """A workbook with these rows on its first sheet; `fill` may do more with it."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if fill:
        fill(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def changed(content: bytes, **texts: Callable[[str], str]) -> bytes:
    """The workbook with parts of it rewritten, by the first word of their names."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    parts = {name: archive.read(name) for name in archive.namelist()}
    for word, change in texts.items():
        (name,) = [name for name in parts if name.endswith(f"{word}.xml")]
        parts[name] = change(parts[name].decode()).encode()
    return zipped(*parts.items())


def read(content: bytes, limits: Limits = SAFE, sheet: str = "") -> list[RawItem]:
    return list(read_items(io.BytesIO(content), limits, FileSettings(sheet=sheet)))


def refusal(content: bytes, limits: Limits = SAFE, sheet: str = "") -> FeedRefused:
    with pytest.raises(FeedRefused) as refused:
        read(content, limits, sheet)
    assert refused.value.message.endswith(".")
    return refused.value


# --- as Excel shows it --------------------------------------------------------------------------------
SHOWN: list[tuple[Any, str, str]] = [
    (12, "00000", "00012"),
    (4006381333931, "0", "4006381333931"),
    (12345678901234567890, "General", "12345678901234567890"),
    (0.15, "0%", "15%"),
    (0.155, "0.0 %", "15.5%"),
    (1250.5, "General", "1250.5"),
    (1250.5, "#,##0.00", "1250.50"),
    (1250.5, '"AED" #,##0.00', "AED 1250.50"),
    (1250.5, "[$AED] #,##0.00", "AED 1250.50"),
    (1250.5, "#,##0.00 [$€-407]", "1250.50 €"),
    (1250.5, '_-* #,##0.00\\ "AED"_-;-* #,##0.00\\ "AED"_-;_-* "-"??_-', "1250.50 AED"),
    (-5, "#,##0.00_);[Red](#,##0.00)", "-5.00"),
    (0, '_-* #,##0_-;_-* "-"??_-', "0"),
    (30.299999999999997, "General", "30.3"),
    (1.005, "0.00", "1.01"),
    (2.5, "0", "3"),
    (1.5, "0.##", "1.5"),
    (2.0, "General", "2"),
    (1e15, "General", "1000000000000000"),
    (1.5e300, "0.00", f"15{'0' * 299}"),
    (0.00001, "General", "0.00001"),
    (3, '0" pcs"', "3 pcs"),
    (1234567, '#,##0,"K"', "1234567"),
    (0.5, "# ?/?", "0.5"),
    (1234.5, "0.00E+00", "1234.5"),
    (5, "[<10]0.0;0", "5"),
    (12345678, "0000-0000", "12345678"),
    (7, '[Red]0" days"', "7 days"),
]


@pytest.mark.parametrize(("number", "code", "text"), SHOWN)
def test_a_number_is_as_it_is_shown(number: float, code: str, text: str) -> None:
    assert shown_number(number, code) == text

    def fill(book: Any) -> None:
        book.active["B2"].number_format = code

    if abs(number) < 1e18:
        (row,) = read(workbook(["id", "mpn"], ["1", number], fill=fill))
        assert row.fields["mpn"] == text


DATES: list[tuple[Any, str, str]] = [
    (datetime(2026, 11, 22), "mm-dd-yy", "2026-11-22"),
    (datetime(2026, 11, 22, 14, 30), "yyyy-mm-dd", "2026-11-22"),
    (datetime(2026, 11, 22, 14, 30), "yyyy-mm-dd hh:mm", "2026-11-22T14:30:00"),
    (date(2026, 11, 22), '[$-F800]dddd", "mmmm" the "dd', "2026-11-22"),
    (time(8, 5), "hh:mm", "08:05:00"),
]


@pytest.mark.parametrize(("moment", "code", "text"), DATES)
def test_a_date_is_in_iso_8601(moment: Any, code: str, text: str) -> None:
    def fill(book: Any) -> None:
        book.active["B2"].number_format = code

    (row,) = read(workbook(["id", "availability_date"], ["1", moment], fill=fill))
    assert row.fields["availability_date"] == text


def test_a_moment_without_a_format_keeps_its_time() -> None:
    assert shown_date(datetime(2026, 11, 22, 14, 30), "General") == "2026-11-22T14:30:00"
    assert shown_date(datetime(2026, 11, 22), "General") == "2026-11-22"


def test_texts_are_as_they_are() -> None:
    texts = ["00012", " a ", "=1+1", "1E5", "#N/A", "TRUE", "فستان 👗", "a\nb", "_x0041_", "x" * 40_000]
    for content in (as_workbook([dict(zip("abcdefghij", texts, strict=True)) | {"id": "1", "title": "t"}]),):
        (row,) = read(content)
        assert [row.fields[name] for name in "abcdefghij"] == texts


@pytest.mark.parametrize("shared", [True, False])
def test_characters_that_stand_by_their_number_are_read(shared: bool) -> None:
    content = as_workbook([{"id": "1", "title": "T", "mpn": "M"}])
    content = changed(content, sheet1=lambda text: text.replace(">T<", ">a_x000D_b_x005F_x0041_ _xD83D__xDC57_<"))
    (row,) = read(with_shared_texts(content) if shared else content)
    assert row.fields["title"] == "a\rb_x0041_ 👗"


@pytest.mark.parametrize("code", ["_x0000_", "_x0001_", "_xFFFF_", "_xD83D_"])
def test_a_character_that_is_no_text_costs_its_row(code: str) -> None:
    rows = [{"id": "1", "title": "T"}, {"id": "2", "title": "B"}]
    first, second = read(changed(as_workbook(rows), sheet1=lambda text: text.replace(">T<", f">{code}<")))
    assert (first.lost, first.faults[0][0], first.fields) == (True, "row.character", {"id": "1"})
    assert second.fields == {"id": "2", "title": "B"}


def test_yes_and_no_and_errors_are_named() -> None:
    (row,) = read(workbook(["id", "adult", "price", "brand", "size"], ["1", True, "#REF!", "#GETTING_DATA", None]))
    assert row.fields == {"id": "1", "adult": "TRUE", "price": "#REF!", "brand": "#GETTING_DATA", "size": ""}
    item = check_item(row, Rules())
    assert item.values["adult"] is True
    assert {"price", "brand"} <= item.unread.keys()


def test_a_formula_has_the_value_that_it_had_and_is_not_empty_without_one() -> None:
    content = workbook(["id", "title", "brand", "mpn", "color"], ["1", *["=A2"] * 4])
    cells = {"B2": ("n", "<v>7</v>"), "C2": ("str", "<v></v>"), "D2": ("str", ""), "E2": ("n", "<v></v>")}

    def calculate(text: str) -> str:
        for address, (kind, value) in cells.items():
            cell = f'<c r="{address}" t="{kind}"><f>A2</f>{value}</c>'
            text, number = re.subn(f'<c r="{address}"><f>A2</f><v></v></c>', cell, text)
            assert number == 1
        return text

    (row,) = read(changed(content, sheet1=calculate))
    missing = workbooks.NOT_CALCULATED
    assert row.fields == {"id": "1", "title": "7", "brand": "", "mpn": missing, "color": missing}
    assert check_item(row, Rules()).unread == {"mpn": [missing], "color": [missing]}


# --- rows ---------------------------------------------------------------------------------------------
def test_rows_have_the_numbers_that_excel_shows() -> None:
    rows = read(workbook([], [], ["id", "title"], [], ["1", "a"], ["", "  "], ["2", "b"], [None, None]))
    assert [(row.line, row.fields["id"]) for row in rows] == [(5, "1"), (7, "2")]


@pytest.mark.parametrize("dimension", ["A1", "A1:XFD1048576", "A1:B1", "nonsense"])
def test_the_size_that_a_sheet_says_it_has_does_not_count(dimension: str) -> None:
    content = workbook(["id", "title", "brand"], ["1", "a", "b"], ["2", "c", "d"])
    content = changed(content, sheet1=lambda text: re.sub(r'ref="[^"]*"', f'ref="{dimension}"', text, count=1))
    assert [row.fields for row in read(content)] == [
        {"id": "1", "title": "a", "brand": "b"},
        {"id": "2", "title": "c", "brand": "d"},
    ]


def test_a_row_may_be_shorter_and_a_cell_beside_the_table_is_a_fault() -> None:
    def fill(book: Any) -> None:
        book.active["XFD3"] = "far away"

    first, second = read(workbook(["id", "title", "brand"], ["1"], ["2", "b"], fill=fill))
    assert (first.fields, first.faults) == ({"id": "1", "title": "", "brand": ""}, ())
    assert second.faults == (("row.cells", "16384 cells, 3 columns"),)


def test_a_merged_cell_has_its_value_once() -> None:
    rows = read(workbook(["id", "title"], ["1", "a"], ["2", "b"], fill=lambda book: book.active.merge_cells("B2:B3")))
    assert [row.fields["title"] for row in rows] == ["a", ""]


def test_headings_are_as_in_every_table() -> None:
    (row,) = read(workbook([" ID ", "Image Link", "g:Title", "my column", None, "price"], ["1", "a", "b", "c", "d", 5]))
    assert row.fields == {
        "id": "1", "image_link": "a", "title": "b", "my column": "c", "column 5": "d", "price": "5"
    }  # fmt: skip


def test_the_first_sheet_that_is_shown_is_read_or_the_one_that_is_named() -> None:
    def fill(book: Any) -> None:
        book.active.title, book.active.sheet_state = "Lists", "hidden"
        for name in ("Products", "Other"):
            book.create_sheet(name).append(["id", "title"])
            book[name].append([name, "x"])
        book.create_chartsheet("Chart", 0)

    content = workbook(["id", "title"], ["hidden", "x"], fill=fill)
    assert [row.fields["id"] for sheet in ("", " other ", "Lists") for row in read(content, sheet=sheet)] == [
        "Products",
        "Other",
        "hidden",
    ]
    refused = refusal(content, sheet="Stock")
    assert (refused.code, refused.message) == (
        "feed.no_sheet",
        "The workbook has no sheet “Stock”, which the feed's settings name. It has “Lists”, “Products”, “Other”.",
    )


def test_a_value_over_a_limit_costs_its_row() -> None:
    first, second = read(workbook(["id", "title"], ["1", "x" * 501], ["2", "b"]), replace(SAFE, value_chars=500))
    assert (first.lost, first.faults) == (True, (("item.value_too_long", "title: 501 characters"),))
    assert (first.fields, second.lost) == ({"id": "1"}, False)


# --- refused ------------------------------------------------------------------------------------------
GOOD = workbook(["id", "title"], ["1", "a"])
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "an empty sheet": (workbook(), "feed.empty", "The sheet is empty."),
    "no header": (workbook(["Stock list"], ["sku", "title"]), "feed.no_header", "Line 1: a sheet begins with"),
    "a header alone": (workbook(["id", "title"]), "feed.no_items", "no items"),
    "styles that openpyxl does not read": (
        changed(GOOD, styles=lambda text: re.sub(r"<fills.*?</fills>", "<fills><fill/></fills>", text)),
        "feed.workbook",
        "its styles are not written as Excel writes them. Open it in Excel or LibreOffice",
    ),
    "broken XML": (
        changed(GOOD, sheet1=lambda text: text.replace("</sheetData>", "</row></sheetData>")),
        "feed.workbook",
        "not well-formed",
    ),
    "a sheet cut off": (changed(GOOD, sheet1=lambda text: text[:-200]), "feed.workbook", "not well-formed"),
    "a cell that refers to no text": (
        changed(GOOD, sheet1=lambda text: text.replace('t="inlineStr"><is><t>a</t></is>', 't="s"><v>9</v>')),
        "feed.workbook",
        "not written as Excel writes it",
    ),
    "a row far beyond the last": (
        changed(GOOD, sheet1=lambda text: text.replace('r="2"', 'r="99999999999"', 1)),
        "feed.workbook",
        "its row 99999999999 follows its row 1",
    ),
    "rows that go back": (
        changed(GOOD, sheet1=lambda text: text.replace('<row r="2"', '<row r="1"')),
        "feed.workbook",
        "its row 1 follows its row 1",
    ),
    "no sheet": (changed(GOOD, workbook=lambda text: re.sub("<sheet .*?/>", "", text)), "feed.workbook", "no sheet"),
    "another checksum": (GOOD.replace(b"<", b"<", 1)[:-400] + GOOD[-390:], "feed.workbook", "damaged"),
    "cut off": (GOOD[:-30], "feed.workbook", "ends too early"),
    "an entity": (
        changed(GOOD, sheet1=lambda text: f'<!DOCTYPE a [<!ENTITY b "{"c" * 999}">]>{text}'),
        "feed.doctype",
        "<!DOCTYPE",
    ),
    "UTF-16": (
        zipped(*((n, d.decode().encode("utf-16") if "sheet1" in n else d) for n, d in (
            (n, zipfile.ZipFile(io.BytesIO(GOOD)).read(n)) for n in zipfile.ZipFile(io.BytesIO(GOOD)).namelist()))),
        "feed.workbook",
        "not in UTF-8",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "code", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_workbook_that_cannot_be_read_is_refused_in_a_sentence(content: bytes, code: str, sentence: str) -> None:
    refused = refusal(content)
    assert refused.code == code
    assert sentence in refused.message


@pytest.mark.django_db
def test_what_stops_the_work_is_not_taken_for_a_fault_of_the_workbook(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    def stop(*_: Any) -> None:
        raise Stopped

    monkeypatch.setattr(workbooks, "apply_stylesheet", stop)
    with pytest.raises(Stopped):
        read(GOOD)


# --- bounded ------------------------------------------------------------------------------------------
def bomb(**parts: bytes) -> bytes:
    """The workbook with far larger parts than it seems."""
    archive = zipfile.ZipFile(io.BytesIO(with_shared_texts(GOOD)))
    found = {name: archive.read(name) for name in archive.namelist()}
    for word, content in parts.items():
        (name,) = [name for name in found if name.endswith(f"{word}.xml")]
        before, mark, after = found[name].rpartition(b"</")
        found[name] = before + content + mark + after
    return zipped(*found.items())


WIDE = b"<c t='n'><v>1</v></c>" * 250_000
BOMBS: dict[str, tuple[bytes, str]] = {
    "zeros": (bomb(sheet1=b" " * 500 * MIB), "feed.ratio"),
    "large styles": (bomb(styles=b"<x/>" * 3 * MIB), "feed.workbook_too_large"),
    "a large list of sheets": (bomb(workbook=b"<x/>" * 3 * MIB), "feed.workbook_too_large"),
    "many texts": (bomb(sharedStrings=b"<si><t>a</t></si>" * 5 * MIB), "feed.workbook_too_large"),
    "a wide row": (
        changed(GOOD, sheet1=lambda text: text.replace("</row>", WIDE.decode() + "</row>", 1)),
        "feed.record_too_large",
    ),
    "many parts": (
        zipped(("[Content_Types].xml", b"<a/>"), *((f"{n}", b"") for n in range(10_001))),
        "feed.workbook_too_large",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_workbook_that_holds_too_much_is_refused_soon(name: str) -> None:
    content, code = BOMBS[name]
    limits = replace(SAFE, ratio=2000) if code != "feed.ratio" else SAFE
    with watched():
        assert refusal(content, limits).code == code


def test_a_cell_far_away_and_much_behind_the_rows_cost_nothing() -> None:
    behind = "".join(f'<hyperlink ref="A{n}" location="x"/>' for n in range(1, 200_000))
    content = changed(
        GOOD,
        sheet1=lambda text: text.replace(
            "</sheetData>",
            '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>a</t></is></c></row></sheetData>'
            f"<hyperlinks>{behind}</hyperlinks>",
        ),
    )
    with watched():
        first, last = read(content)
    assert (first.line, last.line, last.faults[0][0]) == (2, 1_048_576, "row.cells")


def test_a_file_at_a_limit_is_read() -> None:
    sizes = [part.file_size for part in zipfile.ZipFile(io.BytesIO(GOOD)).infolist()]
    assert len(read(GOOD, replace(SAFE, unpacked_bytes=sum(sizes), items=1, attributes=2, value_chars=5))) == 1
    assert refusal(GOOD, replace(SAFE, unpacked_bytes=sum(sizes) - 1)).code == "feed.unpacked_too_large"


# --- imported -----------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_workbook_is_imported_and_its_rows_are_shown(feed: Feed) -> None:
    def fill(book: Any) -> None:
        sheet = book.create_sheet("Stock")
        sheet.append(["id", "title", "price"])
        sheet.append([])
        sheet.append(["1", "Silk", "12,5O"])

    feed.table_sheet = "stock"
    feed.save()
    run = received(feed, workbook(["Read me"], fill=fill))
    stage_locally(run)
    assert (run.status, run.items) == (Status.REVIEW, 1), run.error
    (issue,) = run.issues.filter(code="price.currency")
    assert issue.examples[0]["line"] == 3
    snippet = read_snippet(run, Place(3, (3,), ("12,5O",)))
    assert [(line.number, line.parts) for line in snippet.lines] == [
        (1, ["id\ttitle\tprice"]),
        (3, ["1\tSilk\t", "12,5O", ""]),
    ]
    assert read_snippet(run, Place(2)).problem == "The sheet has no row 2."


@pytest.mark.django_db
def test_a_workbook_of_another_sheet_fails_in_words(feed: Feed) -> None:
    feed.table_sheet = "Stock"
    feed.save()
    run = received(feed, GOOD)
    stage_locally(run)
    assert (run.status, run.error[:40]) == (Status.FAILED, "The workbook has no sheet “Stock”, which")


@pytest.mark.django_db
def test_a_workbook_that_changed_in_the_storage_is_noticed(feed: Feed, storage: Any) -> None:
    run = received(feed, GOOD)
    path = storage / run.file.name
    path.write_bytes(path.read_bytes().replace(b"PK\x05\x06", b"PK\x05\x07"))
    stage_locally(run)
    assert run.error == "The stored file is not the one that was uploaded. Upload it again."
