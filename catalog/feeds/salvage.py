"""A file that no repair makes well-formed → its items one by one, each whole or named as broken.

Items are cut out by text, repaired, and parsed alone and strictly within the start tags that were open before them. A
value is exact or its item is invalid: nothing is guessed, and no parser recovers anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from catalog.errors import FeedRefused
from catalog.feeds.issues import FOUND_MAX
from catalog.feeds.items import ItemBroken, RawItem, Stream, read_one
from catalog.feeds.repair import TAG, DecodedText, Repairs, TextRepair

ITEM_MAX = 11 * 1024 * 1024  # characters without the end of an item
NESTED_MAX = 64 * 1024  # within so many an item inside an item has to end, or the outer one is taken for left open
NESTED_DEPTH = 8
PATIENCE = 1000  # items after which a tenth of them has to be whole
MARK_MAX = 200  # characters that a tag's beginning or end takes at most
HEAD_MAX = 64 * 1024  # within so many the root has to begin

# The outermost element → the name of its items.
ITEM_NAMES = {"rss": "item", "feed": "entry", "RDF": "item"}


@dataclass(frozen=True, slots=True)
class BrokenItem:
    """An item that is not well-formed. `line` is that of its start tag; `found` cites the place of the fault.

    `product_id` is what stands in its id element, for people.
    """

    position: int
    line: int
    product_id: str
    found: str


def salvage_items(stream: Stream, repairs: Repairs) -> Iterator[RawItem | BrokenItem]:
    """Yield the items in the order of the file, those that are broken among them.

    Raises `FeedRefused` when not one could be saved, or hardly one of many; items that were yielded before must then
    be thrown away.
    """
    text = _Window(DecodedText(stream, repairs))
    shell = _Shell.before_the_items(text, repairs)
    position = saved = 0
    for position, (line, cut) in enumerate(_cuts(text, shell), start=1):
        item = shell.read(position, line, cut)
        saved += isinstance(item, RawItem)
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

_ROOT = re.compile(r"<((?:[\w.-]+:)?(rss|feed|RDF))(?=[\s>])")
_AS_SPACES = str.maketrans("\r\n\t", "   ")
_CHANNEL = re.compile(r"<channel(?=[\s>])")


@dataclass(slots=True)
class _Shell:
    """The start tags that are open around every item, and what their repair found out."""

    item_name: str
    tags: list[bytes]
    undeclared: set[str]
    repairs: Repairs

    @classmethod
    def before_the_items(cls, window: _Window, repairs: Repairs) -> "_Shell":
        while len(window.text) < HEAD_MAX and window.grow():
            pass
        root = _ROOT.search(window.text, 0, HEAD_MAX)
        if root is None:
            raise FeedRefused("feed.no_items", "The file has no <rss> or <feed>.")
        name = ITEM_NAMES[root[2]]
        starts = [root.start()]
        channel = _CHANNEL.search(window.text, root.end(), HEAD_MAX)
        item = _marks(name).search(window.text, root.end(), HEAD_MAX)
        if channel and not (item and item.start() < channel.start()) and root[2] == "rss":
            starts.append(channel.start())
        tags = []
        undeclared: set[str] | None = None
        for start in starts:
            tag = TAG.match(window.text, start)
            if tag is None:
                raise FeedRefused("feed.no_items", "The outermost element has no end.")
            repair = TextRepair(repairs, line=window.line_at(start), undeclared=undeclared)
            # In one line, so that the parser's lines are those of the item.
            in_one_line = repair.feed(tag[0], last=True).translate(_AS_SPACES)
            undeclared = repair.undeclared
            tags.append(in_one_line.encode("utf-8", "surrogatepass"))
        window.drop(root.end())
        return cls(name, tags, undeclared or set(), repairs)

    def read(self, position: int, line: int, cut: str) -> RawItem | BrokenItem:
        try:
            if len(cut) > ITEM_MAX:
                raise ItemBroken(1, "the item does not end")
            repair = TextRepair(self.repairs, line=line, undeclared=self.undeclared)
            repaired = repair.feed(cut, last=True).encode("utf-8", "surrogatepass")
            fields = read_one(repaired, within=self.tags)
        except ItemBroken as broken:
            return BrokenItem(position, line, _id_of(cut), _cited(cut, line, broken))
        return RawItem(position, line, fields)


_ID = re.compile(r"<(?:\w+:)?id>\s*(?:<!\[CDATA\[)?([^<>&\]]{1,100}?)\s*(?:\]\]>)?\s*</")


def _id_of(cut: str) -> str:
    found = _ID.search(cut)
    return found[1] if found and found[1].isprintable() else ""


def _cited(cut: str, line: int, broken: ItemBroken) -> str:
    """`Line 17: <g:gtinc>000123456789</g:gtin>`: the line of the fault, as it stands in the file."""
    lines = cut.split("\n")
    index = min(max(broken.line, 1), len(lines)) - 1
    found = "".join(c if c.isprintable() else " " for c in lines[index]).strip()
    return f"Line {line + index}: {found or broken.message}"[:FOUND_MAX]


# --- cutting ----------------------------------------------------------------------------------------

_SECTION_ENDS = {"<![CDATA[": "]]>", "<!--": "-->"}


def _marks(name: str) -> re.Pattern[str]:
    """What matters for cutting: where an item begins, where one ends, and what may hide either."""
    return re.compile(rf"<!\[CDATA\[|<!--|<(?:[\w.-]+:)?{name}(?=[\s>/])|</(?:[\w.-]+:)?{name}\s*>|</channel\s*>")


def _cuts(window: _Window, shell: _Shell) -> Iterator[tuple[int, str]]:
    """Each item's line and text. One that is left open ends where the next begins."""
    cutter = _Cutter(window, _marks(shell.item_name))
    while cutter.to_next_item():
        line = window.line
        whole = cutter.end_of_item()
        yield line, window.text[:whole]
        window.drop(whole)


