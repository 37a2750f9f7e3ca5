"""The items of a piece as they stand in its text: what need not be read again is found, and taken out, by its bytes.

A slice is no more than text. What makes it an item is that it begins with the one start tag of that name in it and
ends with an end tag, that each CDATA section and comment in it ends in it, and that nothing but white space is between
slices: then every border is outside of all sections and items, and a piece that is well-formed without some of its
slices, each of which was an item before, is well-formed with them.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from catalog.feeds.reading.split import Piece, Shell

_SECTIONS = ((b"<![CDATA[", b"]]>"), (b"<!--", b"-->"))
_LESS = ord("<")
_END_TAGS = re.compile(rb"\s*(?:</[\w:.-]+\s*>\s*)*+")


class Slice(NamedTuple):
    """An item of a piece: from where to where it stands in the piece's bytes, and its place in the feed."""

    start: int
    end: int
    position: int


def slices_of(data: bytes, piece: Piece, shell: Shell) -> list[Slice]:
    """The items of a piece, of which `data` are the bytes; none where their text does not tell them for sure."""
    start_tag, end_tag = b"<%b>" % shell.item.encode(), b"</%b>" % shell.item.encode()
    slices: list[Slice] = []
    start = data.find(start_tag)
    while start >= 0:
        end = data.find(end_tag, start) + len(end_tag)
        if end < len(end_tag) or not _is_closed(data, start, end):
            return []
        slices.append(Slice(start, end, piece.places + len(slices) + 1))
        start = data.find(start_tag, end)
    return slices if slices and _nothing_else(data, slices, piece, shell) else []


def lines_of(data: bytes, slices: Iterable[Slice], piece: Piece) -> Iterator[int]:
    """The line in the feed on which each begins."""
    line, counted = piece.lines + 1, 0
    for start, _end, _position in slices:
        line += data.count(b"\n", counted, start)
        counted = start
        yield line


def without(data: bytes, slices: Iterable[Slice]) -> bytes:
    """The piece without these items, of which only the ends of their lines are left."""
    kept: list[bytes] = []
    last = 0
    for start, end, _position in slices:
        kept += data[last:start], b"\n" * data.count(b"\n", start, end)
        last = end
    return b"".join((*kept, data[last:]))


def _is_closed(data: bytes, start: int, end: int) -> bool:
    """Whether each section that begins here ends here. An exclamation mark is found much quicker than what it is in."""
    while (start := data.find(b"!", start, end)) >= 0:
        if data[start - 1] == _LESS:
            mark, close = next((marks for marks in _SECTIONS if data.startswith(marks[0], start - 1)), (b"", b""))
            start = data.find(close, start - 1 + len(mark), end)
            if not mark or start < 0:
                return False
        start += 1
    return True


def _nothing_else(data: bytes, slices: list[Slice], piece: Piece, shell: Shell) -> bool:
    """Whether these are all items in the piece, and between and behind them is only what ends a feed."""
    first, last = slices[0].start, slices[-1].end
    return (
        len(slices) == piece.room
        and _is_plain_head(data[:first], piece)
        and data.find(b"<?", first) < 0
        and not any(data[this.end : following.start].strip() for this, following in pairwise(slices))
        and _END_TAGS.fullmatch(data, last) is not None
        and _occurs_so_often(b"<%b" % shell.item.encode(), len(slices), data)
    )


def _is_plain_head(head: bytes, piece: Piece) -> bool:
    """No section can be open behind it. Only the first piece has more of a head than white space."""
    return not head.strip() or (not piece.start and b"<!" not in head and head.rfind(b"<?") <= len(BOM_UTF8))


def _occurs_so_often(tag: bytes, times: int, data: bytes) -> bool:
    """Counting also the longer names that begin alike is much quicker, and mostly there are none."""
    return data.count(tag) == times or len(re.findall(rb"%b[\s/>]" % re.escape(tag), data)) == times
