"""A sheet of an Excel workbook (XLSX) → rows, streaming: cells are texts as Excel shows them.

openpyxl parses it. Before it opens the file, the sizes of all that it holds whole are bounded; the sheet itself is read
row by row. docs/decisions/0027-workbooks-are-read-by-openpyxl.md has what this answers.
"""

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time
from itertools import chain, islice, repeat
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.worksheet._reader import FORMULA_TAG, VALUE_TAG, WorkSheetParser
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from catalog.errors import FeedRefused
from catalog.feeds.limits import (
    MIB,
    NAME_CHARS,
    Limits,
    record_too_large,
    too_large_unpacked,
    too_many_columns,
    too_tightly_packed,
)
from catalog.feeds.reading.archives import RATIO_COUNTS_FROM
from catalog.feeds.reading.headings import LINES_ABOVE, ColumnNames, Header, Row, RowFields, SkippedLines
from catalog.feeds.reading.json_values import NO_TEXT
from catalog.feeds.reading.number_formats import shown_date, shown_number
from catalog.feeds.reading.own_table import is_own, own_row
from catalog.feeds.reading.settings import UNSET, FileSettings

MAX_ROW = 1_048_576  # Excel's last
MAX_PARTS = 10_000
DIRECTORY_BYTES = 2 * MIB
PART_BYTES = 8 * MIB  # of a part that is held whole, such as the styles
STRINGS_BYTES = 64 * MIB  # of the texts that several cells may share: all are held
NOT_CALCULATED = "#CALC!"
"""Stands for the value of a formula that a program wrote and nobody has calculated yet."""

# By openpyxl for what it does not expect. Others, such as that of a time limit, are not about the workbook.
_RAISED = (
    ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError
)  # fmt: skip
_PIECE_BYTES = 64 * 1024
_COMMENT_BYTES = 65_535  # at most, behind the directory's end
_DIRECTORY_END, _DIRECTORY_END_64 = b"PK\x05\x06", b"PK\x06\x07"
_OWN_FORMATS = 164  # of Excel; those of a workbook have higher numbers
_ENCODED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_SHEET_END = re.compile(rb"</(?:[\w.-]+:)?sheetData\s*>")
_TAIL_BYTES = 200  # of a piece, in which a tag may begin that ends in the next one


def read_sheet(
    file: IO[bytes], limits: Limits, settings: FileSettings = UNSET, skipped: SkippedLines | None = None
) -> Iterator[Row]:
    """Yield the rows below the header of the sheet that the settings name, or of the first one that is not hidden.

    A workbook is read from anywhere in the file, first from its end. `line` is the number that Excel shows beside the
    row. Blank rows are passed over, and more headings, which `skipped` counts. Raises `FeedRefused` for a workbook that
    cannot be opened, is over a limit or has no header.
    """
    skipped = skipped or SkippedLines()
    rows = sheet_rows(file, limits, settings.sheet)
    header = _find_header(rows, limits, settings, skipped)
    fields, own = RowFields(header.columns), is_own(header.names)
    is_first = True
    for line, cells in rows:
        is_labels, is_first = is_first and header.are_labels(cells), False
        if is_labels or header.is_repeated(cells):
            skipped.add(line, ", ".join(cells))
            continue
        row = _row_of(line, cells, header, fields, limits)
        yield own_row(row, limits) if own else row


def sheet_rows(file: IO[bytes], limits: Limits, sheet: str = "") -> Iterator[tuple[int, list[str]]]:
    """The rows of the sheet that are not blank, each with its number."""
    with _checked_archive(file, limits) as archive:
        try:
            yield from _shown_rows(archive, file, limits, sheet)
        except _SheetEnds:
            return
        except (BadZipFile, EOFError, zlib.error):
            raise _unreadable("a part of it is damaged") from None
        except SyntaxError:
            raise _unreadable("its XML is not well-formed") from None
        except _RAISED as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # it was the disk's
            raise _unreadable("it is not written as Excel writes it") from None


