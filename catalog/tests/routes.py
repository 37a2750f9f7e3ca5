"""One feed, written in every way that the reader takes, and packed in every way."""

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import openpyxl
from openpyxl.cell import WriteOnlyCell

from catalog.errors import FeedRefused
from catalog.feeds.broken.repair import RepairedStream, Repairs
from catalog.feeds.broken.salvage import SALVAGEABLE, salvage_items
from catalog.feeds.limits import SAFE, Limits
from catalog.feeds.reading.formats import open_content
from catalog.feeds.reading.items import RawItem, read_items
from catalog.feeds.reading.layouts import PLAIN_ROOTS

Fields = dict[str, Any]
G = 'xmlns:g="http://base.google.com/ns/1.0"'


class Slow(io.BytesIO):
    """A stream that gives as few bytes at a time as it likes."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._most if size is None or size < 0 else min(size, self._most))


# --- writing ------------------------------------------------------------------------------------------
def element(name: str, value: Any) -> str:
    """An element; several of them for a list, with elements inside for a dict."""
    if isinstance(value, list):
        return "".join(element(name, part) for part in value)
    if isinstance(value, dict):
        prefix = name.rpartition(":")[0]
        inner = "".join(element(f"{prefix}:{part}".removeprefix(":"), text) for part, text in value.items())
        return f"<{name}>{inner}</{name}>"
    return f"<{name}>{escape(value)}</{name}>"


def as_item(fields: Fields, item: str = "item", prefix: str = "g:") -> str:
    return f"<{item}>{''.join(element(prefix + name, value) for name, value in fields.items())}</{item}>"


def as_xml(items: list[Fields], begin: str, end: str, item: str, prefix: str = "") -> str:
    return begin + "\n".join(as_item(fields, item, prefix) for fields in items) + end


def as_rss(items: list[Fields]) -> str:
    return as_xml(items, f"<rss {G}><channel>", "</channel></rss>", "item", prefix="g:")


def as_atom(items: list[Fields]) -> str:
    return as_xml(items, f'<feed xmlns="http://www.w3.org/2005/Atom" {G}>', "</feed>", "entry", "g:")


def as_rdf(items: list[Fields]) -> str:
    begin = '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><channel/>'
    return as_xml(items, begin, "</r:RDF>", "item")


def as_attributes(items: list[dict[str, str]]) -> str:
    spelled = {"\n": "&#10;", "\t": "&#9;"}
    return "".join(
        ["<offers>"]
        + [f"<offer {' '.join(f'{n}={quoteattr(v, spelled)}' for n, v in fields.items())}/>" for fields in items]
        + ["</offers>"]
    )


def as_table(items: list[dict[str, str]], delimiter: str, newline: str = "\r\n") -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(items[0]), delimiter=delimiter, lineterminator=newline)
    writer.writeheader()
    writer.writerows(items)
    return out.getvalue()


def as_workbook(items: list[dict[str, str]], sheet: str = "Products") -> bytes:
    """A workbook as openpyxl writes it, all of its cells texts."""
    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet(sheet)
    page.append(list(items[0]))
    for fields in items:
        cells = []
        for name in items[0]:
            cells.append(WriteOnlyCell(page))
            cells[-1]._value, cells[-1].data_type = ENCODED.sub("_x005F_", fields[name]), "s"  # else it would be cut
        page.append(cells)
    out = io.BytesIO()
    book.save(out)
    # Without the moment of saving it is the same each time.
    archive = zipfile.ZipFile(out)
    parts = {name: archive.read(name) for name in archive.namelist()}
    core = re.sub(rb"20\d\d-[\d:T-]+Z", b"2026-11-22T00:00:00Z", parts["docProps/core.xml"])
    return zipped(*(parts | {"docProps/core.xml": core}).items())


ENCODED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


def with_shared_texts(workbook: bytes) -> bytes:
    """The workbook as Excel writes it: a text that is in several cells stands in a part of its own."""
    parts = {name: zipfile.ZipFile(io.BytesIO(workbook)).read(name) for name in names_in(workbook)}
    texts: list[str] = []

    def share(cell: re.Match[str]) -> str:
        texts.append(cell[2])
        return f'<c r="{cell[1]}" t="s"><v>{texts.index(cell[2])}</v></c>'

    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    sheet = re.sub(r'<c r="(\w+)" t="inlineStr"><is>(<t(?:/>|[ >].*?</t>))</is></c>', share, sheet, flags=re.DOTALL)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    part = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"</Types>", part.encode())
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    shared = f'<sst xmlns="{main}">{"".join(f"<si>{text}</si>" for text in texts)}</sst>'
    return zipped(
        *(parts | {"xl/worksheets/sheet1.xml": sheet.encode(), "xl/sharedStrings.xml": shared.encode()}).items()
    )


def names_in(archive: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(archive)).namelist()


def _declared(name: str, codec: str, errors: str = "strict") -> Callable[[list[Fields]], bytes]:
    return lambda items: f'<?xml version="1.0" encoding="{name}"?>{as_rss(items)}'.encode(codec, errors)


# XML, which may also repeat elements and have elements inside.
XML: dict[str, Callable[[list[Fields]], bytes]] = {
    "RSS": lambda i: as_rss(i).encode(),
    "RSS without a namespace": lambda i: as_xml(i, "<rss><channel>", "</channel></rss>", "item").encode(),
    "RSS with another prefix": lambda i: as_xml(
        i, f"<rss {G.replace(':g=', ':x=')}><channel>", "</channel></rss>", "item", "x:"
    ).encode(),
    "RSS with Google's as the default namespace": lambda i: as_xml(
        i, f"<rss {G.replace(':g=', '=')}><channel>", "</channel></rss>", "item"
    ).encode(),
    "RSS with a byte order mark": lambda i: as_rss(i).encode("utf-8-sig"),
    "RSS in UTF-16": lambda i: as_rss(i).encode("utf-16"),
    "RSS in UTF-16 without a mark": lambda i: as_rss(i).encode("utf-16-be"),
    "RSS in UTF-16 that says UTF-8": _declared("UTF-8", "utf-16"),
    "the same without a mark": _declared("UTF-8", "utf-16-le"),
    "RSS in UTF-8 that says UTF-16": _declared("UTF-16", "utf-8"),
    "RSS in ASCII": _declared("ascii", "ascii", "xmlcharrefreplace"),
    "RSS in windows-1252": _declared("cp1252", "cp1252", "xmlcharrefreplace"),
    "RSS in windows-1256": _declared("windows-1256", "cp1256", "xmlcharrefreplace"),
    "RSS in ISO-8859-1": _declared("ISO-8859-1", "latin-1", "xmlcharrefreplace"),
    "RSS 1.0": lambda i: as_rdf(i).encode(),
    "Atom": lambda i: as_atom(i).encode(),
    **{
        f"plain {root}": lambda i, root=root: as_xml(i, f"<{root}>", f"</{root}>", "product").encode()  # type: ignore[misc]
        for root in PLAIN_ROOTS
    },
}
ROUTES: dict[str, Callable[[list[dict[str, str]]], bytes]] = {
    **XML,
    "XML attributes": lambda i: as_attributes(i).encode(),
    "CSV": lambda i: as_table(i, ",").encode(),
    "CSV with a byte order mark": lambda i: as_table(i, ",").encode("utf-8-sig"),
    "CSV in UTF-16": lambda i: as_table(i, ",").encode("utf-16"),
    "CSV in UTF-16 without a mark": lambda i: as_table(i, ",").encode("utf-16-le"),
    "TSV": lambda i: as_table(i, "\t", "\n").encode(),
    "semicolons": lambda i: as_table(i, ";").encode(),
    "pipes": lambda i: as_table(i, "|").encode(),
    "JSON": lambda i: json.dumps(i).encode(),
    "JSON in UTF-16": lambda i: json.dumps(i, ensure_ascii=False).encode("utf-16"),
    "JSON over several lines": lambda i: json.dumps(i, ensure_ascii=False, indent=1).encode("utf-8-sig"),
    "JSON lines": lambda i: "\r\n".join(map(json.dumps, i)).encode(),
}
# A workbook is packed itself.
WORKBOOKS: dict[str, Callable[[list[dict[str, str]]], bytes]] = {
    "XLSX": as_workbook,
    "XLSX with shared texts": lambda i: with_shared_texts(as_workbook(i)),
}


# --- packing ------------------------------------------------------------------------------------------
def zipped(*files: tuple[str, bytes], **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **{"compression": zipfile.ZIP_DEFLATED, **options}) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise OSError

    def tell(self) -> int:
        raise OSError


def zipped_in_one_go(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """As a program writes it that cannot go back: sizes and checksum stand behind the file."""
    out = Unseekable()
    with zipfile.ZipFile(out, "w", method) as archive, archive.open("feed.xml", "w", force_zip64=True) as member:
        member.write(content)
    return out.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "gzip": gzip.compress,
    "gzip in two parts": lambda c: gzip.compress(c[: len(c) // 2]) + gzip.compress(c[len(c) // 2 :]) + bytes(512),
    "zip": lambda c: zipped(("folder/", b""), ("folder/feed.xml", c)),
    "zip, stored": lambda c: zipped(("feed.xml", c), compression=zipfile.ZIP_STORED),
    "zip in one go": zipped_in_one_go,
    "zip from macOS": lambda c: zipped(("feed.xml", c), ("__MACOSX/._feed.xml", b"\x00\x05\x16\x07")),
}


# --- reading ------------------------------------------------------------------------------------------
READINGS = ("strict", "repaired", "salvaged")


def raw_items(
    content: bytes, reading: str, repairs: Repairs, limits: Limits = SAFE, most: int = 2**20
) -> Iterator[RawItem]:
    """The items of a file, read in one of the three ways, from a stream that gives `most` bytes at a time."""
    stream = Slow(content, most)
    if reading == "strict":
        return read_items(stream, limits)
    unpacked = open_content(stream, limits).from_the_start()
    if reading == "repaired":
        return read_items(RepairedStream(unpacked, repairs), limits)
    return salvage_items(unpacked, repairs, limits)


def read_as_it_can(content: bytes, limits: Limits = SAFE, most: int = 2**20) -> tuple[str, list[RawItem], Repairs]:
    """The items as staging reads them, the first way that succeeds, and what was repaired. Else `FeedRefused`."""
    for reading in READINGS:
        repairs = Repairs()
        try:
            return reading, list(raw_items(content, reading, repairs, limits, most)), repairs
        except FeedRefused as refused:
            if refused.code not in SALVAGEABLE or reading == READINGS[-1]:
                raise
    raise AssertionError
