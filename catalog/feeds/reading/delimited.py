"""A table of text (CSV, TSV) → rows, streaming. Its first line names the attributes, as in Merchant Center.

The case of a name and a prefix `g:` do not matter; blanks, hyphens and underscores are the same. The delimiter is
that one of tab, comma, semicolon and pipe which gives the most known names. Cells are kept as they are, with groups in
colon form; only a list of addresses is split.
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
# The limit of `csv` is one for the whole process and names no line, so `_TableLines` bounds a record before.
csv.field_size_limit(2**31 - 1)

_NEWLINE = re.compile(r"\r\n|\r|\n")
_BETWEEN_ADDRESSES = re.compile(r"\s*,\s*(?=https?://)", re.IGNORECASE)
# XML and the database cannot hold these. All that comes after the reader relies on their absence.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Header:
    """The delimiter, and the name of each column: an attribute's where it is known, else as it is in the file."""

    delimiter: str
    names: tuple[str, ...]

    @property
    def known_names(self) -> int:
        return len({name for name in self.names if name in BY_ALIAS})


class Row(NamedTuple):
    """One record, with what is wrong with it as a whole, and what is no column of it: see `RawItem`."""

    line: int
    fields: dict[str, Any]
    faults: tuple[tuple[str, str], ...] = ()
    lost: bool = False
    own_extra: dict[str, Any] | None = None


def find_header(text: str) -> Header | None:
    """The header of a table that begins with `text`: it names `id` and one attribute more. None when there is none."""
    best = Header("", ())
    for delimiter in DELIMITERS:
        try:
            records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
            cells = next(filter(None, records), [])
        except csv.Error:
            continue
        header = Header(delimiter, column_names(cells))
        best = header if header.known_names > best.known_names else best
    return best if best.known_names > 1 and "id" in best.names else None


def column_names(cells: Iterable[str]) -> tuple[str, ...]:
    """The names of the columns with these headings."""
    return tuple(column_name(cell) or f"column {number}" for number, cell in enumerate(cells, start=1))


def column_name(heading: str) -> str:
    """An attribute's name where the heading is one, else the heading."""
    heading = heading.strip()
    prefix = heading[:2].lower()
    name = heading[2:].strip() if prefix in ("g:", "c:") else heading
    folded = "_".join(re.split(r"[\s_-]+", name.lower()))
    if folded in BY_ALIAS:
        return folded
    return name if prefix == "g:" else heading


def read_rows(chunks: Iterable[bytes], encoding: str, header: Header, limits: Limits) -> Iterator[Row]:
    """Yield the records below the header; blank ones are skipped.

    `encoding` comes from the file's bytes or the feed's settings. Raises `FeedRefused` for bytes of another encoding,
    characters that text cannot hold, quotation marks that do not match, and a record over a limit.
    """
    if len(header.names) > limits.attributes:
        raise too_many_columns(limits)
    lines = _TableLines(chunks, encoding, limits)
    reader = csv.reader(lines, delimiter=header.delimiter, strict=True)
    fields_of = RowFields(header.names)
    width = len(header.names)
    header_seen = False
    while True:
        lines.record_chars = 0
        line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            found = "is never closed" if "end of data" in str(error) else "is followed by more text"
            raise FeedRefused(
                "feed.quotes",
                f"Line {line}: in the record that begins here, a cell in quotation marks {found}. "
                "Put the whole cell in quotation marks and write each one inside it twice.",
            ) from None
        if not any(map(str.strip, cells)):
            continue
        if not header_seen:
            header_seen = True
        elif lines.record_chars > limits.value_chars and (longest := max(map(len, cells))) > limits.value_chars:
            names = {name: cell for name, cell in zip(header.names, cells, strict=False) if len(cell) <= NAME_CHARS}
            yield Row(line, names, (("item.value_too_long", f"a cell of {longest:,} characters"),), lost=True)
        elif len(cells) == width or (len(cells) > width and not any(map(str.strip, cells[width:]))):
            yield Row(line, fields_of(cells))
        else:
            yield Row(line, fields_of(cells), (("row.cells", f"{len(cells)} cells, {width} columns"),))


def addresses_in(text: str) -> list[str]:
    """The addresses in a list with commas between them. An address may itself hold commas."""
    return _BETWEEN_ADDRESSES.split(text) if "," in text else [text]


class RowFields:
    """A record's cells → its fields, as an XML item has them: a name that occurs twice has a list."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        numbers = {name: [number for number, other in enumerate(names) if other == name] for name in names}
        self._repeated = {name: found for name, found in numbers.items() if len(found) > 1}
        self._addresses = [name for name in numbers if name in BY_ALIAS and BY_ALIAS[name].type is Type.URLS]

    def __call__(self, cells: list[str]) -> dict[str, Any]:
        fields: dict[str, Any] = dict(zip(self._names, cells, strict=False))
        for name, numbers in self._repeated.items():
            found = [cells[n] for n in numbers if n < len(cells) and cells[n].strip()]
            fields[name] = found if len(found) > 1 else "".join(found)
        for name in self._addresses:
            value = fields.get(name, "")
            cells_of_name = value if isinstance(value, list) else [value]
            addresses = [address for cell in cells_of_name for address in addresses_in(cell)]
            fields[name] = addresses if len(addresses) > 1 else addresses[0]
        return fields


class _TableLines:
    """The lines of a table, each with its end, decoded strictly. `number` is that of the last one given.

    The reader of records sets `record_chars` to 0 where one begins.
    """

    def __init__(self, chunks: Iterable[bytes], encoding: str, limits: Limits) -> None:
        self.number = 0
        self.record_chars = 0
        self._chunks = chunks
        self._encoding = encoding
        self._limits = limits

    def __iter__(self) -> Iterator[str]:
        begun: list[str] = []
        length = 0
        for text in self._decode_chunks():
            start = 0
            for newline in _NEWLINE.finditer(text):
                yield self._check_line("".join((*begun, text[start : newline.end()])))
                start, length = newline.end(), 0
                begun.clear()
            begun.append(text[start:])
            length += len(text) - start
            if length > self._limits.item_bytes:
                raise record_too_large(self.number, self._limits)
        if last := "".join(begun):
            yield self._check_line(last)

    def _check_line(self, line: str) -> str:
        self.record_chars += len(line)
        if self.record_chars > self._limits.item_bytes:
            raise record_too_large(self.number, self._limits)
        self.number += 1
        if match := _NO_TEXT.search(line):
            raise FeedRefused(
                "feed.control_character",
                f"Line {self.number}: the character U+{ord(match[0]):04X} cannot be part of a text. Remove it.",
            )
        return line

    def _decode_chunks(self) -> Iterator[str]:
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(self._encoding)(), translate=False)
        is_first = True
        try:
            for chunk in self._chunks:
                text = decoder.decode(chunk)
                yield text.removeprefix("\ufeff") if is_first else text
                is_first = is_first and not text
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(self._encoding, errors="ignore")
            raise FeedRefused(
                "feed.encoding",
                f"Line {self.number + 1 + len(_NEWLINE.findall(before))}: the byte 0x{error.object[error.start]:02X} "
                f"is not {self._encoding.upper()}. Save the table in UTF-8, which Excel calls CSV UTF-8, or name its "
                "encoding in the feed's settings.",
            ) from None