def _find_header(
    rows: Iterator[tuple[int, list[str]]], limits: Limits, settings: FileSettings, skipped: SkippedLines
) -> Header:
    names_of = ColumnNames(settings.aliases)
    above: list[tuple[int, str]] = []
    for line, cells in islice(rows, LINES_ABOVE):
        if len(cells) > limits.attributes:
            raise too_many_columns(limits)
        columns = names_of.columns(cells)
        names_of.check_key(columns)
        # Of the first row, `id` and anything else is enough; below a title, one more attribute has to be known.
        is_header = names_of.are_header(columns) if above else "id" in names_of.attributes(columns) and columns[1:]
        if is_header:
            for place in above:
                skipped.add(*place)
            return Header(columns, tuple(cells), names_of, line=line)
        above.append((line, ", ".join(cells)))
    if not above:
        raise FeedRefused(
            "feed.empty", "The sheet is empty. Fill it, or name the sheet with the products in the feed's settings."
        )
    line, text = above[0]
    begin = "".join(c if c.isprintable() else " " for c in text)[:100]
    raise FeedRefused(
        "feed.no_header",
        f"Line {line}: a sheet begins with the names of its attributes, and one of them is id. This begins with "
        f"“{begin}”. Add that row, or name another sheet in the feed's settings.",
    )


def _row_of(line: int, cells: list[str], header: Header, fields: RowFields, limits: Limits) -> Row:
    names = header.names
    for name, cell in zip(chain(names, repeat("beside the table")), cells, strict=False):
        code, found = "", ""
        if len(cell) > limits.value_chars:
            code, found = "item.value_too_long", f"{name}: {len(cell):,} characters"
        elif match := NO_TEXT.search(cell):
            code, found = "row.character", f"{name}: U+{ord(match[0]):04X}"
        if code:
            texts = zip(names, cells, strict=False)
            short = {key: text for key, text in texts if len(text) <= NAME_CHARS and not NO_TEXT.search(text)}
            return Row(line, short, ((code, found),), lost=True)
    return fields.row(line, cells + [""] * (len(names) - len(cells)))


# --- what is read ---------------------------------------------------------------------------------------


class _Archive(ZipFile):
    """The workbook's zip. A part that is read whole may not be larger than `PART_BYTES`."""

    def read(self, name: Any, pwd: bytes | None = None) -> bytes:
        self.check_size(name, PART_BYTES)
        return super().read(name, pwd)

    def check_size(self, name: str, limit: int) -> None:
        if self.getinfo(name).file_size > limit:
            raise _too_large(f"its part {name[:100]} has more than {limit:,} bytes")


def _checked_archive(file: IO[bytes], limits: Limits) -> _Archive:
    _check_directory(file)
    try:
        archive = _Archive(file)
    except (BadZipFile, NotImplementedError, ValueError):
        raise _unreadable("its directory is damaged, or it ends too early") from None
    unpacked = 0
    for part in archive.infolist():
        unpacked += part.file_size
        if part.flag_bits & 1 or part.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise _unreadable("it has a password, or is packed as Excel packs nothing")
    if unpacked > limits.unpacked_bytes:
        raise too_large_unpacked(limits)
    if unpacked > max(RATIO_COUNTS_FROM, limits.ratio * file.seek(0, 2)):
        raise too_tightly_packed(limits)
    return archive


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a directory that is too large before `zipfile` reads it whole."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _COMMENT_BYTES - 42))
    end = file.read()
    for at in {max(len(end) - 22, 0), max(end.rfind(_DIRECTORY_END), 0)}:
        record = end[at : at + 22]
        if not record.startswith(_DIRECTORY_END):
            continue
        number, length = int.from_bytes(record[10:12], "little"), int.from_bytes(record[12:16], "little")
        is_64 = end[max(at - 20, 0) : at].startswith(_DIRECTORY_END_64)
        if number > MAX_PARTS or length > DIRECTORY_BYTES or is_64:
            raise _too_large(f"it has more than {MAX_PARTS:,} parts")


