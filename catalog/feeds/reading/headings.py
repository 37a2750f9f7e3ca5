"""The line of names of a table: where it is, which attribute each column is, and what else only looks like a row.

A feed's own names come first. The case of a name and a prefix `g:` do not matter; blanks, hyphens and underscores are
the same. `shipping(country:price)` is the attribute shipping with the elements country and price.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from catalog.feeds.attributes import AVAILABILITY, BY_ALIAS, BY_NAME, ORIGINAL, Type
from catalog.feeds.limits import NAME_CHARS
from catalog.feeds.reading.partial_keys import check_names

DELIMITERS = "\t,;|"
LINES_ABOVE = 30  # lines with something in them that may stand above the names
MAX_EXAMPLES = 5
NOTHING_SEEN = " \t\r\n\x00\x1a"
"""What a line may have in it and still be blank: programs fill up with zeros, and DOS ended texts with 1A."""

_SEPARATOR = re.compile(r"\ufeff?\"?sep=(.)\"?\s*", re.IGNORECASE | re.DOTALL)
_WITH_PARTS = re.compile(r"([^()]+)\(([^()]+)\)")
_LABEL = re.compile(r"#\s*(required|recommended|optional|conditional)\b", re.IGNORECASE)
_ADDRESS = re.compile(r"\s*(https?:)?//\S|\s*(www\.|/)\S", re.IGNORECASE)
_AMOUNT = re.compile(r"\s*[^\d\s]{0,5}\s*[-+]?\d[\d.,'\s]*[^\d\s]{0,5}\s*")
_AVAILABILITY = frozenset(AVAILABILITY)


class Column(NamedTuple):
    """A column's name, an attribute's where it is known, and the elements of a group that its cells have in order."""

    name: str
    parts: tuple[str, ...] = ()


class ColumnNames:
    """Headings → columns, with a feed's own names before all others."""

    def __init__(self, aliases: Iterable[tuple[str, str]] = ()) -> None:
        self._own = {name: attribute for name, attribute in aliases if attribute in BY_NAME}
        self._own_folded = {_folded(name): name for name in reversed(self._own)}
        self._found: dict[str, Column] = {}

    def column(self, heading: str) -> Column:
        """The column with this heading."""
        found = self._found.get(heading)
        if found is None:
            found = self._column(heading.strip())
            if len(self._found) < 10_000 and len(heading) <= NAME_CHARS:
                self._found[heading] = found
        return found

    def columns(self, headings: Iterable[str]) -> tuple[Column, ...]:
        """The columns of a table. One without a heading has a number."""
        found = (self.column(heading) for heading in headings)
        return tuple(column if column.name else Column(f"column {n}") for n, column in enumerate(found, start=1))

    def attributes(self, columns: Iterable[Column]) -> set[str]:
        """The attributes that these columns are."""
        names = {self._own.get(name) or (BY_ALIAS[name].name if name in BY_ALIAS else "") for name, _parts in columns}
        return names - {""}

    def check_key(self, columns: Iterable[Column]) -> None:
        """Raise `FeedRefused` when the id is only a part of the key of a table with these columns."""
        check_names(_folded(self.attribute(name)) for name, _parts in columns)

    def are_header(self, columns: Iterable[Column]) -> bool:
        """Whether these are the names of a table of products: `id` and one attribute more."""
        found = self.attributes(columns)
        return "id" in found and len(found) > 1

    def attribute(self, name: str) -> str:
        """The attribute that a column with this name is, else the name."""
        return self._own.get(name) or (BY_ALIAS[name].name if name in BY_ALIAS else name)

    def _column(self, heading: str) -> Column:
        prefix = heading[:2].lower()
        name = heading[2:].strip() if prefix in ("g:", "c:") else heading
        for own in (heading, name):
            if own in self._own:
                return Column(own)
        folded = _folded(name)
        if name not in BY_ALIAS:
            for own in (_folded(heading), folded):
                if own in self._own_folded:
                    return Column(self._own_folded[own])
        if folded in BY_ALIAS:
            return Column(folded)
        if group := _WITH_PARTS.fullmatch(folded):
            base, parts = group[1].strip("_"), tuple(part.strip("_") for part in group[2].split(":"))
            if base in BY_ALIAS and BY_ALIAS[base].type is Type.VERBATIM and all(parts):
                return Column(BY_ALIAS[base].name, parts)
        return Column(name if prefix == "g:" else heading)


