"""Where in its file something stands: the lines of an item as they were uploaded.

The file is read from its start up to the line, unpacked and decoded on the way, with little of it in memory. What
stands too deep to be found while somebody waits is not looked for any longer.
"""

from __future__ import annotations

import codecs
import io
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from catalog.errors import FeedRefused
from catalog.feeds.reading.formats import Content, open_content
from catalog.feeds.reading.layouts import ITEM_END, ITEM_START
from catalog.models import ImportRun, RunIssue, StagedItem

SECONDS = 4.0
LINES_BEFORE, LINES_AFTER = 40, 60  # of the line, when neither beginning nor end of the item is nearer
LINE_CHARS = 4_000  # of the line itself, when all of an item or of a file is in one; of the others less
OTHER_CHARS = 400
_PIECE_BYTES = 64 * 1024
_REACH = 32 * 1024  # characters that are looked at on either side

_GONE = "The stored file is gone."

_LINE = re.compile(r"Line (\d[\d,]*)")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the file, the lines to mark and what to point at in them.

    `id` tells the item from the others where all of a file is one line.
    """

    line: int
    marked: tuple[int, ...] = ()
    found: tuple[str, ...] = ()
    id: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `parts` are its text, every second one of them to be pointed at."""

    number: int
    parts: list[str]
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class Snippet:
    """The lines, or in a sentence why there are none."""

    lines: list[Line]
    problem: str = ""


def place_of_item(item: StagedItem) -> Place:
    """The item's own line, with those of its issues."""
    lines = tuple(sorted({line for _code, _attribute, _found, *rest in item.issues for line in rest if line}))
    return Place(
        item.line, lines or (item.line,), tuple(issue[2] for issue in item.issues if issue[2]), item.product_id
    )


def place_of_example(issue: RunIssue, number: int) -> Place | None:
    """Where the issue's example stands; None when it has not so many."""
    if number >= len(issue.examples):
        return None
    example = issue.examples[number]
    found = (example["found"],) if example["found"] else ()
    return Place(example["line"], (example["line"],), found, example["product_id"])


def place_of_error(run: ImportRun) -> Place | None:
    """The line that the run's error names; None when it names none."""
    named = _LINE.match(run.error)
    line = int(named[1].replace(",", "")) if named else 0
    return Place(line, (line,)) if line else None


def snippet(run: ImportRun, place: Place) -> Snippet:
    """The item around the place, as it stands in the run's file."""
    if not run.file:
        return Snippet([], _GONE)
    try:
        with run.file.open("rb") as file:
            content = open_content(file, settings.FEED_LIMITS, run.feed.table_encoding)
            found = _around(_texts(content), place)
    except OSError:
        return Snippet([], _GONE)
    except FeedRefused as refused:
        return Snippet([], refused.message)
    except _TooDeep:
        return Snippet([], f"Line {place.line:,} is too deep in the file to be looked up here. Open the file itself.")
    if found is None:
        return Snippet([], f"The file has no line {place.line:,}.")
    return Snippet([*_names(content, place), *_table_row(*found, place)] if content.header else _item(*found, place))


# --- reading up to the line ---------------------------------------------------------------------------


class _TooDeep(Exception):
    """The line is so far from the file's start that nobody should wait for it."""


def _texts(content: Content) -> Iterator[str]:
    """The file's text in pieces, whatever bytes are wrong in it. A table's lines may end as on an old Mac."""
    decoder: Any = codecs.getincrementaldecoder(content.text_encoding)("replace")
    if content.header:
        decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
    stream = content.from_the_start()
    end = time.monotonic() + SECONDS
    first = True
    while data := stream.read(_PIECE_BYTES):
        if time.monotonic() > end:
            raise _TooDeep
        text = decoder.decode(data)
        yield text.removeprefix("\ufeff") if first else text
        first = False


