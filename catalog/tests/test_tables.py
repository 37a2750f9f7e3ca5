"""Tables as programs really write them: a record that cannot be read costs itself; lines that are no rows, nothing."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import FeedRefused
from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.limits import SAFE, Limits
from catalog.feeds.reading import delimited
from catalog.feeds.reading.headings import find_header, groups_in
from catalog.feeds.reading.items import Beside, RawItem, check_start, read_items
from catalog.feeds.reading.settings import FileSettings
from catalog.imports.reading.stage import stage
from catalog.models import Feed, Product, Status
from catalog.tests.factories import applied, feed_of, item, received
from catalog.tests.pages import browser, text_of, tree, url
from catalog.tests.routes import Slow, as_table, as_workbook

MIB = 1024**2
NAMES = ["id", "title", "link", "price", "availability"]
HEADER = ",".join(NAMES)


def cells(number: int, title: str = "Silk scarf") -> list[str]:
    return [str(number), title, f"https://www.example.com/{number}", "155.00 AED", "in stock"]


def line(number: int, title: str = "Silk scarf", delimiter: str = ",") -> str:
    """A row as a program writes it that knows no quotation marks."""
    return delimiter.join(cells(number, title))


def table(*lines: str, delimiter: str = ",", end: str = "\n") -> bytes:
    return end.join([delimiter.join(NAMES), *lines, ""]).encode()


def read(content: bytes, limits: Limits = SAFE, most: int = 2**20, **settings: Any) -> list[RawItem]:
    return list(read_items(Slow(content, most), limits, FileSettings(**settings)))


def found(content: bytes, limits: Limits = SAFE, **settings: Any) -> list[tuple[int, str, str]]:
    """Of each item its line, its title, or "lost", and its fault."""
    return [
        (
            raw.line,
            "lost" if raw.lost else str(raw.fields.get("title", "")),
            raw.faults[0][0] if raw.faults else "",
        )
        for raw in read(content, limits, **settings)
    ]


def whole(*titles: str, first: int = 2) -> list[tuple[int, str, str]]:
    return [(number, title, "") for number, title in enumerate(titles, first)]


# --- quotation marks ----------------------------------------------------------------------------------
# A title as it stands in the file, in a row between two others.
UNMATCHED = {
    "never closed": '"Silk scarf',
    "inches in quotation marks": '"27" monitor"',
    "several inches": '"27" and 32" monitors"',
    "a word at the beginning": '"Sera" tote',
    "as PHP writes it": r'"27\" monitor"',
    "a mark alone": '"',
    "an odd number of marks": '"""Luna clutch',
}


@pytest.mark.parametrize("title", UNMATCHED.values(), ids=UNMATCHED)
def test_a_row_with_unmatched_marks_costs_itself(title: str) -> None:
    for delimiter in ",;|":
        rows = [line(n, text, delimiter) for n, text in enumerate(["A", title, "B", "C"], 1)]
        content = table(*rows, delimiter=delimiter)
        assert found(content) == [(2, "A", ""), (3, "lost", "row.quotes"), (4, "B", ""), (5, "C", "")]
        bad = check_item(read(content)[1], Rules())
        assert (bad.id, bad.valid) == ("2", False)
        assert bad.issues[0].found == title


