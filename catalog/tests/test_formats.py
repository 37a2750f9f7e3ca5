"""What a file is, is told by its content; every way to pack one feed gives the same items, and the rest is refused."""

import gzip
import io
import itertools
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import fields as fields_of
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from catalog.errors import FeedRefused
from catalog.feeds.broken.repair import Repairs
from catalog.feeds.broken.salvage import SALVAGEABLE, salvage_items
from catalog.feeds.cleaning.check import Rules, check_item
from catalog.feeds.issues import BY_CODE
from catalog.feeds.limits import SAFE, SETTINGS, Limits
from catalog.feeds.reading.encodings import TABLE_ENCODINGS, UTF_8
from catalog.feeds.reading.items import RawItem, check_start, read_items
from catalog.feeds.reading.settings import FileSettings
from catalog.imports.reading.stage import stage
from catalog.models import Feed, Status
from catalog.tests.factories import received
from catalog.tests.routes import PACKED, Slow, as_rss, raw_items, zipped, zipped_in_one_go

MIB = 1024**2
RSS = b'<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>1</g:id></item></channel></rss>'
BEGIN, ITEM, END = RSS.partition(b"<item><g:id>1</g:id></item>")
IN_ITEM = BEGIN + b"<item>"
TABLE = b"id,title\n1,Scarf\n"


def read(content: bytes, limits: Limits = SAFE) -> list[RawItem]:
    return list(read_items(io.BytesIO(content), limits))


def ids(content: bytes) -> list[Any]:
    return [check_item(raw, Rules()).id for raw in read(content)]


def refusal(content: bytes, limits: Limits = SAFE) -> FeedRefused:
    with pytest.raises(FeedRefused) as refused:
        read(content, limits)
    return refused.value


# --- one feed, many ways ------------------------------------------------------------------------------
PRODUCTS = as_rss(
    [{"id": str(n), "title": f"{n} été\n& <b>", "shipping": {"country": "AE"}} for n in range(1, 30)]
).encode()


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("most", [1, 1000, 10**6])
def test_packing_changes_neither_items_nor_lines(packing: str, most: int) -> None:
    stream = Slow(PACKED[packing](PRODUCTS), most)
    assert list(read_items(stream)) == read(PRODUCTS)
    assert stream.tell() == len(PACKED[packing](PRODUCTS))


def test_progress_through_an_archive_is_progress_through_the_upload() -> None:
    noise = random.Random(1)  # noqa: S311
    feed = as_rss([{"id": str(n), "title": noise.randbytes(400).hex()} for n in range(5000)]).encode()
    packed = gzip.compress(feed)
    stream = io.BytesIO(packed)
    shares = [stream.tell() / len(packed) for _ in read_items(stream)]
    assert 0.45 < shares[len(shares) // 2] < 0.6


def test_the_door_looks_into_archives() -> None:
    check_start(io.BytesIO(gzip.compress(RSS)))
    with pytest.raises(FeedRefused, match="HTML page"):
        check_start(io.BytesIO(zipped(("feed.xml", b"<!doctype html><p>Log in"))))


@pytest.mark.django_db
@pytest.mark.parametrize("packing", PACKED)
def test_an_import_takes_a_packed_table(feed: Feed, storage: Path, packing: str) -> None:
    run = received(feed, PACKED[packing](TABLE))
    stage(run)
    assert (run.status, run.error) == (Status.REVIEW, "")
    assert (run.items, run.bytes_read) == (1, run.file_size)
    assert run.staged.get().line == 2


@pytest.mark.django_db
def test_an_import_heeds_the_settings(feed: Feed, storage: Path, settings: Any) -> None:
    run = received(feed, TABLE + b"2,Belt\n")
    settings.FEED_LIMITS = replace(SAFE, items=1)
    stage(run)
    assert run.status == Status.FAILED
    assert "FEED_MAX_ITEMS" in run.error


@pytest.mark.django_db
@pytest.mark.parametrize(
    "content", [RSS, RSS.replace(b"1<", b"1</x><"), gzip.compress(RSS)], ids=["whole", "broken", "packed"]
)
def test_reading_ends_in_time(feed: Feed, storage: Path, settings: Any, content: bytes) -> None:
    run = received(feed, content)
    settings.IMPORT_MAX_SECONDS = 1
    with patch("catalog.imports.reading.stage.time.monotonic", side_effect=itertools.count(step=2)):
        stage(run)
    assert (run.status, run.error_code) == (Status.FAILED, "time_limit")
    assert "took longer than 1 seconds, which IMPORT_MAX_SECONDS allows." in run.error


# --- tables -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", ["image link", "image_link", "Image Link", "g:image_link", " IMAGE-LINK ", "G:Image Link"]
)
def test_a_columns_name_is_known_however_it_is_written(name: str) -> None:
    (item,) = read(f"id,{name}\n1,https://shop.example/1.jpg\n".encode())
    assert item.fields == {"id": "1", "image_link": "https://shop.example/1.jpg"}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Colour Code", "Colour Code"),
        ("g:fit", "fit"),
        ("c:fit", "c:fit"),
        ("size (EU)",) * 2,
        ("offers(country:price)",) * 2,
        (" ", "column 3"),
    ],
)
def test_an_unknown_column_is_kept_under_its_name(name: str, kept: str) -> None:
    (item,) = read(f"id\ttitle\t{name}\n1\tScarf\tAE:0 AED\n".encode())
    assert item.fields[kept] == "AE:0 AED"


