"""The formats of an export. Each writes rows piece by piece, in constant memory, however many there are."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import StringIO

from catalog.exports.resource import HEADER
from catalog.exports.rows import Row, product_rows
from catalog.exports.workbook import workbook_pieces
from catalog.feeds import write
from catalog.models import Feed
from catalog.models.product import ProductQuerySet
from catalog.spreadsheet import safe_cell

_PIECE_CHARS = 64 * 1024
_EXTRA = HEADER.index("extra")


def csv_pieces(rows: Iterable[Row]) -> Iterator[bytes]:
    """CSV whose cells cannot become formulas. The byte order mark tells Excel that it is UTF-8."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    text.write("\ufeff")
    writer.writerow(HEADER)
    for row in rows:
        writer.writerow(map(safe_cell, row))
        if text.tell() > _PIECE_CHARS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


def _as_json(row: Row) -> str:
    """One product as an object. Amounts are texts, so that no reader rounds them."""
    if (archived := row[-1]) is not None:
        row[-1] = archived.isoformat()
    return _encode(dict(zip(HEADER, row, strict=True)))


def joined(lines: Iterable[str]) -> Iterator[bytes]:
    """Lines, each with its end, in pieces that are worth sending."""
    piece: list[str] = []
    size = 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size > _PIECE_CHARS:
            yield "".join(piece).encode()
            piece, size = [], 0
    yield "".join(piece).encode()


def json_lines(rows: Iterable[Row]) -> Iterator[bytes]:
    """An object in each line."""
    return joined(f"{_as_json(row)}\n" for row in rows)


def json_array(rows: Iterable[Row]) -> Iterator[bytes]:
    """One array of objects."""
    between = b"["
    for row in rows:
        yield between + _as_json(row).encode()
        between = b",\n"
    yield b"]\n" if between != b"[" else b"[]\n"


def merchant_feed(rows: Iterable[Row]) -> Iterator[bytes]:
    """A feed that Google Merchant Center can read, and that changes nothing when it is imported again."""
    return write.feed_pieces(write.item_element(dict(zip(HEADER[:-2], row, strict=False)), row[_EXTRA]) for row in rows)


def feed_xml(products: ProductQuerySet, feed: Feed | None = None) -> Iterator[bytes]:
    """The products of one market as a feed, sorted by id. For one feed the ids are those of its files."""
    rows = product_rows(products.order_by("id"))
    return merchant_feed([feed.id_in_file(row[0]), *row[1:]] for row in rows) if feed else merchant_feed(rows)


@dataclass(frozen=True)
class ExportFormat:
    """`write` does at once what can fail because of the rows, before there is a first piece."""

    name: str
    title: str
    extension: str
    content_type: str
    write: Callable[[Iterable[Row]], Iterator[bytes]]


CSV = ExportFormat("csv", "CSV", "csv", "text/csv; charset=utf-8", csv_pieces)
XLSX = ExportFormat(
    "xlsx", "Excel (XLSX)", "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", workbook_pieces
)
JSON = ExportFormat("json", "JSON", "json", "application/json", json_array)
FEED = ExportFormat("feed", "Google Merchant XML", "xml", "application/xml", merchant_feed)
JSON_LINES = ExportFormat("jsonl", "JSON lines", "jsonl", "application/x-ndjson", json_lines)
FORMATS = {each.name: each for each in (CSV, XLSX, JSON, FEED, JSON_LINES)}
