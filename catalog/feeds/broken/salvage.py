"""A file that no repair makes well-formed → its items one by one, each whole or named as broken.

Items are cut out by text, repaired, and parsed alone and strictly within the start tags that were open before them. A
value is exact or its item is invalid: nothing is guessed, and no parser recovers anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from catalog.errors import FeedRefused
from catalog.feeds.broken.repair import TAG, TAG_MAX, DecodedText, Repairs, TextRepair
from catalog.feeds.issues import FOUND_MAX
from catalog.feeds.limits import SAFE, Limits, item_too_large, too_many_items
from catalog.feeds.reading.items import NOT_WELL_FORMED, ItemLost, RawItem, Stream, has_doctype, read_one
from catalog.feeds.reading.layouts import LAYOUTS, PREFIX, ROOT_TAG, SECTION_ENDS, Layout

NESTED_MAX = 64 * 1024  # within so many an item inside an item has to end, or the outer one is taken for left open
NESTED_DEPTH = 8
PATIENCE = 1000  # items after which a tenth of them has to be whole
MARK_MAX = 200  # characters that a tag's beginning or end takes at most
HEAD_MAX = 64 * 1024  # within so many the root has to begin
SKIPPED_ITEMS = 4  # after so many times the most of an item without the next one, the rest is not looked at

SALVAGEABLE = frozenset({"feed.not_well_formed", "feed.item_too_large", "feed.too_deep"})
"""What the strict parser gives up at. Items that are cut out one by one may be whole all the same."""


def salvage_items(stream: Stream, repairs: Repairs, limits: Limits = SAFE) -> Iterator[RawItem]:
    """Yield the items in the order of the file. One that is broken is `lost`; its line is that of its start tag.

    Raises `FeedRefused` when not one could be saved, or hardly one of many, or when the file goes on and on without
    one; items that were yielded before must then be thrown away.
    """
    text = _Window(DecodedText(stream, repairs))
    shell = _Shell.before_the_items(text, repairs, limits)
    position = saved = 0
    for position, (line, cut) in enumerate(_cuts(text, shell), start=1):
        if position > limits.items:
            raise too_many_items(line, limits)
        item = shell.read(position, line, cut)
        saved += not item.lost
        if position > PATIENCE and position > 10 * saved:
            break
        yield item
    if not saved or position > max(PATIENCE, 10 * saved):
        raise FeedRefused("feed.no_items", "No item of the file could be read.")


# --- the text, a window at a time -------------------------------------------------------------------


class _Window:
    """The file's text, of which only what is still needed is kept."""

    def __init__(self, source: DecodedText) -> None:
        self._source = source
        self.text = source.read()
        self.line = source.line  # of the window's first character
        self.offset = 0  # in the file
        self.ended = not self.text

    def grow(self) -> bool:
        """Read some more. False at the end of the file."""
        more = "" if self.ended else self._source.read()
        self.ended = not more
        self.text += more
        return not self.ended

    def drop(self, end: int) -> None:
        self.line += self.text.count("\n", 0, end)
        self.text = self.text[end:]
        self.offset += end

    def line_at(self, offset: int) -> int:
        return self.line + self.text.count("\n", 0, offset)


# --- what an item stands in -------------------------------------------------------------------------

_AS_SPACES = str.maketrans("\r\n\t", "   ")


