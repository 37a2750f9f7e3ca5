"""JSON → rows, streaming: a list of objects, or one object in each line (JSON lines).

An object's keys are named like the columns of a table. Numbers and words are texts as they are written, null is an
empty value, a list is a repeated element, and an object is a group.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from json import JSONDecodeError
from typing import Any

from catalog.errors import FeedRefused
from catalog.feeds.limits import NAME_CHARS, Limits, record_too_large
from catalog.feeds.reading.headings import LINES_ABOVE, ColumnNames, Row, SkippedLines, read_groups
from catalog.feeds.reading.json_values import NO_TEXT, ValueRefused, decode_next, raw_value
from catalog.feeds.reading.own_table import EXTRA, is_own, with_own_columns
from catalog.feeds.reading.settings import UNSET, FileSettings

_BEGINS_LIST = re.compile(r"\[\s*(?:[{\]]|\Z)")
_BEGINS_OBJECT = re.compile(r"\{\s*\"")
_BEGINS_OTHERWISE = re.compile(r"\[\s*[\[\"\d]|\{\s*[\"}]")
_SPACE = re.compile(r"[ \t\r\n]*")
_NEAR_END = 16  # characters: a word, an escape or a number that is cut off is no longer
_NOT_A_LIST = (
    "The file is JSON, but no list of products. Upload a list of objects, [{…}, {…}], or an object in each line, "
    "in which the keys are the attributes' names."
)


def begins_rows(text: str, settings: FileSettings = UNSET) -> bool:
    """Whether JSON of products begins with `text`. Raises `FeedRefused` for other JSON."""
    if _BEGINS_LIST.match(text):
        return True
    if not _BEGINS_OTHERWISE.match(text):
        return False
    line, end, rest = text.partition("\n")
    try:
        first = decode_next(line)[0]
    except JSONDecodeError:
        # Only the first line of a long file may be cut off here.
        if end or not line.startswith("{"):
            raise FeedRefused("feed.json", _NOT_A_LIST) from None
        return True
    except RecursionError:
        raise _too_deep(1) from None
    names_of = ColumnNames(settings.aliases)
    has_id = isinstance(first, dict) and "id" in names_of.attributes(map(names_of.column, first))
    if not has_id and not rest.lstrip().startswith("{"):
        raise FeedRefused("feed.json", _NOT_A_LIST)
    return True


def begins_below(text: str) -> bool:
    """Whether a list or lines of objects begin some lines further down, as below what a program printed."""
    lines = islice(filter(None, map(str.strip, text.splitlines())), 1, LINES_ABOVE + 1)
    return any(_BEGINS_LIST.match(line) or _BEGINS_OBJECT.match(line) for line in lines)


def read_objects(
    chunks: Iterable[bytes],
    encoding: str,
    limits: Limits,
    settings: FileSettings = UNSET,
    skipped: SkippedLines | None = None,
) -> Iterator[Row]:
    """Yield a row for each object. `line` is where it begins. `skipped` counts the lines above the first one.

    An object that cannot be read in a line of its own is lost; in a list it is not certain where it ends, so the file
    is refused.
    """
    text = _Text(chunks, encoding, limits)
    names_of = ColumnNames(settings.aliases)
    while (character := text.next_character()) and character not in "[{":
        line, above = text.line, text.take_line()
        if skipped:
            skipped.add(line, above)
    for line, value in _read_list(text) if character == "[" else _read_lines(text):
        yield value if isinstance(value, Row) else _row_of(line, value, names_of, limits)


def _row_of(line: int, value: Any, names_of: ColumnNames, limits: Limits) -> Row:
    if not isinstance(value, dict):
        return Row(line, {}, (("row.json", _shown(str(value)[:100])),), lost=True)
    fields: dict[str, Any] = {}
    faults: tuple[tuple[str, str], ...] = ()
    own = is_own(value)
    try:
        if len(value) > limits.attributes:
            raise ValueRefused("item.too_many_attributes", f"item: {len(value):,} keys")
        for key, inner in value.items():
            column = names_of.column(key)
            name = raw_value(column.name or "column", limits, key[:NAME_CHARS])
            found = inner if own and name == EXTRA else raw_value(inner, limits, name)
            if column.parts and isinstance(found, str):
                groups, more = read_groups(found.strip(), column, fields)
                found = groups if len(groups) > 1 else groups[0] if groups else ""
                faults += more
            if name in fields:
                several = [part for part in (*_parts(fields[name]), *_parts(found)) if part]
                found = several if len(several) > 1 else several[0] if several else ""
            fields[name] = found
    except ValueRefused as refused:
        return Row(line, _short_texts(value, names_of), ((refused.code, _shown(refused.found)),), lost=True)
    row = Row(line, fields, faults)
    return with_own_columns(row, limits) if own else row


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _short_texts(value: dict[str, Any], names_of: ColumnNames) -> dict[str, Any]:
    """What may identify an object that is lost."""
    return {
        names_of.column(key).name: inner
        for key, inner in value.items()
        if isinstance(inner, str) and len(key) <= NAME_CHARS and len(inner) <= NAME_CHARS
        if not NO_TEXT.search(key + inner)
    }


def _shown(text: str) -> str:
    return NO_TEXT.sub("\ufffd", text)


def _read_lines(text: "_Text") -> Iterator[tuple[int, Any]]:
    for number, line in text.lines():
        stripped = line.strip()
        if not stripped:
            continue
        try:
            value, end = decode_next(stripped)
            if stripped[end:].strip():
                raise JSONDecodeError("Extra data", stripped, end)
        except JSONDecodeError as error:
            value = Row(number, {}, (("row.json", f"{error.msg}, column {error.colno}"),), lost=True)
        except RecursionError:
            value = Row(number, {}, (("item.too_deep", "item"),), lost=True)
        yield number, value


def _read_list(text: "_Text") -> Iterator[tuple[int, Any]]:
    text.skip_character()
    while text.next_character() != "]":  # also behind the last comma: that is not JSON, but has one meaning only
        line = text.line
        yield line, text.next_value()
        mark = text.next_character()
        if mark == "]":
            break
        if mark != ",":
            raise _not_in_order(text.line, "a comma is missing" if mark else "it ends within the list")
        text.skip_character()
    text.skip_character()
    if text.next_character():
        raise _not_in_order(text.line, "something follows the end of the list")


class _Text:
    """The file's text, of which little is held. `line` is that of the next character."""

    def __init__(self, chunks: Iterable[bytes], encoding: str, limits: Limits) -> None:
        self.line = 1
        self._held = ""
        self._at = 0
        self._limits = limits
        self._pieces = _decoded_pieces(chunks, encoding)

    def next_character(self) -> str:
        """The next character behind white space, which is not taken; "" at the end."""
        while True:
            space = _SPACE.match(self._held, self._at)
            self._take(space.end() if space else self._at)
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._read_more():
                return ""

    def take_line(self) -> str:
        """The rest of the line, which is taken."""
        while (end := self._held.find("\n", self._at)) < 0 and self._read_more():
            if len(self._held) > self._limits.item_bytes:
                raise record_too_large(self.line, self._limits)
        line = self._held[self._at : end if end >= 0 else None]
        self._take(end + 1 if end >= 0 else len(self._held))
        return line

    def skip_character(self) -> None:
        self._take(self._at + 1)

    def next_value(self) -> Any:
        while True:
            try:
                value, end = decode_next(self._held, self._at)
            except JSONDecodeError as error:
                is_cut_off = error.msg.startswith("Unterminated string") or error.pos >= len(self._held) - _NEAR_END
                if is_cut_off and len(self._held) - self._at > self._limits.item_bytes:
                    raise record_too_large(self.line, self._limits) from None
                # Trying after each piece would read a long value many times.
                length = min(4 * (len(self._held) - self._at), self._limits.item_bytes + 1)
                if not is_cut_off or not self._read_until(length):
                    line = self.line + self._held.count("\n", self._at, error.pos)
                    raise _not_in_order(line, error.msg.lower()) from None
            except RecursionError:
                raise _too_deep(self.line) from None
            else:
                # A number may go on.
                if end < len(self._held) or not self._read_more():
                    self._take(end)
                    return value

    def lines(self) -> Iterator[tuple[int, str]]:
        while True:
            end = self._held.find("\n", self._at)
            while end < 0:
                searched = len(self._held) - self._at
                if searched > self._limits.item_bytes:
                    raise record_too_large(self.line, self._limits)
                if not self._read_more():
                    if self._at < len(self._held):
                        yield self.line, self._held[self._at :]
                    return
                end = self._held.find("\n", searched)
            yield self.line, self._held[self._at : end]
            self._take(end + 1)

    def _take(self, end: int) -> None:
        self.line += self._held.count("\n", self._at, end)
        self._at = end

    def _read_more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._held = self._held[self._at :] + piece
        self._at = 0
        return True

    def _read_until(self, length: int) -> bool:
        """Hold so many characters, or as many as there are. False when there are no more."""
        is_more = self._read_more()
        while is_more and len(self._held) < length and self._read_more():
            pass
        return is_more


def _decoded_pieces(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """The text in pieces, none of them empty. A byte that is not of the encoding becomes half a character."""
    errors = "surrogateescape" if encoding == "utf-8" else "replace"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    is_first = True
    for chunk in chunks:
        if text := decoder.decode(chunk).removeprefix("\ufeff" if is_first else ""):
            yield text
            is_first = False
    if text := decoder.decode(b"", final=True):
        yield text


def _too_deep(line: int) -> FeedRefused:
    return FeedRefused("feed.json_too_deep", f"Line {line}: values are nested deeper than any parser follows.")


def _not_in_order(line: int, what: str) -> FeedRefused:
    return FeedRefused(
        "feed.json_broken",
        f"Line {line}: the JSON is not in order: {_shown(what)}. Export the file again and upload the new one.",
    )
