"""A table of text (CSV, TSV) → rows, streaming. A line above its rows names the attributes, as in Merchant Center.

Cells are kept as they are, with groups in colon form; only a list of addresses is split. A record that cannot be read
costs itself: where its quotation marks do not match, reading goes on with the line below its first one.
"""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator

from catalog.errors import FeedRefused
from catalog.feeds.limits import NAME_CHARS, Limits, record_too_large, too_many_columns
from catalog.feeds.reading.headings import NOTHING_SEEN, Header, Row, RowFields, SkippedLines
from catalog.feeds.reading.json_values import NO_TEXT

MAX_RECORD_LINES = 100_000  # held at once, however short they are
SKIPPED_RECORDS = 4  # after text of so many of the largest records without the end of one, the rest is not read
MIN_ROWS_TO_JUDGE = 1000  # after so many that could not be read, a tenth of all has to be whole
TAB = "\t"
AS_TEXT = "row.quotes_as_text"

# The limit of `csv` is one for the whole process and names no line, so `_TableLines` bounds a record before.
csv.field_size_limit(2**31 - 1)

_NEWLINE = re.compile(r"\r\n|\r|\n")
_QUOTED = re.compile(r'"((?:[^"]|"")*+)"')
_CUT_CHARS = 64 * 1024  # of a line over the limit: its beginning may say which row it is

Fault = tuple[str, str]


def read_rows(
    chunks: Iterable[bytes], encoding: str, header: Header, limits: Limits, skipped: SkippedLines | None = None
) -> Iterator[Row]:
    """Yield the records below the header. Blank ones are passed over, and more headings, which `skipped` counts.

    `encoding` comes from the file's bytes or the feed's settings. A record with quotation marks that do not match, a
    character that no text can hold, a byte of another encoding or a size over a limit is a lost row. Raises
    `FeedRefused`, with the first of these, when no record or hardly one of many can be read.
    """
    if len(header.columns) > limits.attributes:
        raise too_many_columns(limits)
    skipped = skipped or SkippedLines()
    lines = _TableLines(chunks, encoding, limits)
    lines.skip_header(header, skipped)
    row_of = RowFields(header.columns).row
    first_heading, is_first = header.headings[0], True
    refusal: FeedRefused | None = None
    whole = lost = 0
    for line, cells, found in _records(lines, header, limits):
        fault = found
        if lines.is_odd:
            if not fault and not any(cell.strip(NOTHING_SEEN) for cell in cells):
                continue
            fault = _odd_cell(header, cells) or fault
        elif not fault and not any(map(str.strip, cells)):
            continue
        if (
            not fault
            and lines.record_chars > limits.value_chars
            and (longest := max(map(len, cells))) > limits.value_chars
        ):
            fault = ("item.value_too_long", f"a cell of {longest:,} characters")
        if fault and fault[0] != AS_TEXT:
            row = Row(line, _short_texts(header, cells), (fault,), lost=True)
            if refusal is None:
                refusal = _refusal(lines.line_of_odd(line), fault, encoding, limits)
        elif _is_no_row(header, cells, first_heading, is_first=is_first):
            skipped.add(line, header.delimiter.join(cells))
            is_first = is_first and len(cells) == 1  # labels are one line, which may be below a comment
            continue
        else:
            row = row_of(line, cells)
            if fault:
                row = row._replace(faults=(fault, *row.faults))
        is_first = False
        is_whole = not row.faults or (row.faults == (fault,) and not row.lost)
        whole += is_whole
        if refusal:
            lost += not is_whole
            if lost > max(MIN_ROWS_TO_JUDGE, 10 * whole):
                raise refusal
        yield row
    if refusal and not whole:
        raise refusal


def _is_no_row(header: Header, cells: list[str], first_heading: str, *, is_first: bool) -> bool:
    """Whether a record is more headings, or a comment."""
    if is_first and header.are_labels(cells):
        return True
    if cells[0].strip() == first_heading and header.is_repeated(cells):
        return True
    return len(cells) == 1 < len(header.columns) and cells[0].startswith("#")


def _short_texts(header: Header, cells: list[str]) -> dict[str, str]:
    """What may identify a row that is lost."""
    texts = zip(header.names, cells, strict=False)
    return {name: text for name, text in texts if len(text) <= NAME_CHARS and not NO_TEXT.search(text)}


def _odd_cell(header: Header, cells: list[str]) -> Fault | None:
    """The first character in these cells that no text can hold."""
    for number, cell in enumerate(cells):
        if odd := NO_TEXT.search(cell):
            name = header.names[number] if number < len(header.names) else "beside the table"
            return "row.character", f"{name}: {_shown_odd(odd[0])}"
    return None


def _shown_odd(character: str) -> str:
    code = ord(character)
    return f"byte 0x{code - _HALF:02X}" if _HALF <= code <= _HALF + 0xFF else f"U+{code:04X}"