@dataclass(slots=True)
class _Shell:
    """The start tags that are open around every item, as they stand there and repaired, and what that found out."""

    layout: Layout
    as_written: list[bytes]
    tags: list[bytes]
    undeclared: set[str]
    repairs: Repairs
    limits: Limits

    @classmethod
    def before_the_items(cls, window: _Window, repairs: Repairs, limits: Limits) -> "_Shell":
        while len(window.text) < HEAD_MAX and window.grow():
            pass
        root = ROOT_TAG.search(window.text, 0, HEAD_MAX)
        if root is None:
            raise FeedRefused("feed.no_items", "The file has no outermost element of a feed.")
        if "<!doctype" in window.text[: root.start()].lower():
            raise has_doctype()
        layout = LAYOUTS[root["root"]]
        as_written, tags = [], []
        undeclared: set[str] | None = None
        for start in _starts(window.text, root, layout):
            tag = TAG.match(window.text, start)
            if tag is None:
                raise FeedRefused("feed.no_items", "The outermost element has no end.")
            repair = TextRepair(repairs, line=window.line_at(start), undeclared=undeclared)
            as_written.append(_in_one_line(tag[0]))
            tags.append(_in_one_line(repair.feed(tag[0], last=True)))
            undeclared = repair.undeclared
        window.drop(root.end())
        return cls(layout, as_written, tags, undeclared or set(), repairs, limits)

    def read(self, position: int, line: int, cut: str) -> RawItem:
        try:
            if len(cut) > self.limits.item_bytes:
                raise ItemLost("item.too_large", 1, f"{len(cut):,} characters and more")
            return RawItem(position, line, self._fields(line, cut))
        except ItemLost as lost:
            found = _cited(cut, line, lost) if lost.code == NOT_WELL_FORMED else lost.found
            return RawItem(position, line, _id_of(cut), ((lost.code, found),), lost=True)

    def _fields(self, line: int, cut: str) -> dict[str, Any]:
        """What the item says as it is, or else repaired: most items are whole, and repairing is slow."""
        try:
            return self._read_one(cut, self.as_written)
        except ItemLost as lost:
            if lost.code != NOT_WELL_FORMED:
                raise
        repair = TextRepair(self.repairs, line=line, undeclared=self.undeclared)
        return self._read_one(repair.feed(cut, last=True), self.tags)

    def _read_one(self, text: str, within: list[bytes]) -> dict[str, Any]:
        item = text.encode("utf-8", "surrogatepass")
        return read_one(item, within=within, layout=self.layout, limits=self.limits)


def _in_one_line(tag: str) -> bytes:
    """The parser's lines are those of the item then."""
    return tag.translate(_AS_SPACES).encode("utf-8", "surrogatepass")


def _starts(text: str, root: re.Match[str], layout: Layout) -> Iterator[int]:
    """Where the start tags begin on the way from the root to the first item, as far as they are there."""
    items = (mark.start() for mark in _marks(layout).finditer(text, root.end(), HEAD_MAX) if mark["item"])
    border = next(items, HEAD_MAX)
    yield root.start()
    position = root.end()
    for name in layout.path[1:]:
        if found := re.compile(rf"<{name}(?=[\s>])").search(text, position, border):
            yield found.start()
            position = found.end()


_ID = re.compile(r"<(?:\w+:)?id>\s*(?:<!\[CDATA\[)?([^<>&\]]{1,100}?)\s*(?:\]\]>)?\s*</")


def _id_of(cut: str) -> dict[str, Any]:
    """What stands in the item's id element, for people."""
    found = _ID.search(cut)
    return {"id": found[1]} if found and found[1].isprintable() else {}


def _cited(cut: str, line: int, lost: ItemLost) -> str:
    """`Line 17: <g:gtinc>000123456789</g:gtin>`: the line of the fault, as it stands in the file."""
    lines = cut.split("\n")
    index = _line_left_open(cut)
    if index is None:
        index = min(max(lost.line, 1), len(lines)) - 1
    found = "".join(c if c.isprintable() else " " for c in lines[index]).strip()
    return f"Line {line + index}: {found or lost.found}"[:FOUND_MAX]


def _line_left_open(cut: str) -> int | None:
    """Where a CDATA section or comment begins that never ends, which the parser notices only at the item's end."""
    for opening, end in SECTION_ENDS.items():
        begin = cut.rfind(opening)
        if begin >= 0 and cut.find(end, begin) < 0:
            return cut.count("\n", 0, begin)
    return None


# --- cutting ----------------------------------------------------------------------------------------


@lru_cache
def _marks(layout: Layout, name: str = "") -> re.Pattern[str]:
    """What matters for cutting: where items begin and end, or those of one name; where the element around them does,
    and what may hide any of these.
    """
    item = rf"{PREFIX}(?P<item>{name or '|'.join(layout.items)})"
    around = rf"{PREFIX}(?P<around>{layout.path[-1]})"
    return re.compile(rf"<!\[CDATA\[|<!--|</?(?:{item}|{around})(?=[\s>/])")


def _cuts(window: _Window, shell: _Shell) -> Iterator[tuple[int, str]]:
    """Each item's line and text. One that is left open ends where the next begins."""
    cutter = _Cutter(window, shell.layout, shell.limits)
    while name := cutter.to_next_item():
        line = window.line
        end = cutter.end_of_item(name)
        yield line, window.text[:end]
        window.drop(end)


