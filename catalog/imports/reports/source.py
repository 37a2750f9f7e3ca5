"""Where something stands in its file: the lines of an item as they were uploaded.

The file is read from its start up to the line, unpacked and decoded on the way, with little of it in memory. The search
ends when it takes longer than somebody should wait.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.conf import settings

from catalog.errors import FeedRefused
from catalog.feeds.reading.formats import Content, Kind, open_content
from catalog.feeds.reading.layouts import ITEM_END, ITEM_START
from catalog.feeds.reading.workbooks import sheet_rows
from catalog.imports.work.files import is_storage_away, opened_as_it_is
from catalog.models import ImportRun, RunIssue, StagedItem

MAX_SECONDS = 4.0
LINES_BEFORE, LINES_AFTER = 40, 60  # of the line, when neither beginning nor end of the item is nearer
SHOWN_CHARS = 4_000  # of the line itself, which may hold a whole item or file
OTHER_LINE_CHARS = 400
PIECE_BYTES = 64 * 1024
REACH_CHARS = 32 * 1024  # searched on either side of the line

_GONE = "The stored file is gone."
_AWAY = "The storage of uploaded files does not answer. Try again in a moment."
_LINE_IN_ERROR = re.compile(r"Line (\d[\d,]*)")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the file, the lines to mark and the texts to highlight in them.

    `id` tells the item from the others when the whole file is one line.
    """

    line: int
    marked: tuple[int, ...] = ()
    found: tuple[str, ...] = ()
    id: str = ""


@dataclass(frozen=True, slots=True)
class SnippetLine:
    """One line; `parts` are its text, every second one of them to be highlighted."""

    number: int
    parts: list[str]
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class Snippet:
    """The lines, or a sentence that says why there are none."""

    lines: list[SnippetLine]
    problem: str = ""


class TooDeep(Exception):
    """The line is so far from the file's start that nobody should wait for it."""


def place_of_item(item: StagedItem) -> Place:
    """The item's own line, with those of its issues."""
    lines = tuple(sorted({line for _code, _attribute, _found, *rest in item.issues for line in rest if line}))
    found = tuple(issue[2] for issue in item.issues if issue[2])
    return Place(item.line, lines or (item.line,), found, item.product_id)


def place_of_example(issue: RunIssue, number: int) -> Place | None:
    """Where the issue's example stands; None when there are fewer examples."""
    if number >= len(issue.examples):
        return None
    example = issue.examples[number]
    found = (example["found"],) if example["found"] else ()
    return Place(example["line"], (example["line"],), found, example["product_id"])


def place_of_error(run: ImportRun) -> Place | None:
    """The line that the run's error names, if it names one."""
    named = _LINE_IN_ERROR.match(run.error)
    line = int(named[1].replace(",", "")) if named else 0
    return Place(line, (line,)) if line else None


def read_snippet(run: ImportRun, place: Place) -> Snippet:
    """The item around the place, as it stands in the run's file."""
    if not run.file:
        return Snippet([], _GONE)
    try:
        with opened_as_it_is(run) as file:
            content = open_content(file, settings.FEED_LIMITS, run.feed.file_settings)
            if content.kind is Kind.WORKBOOK:
                return _sheet_snippet(content, run.feed.table_sheet, place)
            found = _text_around(_decoded_pieces(content), place)
    except OSError as error:
        return Snippet([], _AWAY if is_storage_away(error) else _GONE)
    except FeedRefused as refused:
        return Snippet([], refused.message)
    except TooDeep:
        return Snippet([], f"Line {place.line:,} is too far down to be looked up here. Open the file itself.")
    if found is None:
        return Snippet([], f"The file has no line {place.line:,}.")
    return Snippet(_table_lines(content, found[1], place) if content.header else _item_lines(*found, place))


# --- reading up to the line ---------------------------------------------------------------------------


def _decoded_pieces(content: Content) -> Iterator[str]:
    """The file's text in pieces, whatever bytes are wrong in it. A table's lines may end as on an old Mac."""
    decoder: Any = codecs.getincrementaldecoder(content.text_encoding)("replace")
    if content.header:
        decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
    stream = content.from_the_start()
    deadline = time.monotonic() + MAX_SECONDS
    is_first = True
    while data := stream.read(PIECE_BYTES):
        if time.monotonic() > deadline:
            raise TooDeep
        text = decoder.decode(data)
        yield text.removeprefix("\ufeff") if is_first else text
        is_first = False