def _refusal(line: int, fault: Fault, encoding: str, limits: Limits) -> FeedRefused | None:
    """The refusal of a file of which nothing can be read, because of this."""
    code, found = fault
    if code == "row.quotes":
        return FeedRefused(
            "feed.quotes",
            f"Line {line}: in the record that begins here, the quotation marks of a cell do not match. "
            "Put the whole cell in quotation marks and write each one inside it twice.",
        )
    if code == "row.character":
        what = found.rpartition(": ")[2]
        if what.startswith("byte"):
            return FeedRefused(
                "feed.encoding",
                f"Line {line}: the {what} is not {encoding.upper()}. Save the table in UTF-8, which Excel calls CSV "
                "UTF-8, or name its encoding in the feed's settings.",
            )
        return FeedRefused(
            "feed.control_character", f"Line {line}: the character {what} cannot be part of a text. Remove it."
        )
    return record_too_large(line - 1, limits) if code == "item.too_large" else None


# --- records ------------------------------------------------------------------------------------------


def _records(lines: "_TableLines", header: Header, limits: Limits) -> Iterator[tuple[int, list[str], Fault | None]]:
    """The records below the header: line, cells, and why it is not a row or is one only as it stands there."""
    reader = csv.reader(lines, delimiter=header.delimiter, strict=True)
    while True:
        lines.begin_record()
        try:
            cells = next(reader)
            is_sound = len(lines.held) == 1 or not _swallows_rows(lines.held, cells, header)
        except StopIteration:
            return
        except csv.Error:
            is_sound = False
        except _RecordTooLong:
            is_sound = False
            if len(lines.held) > 1 and not any(_is_row_alone(held, header) for held in lines.held[1:]):
                yield lines.first, _certain_cells(lines.held[0], header), _too_large(limits)
                _skip_open_record(lines, header, limits)
                reader = csv.reader(lines, delimiter=header.delimiter, strict=True)
                continue
        if is_sound and not isinstance(lines.held[0], _CutLine):
            yield lines.first, cells, None
            continue
        reader = csv.reader(lines, delimiter=header.delimiter, strict=True)
        line, first = lines.first, lines.held[0]
        lines.give_back(lines.held[1:])
        if isinstance(first, _CutLine):
            yield line, _certain_cells(first, header), _too_large(limits)
            continue
        alone = _cells_alone(first, header)
        found = next((cell for cell in first.rstrip("\r\n").split(header.delimiter) if _is_open(cell)), first)
        if header.delimiter == TAB and len(alone) == len(header.columns):
            # Text with tabs between its cells needs no quotation marks, and many programs write none.
            yield line, alone, (AS_TEXT, found)
            continue
        yield line, _certain_cells(first, header), ("row.quotes", found)
        _skip_rest_of_row(lines, header, first)


def _swallows_rows(held: list[str], cells: list[str], header: Header) -> bool:
    """Whether the lines of a record are rows by themselves, which a quotation mark too much has made one cell."""
    if len(cells) != len(header.columns):
        return any(_is_row_alone(line, header) for line in held)
    if not header.can_tell:
        return False
    return any(_is_row_alone(line, header) for line in held[1:-1]) or all(_is_row_alone(line, header) for line in held)


def _is_row_alone(line: str, header: Header) -> bool:
    return line.count(header.delimiter) >= len(header.columns) - 1 and header.is_row(_cells_alone(line, header))


def _cells_alone(line: str, header: Header) -> list[str]:
    """The cells of a line, whatever is around it. Quotation marks are text where they do not match."""
    text = line.rstrip("\r\n")
    try:
        return next(csv.reader([text], delimiter=header.delimiter, strict=True), [])
    except csv.Error:
        cells = text.split(header.delimiter)
        return [quoted[1].replace('""', '"') if (quoted := _QUOTED.fullmatch(cell)) else cell for cell in cells]


def _is_open(cell: str) -> bool:
    return cell.startswith('"') and not _QUOTED.fullmatch(cell)


def _certain_cells(line: str, header: Header) -> list[str]:
    """The cells of a line before the one whose quotation marks do not match; all of them where it is a row."""
    alone = _cells_alone(line, header)
    if header.can_tell and header.is_row(alone):
        return alone
    cells: list[str] = []
    for cell in line.rstrip("\r\n").split(header.delimiter):
        if _is_open(cell):
            break
        cells.append(quoted[1].replace('""', '"') if (quoted := _QUOTED.fullmatch(cell)) else cell)
    return cells


def _skip_rest_of_row(lines: "_TableLines", header: Header, first: str) -> None:
    """Pass over the lines that complete a row whose first line has too few cells."""
    found, wanted = first.count(header.delimiter), len(header.columns) - 1
    while found < wanted:
        lines.begin_record()
        try:
            cells = next(csv.reader(lines, delimiter=header.delimiter, strict=True), None)
            is_row = cells is None or header.is_row(cells)
        except (csv.Error, _RecordTooLong):
            is_row = False
        held = list(lines.held)
        lines.give_back(held)
        if is_row or held[0].count(header.delimiter) >= wanted:
            return
        found += next(lines).count(header.delimiter)