class _Cutter:
    """Finds where items begin and end; the window begins where it looks."""

    def __init__(self, window: _Window, marks: re.Pattern[str]) -> None:
        self._window = window
        self._marks = marks
        self._unended: dict[str, int] = {}  # offsets in the file up to which no section of the kind ends

    def to_next_item(self) -> bool:
        """Move the window to the next item's start tag. False when there is none."""
        while mark := self._next(0):
            if mark[0] in _SECTION_ENDS:
                self._window.drop(self._end_of_section(mark))
            elif mark[0].startswith("</"):
                self._window.drop(mark.end())
            else:
                self._window.drop(mark.start())
                return True
        return False

    def end_of_item(self) -> int:
        """The offset behind the item at the window's start: its end tag, or where something else begins instead."""
        left_open = 0
        depth, position = 0, 0
        while mark := self._next(position):
            position = mark.end()
            if mark[0] in _SECTION_ENDS:
                position = self._end_of_section(mark)
            elif mark[0].startswith("</channel"):
                return left_open or mark.start()
            elif mark[0].startswith("</"):
                depth -= 1
                if not depth:
                    return mark.end()
            elif not self._is_empty(mark):
                depth += 1
                if depth == 2 and not left_open:
                    left_open = mark.start()
            elif not depth:
                return self._window.text.index(">", mark.end()) + 1
            if left_open and (depth > NESTED_DEPTH or position > left_open + NESTED_MAX):
                return left_open
            if position > ITEM_MAX:
                break
        return left_open or len(self._window.text)

    def _is_empty(self, mark: re.Match[str]) -> bool:
        """Whether the start tag is `<item/>`."""
        while (end := self._window.text.find(">", mark.end())) < 0 and self._window.grow():
            pass
        return end > 0 and self._window.text[end - 1] == "/"

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
            if len(text) - position > ITEM_MAX or not self._window.grow():
                return mark

    def _end_of_section(self, opening: re.Match[str]) -> int:
        """Behind a CDATA section or comment. It is left open where another one begins before its end with a border of
        items in between; then it hides nothing.
        """
        terminator = _SECTION_ENDS[opening[0]]
        if self._window.offset + opening.end() < self._unended.get(terminator, 0):
            return opening.end()
        hiding = re.compile(f"{re.escape(terminator)}|{self._marks.pattern}")
        start = opening.end()
        other_item = False
        while start - opening.end() < ITEM_MAX:
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
                other_item |= mark[0] not in _SECTION_ENDS
                start = mark.end()
        # None of those up to here ends, and none has to be asked again.
        self._unended[terminator] = self._window.offset + start
        return opening.end()