_USUAL_NAMES = ColumnNames()


def column_name(heading: str) -> str:
    """An attribute's name where the heading is one, else the heading."""
    return _USUAL_NAMES.column(heading).name


def _folded(heading: str) -> str:
    if not heading.isascii():
        heading = "".join(c for c in heading if c.isprintable() or c.isspace())  # nobody sees the others
    return "_".join(re.split(r"[\s_-]+", heading.strip().lower()))


@dataclass(frozen=True)
class Header:
    """The names of a table: its columns, and the headings as they are in the file.

    In a table of text it stands from `line` on, in as many `lines`, with the `delimiter` between the names.
    """

    columns: tuple[Column, ...]
    headings: tuple[str, ...]
    names_of: ColumnNames = field(compare=False, repr=False)
    delimiter: str = ""
    line: int = 1
    lines: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def _telling(self) -> Mapping[int, Any]:
        """The columns whose cells show whether a line is a row: how such a cell is recognised, by column."""
        tests: dict[str, Any] = {"link": _ADDRESS.match, "price": _is_amount, "availability": _is_availability}
        attributes = [self.names_of.attribute(name) for name in self.names]
        return {attributes.index(name): test for name, test in tests.items() if name in attributes}

    @cached_property
    def id_column(self) -> int:
        return [self.names_of.attribute(name) for name in self.names].index("id")

    @property
    def can_tell(self) -> bool:
        """Whether a line shows beyond doubt that it is a row."""
        return len(self._telling) > 1

    def is_row(self, cells: list[str]) -> bool:
        """Whether these are the cells of a row, by their number and by what they look like."""
        return (
            len(cells) == len(self.columns)
            and bool(cells[self.id_column].strip())
            and all(test(cells[n]) for n, test in self._telling.items())
        )

    def is_repeated(self, cells: list[str]) -> bool:
        """Whether these are the headings again, as where one export was put behind another."""
        if cells[0].strip() != self.headings[0].strip() or len(cells) < len(self.headings):
            return False
        return all(a.strip() == b.strip() for a, b in zip(cells, self.headings, strict=False)) and not any(
            map(str.strip, cells[len(self.headings) :])
        )

    def are_labels(self, cells: list[str]) -> bool:
        """Whether these cells, directly below the names, are more headings: no telling cell is what it has to be."""
        filled = [cell for cell in cells if cell.strip()]
        if all(_LABEL.match(cell.strip()) for cell in filled):
            return True
        if [_folded(name) for name, _ in self.names_of.columns(cells)] == list(map(_folded, self.names)):
            return True
        # A row like this would be an invalid item in any case: nothing that could be imported is passed over.
        telling = [(cells[n], test) for n, test in self._telling.items() if n < len(cells)]
        return len(telling) > 1 and all(
            text.strip() and not test(text) and not (test is _is_amount and any(map(str.isdigit, text)))
            for text, test in telling
        )


def _is_amount(text: str) -> bool:
    return _AMOUNT.fullmatch(text) is not None


def _is_availability(text: str) -> bool:
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split()) in _AVAILABILITY