def test_a_repeated_column_is_like_a_repeated_element() -> None:
    (one, two) = read(b"id,product type,product_type\n1,Home,Scarves\n2,,Belts\n")
    assert one.fields["product_type"] == ["Home", "Scarves"]
    assert two.fields["product_type"] == "Belts"


def test_the_delimiter_is_the_one_that_gives_known_names() -> None:
    (item,) = read(b"id;title;sizes, all;price|old\n1;Scarf;S, M;10\n")
    assert item.fields == {"id": "1", "title": "Scarf", "sizes, all": "S, M", "price|old": "10"}


def test_a_rows_line_is_that_of_its_beginning() -> None:
    table = b'\r\nid,title\r\n1,"a\r\nb\n\nc"\r\n\r\n2,d\r\n3,"e"'
    assert [item.line for item in read(table)] == [3, 8, 9]
    assert [item.line for item in read(b"id,title\r1,a\r2,b\r")] == [2, 3]


@pytest.mark.parametrize("row", [b"2,too,many", b"2"])
def test_a_row_that_does_not_fit_costs_only_itself(row: bytes) -> None:
    items = [check_item(raw, Rules()) for raw in read(b"id,title\n1,a\n" + row + b"\n3,c\n4,d,,\n")]
    assert [[i.code for i in item.issues if i.code == "row.cells"] for item in items] == [[], ["row.cells"], [], []]
    assert [item.id for item in items] == ["1", "2", "3", "4"]
    assert not items[1].valid


def test_a_table_is_never_guessed_to_be_in_another_encoding() -> None:
    broken = b"id,title\n1,caf\xe9\n"
    assert str(refusal(broken)) == str(refusal(gzip.compress(broken)))
    assert refusal(broken).message.startswith("Line 2: the byte 0xE9 is not UTF-8.")
    header = b"id,title,gr\xf6\xdfe\n1,a,b\n"
    assert refusal(header).message.startswith("Line 1: the byte 0xF6 is not UTF-8.")


LETTERS = {
    "windows-1250": "Żółty šál ő",
    "windows-1251": "Жёлтый шарф",
    "windows-1252": "été €",
    "windows-1254": "Sarı eşarp €",
    "windows-1255": "צעיף",
    "windows-1256": "وشاح",
    "iso-8859-1": "été",
    "iso-8859-2": "Żółty šál ő",
    "iso-8859-9": "Sarı eşarp",
    "iso-8859-15": "Žena œuvre €",
}


def test_every_encoding_has_letters_here() -> None:
    assert {UTF_8, *LETTERS} == set(TABLE_ENCODINGS)