class _Cutter:
    """Finds where items begin and end; the window begins where it looks."""

    def __init__(self, window: _Window, layout: Layout, limits: Limits) -> None:
        self._window = window
        self._layout = layout
        self._limits = limits
        self._marks = _marks(layout)
        self._begun = 0  # offset in the file where the search for the next item began
        self._unended: dict[str, int] = {}  # offsets in the file up to which no section of the kind ends

    def to_next_item(self) -> str:
        """Move the window to the next item's start tag. Its name, or "" when there is none."""
        self._begun = self._window.offset
        self._marks = _marks(self._layout)
        while mark := self._next(0):
            if mark[0] in SECTION_ENDS:
                self._window.drop(self._end_of_section(mark))
            elif mark["item"] and not mark[0].startswith("</"):
                self._window.drop(mark.start())
                return mark["item"]
            else:
                self._window.drop(mark.end())
        return ""

    def end_of_item(self, name: str) -> int:
        """The offset behind the item at the window's start: its end tag, or where something else begins instead."""
        self._marks = _marks(self._layout, name)
        left_open = 0
        depth, around, position = 0, 0, 0
        while mark := self._next(position):
            position = mark.end()
            if mark[0] in SECTION_ENDS:
                position = self._end_of_section(mark)
            elif mark["around"]:
                around += self._step(mark)
            else:
                before, depth = depth, depth + self._step(mark)
                left_open = left_open or (mark.start() if before < depth == 2 else 0)
            if around < 0:
                return left_open or mark.start()
            if not depth:
                return self._end_of_tag(mark)
            if left_open and (depth > NESTED_DEPTH or position > left_open + NESTED_MAX):
                return left_open
            if position > self._limits.item_bytes:
                break
        # A mark may lie across the end of what was read, which is not the file's.
        return left_open or max(position, len(self._window.text) - (0 if self._window.ended else MARK_MAX))

    def _step(self, mark: re.Match[str]) -> int:
        """How many levels deeper it is behind a start or end tag; `<item/>` is both."""
        if mark[0].startswith("</"):
            return -1
        end = self._end_of_tag(mark)
        return 0 if self._window.text[end - 2 : end] == "/>" else 1

    def _end_of_tag(self, mark: re.Match[str]) -> int:
        """The offset behind the tag, or behind its name when it has no end."""
        start = mark.start()
        while True:
            text = self._window.text
            if tag := TAG.match(text, start, start + TAG_MAX):
                return tag.end()
            if len(text) > start + TAG_MAX or "<" in text[mark.end() : start + TAG_MAX] or not self._window.grow():
                return mark.end()

    def _next(self, position: int) -> re.Match[str] | None:
        """The next mark that is wholly there. Text in which nothing begins is dropped where no item is being cut."""
        start = position
        while True:
            text = self._window.text
            mark = self._marks.search(text, start)
            if mark and (self._window.ended or mark.end() < len(text)):
                return mark
            start = mark.start() if mark else max(start, len(text) - MARK_MAX)
            if not mark and not position:
                self._window.drop(start)
                start = 0
                if self._window.offset - self._begun > SKIPPED_ITEMS * self._limits.item_bytes:
                    raise item_too_large(self._window.line, self._limits)
            if len(text) - position > self._limits.item_bytes or not self._window.grow():
                return mark

    def _end_of_section(self, opening: re.Match[str]) -> int:
        """Behind a CDATA section or comment. It is left open where another one begins before its end with a border of
        items in between; then it hides nothing.
        """
        terminator = SECTION_ENDS[opening[0]]
        if self._window.offset + opening.end() < self._unended.get(terminator, 0):
            return opening.end()
        hiding = re.compile(f"{re.escape(terminator)}|{self._marks.pattern}")
        start = opening.end()
        other_item = False
        while start - opening.end() < self._limits.item_bytes:
            mark = hiding.search(self._window.text, start)
            if mark is None or (not self._window.ended and mark.end() == len(self._window.text)):
                start = mark.start() if mark else max(start, len(self._window.text) - MARK_MAX)
                if not self._window.grow() and not mark:
                    break
            elif mark[0] == terminator:
                return mark.end()
            elif mark[0] == opening[0] and other_item:
                return opening.end()
            else:
                other_item |= mark[0] not in SECTION_ENDS
                start = mark.end()
        # None of those up to here ends, and none has to be asked again.
        self._unended[terminator] = self._window.offset + start
        return opening.end()
