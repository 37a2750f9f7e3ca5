"""Read the items of a file that no repair makes well-formed, one by one: each is whole or named as broken.

Items are cut out by their text and parsed alone and strictly, within the start tags that were open before them; one
that is not well-formed is repaired first. A value is exact or its item is invalid: nothing is guessed, and no parser
recovers anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from catalog.errors import FeedRefused
from catalog.feeds.broken.repair import MAX_TAG_CHARS, TAG, DecodedText, Repairs, TextRepair
from catalog.feeds.issues import FOUND_MAX
from catalog.feeds.limits import SAFE, Limits, item_too_large, too_many_items
from catalog.feeds.reading.discovery import MAX_BYTES, ROOT_INSTEAD, Discovery, without_root
from catalog.feeds.reading.items import (
    NOT_WELL_FORMED,
    Beside,
    ItemForeign,
    ItemLost,
    RawItem,
    Stream,
    has_doctype,
    read_one,
)
from catalog.feeds.reading.layouts import LAYOUTS, PREFIX, ROOT_TAG, SECTION_ENDS, Layout
from catalog.feeds.reading.settings import UNSET, FileSettings

NESTED_CHARS = 64 * 1024  # an item in an item has to end within these, or the outer one is taken for left open
NESTED_DEPTH = 8
MIN_ITEMS_TO_JUDGE = 1000  # after so many, a tenth of them has to be whole
MARK_CHARS = 200  # a tag's beginning or end is never longer
HEAD_CHARS = 64 * 1024  # the root has to begin within these
SKIPPED_ITEMS = 4  # after text of so many of the largest items without an item's end, or the next one, it is cut

SALVAGEABLE = frozenset({"feed.not_well_formed", "feed.item_too_large", "feed.too_deep"})
"""The refusals of the strict parser after which single items may still be whole."""

_ID = re.compile(r"<(?:\w+:)?id>\s*(?:<!\[CDATA\[)?([^<>&\]]{1,100}?)\s*(?:\]\]>)?\s*</")
_AS_SPACES = str.maketrans("\r\n\t", "   ")


def salvage_items(
    stream: Stream,
    repairs: Repairs,
    limits: Limits = SAFE,
    settings: FileSettings = UNSET,
    beside: Beside | None = None,
) -> Iterator[RawItem]:
    """Yield the items in the order of the file. A broken one is `lost`; its line is that of its start tag.

    Raises `FeedRefused` when no item could be saved, or hardly one of many, or when the file goes on and on without
    one; the items that were yielded before must then be thrown away.
    """
    window = _TextWindow(DecodedText(stream, repairs))
    shell = _SalvageShell.before_the_items(window, repairs, limits, settings)
    cutter = _ItemCutter(window, shell.layout, limits)
    beside = beside or Beside()
    refused = FeedRefused("feed.no_items", "No item of the file could be read.")
    position = saved = 0
    while name := cutter.find_next_item():
        position += 1
        line = window.line
        if position > limits.items:
            raise too_many_items(line, limits)
        # An item that is left open ends where the next one begins.
        end = cutter.find_end_of_item(name)
        try:
            item = shell.read_item(position, line, window.text[:end])
        except ItemForeign as foreign:
            beside.add_foreign(line, str(foreign))
            position -= 1
            continue
        finally:
            window.drop_text(end)
        saved += not item.lost
        if position > max(MIN_ITEMS_TO_JUDGE, 10 * saved):
            raise refused
        yield item
    beside.has_end = cutter.has_end
    if not saved:
        raise refused


# --- the text, a window at a time -------------------------------------------------------------------


class _TextWindow:
    """The file's text, of which only what is still needed is kept."""

    def __init__(self, source: DecodedText) -> None:
        self._source = source
        self.text = source.read()
        self.line = source.line  # of the window's first character
        self.offset = 0  # in the file
        self.ended = not self.text

    def read_more(self) -> bool:
        """False at the end of the file."""
        more = "" if self.ended else self._source.read()
        self.ended = not more
        self.text += more
        return not self.ended

    def drop_text(self, end: int) -> None:
        self.line += self.text.count("\n", 0, end)
        self.text = self.text[end:]
        self.offset += end


# --- what is around an item -------------------------------------------------------------------------