@pytest.mark.parametrize("title", UNMATCHED.values(), ids=UNMATCHED)
def test_without_marks_around_cells_they_are_text(title: str) -> None:
    """A tab is in no text, so tables with tabs need no quotation marks, and many programs write none."""
    content = table(*(line(n, text, "\t") for n, text in enumerate(["A", title, "B"], 1)), delimiter="\t")
    assert found(content) == [(2, "A", ""), (3, title, "row.quotes_as_text"), (4, "B", "")]
    (issue,) = (issue for issue in check_item(read(content)[1], Rules()).issues if issue.code[:4] == "row.")
    assert (issue.severity, issue.line, issue.found) == ("notice", 3, title)


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("title", ['27" monitor', 'Strap 9"', "a 'b' \"c\"", 'the "Sera" tote'])
def test_a_mark_inside_a_cell_is_text(title: str, delimiter: str) -> None:
    assert found(table(line(1, title, delimiter), delimiter=delimiter)) == whole(title)


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize(
    "later", ['Strap 9"', '"Silk, white"', '"two\nlines, and more"', '"of ""silk"""', '""', '"\n"', '", "', '"x"']
)
def test_an_open_mark_ends_before_the_next_row(later: str, delimiter: str) -> None:
    """Whatever the rows below it are, also where a later mark would close it."""
    expected = next(csv.reader(io.StringIO(f"{later}\n", newline="")))[0] if later[0] == '"' else later
    if delimiter == "\t" and later == '", "':
        expected = ", "
    rows = [line(1, '"Silk scarf', delimiter), line(2, "A", delimiter), line(3, later, delimiter)]
    for above in ([], [line(9, "Z", delimiter)]):
        raw = read(table(*above, *rows, line(4, "B", delimiter), delimiter=delimiter))[len(above) :]
        assert [r.fields["title"] for r in raw[1:]] == ["A", expected, "B"]
        assert raw[0].lost is (delimiter == ",")
        assert raw[0].faults[0][1] == '"Silk scarf'


def test_an_open_mark_in_the_last_row_costs_that_row() -> None:
    assert found(table(line(1, "A"), '2,"Silk')) == [(2, "A", ""), (3, "lost", "row.quotes")]


def test_two_open_marks_that_close_each_other_are_two_rows() -> None:
    """As one cell they would have as many cells as columns."""
    content = table(line(1, "A"), line(2, '"Luna'), line(3, "B"), line(4, 'Strap 9"'), line(5, "C"))
    assert found(content) == [(2, "A", ""), (3, "lost", "row.quotes"), *whole("B", 'Strap 9"', "C", first=4)]


def test_the_rest_of_a_bad_row_is_no_row() -> None:
    content = table(
        line(1, "A"), '2,"27" monitor: "black"', 'and large",https://www.example.com/2,1 AED,yes', line(3, "B")
    )
    assert found(content) == [(2, "A", ""), (3, "lost", "row.quotes"), (5, "B", "")]