def _skip_open_record(lines: "_TableLines", header: Header, limits: Limits) -> None:
    """Pass over the rest of a record over the limit: up to its last quotation mark, or to what is a row."""
    length, passed = lines.record_chars, 0
    while True:
        lines.begin_record()
        line = next(lines, None)
        if line is None:
            return
        if isinstance(line, _CutLine) or _is_row_alone(line, header):
            lines.give_back([line])
            return
        length, passed = length + len(line), passed + 1
        if length > SKIPPED_RECORDS * limits.item_bytes or passed > SKIPPED_RECORDS * MAX_RECORD_LINES:
            raise record_too_large(lines.number, limits)
        if line.count('"') % 2:
            return


def _too_large(limits: Limits) -> Fault:
    return "item.too_large", f"more than {limits.item_bytes:,} characters"


# --- lines --------------------------------------------------------------------------------------------

_HALF = 0xDC00  # a byte that is not of the encoding is half a character in the text, of this number and its own


def _as_halves(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(_HALF + byte) for byte in error.object[error.start : error.end]), error.end


_HALVES = "catalog.halves"
codecs.register_error(_HALVES, _as_halves)


class _RecordTooLong(Exception):
    """Control flow, not an error: the next line would make the record larger than the limit."""


class _CutLine(str):
    """The beginning of a line that is over the limit."""

    __slots__ = ()


class _TableLines:
    """The lines of a table, each with its end. `number` is that of the last one given.

    `held` are those of the record that is being read, which began on the line `first`. `is_odd` says that there has
    been a character that no text can hold, or a byte of another encoding.
    """

    def __init__(self, chunks: Iterable[bytes], encoding: str, limits: Limits) -> None:
        self.number = 0
        self.is_odd = False
        self._chunks = chunks
        self._encoding = encoding
        self._limits = limits
        self._again: deque[str] = deque()
        self._unread = self._read_lines()
        self.begin_record()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._unread)
        if self.held and (
            self.record_chars + len(line) > self._limits.item_bytes
            or len(self.held) == MAX_RECORD_LINES
            or isinstance(line, _CutLine)
            or isinstance(self.held[-1], _CutLine)
        ):
            self._again.appendleft(line)
            raise _RecordTooLong
        self.number += 1
        self.record_chars += len(line)
        self.held.append(line)
        return line

    def begin_record(self) -> None:
        self.first = self.number + 1
        self.held: list[str] = []
        self.record_chars = 0

    def give_back(self, lines: list[str]) -> None:
        """Have these lines, the last ones given, read again."""
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)

    def skip_header(self, header: Header, skipped: SkippedLines) -> None:
        """Pass over the header and what is above it. Raises `FeedRefused` when a name is not in the encoding."""
        for number in range(1, header.line + header.lines):
            self.begin_record()
            line = next(self, "")
            if number < header.line:
                if line.strip(NOTHING_SEEN):
                    skipped.add(number, line)
            elif self.is_odd and (odd := NO_TEXT.search(line.strip(NOTHING_SEEN))):
                fault = ("row.character", f": {_shown_odd(odd[0])}")
                raise _refusal(number, fault, self._encoding, self._limits) or AssertionError

    def line_of_odd(self, line: int) -> int:
        """The line of the first character of the record that no text can hold; `line` when there is none."""
        if not self.is_odd:
            return line
        return next((n for n, text in enumerate(self.held, self.first) if NO_TEXT.search(text)), line)

    def _read_lines(self) -> Iterator[str]:
        most = self._limits.item_bytes
        begun: list[str] = []
        length = 0
        for text in self._decoded_chunks():
            self.is_odd = self.is_odd or NO_TEXT.search(text) is not None
            start = 0
            for newline in _NEWLINE.finditer(text):
                line = "".join((*begun, text[start : newline.end()]))
                length += newline.end() - start
                yield line if length <= most else _CutLine(line[:_CUT_CHARS])
                start, length = newline.end(), 0
                begun.clear()
            if start < len(text):
                length += len(text) - start
                begun.append(text[start:])
                if length > most:
                    begun = ["".join(begun)[:_CUT_CHARS]]
                if length > SKIPPED_RECORDS * most:
                    raise record_too_large(self.number, self._limits)
        if last := "".join(begun):
            yield last if length <= most else _CutLine(last)

    def _decoded_chunks(self) -> Iterator[str]:
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(self._encoding)(_HALVES), translate=False)
        is_first = True
        for chunk in self._chunks:
            text = decoder.decode(chunk)
            yield text.removeprefix("\ufeff") if is_first else text
            is_first = is_first and not text
        yield decoder.decode(b"", final=True)
