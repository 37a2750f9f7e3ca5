"""A table of text (CSV, TSV) → rows, streaming. Its first line names the attributes, as in Merchant Center.

Names are matched without regard to case and to a prefix `g:`; blanks, hyphens and underscores are the same. Of tab,
comma, semicolon and pipe, that one delimits which gives the most known names. Cells are kept as they stand, groups
in colon form included; only a list of addresses is taken apart.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from catalog.errors import FeedRefused
from catalog.feeds.attributes import BY_ALIAS, Type
from catalog.feeds.limits import NAME_CHARS, Limits, record_too_large, too_many_columns

DELIMITERS = "\t,;|"
# The reader's own limit is one for the whole process and knows no line; `_Lines` bounds the record before it.
csv.field_size_limit(2**31 - 1)

_NEWLINE = re.compile(r"\r\n|\r|\n")
_BETWEEN_ADDRESSES = re.compile(r"\s*,\s*(?=https?://)", re.IGNORECASE)
# What XML cannot hold, nor the database: whatever comes after the reader relies on it.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Header:
    """The delimiter, and the name of each column: an attribute's where it is known, else as it stands."""

    delimiter: str
    names: tuple[str, ...]

    @property
    def known(self) -> int:
        return len({name for name in self.names if name in BY_ALIAS})


class Row(NamedTuple):
    """One record, with what is wrong with it as a whole: see `RawItem`. `line` is that of its beginning."""

    line: int
    fields: dict[str, Any]
    faults: tuple[tuple[str, str], ...] = ()
    lost: bool = False


def header_of(text: str) -> Header | None:
    """The header of a table that begins with `text`: it names `id` and one attribute more. None when there is none."""
    headers = (Header(d, tuple(map(_name, range(1, len(cells) + 1), cells))) for d, cells in _first_records(text))
    best = max(headers, key=lambda header: header.known, default=None)
    return best if best and best.known > 1 and "id" in best.names else None


def _first_records(text: str) -> Iterator[tuple[str, list[str]]]:
    for delimiter in DELIMITERS:
        try:
            records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
            yield delimiter, next(filter(None, records), [])
        except csv.Error:
            continue


def _name(number: int, cell: str) -> str:
    found = cell.strip()
    prefix, name = re.fullmatch(r"(?is)(g:|c:)?(.*)", found).groups()  # type: ignore[union-attr]
    folded = "_".join(re.split(r"[\s_-]+", name.strip().lower()))
    if folded in BY_ALIAS:
        return folded
    return (name.strip() if prefix in ("g:", "G:") else found) or f"column {number}"


def read_rows(chunks: Iterable[bytes], encoding: str, header: Header, limits: Limits) -> Iterator[Row]:
    """Yield the records below the header; blank ones are skipped.

    `encoding` is one that the file's bytes or the feed's settings tell. Raises `FeedRefused` for bytes of another
    encoding, characters that are no text, quotation marks that do not match, and a record over a limit.
    """
    if len(header.names) > limits.attributes:
        raise too_many_columns(limits)
    lines = _Lines(chunks, encoding, limits)
    records = _records(lines, header.delimiter)
    next(records, None)
    take = _Cells(header.names)
    width = len(header.names)
    for line, cells in records:
        if lines.record_chars > limits.value_chars and (longest := max(map(len, cells))) > limits.value_chars:
            names = {name: cell for name, cell in zip(header.names, cells, strict=False) if len(cell) <= NAME_CHARS}
            yield Row(line, names, (("item.value_too_long", f"a cell of {longest:,} characters"),), lost=True)
        elif len(cells) == width or (len(cells) > width and not any(map(str.strip, cells[width:]))):
            yield Row(line, take(cells))
        else:
            yield Row(line, take(cells), (("row.cells", f"{len(cells)} cells, {width} columns"),))