def _shown_rows(archive: _Archive, file: IO[bytes], limits: Limits, sheet: str) -> Iterator[tuple[int, list[str]]]:
    reader = ExcelReader(file, read_only=True, data_only=True, keep_links=False)
    reader.archive.close()
    reader.archive = archive
    reader.read_manifest()
    reader.read_workbook()
    try:
        apply_stylesheet(archive, reader.wb)
    except (SyntaxError, *_RAISED):
        raise _unreadable("its styles are not written as Excel writes them") from None
    paths = _sheet_paths(reader, sheet)
    strings: list[str] = []
    if part := reader.package.find(SHARED_STRINGS):
        archive.check_size(part.PartName[1:], STRINGS_BYTES)
        with archive.open(part.PartName[1:]) as unpacked:
            strings = _shared_texts(_Part(unpacked, limits, STRINGS_BYTES))
    formats = [_format_code(reader.wb, style.numFmtId) for style in reader.wb._cell_styles]
    before = 0
    for path in paths:
        last = 0
        with archive.open(path) as unpacked, suppress(_SheetEnds):
            for last, texts in _sheet_texts(reader, unpacked, limits, strings, formats):
                if any(map(str.strip, texts)):
                    yield before + last, texts
        if last < MAX_ROW:
            return  # the next one does not go on with it
        before += MAX_ROW


def _sheet_texts(
    reader: Any, unpacked: IO[bytes], limits: Limits, strings: list[str], formats: list[str]
) -> Iterator[tuple[int, list[str]]]:
    source = _Part(unpacked, limits, limits.item_bytes)
    parser = _SheetParser(
        source,
        strings,
        data_only=True,
        epoch=reader.wb.epoch,
        date_formats=reader.wb._date_formats,
        timedelta_formats=reader.wb._timedelta_formats,
    )
    last = 0
    for line, cells in parser.parse():
        if not last < line <= MAX_ROW:
            raise _unreadable(f"its row {line} follows its row {last}")
        last = line
        source.start_item(line + 1)
        yield line, _row_texts(cells, formats)


def _shared_texts(part: "_Part") -> list[str]:
    """The texts that several cells may share. openpyxl's own reader takes the letters x005F_ out of them."""
    texts = []
    for _event, element in iterparse(part):
        if element.tag == f"{{{SHEET_MAIN_NS}}}si":
            texts.append(Text.from_tree(element).content)
            element.clear()
    return texts


def _sheet_paths(reader: Any, wanted: str) -> list[str]:
    """Where the sheet is in the archive, and those that go on with it when it is full: *Products*, *Products 2*…"""
    sheets = [(s.name, s.state, r.target) for s, r in reader.parser.find_sheets() if "chartsheet" not in r.Type]
    if wanted:
        found = [target for name, _state, target in sheets if name.strip().casefold() == wanted.strip().casefold()]
        if not found:
            names = ", ".join(f"“{name}”" for name, *_ in sheets)[:200]
            raise FeedRefused(
                "feed.no_sheet",
                f"The workbook has no sheet “{wanted[:100]}”, which the feed's settings name. It has {names}.",
            )
    else:
        found = [target for _name, state, target in sheets if state == "visible"] or [t for *_, t in sheets]
    if not found or found[0] not in reader.valid_files:
        raise _unreadable("it has no sheet")
    paths = [str(found[0])]
    first = next(name for name, _state, target in sheets if target == found[0])
    visible = {name: str(target) for name, state, target in sheets if state == "visible"}
    while (target := visible.get(f"{first} {len(paths) + 1}")) in reader.valid_files:
        paths.append(str(target))
    return paths


def _format_code(workbook: Any, number: int) -> str:
    if number < _OWN_FORMATS:
        return str(BUILTIN_FORMATS.get(number, "General"))
    return str(workbook._number_formats[number - _OWN_FORMATS])