@dataclass(slots=True)
class _SalvageShell:
    """The start tags that are open around every item, as written and repaired, and what repairing them found out."""

    layout: Layout
    as_written: list[bytes]
    tags: list[bytes]
    undeclared: set[str]
    repairs: Repairs
    limits: Limits

    @classmethod
    def before_the_items(
        cls, window: _TextWindow, repairs: Repairs, limits: Limits, settings: FileSettings
    ) -> "_SalvageShell":
        """The shell, and the window behind the root's name, or where it was when the items are outside of a root."""
        while len(window.text) < (HEAD_CHARS if ROOT_TAG.search(window.text) else MAX_BYTES) and window.read_more():
            pass
        text = window.text
        layout, has_root = _layout_of(text, settings)
        root = re.compile(rf"<{PREFIX}{re.escape(layout.path[0])}(?=[\s>])").search(text, 0, HEAD_CHARS)
        before = text[: root.start()] if root else text
        if "<!doctype" in before.lower():
            raise has_doctype()
        if not has_root or _marks_of(layout).search(before):
            place = text.count("\n", 0, text.index("<"))
            if repairs.count_repair("outside_root"):
                repairs.add_example("outside_root", window.line + place, text[:FOUND_MAX])
        if root is None:
            within = [tag.encode() for tag in ROOT_INSTEAD]
            return cls(layout, within, within, set(), repairs, limits)
        marks = _marks_of(layout).finditer(text, root.end(), HEAD_CHARS)
        first_item = next((mark.start() for mark in marks if mark["item"]), HEAD_CHARS)
        containers = [root]
        for name in layout.path[1:]:
            tag = re.compile(rf"<{PREFIX}{re.escape(name)}(?=[\s>])")
            if found := tag.search(text, containers[-1].end(), first_item):
                containers.append(found)
        as_written, tags = [], []
        undeclared: set[str] | None = None
        for start in (container.start() for container in containers):
            start_tag = TAG.match(text, start)
            if start_tag is None:
                raise FeedRefused("feed.no_items", "The outermost element has no end.")
            repair = TextRepair(repairs, line=window.line + text.count("\n", 0, start), undeclared=undeclared)
            # In one line, the parser's lines are those of the item.
            as_written.append(start_tag[0].translate(_AS_SPACES).encode("utf-8", "surrogatepass"))
            repaired = repair.feed(start_tag[0], last=True)
            tags.append(repaired.translate(_AS_SPACES).encode("utf-8", "surrogatepass"))
            undeclared = repair.undeclared
        if not _marks_of(layout).search(before):
            window.drop_text(root.end())
        return cls(layout, as_written, tags, undeclared or set(), repairs, limits)

    def read_item(self, position: int, line: int, cut: str) -> RawItem:
        """The item as it is, or else repaired: most items are whole, and repairing is slow."""
        try:
            if len(cut) > self.limits.item_bytes:
                raise ItemLost("item.too_large", 1, f"{len(cut):,} characters and more")
            try:
                return RawItem(position, line, self._parse_item(cut, self.as_written))
            except ItemLost as lost:
                if lost.code != NOT_WELL_FORMED:
                    raise
            repair = TextRepair(self.repairs, line=line, undeclared=self.undeclared)
            return RawItem(position, line, self._parse_item(repair.feed(cut, last=True), self.tags))
        except ItemLost as lost:
            found = _cite_fault(cut, line, lost) if lost.code == NOT_WELL_FORMED else lost.found
            id = _ID.search(cut)
            fields: dict[str, Any] = {"id": id[1]} if id and id[1].isprintable() else {}
            return RawItem(position, line, fields, ((lost.code, found),), lost=True)

    def _parse_item(self, text: str, within: list[bytes]) -> dict[str, Any]:
        item = text.encode("utf-8", "surrogatepass")
        return read_one(item, within=within, layout=self.layout, limits=self.limits)


def _layout_of(text: str, settings: FileSettings) -> tuple[Layout, bool]:
    """Where the items are in a file that begins with this text, and whether they are inside of an outermost element."""
    root = ROOT_TAG.search(text)
    discovery = Discovery(settings)
    discovery.feed(TextRepair(Repairs()).feed(text, last=True).encode(errors="replace"))
    if layout := discovery.layout or (LAYOUTS[root["root"]] if root else None):
        return layout, True
    if layout := without_root(TextRepair(Repairs(), undeclared=set()).feed(text, last=True), settings):
        return layout, False
    raise FeedRefused("feed.no_items", "The file has no outermost element of a feed.")


def _cite_fault(cut: str, line: int, lost: ItemLost) -> str:
    """`Line 17: <g:gtinc>000123456789</g:gtin>`: the line of the fault, as it is in the file."""
    lines = cut.split("\n")
    index = min(max(lost.line, 1), len(lines)) - 1
    for opening, closing in SECTION_ENDS.items():
        begin = cut.rfind(opening)
        if begin >= 0 and cut.find(closing, begin) < 0:
            # It never ends, which the parser notices only at the item's end.
            index = cut.count("\n", 0, begin)
            break
    found = "".join(c if c.isprintable() else " " for c in lines[index]).strip()
    return f"Line {line + index}: {found or lost.found}"[:FOUND_MAX]


# --- cutting ----------------------------------------------------------------------------------------


@lru_cache
def _marks_of(layout: Layout, name: str = "") -> re.Pattern[str]:
    """The tags of items, or of those with one name, and of the element around them; and what may hide any of these."""
    item = rf"{PREFIX}(?P<item>{re.escape(name) or '|'.join(map(re.escape, layout.items))})"
    around = rf"{PREFIX}(?P<around>{re.escape(layout.path[-1])})"
    return re.compile(rf"<!\[CDATA\[|<!--|</?(?:{item}|{around})(?=[\s>/])")