def _records(lines: "_Lines", delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with the line of its beginning."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin_record()
        line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _not_quoted(line, error) from None
        if any(map(str.strip, cells)):
            yield line, cells


class _Cells:
    """A record's cells → its fields, as an XML item has them: a name that occurs twice has a list."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._repeated = {name: [n for n, other in enumerate(names) if other == name] for name in names}
        self._repeated = {name: numbers for name, numbers in self._repeated.items() if len(numbers) > 1}
        self._addresses = [name for name in set(names) if name in BY_ALIAS and BY_ALIAS[name].type is Type.URLS]

    def __call__(self, cells: list[str]) -> dict[str, Any]:
        fields: dict[str, Any] = dict(zip(self._names, cells, strict=False))
        for name, numbers in self._repeated.items():
            found = [cells[n] for n in numbers if n < len(cells) and cells[n].strip()]
            fields[name] = found if len(found) > 1 else "".join(found)
        for name in self._addresses:
            fields[name] = _addresses(fields.get(name, ""))
        return fields


def addresses_in(text: str) -> list[str]:
    """The addresses of a list with commas between them; an address may hold commas itself."""
    return _BETWEEN_ADDRESSES.split(text) if "," in text else [text]


def _addresses(value: str | list[str]) -> str | list[str]:
    cells = value if isinstance(value, list) else [value]
    found = [address for cell in cells for address in addresses_in(cell)]
    return found if len(found) > 1 else found[0]


class _Lines:
    """The lines of a table, each with its end, decoded strictly. `number` is that of the last one given."""

    def __init__(self, chunks: Iterable[bytes], encoding: str, limits: Limits) -> None:
        self.number = 0
        self.record_chars = 0
        self._encoding = encoding
        self._limits = limits
        self._lines = self._split(self._decoded(chunks))

    def begin_record(self) -> None:
        self.record_chars = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.record_chars += len(line)
        if self.record_chars > self._limits.item_bytes:
            raise record_too_large(self.number, self._limits)
        self.number += 1
        if match := _NO_TEXT.search(line):
            raise FeedRefused(
                "feed.control_character",
                f"Line {self.number}: the character U+{ord(match[0]):04X} belongs in no text. Remove it.",
            )
        return line

    def _split(self, texts: Iterator[str]) -> Iterator[str]:
        begun: list[str] = []
        length = 0
        for text in texts:
            start = 0
            for newline in _NEWLINE.finditer(text):
                yield "".join((*begun, text[start : newline.end()]))
                start, length = newline.end(), 0
                begun.clear()
            begun.append(text[start:])
            length += len(text) - start
            if length > self._limits.item_bytes:
                raise record_too_large(self.number, self._limits)
        if last := "".join(begun):
            yield last

    def _decoded(self, chunks: Iterable[bytes]) -> Iterator[str]:
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(self._encoding)(), translate=False)
        first = True
        try:
            for chunk in chunks:
                text = decoder.decode(chunk)
                yield text.removeprefix("\ufeff") if first else text
                first = first and not text
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise self._not_decoded(error) from None

    def _not_decoded(self, error: UnicodeDecodeError) -> FeedRefused:
        before = error.object[: error.start].decode(self._encoding, errors="ignore")
        line = self.number + 1 + len(_NEWLINE.findall(before))
        return FeedRefused(
            "feed.encoding",
            f"Line {line}: the byte 0x{error.object[error.start]:02X} is not {self._encoding.upper()}. "
            "Save the table in UTF-8, which Excel calls CSV UTF-8, or name its encoding in the feed's settings.",
        )


def _not_quoted(line: int, error: csv.Error) -> FeedRefused:
    open_ended = "end of data" in str(error)
    found = "is never closed" if open_ended else "is followed by more text"
    return FeedRefused(
        "feed.quotes",
        f"Line {line}: in the record that begins here, a cell in quotation marks {found}. "
        "Put the whole cell in quotation marks and write each one inside it twice.",
    )
