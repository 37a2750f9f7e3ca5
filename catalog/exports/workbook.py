"""Rows → an Excel workbook, by XlsxWriter in constant memory: cells that are numbers and texts and never formulas."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from django.conf import settings
from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from catalog.errors import CatalogError
from catalog.exports.resource import HEADER
from catalog.exports.rows import Row
from catalog.feeds.write import NOT_IN_XML
from catalog.spreadsheet import safe_cell

CELL_UNITS = 32_767
"""The most that a cell of Excel holds, in the units of UTF-16."""
SHEET_ROWS = 1_048_576
"""The rows of a sheet of Excel. What does not fit is on the next sheet, under the same header."""
SHEET_NAME = "Products"
_LOOKS_ENCODED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_EXACT_DIGITS = 15  # of a number in Excel
_PIECE_BYTES = 64 * 1024
_AS_WRITTEN = {
    "constant_memory": True,
    "use_zip64": True,
    # A text is a text: without these, addresses and what begins with = become something else, or nothing.
    "strings_to_numbers": False,
    "strings_to_formulas": False,
    "strings_to_urls": False,
}


class Sheet(Worksheet):
    """A sheet of which every text is the text, whatever it looks like.

    In constant memory XlsxWriter's own takes <r>…</r> for XML to be written as it is, and protects only the first half
    of _x0041_x0042_.
    """

    @staticmethod
    def _escape_control_characters(data: str) -> str:
        """Excel reads _x0041_ as A, so such an underscore is written by its number. So is CR, which XML reads as LF."""
        if "_x" in data:
            data = _LOOKS_ENCODED.sub("_x005F_", data)
        return data if data.isprintable() else NOT_IN_XML.sub("\ufffd", data).replace("\r", "_x000D_")

    def _xml_rich_inline_string(self, string: str, attributes: Any = ()) -> None:
        self._xml_inline_string(string, preserve=True, attributes=attributes)


class TooLongForExcel(CatalogError):
    """Excel would cut texts."""

    def __init__(self, number: int, example: str) -> None:
        longer = "1 text is" if number == 1 else f"{number:,} texts are"
        super().__init__(
            "export.too_long",
            f"A cell of Excel holds {CELL_UNITS:,} characters, and {longer} longer: {example}. "
            "Nothing was exported, so that nothing is cut. Choose CSV or JSON.",
        )


def workbook_pieces(rows: Iterable[Row]) -> Iterator[bytes]:
    """The workbook, made at once and read piece by piece. Raises `TooLongForExcel`."""
    made = TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 # closed when it is read
    try:
        write_workbook(rows, made)
    except BaseException:
        made.close()
        raise
    return _read_pieces(made)


def _read_pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_PIECE_BYTES):
            yield piece


def write_workbook(rows: Iterable[Row], file: IO[bytes]) -> None:
    """Write a workbook with as many sheets as it needs. Raises `TooLongForExcel` when all rows were looked at."""
    with TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        book = Workbook(file, {**_AS_WRITTEN, "tmpdir": folder})
        try:
            _write_rows(book, rows)
            book.close()
        except FileCreateError as error:
            raise error.args[0] from error  # what the system said
        finally:
            for sheet in book.worksheets():
                sheet.row_data_fh.close()


def _write_rows(book: Workbook, rows: Iterable[Row]) -> None:
    sheet, line = _add_sheet(book), 1
    too_long, example = 0, ""
    for row in rows:
        if line == SHEET_ROWS:
            sheet, line = _add_sheet(book), 1
        for column, value in enumerate(row):
            cell = safe_cell(value)
            if isinstance(cell, str) and 2 * len(cell) > CELL_UNITS and (units := _units_of(cell)) > CELL_UNITS:
                too_long += 1
                example = example or f"{HEADER[column]} of {row[0]} has {units:,}"
            elif not too_long:
                _write_cell(sheet, line, column, cell)
        line += 1
    if too_long:
        raise TooLongForExcel(too_long, example)


def _add_sheet(book: Workbook) -> Sheet:
    number = len(book.worksheets()) + 1
    sheet: Sheet = book.add_worksheet(SHEET_NAME if number == 1 else f"{SHEET_NAME} {number}", worksheet_class=Sheet)
    for column, name in enumerate(HEADER):
        _write_cell(sheet, 0, column, name)
    return sheet


def _write_cell(sheet: Sheet, line: int, column: int, value: Any) -> None:
    if value is None or value == "":
        return
    if isinstance(value, Decimal | int) and len(Decimal(value).as_tuple().digits) > _EXACT_DIGITS:
        value = str(value)
    if isinstance(value, str):
        answer = sheet.write_string(line, column, value)
    else:
        answer = sheet.write_number(line, column, value)
    if answer:
        raise ValueError(f"XlsxWriter refused the cell {HEADER[column]} of row {line + 1}: {answer}")


def _units_of(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