class _ItemCutter:
    """Finds where items begin and end; the window begins where it looks."""

    def __init__(self, window: _TextWindow, layout: Layout, limits: Limits) -> None:
        self._window = window
        self._layout = layout
        self._limits = limits
        self._most = SKIPPED_ITEMS * limits.item_bytes
        self._marks = _marks_of(layout)
        self.has_end = False  # the element around the items ends before the next one, or before the file's end
        self._begun = 0  # offset in the file where the search for the next item began
        self._unended: dict[str, int] = {}  # by what ends a section: before this offset in the file none does

    def find_next_item(self) -> str:
        """Move the window to the next item's start tag. Its name, or "" when there is none."""
        self._begun = self._window.offset
        self.has_end = False
        self._marks = _marks_of(self._layout)
        while mark := self._next_mark(0):
            if mark[0] in SECTION_ENDS:
                self._window.drop_text(self._end_of_section(mark))
            elif mark["item"] and not mark[0].startswith("</"):
                self._window.drop_text(mark.start())
                return mark["item"]
            else:
                self.has_end = self.has_end or (mark[0].startswith("</") and bool(mark["around"]))
                self._window.drop_text(mark.end())
        return ""

    def find_end_of_item(self, name: str) -> int:
        """The offset behind the item at the window's start: its end tag, or where something else begins instead."""
        self._marks = _marks_of(self._layout, name)
        left_open = 0
        depth, around, position = 0, 0, 0
        while mark := self._next_mark(position):
            position = mark.end()
            if mark[0] in SECTION_ENDS:
                position = self._end_of_section(mark)
            elif mark["around"]:
                around += self._depth_change(mark)
            else:
                before, depth = depth, depth + self._depth_change(mark)
                left_open = left_open or (mark.start() if before < depth == 2 else 0)
            if around < 0:
                return left_open or mark.start()
            if not depth:
                return self._end_of_tag(mark)
            if left_open and (depth > NESTED_DEPTH or position > left_open + NESTED_CHARS):
                return left_open
            if position > self._most:
                break
        # A mark may lie across the end of the text that was read, unless that is the file's end.
        return left_open or max(position, len(self._window.text) - (0 if self._window.ended else MARK_CHARS))

    def _depth_change(self, mark: re.Match[str]) -> int:
        """How many levels deeper it is behind a start or end tag; `<item/>` is both."""
        if mark[0].startswith("</"):
            return -1
        end = self._end_of_tag(mark)
        return 0 if self._window.text[end - 2 : end] == "/>" else 1

    def _end_of_tag(self, mark: re.Match[str]) -> int:
        """The offset behind the tag, or behind its name when it has no end."""
        start = mark.start()
        limit = start + MAX_TAG_CHARS
        while True:
            text = self._window.text
            if tag := TAG.match(text, start, limit):
                return tag.end()
            if len(text) > limit or "<" in text[mark.end() : limit] or not self._window.read_more():
                return mark.end()

    def _next_mark(self, position: int) -> re.Match[str] | None:
        """The next mark that is wholly there. Text without a mark is dropped unless an item is being cut."""
        start = position
        while True:
            text = self._window.text
            mark = self._marks.search(text, start)
            if mark and (self._window.ended or mark.end() < len(text)):
                return mark
            start = mark.start() if mark else max(start, len(text) - MARK_CHARS)
            if not mark and not position:
                self._window.drop_text(start)
                start = 0
                if self._window.offset - self._begun > self._most:
                    raise item_too_large(self._window.line, self._limits)
            if len(text) - position > self._most or not self._window.read_more():
                return mark

    def _end_of_section(self, opening: re.Match[str]) -> int:
        """The offset behind a CDATA section or comment.

        A section is left open, and hides nothing, when another one begins before its end and an item begins or ends
        in between.
        """
        terminator = SECTION_ENDS[opening[0]]
        if self._window.offset + opening.end() < self._unended.get(terminator, 0):
            return opening.end()
        hiding = re.compile(f"{re.escape(terminator)}|{self._marks.pattern}")
        start = opening.end()
        other_item = False
        while start - opening.end() < self._most:
            mark = hiding.search(self._window.text, start)
            if mark is None or (not self._window.ended and mark.end() == len(self._window.text)):
                start = mark.start() if mark else max(start, len(self._window.text) - MARK_CHARS)
                if not self._window.read_more() and not mark:
                    break
            elif mark[0] == terminator:
                return mark.end()
            elif mark[0] == opening[0] and other_item:
                return opening.end()
            else:
                other_item |= mark[0] not in SECTION_ENDS
                start = mark.end()
        # No section before here ends, and the search need not be repeated for any of them.
        self._unended[terminator] = self._window.offset + start
        return opening.end()