def find_header(text: str, aliases: Iterable[tuple[str, str]] = ()) -> Header | None:
    """The header of a table that begins with `text`, on its first line with something in it or some lines below.

    The delimiter is the one that gives the most known names. None when no line names `id` and one attribute more.
    Raises `FeedRefused` for a table whose ids are only a part of its key.
    """
    names_of = ColumnNames(aliases)
    lines = list(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    delimiters = DELIMITERS
    looked_at = 0
    for number, line in enumerate(lines):
        if not line.strip(NOTHING_SEEN):
            continue
        looked_at += 1
        if looked_at > LINES_ABOVE:
            break
        if said := _SEPARATOR.fullmatch(line):
            delimiters += said[1]
            continue
        best, most = None, 1
        for delimiter in dict.fromkeys(delimiters):
            reader = csv.reader(islice(lines, number, None), delimiter=delimiter, strict=True)
            try:
                cells = [cell.strip(NOTHING_SEEN) for cell in next(reader, [])] or [""]
            except csv.Error:
                continue
            if cells[0].startswith("#"):  # names may stand in a line that is a comment to other programs
                cells[0] = cells[0].lstrip("# ")
            columns = names_of.columns(cells)
            names_of.check_key(columns)
            found = names_of.attributes(columns)
            if "id" in found and len(found) > most:
                best = Header(columns, tuple(cells), names_of, delimiter, number + 1, reader.line_num)
                most = len(found)
        if best:
            return best
    return None


class SkippedLines:
    """The lines of a table that are no rows, such as a title above the names: how many, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.examples: list[tuple[int, str]] = []

    def add(self, line: int, text: str) -> None:
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES:
            shown = "".join(c if c.isprintable() else " " for c in text[:NAME_CHARS])
            self.examples.append((line, " ".join(shown.split())))


# --- rows ---------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One record, with what is wrong with it as a whole, and what is no column of it: see `RawItem`."""

    line: int
    fields: dict[str, Any]
    faults: tuple[tuple[str, str], ...] = ()
    lost: bool = False
    own_extra: dict[str, Any] | None = None


_BETWEEN_ADDRESSES = re.compile(r"\s*,\s*(?=https?://)", re.IGNORECASE)


def addresses_in(text: str) -> list[str]:
    """The addresses in a list with commas between them. An address may itself hold commas."""
    return _BETWEEN_ADDRESSES.split(text) if "," in text else [text]


def groups_in(text: str, parts: tuple[str, ...]) -> list[dict[str, str]] | None:
    """The groups in a cell such as `AE:0 AED,SA:25 SAR`. None when a value does not have as many elements as `parts`.

    A value with a comma in it stands in quotation marks.
    """
    if "\n" in text or "\r" in text:
        return None
    try:
        values = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error:
        return None
    groups = []
    for value in values:
        elements = value.split(":")
        if len(elements) != len(parts) or not value.strip(": "):
            return None
        groups.append({part: e.strip() for part, e in zip(parts, elements, strict=True) if e.strip()})
    return groups


class RowFields:
    """A record's cells → its fields, as an XML item has them: a name that occurs twice has a list."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._names = tuple(column.name for column in columns)
        numbers = {name: [n for n, other in enumerate(self._names) if other == name] for name in self._names}
        self._repeated = {name: found for name, found in numbers.items() if len(found) > 1}
        self._addresses = [name for name in numbers if name in BY_ALIAS and BY_ALIAS[name].type is Type.URLS]
        self._groups = [(number, column) for number, column in enumerate(columns) if column.parts]

    def row(self, line: int, cells: list[str]) -> Row:
        """The row with these cells. One with more or fewer than the table has columns is at fault."""
        fields: dict[str, Any] = dict(zip(self._names, cells, strict=False))
        for name, numbers in self._repeated.items():
            found = [cells[n] for n in numbers if n < len(cells) and cells[n].strip()]
            fields[name] = found if len(found) > 1 else "".join(found)
        for name in self._addresses:
            value = fields.get(name, "")
            cells_of_name = value if isinstance(value, list) else [value]
            addresses = [address for cell in cells_of_name for address in addresses_in(cell)]
            fields[name] = addresses if len(addresses) > 1 else addresses[0]
        faults = self._take_groups(fields, cells) if self._groups else ()
        width = len(self._names)
        if len(cells) < width or any(map(str.strip, cells[width:])):
            faults += (("row.cells", f"{len(cells)} cells, {width} columns"),)
        return Row(line, fields, faults)

    def _take_groups(self, fields: dict[str, Any], cells: list[str]) -> tuple[tuple[str, str], ...]:
        faults: tuple[tuple[str, str], ...] = ()
        for name in {column.name for _number, column in self._groups}:
            plain = [n for n, other in enumerate(self._names) if other == name]
            values: list[Any] = []
            for number in plain:
                text = cells[number].strip() if number < len(cells) else ""
                parts = next((column.parts for n, column in self._groups if n == number), ())
                found, fault = read_groups(text, Column(name, parts), fields)
                values += found
                faults += fault
            fields[name] = values if len(values) > 1 else values[0] if values else ""
        return faults


def read_groups(text: str, column: Column, fields: dict[str, Any]) -> tuple[list[Any], tuple[tuple[str, str], ...]]:
    """The values of a cell, as groups where its column's heading names their elements, and what is wrong with it.

    The text of groups stays in `fields` as it was found, under the name for originals.
    """
    if not text or not column.parts:
        return [text] if text else [], ()
    groups = groups_in(text, column.parts)
    if groups is None:
        return [text], (("group.parts", f"{column.name}({':'.join(column.parts)}): {text}"),)
    original = column.name + ORIGINAL
    fields[original] = f"{fields[original]},{text}" if fields.get(original) else text
    return list(groups), ()