def test_a_text_of_several_lines_stays_one_cell() -> None:
    text = "one, two, three, four\n1,a,https://www.example.com/x\n\n5,6,7,8\n"
    content = as_table([dict(zip(NAMES, cells(1, text), strict=True)), dict(zip(NAMES, cells(2), strict=True))], ",")
    assert [title for _line, title, _fault in found(content.encode())] == [text, "Silk scarf"]


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_mark_that_swallows_a_hundred_thousand_rows_loses_none(delimiter: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield delimiter.join(NAMES).encode() + b"\n"
        yield line(0, '"Luna', delimiter).encode() + b"\n"
        for begin in range(1, 100_001, 1000):
            yield "".join(f"{line(n, 'Silk', delimiter)}\n" for n in range(begin, begin + 1000)).encode()

    header = find_header(delimiter.join(NAMES))
    assert header
    tracemalloc.start()
    try:
        rows = delimited.read_rows(chunks(), "utf-8", header, SAFE)
        first = next(rows)
        lines = [first.line, *(row.line for row in rows)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lines == list(range(2, 100_003))
    assert peak < 40 * MIB


# --- characters and bytes -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("byte", "shown"),
    [
        (b"\xe9", "title: byte 0xE9"),
        (b"\x00", "title: U+0000"),
        (b"\x0b", "title: U+000B"),
        (b"\xef\xbf\xbf", "title: U+FFFF"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_row_with_a_wrong_byte_costs_itself(byte: bytes, shown: str, delimiter: str) -> None:
    rows = [line(n, title, delimiter) for n, title in enumerate(["A", "Caf@", "B", '"C"'], 1)]
    raw = read(table(*rows, delimiter=delimiter).replace(b"@", byte))
    assert [r.lost for r in raw] == [False, True, False, False]
    assert raw[1].faults == (("row.character", shown),)
    assert (raw[1].line, raw[1].fields["id"]) == (3, "2")


@pytest.mark.parametrize("encoding", ["windows-1252", "windows-1255", "iso-8859-9"])
def test_a_byte_that_an_encoding_does_not_have_costs_its_row(encoding: str) -> None:
    content = table(line(1, "é" if encoding != "windows-1255" else "א"), line(2, "@"))
    content = content.decode().encode(encoding).replace(b"@", b"\x81" if encoding != "iso-8859-9" else b"\x00")
    assert [r.lost for r in read(content, encoding=encoding)] == [False, True]


def test_half_a_character_of_utf16_costs_its_row() -> None:
    content = b"\xff\xfe" + table(line(1, "A"), line(2, "@"), line(3, "B")).decode().encode("utf-16-le")
    raw = read(content.replace(b"@\x00", b"\x00\xd8"))
    assert [(r.lost, r.fields["id"]) for r in raw] == [(False, "1"), (True, "2"), (False, "3")]


@pytest.mark.parametrize("end", [b"\x1a", b"\x00" * 5000, b"\r\n\x00\x00\r\n", b"\n\n \n"])
def test_what_fills_up_the_end_is_nothing(end: bytes) -> None:
    assert found(table(line(1, "A")) + end) == whole("A")


@pytest.mark.parametrize("marks", [("\r\n", "\n"), ("\n", "\r"), ("\r", "\r\n")])
def test_lines_may_end_in_several_ways(marks: tuple[str, str]) -> None:
    one, other = marks
    content = HEADER + one + line(1, "A") + other + line(2, '"B\nb"') + one + line(3, '"C') + other + line(4, "D") + one
    assert [title for _line, title, _fault in found(content.encode())] == ["A", "B\nb", "lost", "D"]


# --- too much and too little --------------------------------------------------------------------------
@pytest.mark.parametrize("title", ["x" * 6000, f'"{"x" * 6000}"', '"' + "a,b\n" * 1500 + '"', '"' + "x\n" * 3000 + '"'])
def test_a_record_over_the_limit_costs_itself(title: str) -> None:
    limits = replace(SAFE, item_bytes=5000)
    raw = read(table(line(1, "A"), line(2, title), line(3, "B")), limits)
    assert [(r.lost, r.fields["id"]) for r in raw] == [(False, "1"), (True, "2"), (False, "3")]
    assert raw[1].faults[0][0] == "item.too_large"
    assert not check_item(raw[1], Rules()).valid


def test_a_line_that_never_ends_is_refused() -> None:
    with pytest.raises(FeedRefused, match="without the end of a row"):
        read(table(line(1, "A")) + b"2," + b"x" * 30_000, replace(SAFE, item_bytes=5000), most=1000)


@pytest.mark.parametrize("row", ["2", "2,B", "2,B,,,,,7", line(2, "B") + ",more", "2,B;C", ",,,,,6"])
def test_a_row_of_another_width_costs_itself(row: str) -> None:
    assert [fault for _line, _title, fault in found(table(line(1, "A"), row, line(3, "C")))] == ["", "row.cells", ""]


def test_a_file_of_which_hardly_a_row_can_be_read_is_refused() -> None:
    bad = [line(n, f'"{n}" inches') for n in range(1200)]
    assert sum(r.lost for r in read(table(*bad[:900], line(1, "A")))) == 900
    with pytest.raises(FeedRefused, match="Line 3: in the record that begins here") as refused:
        read(table(line(1, "A"), *bad))
    assert refused.value.code == "feed.quotes"


# --- lines that are no rows ---------------------------------------------------------------------------
ABOVE: dict[str, list[str]] = {
    "comments": ["# exported by the shop", "#"],
    "what Meta's template says": ['# Required | The id.,# Required | "The title.",# Optional', "# ,#"],
    "a separator": ["sep=,"],
    "a separator in quotation marks": ['"sep=,"'],
    "a title": ["Product report 2026-01-02"],
    "a title and blank lines": ["Product report", "", "", "2 products, 1 shop", ""],
    "a title in cells": ["Product report,,,,", ",,,,"],
    "other headings": ["Artikel,Name,Seite,Preis,Bestand"],
    "a warning": ["", "Warning: Undefined variable $x in /srv/feed.php on line 3"],
    "an open quotation mark": ['Report "spring'],
}


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["without a mark", "with a mark"])
@pytest.mark.parametrize("above", ABOVE.values(), ids=ABOVE)
def test_lines_above_the_names_are_passed_over(above: list[str], mark: str) -> None:
    content = "\n".join([*above, HEADER, line(1, "A"), line(2, '"B\nb"'), line(3, "C")])
    first = len(above) + 2
    beside = Beside()
    raw = list(read_items(io.BytesIO((mark + content).encode()), SAFE, beside=beside))
    assert [(r.line, r.fields["title"]) for r in raw] == [(first, "A"), (first + 1, "B\nb"), (first + 3, "C")]
    filled = [(n, " ".join(text.split())) for n, text in enumerate(above, 1) if text]
    assert (beside.lines.count, beside.lines.examples) == (len(filled), filled[:5])


@pytest.mark.parametrize("delimiter", ";^|\t")
def test_the_separator_that_a_file_names_is_the_delimiter(delimiter: str) -> None:
    content = f"sep={delimiter}\r\n" + table(line(1, "A", delimiter), delimiter=delimiter, end="\r\n").decode()
    assert found(content.encode()) == whole("A", first=3)


@pytest.mark.parametrize("mark", ["#", "# ", '"#', "## "])
def test_names_may_stand_in_a_comment(mark: str) -> None:
    names = HEADER.replace("id", 'id"', 1) if mark[0] == '"' else HEADER
    assert found(f"# a shop\n{mark}{names}\n{line(1, 'A')}\n".encode()) == whole("A", first=3)


def test_names_far_below_are_not_looked_for() -> None:
    with pytest.raises(FeedRefused, match="a table begins with the names"):
        read(b"a,b\n" * 31 + table(line(1)))


def test_a_script_that_names_attributes_is_no_table() -> None:
    with pytest.raises(FeedRefused, match="a program's source text"):
        read(b"import shop\nid,title,price = shop.row()\nprint(id,title)\n")


BELOW = {
    "what Meta's template says": "# Required | The id.,# Required | A title.,# Required | Page,# Required | 1.00 AED,",
    "the same names": "ID,Title,Link,Price,Availability",
    "names in Google's form": "g:id,g:title,g:link,g:price,g:availability",
    "labels": "Product ID,Name of the product,Page,Price in AED,Stock",
    "labels in Arabic": "المعرف,العنوان,الرابط,السعر,التوفر",
}


@pytest.mark.parametrize("label", BELOW.values(), ids=BELOW)
def test_headings_below_the_names_are_no_row(label: str) -> None:
    beside = Beside()
    raw = list(read_items(io.BytesIO(table(label, line(1, "A"))), SAFE, beside=beside))
    assert [r.line for r in raw] == [3]
    assert beside.lines.examples == [(2, label)]


@pytest.mark.parametrize(
    "row",
    [
        "1,Silk,not a page,10 AED,in stock",
        "1,Silk,,,",
        "1,Silk,https://a.example,free,soon",
        "#1,#2,https://a.example,,",
    ],
)
def test_a_first_row_with_faults_is_a_row(row: str) -> None:
    assert [r.line for r in read(table(row))] == [2]


INVALID = [f"{number},Silk,not a page,free,soon" for number in range(5)]


@pytest.mark.parametrize(
    "content",
    [
        table(*INVALID),
        table("# of today", *INVALID),
        as_workbook([dict(zip(NAMES, row.split(","), strict=True)) for row in INVALID]),
    ],
)
def test_only_one_line_below_the_names_can_be_labels(content: bytes) -> None:
    """A file all of whose rows are invalid has rows, and the import says what is wrong with them."""
    assert [raw.fields["id"] for raw in read(content)] == ["1", "2", "3", "4"]


@pytest.mark.django_db
def test_a_table_of_invalid_rows_waits_for_a_person(feed: Feed, storage: Path) -> None:
    run = received(feed, table(*INVALID))
    stage(run)
    assert (run.status, run.invalid) == (Status.REVIEW, 4)
    assert [hold["code"] for hold in run.holds] == ["guard.nothing_valid"]


@pytest.mark.parametrize("again", [HEADER, f" {HEADER} ", f'"id",{HEADER[3:]}', f"{HEADER},,"])
def test_a_header_that_comes_again_is_no_row(again: str) -> None:
    """As where one export was put behind another."""
    beside = Beside()
    content = table(line(1, "A"), again, line(2, "B"), "# the end", again)
    raw = list(read_items(io.BytesIO(content), SAFE, beside=beside))
    assert [(r.line, r.fields["title"]) for r in raw] == [(2, "A"), (4, "B")]
    assert beside.lines.count == 3


@pytest.mark.django_db
def test_the_import_names_the_lines_that_are_no_rows(feed: Feed, storage: Path) -> None:
    run = received(feed, b"Report 2026-01-02\nsep=,\n" + table(line(1), HEADER, line(2)))
    stage(run)
    issue = run.issues.get(code="feed.lines_skipped")
    assert (issue.severity, issue.count, run.items) == ("notice", 3, 2)
    assert [(e["line"], e["found"]) for e in issue.examples] == [(1, "Report 2026-01-02"), (2, "sep=,"), (5, HEADER)]
    assert "Report 2026-01-02" in text_of(tree(browser("bob").get(url(run), {"tab": "issues"})))


def test_a_sheet_may_have_lines_around_its_rows_too() -> None:
    book, beside, out = openpyxl.Workbook(), Beside(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["Product report"],
        [],
        ["id", "title", "Artikel"],
        ["ID", "Title", "artikel"],
        ["1", "A", "x"],
        ["id", "title", "Artikel"],
        ["2", "B", "y"],
    ):
        sheet.append(row)
    book.save(out)
    raw = list(read_items(io.BytesIO(out.getvalue()), SAFE, beside=beside))
    assert [(r.line, r.fields["title"]) for r in raw] == [(5, "A"), (7, "B")]
    assert [number for number, _text in beside.lines.examples] == [1, 4, 6]


@pytest.mark.parametrize(
    "above", ["Warning: x in y.php on line 3\n", "\n# exported\n# today\n", "loading\nproducts\n\n"]
)
@pytest.mark.parametrize(
    "rows", ['[{"id": "1", "title": "A"}]', '{"id": "1", "title": "A"}\n{"id": "2"}', '[\n {"id": "1"}\n]']
)
def test_json_may_have_lines_above_it_too(above: str, rows: str) -> None:
    beside = Beside()
    raw = list(read_items(io.BytesIO((above + rows).encode()), SAFE, beside=beside))
    assert raw[0].fields["id"] == "1"
    assert raw[0].line == above.count("\n") + 1 + rows.startswith("[\n")
    assert [number for number, _text in beside.lines.examples] == [
        n for n, text in enumerate(above.split("\n"), 1) if text
    ]


# --- names --------------------------------------------------------------------------------------------
OWN = {
    "Artikel-Nr.": "id",
    "Bezeichnung (DE)": "title",
    "Preis [AED]": "price",
    "Lager: Menge": "quantity",
    "Farbe": "color",
}
OWN_PAIRS = tuple(OWN.items())


@pytest.mark.parametrize(
    "headings", [list(OWN), [name.upper() for name in OWN], [f" {name.replace('-', '_')} " for name in OWN]]
)
def test_a_feeds_own_names_are_asked_before_a_table_is_refused(headings: list[str]) -> None:
    values = ["1", "Silk", "10 AED", "4", "Red"]
    rows = [dict(zip(headings, values, strict=True))]
    for content in (
        as_table(rows, ";").encode(),
        as_workbook(rows),
        json.dumps(rows).encode(),
        json.dumps(rows[0]).encode(),
    ):
        with (
            pytest.raises(FeedRefused) if content.startswith((b"Art", b"ART", b" Art", b"PK", b"{")) else nullcontext()
        ):
            assert not check_item(read(content)[0], Rules()).id
        (raw,) = read(content, aliases=OWN_PAIRS)
        values_of = check_item(raw, Rules(aliases=OWN_PAIRS)).values
        assert (values_of["id"], values_of["title"], values_of["price"]) == ("1", "Silk", Decimal(10))
        assert (values_of["quantity"], values_of["color"]) == (4, "Red")


def test_an_attributes_own_name_is_never_another_one() -> None:
    """Only the exact name that was set stands for another attribute."""
    raw = read(b"id,title,Title\n1,A,B\n", aliases=(("Title", "description"),))[0]
    item = check_item(raw, Rules(aliases=(("Title", "description"),)))
    assert (item.values["title"], item.values["description"]) == ("A", "B")


@pytest.mark.parametrize("name", ["\u200bid", "\ufeffid", "i\u00add", "\u2066id\u2069"])
def test_marks_that_nobody_sees_are_no_part_of_a_name(name: str) -> None:
    (raw,) = read(f"title,{name}\nA,1\n".encode())
    assert raw.fields == {"title": "A", "id": "1"}


GROUPS: dict[str, tuple[str, str, Any]] = {
    "one": ("shipping(country:price)", "AE:0 AED", {"country": "AE", "price": "0 AED"}),
    "several": (
        "shipping(country:price)",
        "AE:0 AED, SA:25 SAR",
        [{"country": "AE", "price": "0 AED"}, {"country": "SA", "price": "25 SAR"}],
    ),
    "blanks and capitals": ("Shipping (Country : Price)", "AE : 0 AED", {"country": "AE", "price": "0 AED"}),
    "an element left out": (
        "shipping(country:region:price)",
        "AE::0 AED",
        {"country": "AE", "price": "0 AED"},
    ),
    "a comma in a value": (
        "g:shipping(country:service:price)",
        '"AE:Fast, insured:0 AED",SA::1 SAR',
        [{"country": "AE", "service": "Fast, insured", "price": "0 AED"}, {"country": "SA", "price": "1 SAR"}],
    ),
    "another attribute": (
        "product_detail(section_name:attribute_name:attribute_value)",
        "General:Fabric:Silk",
        {"section_name": "General", "attribute_name": "Fabric", "attribute_value": "Silk"},
    ),
    "the plural": (
        "product_details(attribute_name:attribute_value)",
        "Fabric:Silk",
        {"attribute_name": "Fabric", "attribute_value": "Silk"},
    ),
}


@pytest.mark.parametrize(("heading", "text", "groups"), GROUPS.values(), ids=GROUPS)
def test_a_heading_may_name_the_elements_of_groups(heading: str, text: str, groups: Any) -> None:
    rows = [{"id": "1", "title": "A", heading: text}]
    for content in (
        as_table(rows, ",").encode(),
        as_table(rows, "\t").encode(),
        as_workbook(rows),
        json.dumps(rows).encode(),
    ):
        (raw,) = read(content)
        name = next(name for name in raw.fields if name in ("shipping", "product_detail"))
        assert raw.fields[name] == groups
        assert raw.fields[f"{name}_orig_value"] == text
        item = check_item(raw, Rules())
        assert item.extra[name] == groups
        assert not any(issue.code.startswith(("group", "attribute.unknown")) for issue in item.issues)


@pytest.mark.parametrize("text", ["AE", "AE:0 AED:1", "AE:10,50 AED", "AE:1,SA", ":", '"AE:1', "AE:1\nSA:2"])
def test_a_cell_without_these_elements_is_kept_and_named(text: str) -> None:
    (raw,) = read(as_table([{"id": "1", "title": "A", "shipping(country:price)": text}], ",").encode())
    item = check_item(raw, Rules())
    assert item.extra == {"shipping": text}
    (issue,) = (issue for issue in item.issues if issue.code == "group.parts")
    assert (issue.severity, issue.found) == ("warning", f"shipping(country:price): {text}")


def test_groups_of_several_columns_are_one_list() -> None:
    (raw, empty) = read(
        b"id,shipping(country:price),title,shipping(country:service:price),shipping\n1,AE:1 AED,A,SA:x:2 SAR,QA:::3\n"
        b"2,,B,,\n"
    )
    assert raw.fields["shipping"] == [
        {"country": "AE", "price": "1 AED"},
        {"country": "SA", "service": "x", "price": "2 SAR"},
        "QA:::3",
    ]
    assert empty.fields["shipping"] == ""


@given(
    groups=st.lists(
        st.fixed_dictionaries({"a": st.text("xy, é", min_size=1), "b": st.text('xy,"', min_size=1)}), min_size=1
    )
)
def test_any_groups_of_text_are_read_as_they_were(groups: list[dict[str, str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([f"{group['a']}:{group['b']}" for group in groups])
    assert groups_in(out.getvalue(), ("a", "b")) == [
        {name: text.strip() for name, text in group.items() if text.strip()} for group in groups
    ]


# --- what no import may do ----------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_sync_with_lost_ids_waits(feed: Feed, storage: Path) -> None:
    applied(feed, *(item(str(n)) for n in range(1, 6)), mode="sync")
    content = table(*(line(n) for n in range(1, 5)), '"5,Silk scarf')
    run = received(feed, content, mode="sync")
    stage(run)
    assert run.status == Status.REVIEW
    sentence = next(hold["message"] for hold in run.holds if hold["code"] == "guard.lost_ids")
    assert sentence.startswith("One row could not be read, not even the id.")


@pytest.mark.django_db
def test_a_row_that_is_lost_with_its_id_known_keeps_its_product(feed: Feed, storage: Path) -> None:
    applied(feed, *(item(str(n)) for n in range(1, 6)), mode="sync")
    run = received(feed, table(*(line(n) for n in range(1, 5)), '5,"Silk" scarf,,,'), mode="sync")
    stage(run)
    assert run.archived == 0
    assert "guard.lost_ids" not in [hold["code"] for hold in run.holds]


# --- any table ----------------------------------------------------------------------------------------
TEXTS = st.text(
    st.sampled_from("ab ,;\t|\n\"'#é0:()")
    | st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff\ufeff"),
    max_size=20,
)
DELIMITED = st.sampled_from([",", ";", "\t", "|"])
PORTIONS = st.sampled_from([1, 2, 7, 100, 2**20])


def written(rows: list[list[str]], delimiter: str, quoting: Any = csv.QUOTE_MINIMAL) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=quoting).writerows(rows)
    return out.getvalue()


@given(
    titles=st.lists(TEXTS, min_size=1, max_size=6),
    above=st.sampled_from(list(ABOVE.values())),
    delimiter=DELIMITED,
    most=PORTIONS,
)
def test_any_table_below_other_lines_reads_back_equal(
    titles: list[str], above: list[str], delimiter: str, most: int
) -> None:
    rows = [cells(n, title) for n, title in enumerate(titles, 1)]
    content = "\r\n".join([*above[:-1], "Report", written([NAMES, *rows], delimiter)]).encode()
    assert [list(raw.fields.values()) for raw in read(content, most=most)] == rows


BROKEN = st.sampled_from(
    ['"never closed', '"27" monitor"', r'"27\" monitor"', '"Sera" tote', "a\x00b", "a\x0bb", '"""odd', '"']
)


@given(
    titles=st.lists(TEXTS | BROKEN.map(lambda title: (title,)), min_size=2, max_size=8),
    delimiter=DELIMITED,
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    most=PORTIONS,
)
def test_breaking_k_of_n_rows_leaves_the_others_exactly_as_they_were(
    titles: list[str | tuple[str]], delimiter: str, quoting: Any, most: int
) -> None:
    lines = [
        line(n, title[0], delimiter) + "\r\n"
        if isinstance(title, tuple)
        else written([cells(n, title)], delimiter, quoting)
        for n, title in enumerate(titles, 1)
    ]
    content = (written([NAMES, cells(0)], delimiter) + "".join(lines)).encode()
    raw = read(content, most=most)
    assert raw == read(content)
    sound = {str(n): title for n, title in enumerate(titles, 1) if not isinstance(title, tuple)}
    assert [r.fields["id"] for r in raw] == [str(n) for n in range(len(titles) + 1)]
    assert {r.fields["id"]: r.fields["title"] for r in raw[1:] if r.fields["id"] in sound} == sound
    assert all(r.lost or r.faults for r in raw[1:] if r.fields["id"] not in sound)


# --- ids that are only a part of the key ----------------------------------------------------------------
PARTIAL: dict[str, tuple[str, str]] = {
    "local inventory": ("store_code\tid\tquantity\tprice\nDXB\t1\t4\t10 AED\nAUH\t1\t0\t10 AED\n", "id and store_code"),
    "its names with blanks": ("Store Code\tID\tQuantity\nDXB\t1\t4\n", "id and store_code"),
    "earlier local inventory": ("store code,itemid,quantity,price\nDXB,1,4,10 AED\n", "itemid and store_code"),
    "regional inventory": ("id,region_id,price,availability\n1,100001,10 AED,in stock\n", "id and region_id"),
    "its names with capitals": ("ID,Region ID,Price\n1,100001,10 AED\n", "id and region_id"),
    "a country feed": ("id;override;price;link\n1;GB;9.00 GBP;http://www.example.com/1\n", "id and override"),
    "a language feed": ("id,override ,title,description\n1,fr_FR,Soie,Une soie\n", "id and override"),
    "both": ("id,override,title\n1,en_XX|US,Silk\n", "id and override"),
    "below labels": ("# Required,# Required,#\nid,override,title\n1,es_XX,Silk\n", "id and override"),
    "whole products by shop": (
        f"{HEADER},store_code\n{line(1)},DXB\n{line(2)},DXB\n{line(1)},AUH\n", "id and store_code"
    ),
    "whole products by region": (f"{HEADER},region id\n{line(1)},1\n{line(1)},2\n", "id and region_id"),
    "the shop's own names": ("Nummer,store_code,quantity\n1,DXB,4\n", "id and store_code"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "columns"), PARTIAL.values(), ids=PARTIAL)
def test_a_file_with_several_rows_for_a_product_is_refused(text: str, columns: str) -> None:
    rows = list(csv.DictReader(text.splitlines()[text.startswith("#") :], delimiter=delimiter_of(text)))
    for content in (text.encode(), as_workbook(rows), json.dumps(rows).encode()):
        with pytest.raises(FeedRefused) as refused:
            read(content, aliases=(("Nummer", "id"),))
        assert refused.value.code == "feed.partial_key"
        assert refused.value.message.startswith(f"The columns {columns} together are the key of this file.")
        assert refused.value.message.endswith(
            "Upload the feed of the products themselves, in which each id stands once."
        )


def delimiter_of(text: str) -> str:
    header = find_header(f"id,title\n{text}") and text
    return next(mark for mark in "\t;," if mark in (header or text))


@pytest.mark.parametrize("name", ["store_code", "region_id"])
def test_inventory_is_refused_at_the_door(name: str) -> None:
    with pytest.raises(FeedRefused, match=f"id and {name}"):
        check_start(io.BytesIO(f"id,{name},price\n".encode()))


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER},store_code\n{line(1)},DXB\n{line(2)},AUH\n{line(1)},DXB\n",
        f"{HEADER},override\n{line(1)},yes\n{line(2)},NO\n",
        f"{HEADER},region_id,override\n{line(1)},,\n{line(1)},,\n",
        "id,vin,price,store_code\n1,W1,10 AED,DXB\n2,W2,10 AED,DXB\n",
    ],
)
def test_products_with_such_a_column_are_read(text: str) -> None:
    assert len(read(text.encode())) == 2 + text.count("AUH")


def test_a_columns_own_meaning_is_the_feeds_to_say() -> None:
    assert read(f"{HEADER},override\n{line(1)},GB\n".encode(), aliases=(("override", "custom_label_0"),))


@pytest.mark.django_db
def test_a_big_feed_of_inventory_is_refused_too(feed: Feed, storage: Path) -> None:
    rows = (item(str(n // 2), store_code=f"S{n}", description="x" * 5000) for n in range(2000))
    run = received(feed, feed_of(*rows))
    stage(run)
    assert (run.status, run.error_code, run.in_chunks) == (Status.FAILED, "feed.partial_key", False)


@pytest.mark.django_db
def test_the_last_shop_does_not_win_over_the_product(feed: Feed, storage: Path) -> None:
    applied(feed, item("1", availability="in_stock"))
    run = received(feed, feed_of(f"<item><g:id>1</g:id><g:store_code>AUH</g:store_code>{OUT}</item>"))
    stage(run)
    assert run.status == Status.FAILED
    assert "id and store_code" in run.error
    assert Product.objects.get().availability == "in_stock"


OUT = "<g:availability>out_of_stock</g:availability>"