class _SheetEnds(Exception):
    """Control flow, not an error: what follows the last row says nothing about products."""


class _Part:
    """A part of the archive, unpacked while it is read, up to the end of a sheet's rows.

    Raises `FeedRefused` for a DOCTYPE, and for `most` bytes without a new item.
    """

    def __init__(self, stream: IO[bytes], limits: Limits, most: int) -> None:
        self._stream = stream
        self._limits = limits
        self._most = most
        self._tail = b""
        self._is_over = False
        self.start_item(1)

    def start_item(self, line: int) -> None:
        self._line = line
        self._bytes_read = 0

    def read(self, size: int = -1) -> bytes:
        if self._is_over:
            raise _SheetEnds
        piece = self._stream.read(_PIECE_BYTES if size < 0 else size)
        self._bytes_read += len(piece)
        if self._bytes_read > self._most + _PIECE_BYTES:
            raise record_too_large(self._line, self._limits)
        seen = self._tail + piece
        if not self._tail and (seen[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in seen[:4]):
            raise _unreadable("its XML is not in UTF-8")
        if b"<!" in seen and b"<!DOCTYPE" in seen:
            raise FeedRefused("feed.doctype", "The workbook has a <!DOCTYPE …> declaration in it, which is unsafe.")
        self._is_over = _SHEET_END.search(seen) is not None
        self._tail = seen[-_TAIL_BYTES:]
        return piece


class _SheetParser(WorkSheetParser):
    def parse_row(self, row: Any) -> tuple[int, list[dict[str, Any]]]:
        self.row_dimensions.clear()  # else the heights of all rows are kept
        found: tuple[int, list[dict[str, Any]]] = super().parse_row(row)
        return found

    def parse_cell(self, element: Any) -> dict[str, Any]:
        cell: dict[str, Any] = super().parse_cell(element)
        # A formula without a value is not an empty cell: Excel shows its value as soon as the workbook is opened. An
        # empty text is a value.
        if cell["value"] is None and element.find(FORMULA_TAG) is not None:
            is_empty_text = element.get("t") == "str" and element.find(VALUE_TAG) is not None
            cell["value"] = "" if is_empty_text else NOT_CALCULATED
        return cell


# --- cells ----------------------------------------------------------------------------------------------


def _row_texts(cells: list[dict[str, Any]], formats: list[str]) -> list[str]:
    """The texts of a row, up to its last cell that is not blank."""
    texts = {cell["column"]: text for cell in cells if (text := _cell_text(cell, formats)).strip()}
    return [texts.get(number, "") for number in range(1, max(texts) + 1)] if texts else []


def _cell_text(cell: dict[str, Any], formats: list[str]) -> str:
    value = cell["value"]
    if value is None:
        return ""
    if isinstance(value, str):
        return _decoded(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    style = int(cell["style_id"])
    code = formats[style] if 0 <= style < len(formats) else "General"
    if isinstance(value, datetime):
        return shown_date(value, code)
    if isinstance(value, date | time):
        return value.isoformat()
    return shown_number(value, code) if isinstance(value, int | float) else str(value)


def _decoded(text: str) -> str:
    """The text with the characters that Excel writes by their number, since XML has none for them."""
    if "_x" not in text or not _ENCODED.search(text):
        return text
    decoded = _ENCODED.sub(lambda match: chr(int(match[1], 16)), text)
    # A character beyond the first 65,536 is written as two halves.
    return decoded.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _unreadable(why: str) -> FeedRefused:
    return FeedRefused(
        "feed.workbook",
        f"The workbook cannot be read: {why}. Open it in Excel or LibreOffice, save it again as .xlsx or as CSV in "
        "UTF-8, and upload that.",
    )


def _too_large(how: str) -> FeedRefused:
    return FeedRefused("feed.workbook_too_large", f"The workbook is too large: {how}. Save the sheet as CSV in UTF-8.")