def _text_around(pieces: Iterator[str], place: Place) -> tuple[str, str] | None:
    """The text before the line and from it on, as much of both as may be shown. None when the file ends before."""
    missing = place.line - 1
    if missing < 0:
        return None
    before = ""
    for text in pieces:
        ends = text.count("\n")
        if ends < missing:
            missing -= ends
            before = (before + text)[-REACH_CHARS:]
            continue
        start = 0
        for _ in range(missing):
            start = text.index("\n", start) + 1
        return (before + text[:start])[-REACH_CHARS:], _text_from(text[start:], pieces, place)
    return None


def _text_from(text: str, pieces: Iterator[str], place: Place) -> str:
    """The text from the line on. When the line holds many items, it begins where the item begins."""

    def find_id() -> int:
        if not place.id:
            return -1
        at = text.find(f">{place.id}<")
        return at if at >= 0 else text.find(json.dumps(place.id, ensure_ascii=False))

    beginning = text
    for more in pieces:
        if len(text) >= REACH_CHARS and ("\n" in text or not place.id or find_id() >= 0):
            break
        text = text[-REACH_CHARS:] + more if len(text) > 2 * REACH_CHARS and "\n" not in text else text + more
    at = find_id()
    if "\n" in text[: max(at, 0)]:
        return text[: 2 * REACH_CHARS]  # the item has lines of its own
    if at < 0:
        return beginning if len(beginning) >= REACH_CHARS else text[: 2 * REACH_CHARS]
    starts = [start.start() for start in ITEM_START.finditer(text, 0, at)]
    return text[starts[-1] if starts else max(at - OTHER_LINE_CHARS, 0) :][: 2 * REACH_CHARS]


# --- what of it is shown ------------------------------------------------------------------------------


def _item_lines(before: str, after: str, place: Place) -> list[SnippetLine]:
    """From the item's start tag to its end, or some lines when it has none nearby."""
    earlier, later = before.split("\n")[:-1][-LINES_BEFORE:], after.split("\n")[:LINES_AFTER]
    if ITEM_START.search(later[0]):
        earlier = []
    else:
        starts = [n for n, line in enumerate(earlier) if ITEM_START.search(line)]
        earlier = earlier[starts[-1] :] if starts else earlier[-3:]
    end = next((n for n, line in enumerate(later) if ITEM_END.search(line)), min(len(later) - 1, 20))
    if ends := ITEM_END.search(later[end]):
        later[end] = later[end][: ends.end()]
    return _numbered_lines([*earlier, *later[: end + 1]], place.line - len(earlier), place)


def _table_lines(content: Content, after: str, place: Place) -> list[SnippetLine]:
    """The record below the table's line of names. It goes on over the next lines while a quotation mark is open."""
    lines = io.StringIO(content.head.decode(content.text_encoding, "replace").removeprefix("\ufeff"), newline=None)
    number = content.header.line if content.header else 1
    names = next(islice(lines, number - 1, None), "").rstrip("\n")
    header = [_snippet_line(number, names, place)] if place.line > number else []
    later = after.split("\n")[:LINES_AFTER]
    end, quotes = 0, later[0].count('"')
    while quotes % 2 and end + 1 < len(later):
        end += 1
        quotes += later[end].count('"')
    return [*header, *_numbered_lines(later[: end + 1], place.line, place)]


def _sheet_snippet(content: Content, sheet: str, place: Place) -> Snippet:
    """The row below the sheet's row of names, with tabs between the cells."""
    deadline = time.monotonic() + MAX_SECONDS
    lines: list[SnippetLine] = []
    for number, cells in sheet_rows(content.seekable_stream, settings.FEED_LIMITS, sheet):
        if time.monotonic() > deadline:
            raise TooDeep
        if number > place.line:
            break
        if not lines or number == place.line:
            lines.append(_snippet_line(number, "\t".join(cells), place))
    if not lines or lines[-1].number != place.line:
        return Snippet([], f"The sheet has no row {place.line:,}.")
    return Snippet(lines)


def _numbered_lines(texts: list[str], first: int, place: Place) -> list[SnippetLine]:
    while len(texts) > 1 and not texts[-1].strip():
        texts.pop()
    return [_snippet_line(number, text.rstrip("\r"), place) for number, text in enumerate(texts, first)]


def _snippet_line(number: int, text: str, place: Place) -> SnippetLine:
    limit = SHOWN_CHARS if number == place.line else OTHER_LINE_CHARS
    shown = f"{text[:limit]}…" if len(text) > limit else text
    is_marked = number in place.marked
    there = sorted((part for part in place.found if part in shown), key=len, reverse=True) if is_marked else []
    parts = re.split(f"({'|'.join(map(re.escape, there))})", shown) if there else [shown]
    return SnippetLine(number, parts, is_marked)