@pytest.mark.parametrize("encoding", LETTERS)
@pytest.mark.parametrize("spelling", [str.upper, lambda name: name.replace("windows-", "cp").replace("iso-", "ISO_")])
def test_xml_is_in_the_encoding_that_it_declares(encoding: str, spelling: Callable[[str], str]) -> None:
    text = LETTERS[encoding]
    head = f'<?xml version="1.0" encoding="{spelling(encoding)}"?>'
    content = f"{head}<rss><channel><item><id>1</id><title>{text}</title></item></channel></rss>".encode(encoding)
    (item,) = read(content)
    assert item.fields["title"] == text
    (repaired,) = raw_items(content.replace(b"<id>", b"<link>a&b</link><id>"), "repaired", Repairs())
    assert repaired.fields["title"] == text


@pytest.mark.parametrize("encoding", LETTERS)
@pytest.mark.parametrize("packing", ["as it is", "gzip"])
def test_a_table_is_in_the_encoding_that_is_told(encoding: str, packing: str) -> None:
    letters = LETTERS[encoding]
    table = PACKED[packing](f"id,title,{letters}\n1,{letters},x\n".encode(encoding))
    (item,) = read_items(io.BytesIO(table), SAFE, FileSettings(encoding))
    assert item.fields == {"id": "1", "title": letters, letters: "x"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_table_that_tells_its_encoding_is_believed(encoding: str) -> None:
    (item,) = read_items(io.BytesIO("id,title\n1,été\n".encode(encoding)), SAFE, FileSettings("windows-1256"))
    assert item.fields["title"] == "été"


@pytest.mark.django_db
def test_a_feeds_setting_is_the_encoding_of_its_tables(feed: Feed, storage: Path) -> None:
    feed.table_encoding = "windows-1252"
    feed.save()
    run = received(feed, "id,title\n1,Été\n".encode("windows-1252"))
    stage(run)
    assert run.staged.get().title == "Été"


def test_nothing_is_taken_for_a_number_or_a_formula() -> None:
    (item,) = read(b'id,title,gtin\n007,=1+1,"00012345600012"\n')
    assert item.fields == {"id": "007", "title": "=1+1", "gtin": "00012345600012"}


# --- refused ------------------------------------------------------------------------------------------
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
TAR = b"feed.xml".ljust(257, b"\0") + b"ustar\x0000" + bytes(250)
WITH_PASSWORD = zipped(("feed.xml", RSS)).replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\1\0", 1)
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "empty", "The file is empty."),
    "a mark only": (b"\xef\xbb\xbf", "empty", "The file is empty."),
    "zeros": (bytes(5000), "empty", "The file is empty."),
    "nothing in gzip": (gzip.compress(b""), "empty", "The file is empty."),
    "a table without rows": (b"id,title\n", "no_items", "The feed has no items."),
    "a list without products": (b"<products><x/></products>", "no_items", "The feed has no items."),
    "a login page": (b"\n<html lang=en><p>Log in", "html_page", "an HTML page, often the login"),
    "a piece of HTML": (b"<div>Service unavailable</div>", "html_page", "an HTML page"),
    "HTML after a comment": (b"<!-- --><!DOCTYPE html><html/>", "html_page", "an HTML page"),
    "JSON": (b' {"products": []}', "json", "The file is JSON, but no list of products."),
    "JSON over several lines": (
        b'{\n "products": [{"id": 1}]\n}',
        "json",
        "The file is JSON, but no list of products.",
    ),
    "an error in JSON": (b'{"error": "unauthorized"}\n', "json", "Upload a list of objects"),
    "a list of texts in JSON": (b'["id", "title"]', "json", "The file is JSON, but no list of products."),
    "JSON in UTF-16": ('{"a": 1}'.encode("utf-16"), "json", "The file is JSON, but no list of products."),
    "an empty list in JSON": (b"[ ]", "no_items", "The feed has no items."),
    "a Python script": (b'# feed\nimport os\nprint("<rss>")\n', "script", "a program's source text"),
    "a shell script": (b"#!/bin/sh\ncurl x > feed.xml\n", "script", "a program's source text"),
    "PHP": (b"<?php echo '<rss>';", "script", "a program's source text"),
    "JavaScript": (b"const feed = 1;\n", "script", "a program's source text"),
    "SQL": (b"INSERT INTO products VALUES (1);\n", "script", "a program's source text"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "image", "a PNG picture"),
    "JPEG": (b"\xff\xd8\xff\xe0", "image", "a JPEG picture"),
    "WebP": (b"RIFF\0\0\0\0WEBPVP8 ", "image", "a WebP picture"),
    "PDF": (b"%PDF-1.7", "pdf", "a PDF document"),
    "an old workbook": (OLE, "office_document", "Save the sheet as an Excel workbook (.xlsx)"),
    "a text document": (
        zipped(("[Content_Types].xml", b"<a/>"), ("word/document.xml", b"")),
        "office_document",
        "not an Excel workbook",
    ),
    "a spreadsheet": (
        zipped(("mimetype", b"application/vnd.oasis"), ("content.xml", b"")),
        "office_document",
        "not an Excel workbook",
    ),
    "RTF": (rb"{\rtf1 id}", "office_document", "a formatted text (RTF)"),
    "a RAR archive": (b"Rar!\x1a\x07\0", "archive", "a RAR archive. Upload the feed unpacked"),
    "a tar archive": (TAR, "archive", "a tar archive"),
    "a tar archive in gzip": (gzip.compress(TAR), "archive_nested", "an archive in an archive"),
    "gzip in gzip": (gzip.compress(gzip.compress(RSS)), "archive_nested", "an archive in an archive"),
    "zip in zip": (zipped(("a.zip", zipped(("feed.xml", RSS)))), "archive_nested", "an archive in an archive"),
    "a zip of nothing": (zipped(), "archive_empty", "no file in it"),
    "a zip of a folder": (zipped(("feeds/", b"")), "archive_empty", "no file in it"),
    "a zip of two feeds": (zipped(("a.xml", RSS), ("../b.xml", RSS)), "archive_several", "“a.xml”, “../b.xml”"),
    "a zip of a thousand folders": (zipped(*((f"{n}/", b"") for n in range(1000))), "archive_several", "“0/”"),
    "a zip with a password": (WITH_PASSWORD, "archive_protected", "“feed.xml” in the zip has a password"),
    "a zip with LZMA": (zipped(("f", RSS), compression=zipfile.ZIP_LZMA), "archive_method", "the method 14"),
    "a zip that is stored in one go": (zipped_in_one_go(RSS, zipfile.ZIP_STORED), "archive_method", "deflate"),
    "gzip cut off": (gzip.compress(RSS)[:-9], "archive_cut_off", "ends too early"),
    "zip cut off": (zipped(("a.xml", RSS))[:80], "archive_cut_off", "ends too early"),
    "zip without its directory": (zipped(("a.xml", RSS)).partition(b"PK\1\2")[0], "archive_cut_off", "ends too early"),
    "gzip of another checksum": (gzip.compress(RSS)[:-8] + bytes(8), "archive_damaged", "not in order"),
    "gzip with something behind": (gzip.compress(RSS) + b"hello", "archive_damaged", "follows its end"),
    "gzip of no parts": (gzip.compress(b"") * 200 + gzip.compress(RSS), "archive_damaged", "empty parts"),
    "zip of another checksum": (
        zipped(("a.xml", RSS)).replace(struct.pack("<I", zlib.crc32(RSS)), b"abcd"),
        "archive_damaged",
        "“a.xml” is not what was packed",
    ),
    "zip that lists another name": (
        zipped(("a.xml", RSS))[:-60].replace(b"PK\1\2", b"PK\1\2") + zipped(("b.xml", RSS))[-60:],
        "archive_damaged",
        "names other files",
    ),
    "UTF-32": ("<rss/>".encode("utf-32"), "encoding", "in the encoding UTF-32"),
    "EBCDIC": ("<?xml version='1.0'?>".encode("cp037"), "encoding", "in the encoding EBCDIC"),
    "UTF-7 by its mark": (b"+/v8-<rss/>", "encoding", "in the encoding UTF-7"),
    "Shift_JIS": (b'<?xml version="1.0" encoding="Shift_JIS"?><rss/>', "encoding", "the encoding 'Shift_JIS'"),
    "GB18030": (b"<?xml version='1.0' encoding='GB18030'?><rss/>", "encoding", "the encoding 'GB18030'"),
    "Yandex": (b"<yml_catalog><shop/></yml_catalog>", "unknown_root", "<yml_catalog> (Yandex YML)"),
    "capital letters": (b"<Products><Product/></Products>", "unknown_root", "<products>"),
    "a table without names": (b"1,Scarf,10.00\n2,Belt,5.00\n", "no_header", "begins with “1,Scarf,10.00”"),
    "a table without id": (b"title,price\nScarf,10\n", "no_header", "one of them is id"),
    "a note": (b"Dear team,\nthe feed comes tomorrow.\n", "no_header", "“Dear team,”"),
    "plain text": (b"404 Not Found\n", "plain_text", "neither XML nor a table: it begins with “404 Not Found”"),
    "noise": (bytes(range(128, 160)) * 90, "binary", "of no kind that we know"),
    "an open quotation mark": (b'id,title\n\n2,"b\n', "quotes", "Line 3: in the record that begins here"),
    "a quotation mark inside": (b'id,title\n1,"a" b\n', "quotes", "marks of a cell do not match"),
    "a control character": (b"id,title\n\n2,a\x01\n", "control_character", "Line 3: the character U+0001"),
}