def _around(texts: Iterator[str], place: Place) -> tuple[str, str] | None:
    """The text before the line and from it on, as much of both as may be shown. None when the file ends before."""
    missing = place.line - 1
    if missing < 0:
        return None
    before = ""
    for text in texts:
        ends = text.count("\n")
        if ends < missing:
            missing -= ends
            before = (before + text)[-_REACH:]
            continue
        start = _after_lines(text, missing)
        return (before + text[:start])[-_REACH:], _from(text[start:], texts, place)
    return None


def _after_lines(text: str, count: int) -> int:
    position = 0
    for _ in range(count):
        position = text.index("\n", position) + 1
    return position


def _from(text: str, texts: Iterator[str], place: Place) -> str:
    """The text from the line on; of a line that holds many items, from where the item begins."""
    beginning = text
    for more in texts:
        if len(text) >= _REACH and ("\n" in text or not place.id or _find(text, place) >= 0):
            break
        text = text[-_REACH:] + more if len(text) > 2 * _REACH and "\n" not in text else text + more
    at = _find(text, place)
    if "\n" in text[: max(at, 0)]:
        return text[: 2 * _REACH]  # the item has lines of its own
    if at < 0:
        return beginning if len(beginning) >= _REACH else text[: 2 * _REACH]
    begins = [begin.start() for begin in ITEM_START.finditer(text, 0, at)]
    return text[begins[-1] if begins else max(at - OTHER_CHARS, 0) :][: 2 * _REACH]


def _find(text: str, place: Place) -> int:
    """Where the item says its id, of all that a line may hold; -1 for nowhere."""
    return text.find(f">{place.id}<") if place.id else -1


# --- what of it is shown ------------------------------------------------------------------------------


def _item(before: str, after: str, place: Place) -> list[Line]:
    """From the item's start tag to its end, or some lines where it has none nearby."""
    earlier, later = before.split("\n")[:-1][-LINES_BEFORE:], after.split("\n")[:LINES_AFTER]
    if ITEM_START.search(later[0]):
        earlier = []
    else:
        starts = [n for n, line in enumerate(earlier) if ITEM_START.search(line)]
        earlier = earlier[starts[-1] :] if starts else earlier[-3:]
    end = next((n for n, line in enumerate(later) if ITEM_END.search(line)), min(len(later) - 1, 20))
    if ends := ITEM_END.search(later[end]):
        later[end] = later[end][: ends.end()]
    return _numbered([*earlier, *later[: end + 1]], place.line - len(earlier), place)


def _names(content: Content, place: Place) -> list[Line]:
    """A table's line of names, without which a record's cells say little."""
    lines = content.head.decode(content.text_encoding, "replace").removeprefix("\ufeff").splitlines()
    number, names = next((n, line) for n, line in enumerate(lines, 1) if line.strip())
    return [_line(number, names, place)] if place.line > number else []


def _table_row(before: str, after: str, place: Place) -> list[Line]:
    """The record, which goes on over the next lines while a quotation mark is open."""
    later = after.split("\n")[:LINES_AFTER]
    end, quotes = 0, later[0].count('"')
    while quotes % 2 and end + 1 < len(later):
        end += 1
        quotes += later[end].count('"')
    return _numbered(later[: end + 1], place.line, place)


def _numbered(texts: list[str], first: int, place: Place) -> list[Line]:
    while len(texts) > 1 and not texts[-1].strip():
        texts.pop()
    return [_line(number, text.rstrip("\r"), place) for number, text in enumerate(texts, first)]


def _line(number: int, text: str, place: Place) -> Line:
    is_marked = number in place.marked
    limit = LINE_CHARS if number == place.line else OTHER_CHARS
    shown = f"{text[:limit]}…" if len(text) > limit else text
    return Line(number, _parts(shown, place.found) if is_marked else [shown], is_marked)


def _parts(text: str, found: tuple[str, ...]) -> list[str]:
    """The text taken apart at what is looked for, which becomes every second part."""
    there = sorted((part for part in found if part in text), key=len, reverse=True)
    return re.split(f"({'|'.join(map(re.escape, there))})", text) if there else [text]