@pytest.mark.parametrize(("content", "code", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_feed_is_refused_by_name(content: bytes, code: str, sentence: str) -> None:
    refused = refusal(content)
    assert refused.code == f"feed.{code}"
    assert sentence in refused.message
    assert refused.message.endswith(".")
    assert refused.message.isprintable()


def test_a_name_in_a_zip_is_shown_in_one_line_and_cut() -> None:
    refused = refusal(zipped(("a\n\u202e" + "x" * 5000, RSS), ("b", RSS)))
    assert len(refused.message) < 400
    assert refused.message.isprintable()


def test_junk_before_a_feed_is_left_to_the_parser() -> None:
    assert refusal(b"Warning: deprecated in feed.php\n" + RSS).code == "feed.not_well_formed"
    assert refusal(b"<br />\n<b>Notice</b>: x\n<?xml version='1.0'?>" + RSS).code == "feed.not_well_formed"


# --- limits -------------------------------------------------------------------------------------------
NESTED = RSS.replace(b"</item>", b"<a><b><c>1</c></b></a></item>")
LIMITS: dict[str, tuple[str, int, bytes, str, str]] = {
    "many columns": ("attributes", 2, b"id,title,a\n1,2,3\n", "too_many_attributes", "more than 2 columns"),
    "many items": ("items", 1, TABLE + b"2,Belt\n", "too_many_items", "Line 3: the feed has more than 1 items"),
    "a large item": ("item_bytes", 100_000, IN_ITEM + b"<x/>" * 50_000, "item_too_large", "100,000 bytes without"),
    "a large record": ("item_bytes", 1000, TABLE + b"2," + b"x" * 5000, "record_too_large", "without the end of a"),
    "much unpacked": ("unpacked_bytes", 5000, gzip.compress(RSS + b" " * 5000), "unpacked_too_large", "5,000 bytes"),
    "too tightly packed": (
        "ratio", 200, gzip.compress(BEGIN + ITEM * 200_000 + END), "ratio", "more than 200 times its size"
    ),
}  # fmt: skip
# What goes beyond a limit in one item only, which is set aside: found, between two that are read.
LOST: dict[str, tuple[str, int, bytes, str, str]] = {
    "a long value": ("value_chars", 20, b"<title>" + b"x" * 21 + b"</title>", "value_too_long", "title: 21 characters"),
    "a long attribute": ("value_chars", 20, b'<a x="' + b"x" * 21 + b'"/>', "value_too_long", "a: 21 characters"),
    "many elements": ("attributes", 3, b"<a/>" * 3, "too_many_attributes", "item: 4 elements and attributes"),
    "many inner elements": (
        "attributes", 3, b"<a>" + b"<b/>" * 4 + b"</a>", "too_many_attributes", "a: 4 elements and attributes"
    ),
    "many attributes": ("attributes", 2, b"<a b='' c='' d=''/>", "too_many_attributes", "a: 3 elements and attributes"),
    "deep elements": ("depth", 1, b"<a><b><c>1</c></b></a>", "too_deep", "b: 2 levels and more"),
}  # fmt: skip


@pytest.mark.parametrize(("limit", "value", "content", "code", "sentence"), LIMITS.values(), ids=LIMITS)
def test_a_file_over_a_limit_is_told_which(limit: str, value: int, content: bytes, code: str, sentence: str) -> None:
    refused = refusal(content, replace(SAFE, **{limit: value}))
    assert refused.code == f"feed.{code}"
    assert sentence in refused.message
    assert refused.message.endswith(f", or raise {SETTINGS[limit]}.")


@pytest.mark.parametrize(("limit", "value", "inside", "code", "found"), LOST.values(), ids=LOST)
def test_an_item_over_a_limit_costs_itself_and_is_told_which(
    limit: str, value: int, inside: bytes, code: str, found: str
) -> None:
    content = BEGIN + ITEM + b"\n" + ITEM.replace(b"</item>", inside + b"</item>") + ITEM + END
    limits = replace(SAFE, **{limit: value})
    for items in (read(content, limits), list(salvage_items(io.BytesIO(content), Repairs(), limits))):
        first, second, third = (check_item(raw, Rules()) for raw in items)
        (issue,) = second.issues
        assert (issue.code, issue.attribute, issue.found, issue.line) == (f"item.{code}", "", found, 2)
        assert (second.id, second.valid) == ("1", False)
        assert SETTINGS[limit] in BY_CODE[issue.code].advice
        assert first.values == third.values == {"id": "1"}


def test_a_row_over_a_limit_costs_itself() -> None:
    limits = replace(SAFE, value_chars=20)
    rows = [check_item(raw, Rules()) for raw in read(TABLE + b"2," + b"x" * 21 + b"\n3,Belt\n", limits)]
    assert [(row.id, [issue.code for issue in row.issues if issue.code[:5] == "item."]) for row in rows] == [
        ("1", []),
        ("2", ["item.value_too_long"]),
        ("3", []),
    ]


def test_an_item_that_the_parser_may_not_hold_is_cut_out() -> None:
    large = ITEM.replace(b"</item>", b"<x/>" * 50_000 + b"</item>")
    deep = ITEM.replace(b"</item>", b"<x>" * 300 + b"</x>" * 300 + b"</item>")
    for item, code in (large, "feed.item_too_large"), (deep, "feed.too_deep"):
        content = BEGIN + ITEM + item + ITEM + END
        limits = replace(SAFE, item_bytes=100_000)
        assert refusal(content, limits).code == code in SALVAGEABLE
        items = list(salvage_items(io.BytesIO(content), Repairs(), limits))
        assert [raw.lost for raw in items] == [False, True, False]
        assert [code for code, _found in items[1].faults] == [
            f"item.{code.removeprefix('feed.').removeprefix('item_')}"
        ]
        assert items[1].fields == {"id": "1"}


def test_a_file_at_a_limit_is_read() -> None:
    tight = Limits(
        unpacked_bytes=len(NESTED), ratio=1, items=1, item_bytes=len(NESTED), attributes=2, depth=2, value_chars=1
    )
    assert len(read(gzip.compress(NESTED), tight)) == 1


def test_every_limit_has_a_setting_and_is_tried_here() -> None:
    names = {field.name for field in fields_of(Limits)}
    assert set(SETTINGS) == names == {limit for limit, *_ in [*LIMITS.values(), *LOST.values()]}


def test_a_limit_below_one_is_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"^FEED_MAX_ITEMS must be at least 1, not 0\.$"):
        Limits(items=0)
